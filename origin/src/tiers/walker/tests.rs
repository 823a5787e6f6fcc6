//! The walk through the tiers, with twins in memory below: what is promised, what is found, what a failure leaves.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mediaorigin_crds::policy::{Class, Durability, Keep};

use crate::clock::Clock;
use crate::fleet::Arrival;
use crate::memory::blob::{Read, Uid};
use crate::memory::object::Meta;
use crate::memory::upload::{Committed, Opening, Terms};
use crate::memory::{Deleted, Found, Memory};
use crate::tiers::local::Local;
use crate::tiers::pieces::ReadError;
use crate::tiers::twin::{Operation, Twin};
use crate::tiers::walker::{Condition, Tiers, Wish};
use crate::tiers::{ErrorKind, Put, Record, Tier, TierError, TierName};

impl Local for Twin {
    fn store<'a>(
        &'a self,
        record: &'a Arc<Record>,
        body: &'a [Bytes],
        _may_go: bool,
        _until: Option<SystemTime>,
    ) -> BoxFuture<'a, Result<Put, TierError>> {
        self.put(record, body)
    }

    fn release<'a>(&'a self, _path: &'a str, _sequence: u64) -> BoxFuture<'a, Result<bool, TierError>> {
        async { Ok(true) }.boxed()
    }

    fn sweep(&self, _now: SystemTime) -> BoxFuture<'_, Result<usize, TierError>> {
        async { Ok(0) }.boxed()
    }

    fn kept(&self, _after: &str, _limit: usize) -> (Vec<Arc<Record>>, Option<Arc<str>>) {
        (Vec::new(), None)
    }
}

const TERMS: Terms = Terms { keep: Duration::ZERO, expire: None };
const DISK: Wish = Wish {
    durability: Durability::Disk,
    disk: Keep::Forever,
    object_store: Keep::Never,
    terms: TERMS,
    eager_after: None,
    serve_stale: None,
};
const DURABLE: Wish = Wish {
    durability: Durability::Durable,
    disk: Keep::Never,
    object_store: Keep::Forever,
    terms: TERMS,
    eager_after: None,
    serve_stale: None,
};
const BOTH: Wish = Wish {
    durability: Durability::Disk,
    disk: Keep::Forever,
    object_store: Keep::Forever,
    terms: TERMS,
    eager_after: None,
    serve_stale: None,
};
const MEMORY: Wish = Wish {
    durability: Durability::Memory,
    disk: Keep::Never,
    object_store: Keep::Forever,
    terms: TERMS,
    eager_after: None,
    serve_stale: None,
};

struct World {
    tiers: Arc<Tiers>,
    memory: Arc<Memory>,
    clock: Clock,
    disk: Arc<Twin>,
    store: Arc<Twin>,
}

impl World {
    fn new(bytes: u64) -> Self {
        let memory = Arc::new(Memory::new(bytes));
        let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000));
        let disk = Arc::new(Twin::new(TierName::Disk));
        let store = Arc::new(Twin::new(TierName::ObjectStore));
        let runtime = tokio::runtime::Handle::current();
        let (below, beside) = (Arc::clone(&disk) as Arc<dyn Local>, Arc::clone(&store) as Arc<dyn Tier>);
        let tiers =
            Tiers::new(Arc::clone(&memory), clock.clone(), Some(below), Some(beside), (runtime, None));
        Self { tiers, memory, clock, disk, store }
    }

    async fn put_if(
        &self,
        path: &str,
        data: &[u8],
        wish: Wish,
        condition: Option<Condition>,
    ) -> Result<Committed, Arc<TierError>> {
        let meta = Meta {
            content_type: "video/mp2t".to_owned(),
            content_encoding: None,
            cache_control: None,
            class: Class::Segment,
        };
        let length = Some(data.len() as u64);
        let opening = Opening { path: path.into(), uid: Uid(fastrand::u128(..)), meta, early: true, length };
        let mut upload = self.memory.open(opening, &self.clock).await.unwrap();
        upload.write(data, &self.clock).await.unwrap();
        self.tiers.commit(Arrival::now(), upload, wish, condition).await
    }

    async fn put(&self, path: &str, data: &[u8], wish: Wish) -> Result<Committed, Arc<TierError>> {
        self.put_if(path, data, wish, None).await
    }

    /// Pushes everything that may go out of memory.
    fn forget(&self) {
        self.memory.evict_all(self.clock.now());
    }

    fn in_memory(&self, path: &str) -> bool {
        matches!(self.memory.find(path, self.clock.now()), Found::Complete(_))
    }

    async fn read(&self, path: &str, wish: &Wish) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(cold) = self.tiers.find(path, wish).await.map_err(ReadError::Tier)? else { return Ok(None) };
        let mut reader = self.tiers.open(&cold, 0, cold.record.size).await?;
        let mut bytes = Vec::new();
        loop {
            match std::future::poll_fn(|cx| reader.poll_next(cx)).await {
                Read::Bytes(more) => bytes.extend_from_slice(&more),
                Read::End => return Ok(Some(bytes)),
                Read::Aborted => return Err(ReadError::Busy),
            }
        }
    }

    async fn settled(&self) {
        while self.tiers.owed() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect()
}

