//! One attempt of each request to a bucket, for every kind of store.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    Attributes, GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions, PutPayload, PutResult, UpdateVersion,
};

use super::client::Client;
use super::decide::{Likeness, State};
use super::failure::{Failure, Fault};
use super::fields::Entry;

/// How long an answer that only an existing bucket can give is proof of it.
const BUCKET_SEEN: Duration = Duration::from_secs(10);

/// Pieces of a body.
pub(super) type Pieces = BoxStream<'static, Result<bytes::Bytes, Failure>>;

/// A bucket and when it was last seen.
#[derive(Debug)]
pub(super) struct Bucket {
    client: Client,
    started: tokio::time::Instant,
    /// Milliseconds after `started`, plus one; 0: never.
    seen: AtomicU64,
}

impl Bucket {
    pub(super) fn new(client: Client) -> Self {
        Self { client, started: tokio::time::Instant::now(), seen: AtomicU64::new(0) }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Whether a request that was given up may still take effect. In a local folder it holds the lock of its key until
    /// it has.
    pub(super) fn has_doubts(&self) -> bool {
        matches!(self.client, Client::Cloud { .. })
    }

    /// Waits until no write that was given up goes on under the key.
    pub(super) async fn quiet(&self, key: &Path) {
        if let Client::Folder(folder) = &self.client {
            folder.quiet(key).await;
        }
    }

    /// What lies under a key.
    pub(super) async fn head(&self, key: &Path) -> Result<Option<Entry>, Failure> {
        let found = match &self.client {
            Client::Folder(folder) => return folder.head(key).await,
            Client::Cloud { objects, .. } => {
                objects.get_opts(key, GetOptions { head: true, ..GetOptions::default() }).await
            }
        };
        match found.map_err(Failure::from) {
            Ok(found) => {
                self.is_there();
                Ok(Some(entry(found.meta, found.attributes)))
            }
            // The answer to HEAD has no body that could tell a missing object from a missing bucket.
            Err(failure) if failure.fault == Fault::Absent && !self.was_there() => {
                let found = self.get(key, None, None).await;
                Ok(absent_is_none(found)?.map(|(entry, _)| entry))
            }
            Err(failure) => absent_is_none(Err(failure)),
        }
    }

    /// The bytes of a range, or all; with `pinned` only of the version with this `ETag`.
    pub(super) async fn get(
        &self,
        key: &Path,
        range: Option<Range<u64>>,
        pinned: Option<&str>,
    ) -> Result<(Entry, Pieces), Failure> {
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            if_match: pinned.map(str::to_owned),
            ..GetOptions::default()
        };
        let found = match &self.client {
            Client::Folder(folder) => return folder.get(key, options).await,
            Client::Cloud { objects, .. } => objects.get_opts(key, options).await,
        };
        let found = found.map_err(Failure::from).inspect_err(|failure| {
            if failure.fault == Fault::Absent {
                self.is_there();
            }
        })?;
        self.is_there();
        Ok((entry(found.meta.clone(), found.attributes.clone()), pieces(found)))
    }

    /// Puts an object in the place of `expected`: absent, or this state.
    pub(super) async fn write(
        &self,
        key: &Path,
        expected: Option<&State>,
        attributes: Attributes,
        (body, likeness): (PutPayload, Likeness),
    ) -> Result<State, Failure> {
        match &self.client {
            Client::Folder(folder) => {
                let etag = folder.write(key, expected, attributes, body).await?;
                Ok(State { etag, version: None, likeness })
            }
            Client::Cloud { objects, .. } => {
                let mode = match expected {
                    None => PutMode::Create,
                    Some(State { etag, version, .. }) => PutMode::Update(UpdateVersion {
                        e_tag: Some(etag.to_string()),
                        version: version.clone(),
                    }),
                };
                let options = PutOptions { mode, attributes, ..PutOptions::default() };
                let written = objects.put_opts(key, body, options).await?;
                self.is_there();
                state(written, likeness)
            }
        }
    }

    /// Takes away whatever is under the key.
    pub(super) async fn remove(&self, key: &Path) -> Result<(), Failure> {
        let removed = match &self.client {
            Client::Folder(folder) => return folder.remove(key).await,
            Client::Cloud { objects, .. } => objects.delete(key).await,
        };
        absent_is_none(removed.map_err(Failure::from)).map(|_| ())
    }

    fn is_there(&self) {
        let now = self.started.elapsed().as_millis();
        self.seen.store(u64::try_from(now).unwrap_or(u64::MAX - 1) + 1, Ordering::Relaxed);
    }

    fn was_there(&self) -> bool {
        let seen = self.seen.load(Ordering::Relaxed);
        let ago = self.started.elapsed().saturating_sub(Duration::from_millis(seen.saturating_sub(1)));
        seen > 0 && ago < BUCKET_SEEN
    }
}

fn absent_is_none<T>(result: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(failure) if failure.fault == Fault::Absent => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// What a store tells of an object.
pub(super) fn entry(meta: ObjectMeta, attributes: Attributes) -> Entry {
    Entry {
        etag: Arc::from(meta.e_tag.unwrap_or_default()),
        version: meta.version,
        size: meta.size,
        modified: SystemTime::from(meta.last_modified),
        attributes,
    }
}

/// The body of an answer.
pub(super) fn pieces(found: GetResult) -> Pieces {
    found.into_stream().map(|piece| piece.map_err(Failure::from)).boxed()
}

fn state(written: PutResult, likeness: Likeness) -> Result<State, Failure> {
    let etag = written.e_tag.ok_or_else(|| Failure::new(Fault::Unclear, "the answer has no ETag"))?;
    Ok(State { etag: Arc::from(etag), version: written.version, likeness })
}

impl Entry {
    /// What a write is conditional on.
    pub(super) fn state(&self, likeness: Likeness) -> State {
        State { etag: Arc::clone(&self.etag), version: self.version.clone(), likeness }
    }
}
