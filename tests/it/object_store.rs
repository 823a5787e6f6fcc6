//! The tier of a bucket against a real S3 server, with a network between them that fails.

mod credentials;
mod heads;
mod reads;
mod soak;
mod two;
mod zombies;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::TryStreamExt;
use mediaorigin_crds::policy::Class;
use mediaorigin_origin::clock::Clock;
use mediaorigin_origin::memory::blob::Uid;
use mediaorigin_origin::memory::object::Meta;
use mediaorigin_origin::tiers::object_store::{Credentials, Limits, ObjectStoreOptions, ObjectStoreTier};
use mediaorigin_origin::tiers::{Put, Record, Source, Tier, TierError};
use mediaorigin_tests::faults::{Fate, FaultProxy, Seen};
use mediaorigin_tests::folder::Folder;
use mediaorigin_tests::s3::{ACCESS_KEY, BUCKET, S3Server};

const SECRET: &str = "a-secret-that-nobody-may-see";

/// How long a request may take effect after it was given up, in these tests' own time.
const WINDOW: Duration = Duration::from_mins(1);

/// Short enough for a test, long enough for a busy machine.
fn limits() -> Limits {
    Limits {
        attempt: Duration::from_millis(700),
        call: Duration::from_secs(3),
        stall: Duration::from_millis(700),
        in_doubt: WINDOW,
        ..Limits::default()
    }
}

/// A folder with the files of a Secret.
struct Secret(Folder);

impl Secret {
    fn new(key: &str) -> Self {
        let folder = Folder::new("secret").unwrap();
        folder.write("accessKeyId", ACCESS_KEY).unwrap();
        let secret = Self(folder);
        secret.change(key);
        secret
    }

    fn change(&self, key: &str) {
        self.0.write("secretAccessKey", key).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

fn options(address: SocketAddr, secret: &Path) -> ObjectStoreOptions {
    ObjectStoreOptions {
        endpoint: Some(format!("http://{address}")),
        allow_http: true,
        credentials: Credentials::Folder(secret.to_owned()),
        limits: limits(),
        ..ObjectStoreOptions::new(format!("s3://{BUCKET}/origin"))
    }
}

/// A tier, a proxy and a server. The start was long ago: nothing of an earlier process is in doubt.
struct World {
    tier: ObjectStoreTier,
    clock: Clock,
    proxy: FaultProxy,
    server: S3Server,
    secret: Secret,
}

impl World {
    async fn start() -> Self {
        Self::with(limits()).await
    }

    async fn with(limits: Limits) -> Self {
        let server = S3Server::start(SECRET).unwrap();
        let proxy = FaultProxy::start(server.address).unwrap();
        let secret = Secret::new(SECRET);
        let clock = Clock::manual(SystemTime::now());
        let options = ObjectStoreOptions { limits, ..options(proxy.address, secret.path()) };
        let tier = ObjectStoreTier::open(options, clock.clone()).unwrap();
        clock.advance(WINDOW);
        tier.tend().await;
        Self { tier, clock, proxy, server, secret }
    }

    async fn put(&self, path: &str, sequence: u64, data: &[u8]) -> Result<Put, TierError> {
        self.tier.put(&record(path, sequence, data), &[Bytes::copy_from_slice(data)]).await
    }

    async fn store(&self, path: &str, sequence: u64, data: &[u8]) -> Arc<Record> {
        assert_eq!(self.put(path, sequence, data).await.unwrap(), Put::Stored);
        record(path, sequence, data)
    }

    async fn assert_holds(&self, path: &str, sequence: u64, data: &[u8]) {
        let found = self.tier.find(path).await.unwrap();
        assert_eq!(found, Some(record(path, sequence, data)));
        assert!(self.read(&record(path, sequence, data)).await.unwrap() == data, "other bytes");
    }

    async fn assert_nothing(&self, path: &str) {
        assert_eq!(self.tier.find(path).await.unwrap(), None);
    }

    async fn read(&self, record: &Arc<Record>) -> Result<Vec<u8>, TierError> {
        collect(&self.tier, record, 0..record.size).await
    }
}

async fn collect(
    tier: &ObjectStoreTier,
    record: &Arc<Record>,
    range: std::ops::Range<u64>,
) -> Result<Vec<u8>, TierError> {
    let pieces: Vec<Bytes> = tier.read(record, range).await?.try_collect().await?;
    Ok(pieces.concat())
}

fn record(path: &str, sequence: u64, data: &[u8]) -> Arc<Record> {
    Arc::new(Record {
        path: Arc::from(path),
        uid: Uid(u128::from(sequence) << 64 | data.len() as u128),
        meta: Meta {
            content_type: "video/mp2t".to_owned(),
            content_encoding: None,
            cache_control: Some("max-age=5".to_owned()),
            class: Class::of(path),
        },
        size: data.len() as u64,
        sequence,
        modified: SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000 + sequence, 5),
        expires_at: None,
    })
}

/// `size` bytes that differ from those of other seeds.
fn body(seed: u64, size: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(size).collect()
}

/// The first requests that `is` names meet these fates, one each.
fn first(
    fates: Vec<Fate>,
    is: impl Fn(&Seen) -> bool + Send + 'static,
) -> impl FnMut(&Seen) -> Fate + Send + 'static {
    let mut fates = fates.into_iter();
    move |seen| if is(seen) { fates.next().unwrap_or(Fate::Pass) } else { Fate::Pass }
}