#[tokio::test]
async fn nobody_is_told_before_the_disk_has_it() {
    let world = World::new(8 << 20);
    let mut held = world.disk.hold(Operation::Put);
    let put = world.put("live/a.ts", b"abc", DISK);
    tokio::pin!(put);
    tokio::select! {
        _ = &mut put => panic!("acknowledged before it was durable"),
        () = held.arrived(1) => {}
    }
    assert!(matches!(world.memory.find("live/a.ts", world.clock.now()), Found::Growing(_)), "readable early");
    held.release();
    assert!(matches!(put.await, Ok(Committed::Created(_))));
    world.forget();
    assert!(!world.in_memory("live/a.ts"));
    assert_eq!(world.read("live/a.ts", &DISK).await.unwrap().unwrap(), b"abc");
}

#[tokio::test]
async fn a_client_that_goes_away_cannot_stop_a_commit_half_way() {
    let world = World::new(8 << 20);
    let mut held = world.disk.hold(Operation::Put);
    {
        let put = world.put("live/a.ts", b"abc", DISK);
        tokio::pin!(put);
        tokio::select! {
            _ = &mut put => panic!("acknowledged before it was durable"),
            () = held.arrived(1) => {}
        }
    }
    held.release();
    while !world.in_memory("live/a.ts") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_tier_that_fails_leaves_what_was_there() {
    for (wish, tier) in [(DISK, TierName::Disk), (DURABLE, TierName::ObjectStore)] {
        let world = World::new(8 << 20);
        world.put("live/a.ts", b"old", wish).await.unwrap();
        let twin = if tier == TierName::Disk { &world.disk } else { &world.store };
        twin.fail_next(Operation::Put, ErrorKind::Full);
        let error = world.put("live/a.ts", b"new", wish).await.unwrap_err();
        assert_eq!((error.tier, error.kind), (tier, ErrorKind::Full));
        world.forget();
        assert_eq!(world.read("live/a.ts", &wish).await.unwrap().unwrap(), b"old");
    }
}

#[tokio::test]
async fn a_hundred_readers_of_a_cold_object_cost_the_tier_one_read_of_each_piece() {
    let world = World::new(32 << 20);
    let data = pattern(5 << 20);
    world.put("vod/a.mp4", &data, DURABLE).await.unwrap();
    world.forget();
    let readers = (0..100).map(|_| world.read("vod/a.mp4", &DURABLE));
    for read in futures_util::future::join_all(readers).await {
        assert_eq!(read.unwrap().unwrap(), data);
    }
    assert_eq!(world.store.calls(Operation::Read), 3);
    // A range takes what it needs.
    world.forget();
    let cold = world.tiers.find("vod/a.mp4", &DURABLE).await.unwrap().unwrap();
    let mut reader = world.tiers.open(&cold, 2_100_000, 2_100_010).await.unwrap();
    let read = std::future::poll_fn(|cx| reader.poll_next(cx)).await;
    assert_eq!(read, Read::Bytes(Bytes::copy_from_slice(&data[2_100_000..2_100_010])));
    assert_eq!(world.store.calls(Operation::Read), 4);
}

#[tokio::test]
async fn a_fill_that_breaks_off_never_looks_complete_and_is_tried_again() {
    let world = World::new(32 << 20);
    let data = pattern(3 << 20);
    world.put("vod/a.mp4", &data, DURABLE).await.unwrap();
    world.forget();
    world.store.break_next_read(100_000, ErrorKind::Unavailable);
    assert!(world.read("vod/a.mp4", &DURABLE).await.is_err());
    assert_eq!(world.read("vod/a.mp4", &DURABLE).await.unwrap().unwrap(), data);
    world.store.fail_next(Operation::Find, ErrorKind::Denied);
    world.tiers.doubt(&"vod/a.mp4".into());
    assert!(
        matches!(world.read("vod/a.mp4", &DURABLE).await, Err(ReadError::Tier(error)) if error.kind == ErrorKind::Denied)
    );
}

#[tokio::test]
async fn a_deletion_reaches_every_tier_or_none() {
    let world = World::new(8 << 20);
    world.put("live/a.ts", b"abc", BOTH).await.unwrap();
    world.settled().await;
    assert!(world.store.find("live/a.ts").await.unwrap().is_some(), "copied in the background");
    world.store.fail_next(Operation::Delete, ErrorKind::Unavailable);
    assert!(world.tiers.delete("live/a.ts".into(), BOTH, None).await.is_err());
    assert!(world.in_memory("live/a.ts") && world.disk.find("live/a.ts").await.unwrap().is_some());
    assert_eq!(world.tiers.delete("live/a.ts".into(), BOTH, None).await.unwrap(), Deleted::Gone);
    assert!(world.disk.find("live/a.ts").await.unwrap().is_none());
    assert!(world.store.find("live/a.ts").await.unwrap().is_none() && !world.in_memory("live/a.ts"));
    assert_eq!(world.read("live/a.ts", &BOTH).await.unwrap(), None);
    assert_eq!(world.tiers.delete("live/a.ts".into(), BOTH, None).await.unwrap(), Deleted::Nothing);
}

#[tokio::test]
async fn an_older_version_on_the_disk_does_not_outlive_a_durable_one() {
    let world = World::new(8 << 20);
    world.put("live/a.ts", b"old", DISK).await.unwrap();
    world.put("live/a.ts", b"new", DURABLE).await.unwrap();
    assert!(world.disk.find("live/a.ts").await.unwrap().is_none());
    world.forget();
    assert_eq!(world.read("live/a.ts", &DURABLE).await.unwrap().unwrap(), b"new");
}

#[tokio::test(start_paused = true)]
async fn what_a_tier_is_owed_stays_in_memory_until_it_is_there() {
    let world = World::new(8 << 20);
    world.store.fail_next(Operation::Put, ErrorKind::Unavailable);
    world.store.fail_next(Operation::Put, ErrorKind::Unavailable);
    let held = world.store.hold(Operation::Put);
    world.put("live/a.ts", b"abc", MEMORY).await.unwrap();
    world.forget();
    assert!(world.in_memory("live/a.ts"), "it is owed to the object store");
    held.release();
    while world.tiers.owed() > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.forget();
    assert!(!world.in_memory("live/a.ts"));
    assert_eq!(world.read("live/a.ts", &MEMORY).await.unwrap().unwrap(), b"abc");
    assert_eq!(world.tiers.outbound.counts().failed, 2);
}

#[tokio::test]
async fn conditions_are_decided_by_what_any_tier_has() {
    let world = World::new(8 << 20);
    world.put("live/a.ts", b"abc", DURABLE).await.unwrap();
    world.forget();
    let absent = || Some(Box::new(|current: Option<&super::Current>| current.is_none()) as Condition);
    let puts = world.store.calls(Operation::Put);
    assert!(matches!(world.put_if("live/a.ts", b"x", DURABLE, absent()).await, Ok(Committed::Refused)));
    assert_eq!(world.store.calls(Operation::Put), puts, "nothing was written");
    assert!(matches!(world.put_if("live/b.ts", b"x", DURABLE, absent()).await, Ok(Committed::Created(_))));
    assert_eq!(world.tiers.delete("live/a.ts".into(), DURABLE, absent()).await.unwrap(), Deleted::Refused);
}

#[tokio::test]
async fn what_the_bucket_lacks_is_asked_once_by_many_and_found_when_somebody_puts_it_there() {
    let world = World::new(8 << 20);
    let finds = (0..50).map(|_| world.tiers.find("vod/x.mp4", &DURABLE));
    for found in futures_util::future::join_all(finds).await {
        assert!(found.unwrap().is_none());
    }
    assert_eq!(world.store.calls(Operation::Find), 1);
    let meta = Meta {
        content_type: "video/mp4".to_owned(),
        content_encoding: None,
        cache_control: None,
        class: Class::Segment,
    };
    let modified = world.clock.now().wall;
    let record = Record {
        path: "vod/x.mp4".into(),
        uid: Uid(9),
        meta,
        size: 3,
        sequence: 0,
        modified,
        expires_at: None,
    };
    world.store.put(&Arc::new(record), &[Bytes::from_static(b"abc")]).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.read("vod/x.mp4", &DURABLE).await.unwrap().unwrap(), b"abc");
}
