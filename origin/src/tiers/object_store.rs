//! The tier of a bucket: S3, Google Cloud Storage, Azure, a local folder.
//!
//! ```text
//! Tier → read, list ─→ requests (places, time, retries, hedges) ─→ bucket ─→ client of the crate `object_store`
//!      → write ─→ decide, doubt ─→ one conditional request ──────┘
//! ```
//!
//! An object lies under prefix and path as it is, its headers and ours (`mo-…`) beside it, so every tool can read the
//! bucket, and what others put there is served. One origin writes below a prefix; two, for the seconds of a rolling update,
//! do not harm each other, because every write is conditional on what it replaces.

mod bucket;
mod client;
mod counters;
mod decide;
mod doubt;
mod failure;
mod fields;
mod folder;
mod list;
mod options;
mod place;
mod probe;
mod read;
mod requests;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moka::ops::compute::Op;

pub use client::OpenError;
pub use counters::{Answer, Counters, Request};
pub use options::{Credentials, Limits, ObjectStoreOptions};
pub use probe::Conditions;

use decide::State;
use doubt::Doubts;
use failure::Failure;
use probe::Probe;
use requests::Requests;

use super::fence::{FENCES_MAX, Fence};
use super::{Bytestream, LastError, Listed, Put, Record, Removed, Source, Tier, TierError, TierName};
use crate::clock::Clock;

/// Writers of one key wait for each other; two keys may share a lock.
const TURNS: usize = 1_024;
/// Markers of deletes that are remembered at most; a listing finds the others again.
const MARKERS_MAX: usize = 65_536;
/// Markers that one call of [`ObjectStoreTier::tend`] takes away at most.
const UNMARK_AT_ONCE: usize = 32;

/// A bucket as a tier.
#[derive(Debug)]
pub struct ObjectStoreTier {
    shared: Arc<Shared>,
}

/// How the bucket is, for `/-/status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether it can be written to safely.
    pub conditions: Conditions,
    /// The latest error, if there was one.
    pub last_error: Option<LastError>,
    /// Reads under way, their bodies included.
    pub reads: usize,
    /// Writes and listings under way.
    pub writes: usize,
    /// Writes on their way or in doubt.
    pub in_doubt: usize,
    /// Markers of deletes that are still in the bucket, as far as they are known.
    pub markers: usize,
}

#[derive(Debug)]
struct Shared {
    requests: Requests,
    doubts: Doubts,
    fence: Mutex<Fence>,
    remembered: moka::sync::Cache<Arc<str>, Remembered>,
    turns: Vec<tokio::sync::Mutex<()>>,
    hasher: RandomState,
    probe: Probe,
    /// By path, when each may go.
    markers: Mutex<BTreeMap<Arc<str>, Duration>>,
    names: AtomicU64,
}

/// A version that was written or read a moment ago.
#[derive(Clone, Debug)]
struct Remembered {
    state: State,
    record: Arc<Record>,
    certainty: Certainty,
}

/// Whether what is remembered of a version belongs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    /// The store said so when we wrote it.
    Written,
    /// An answer to a read had it; the store may have put that together from two versions.
    Seen,
}

impl ObjectStoreTier {
    /// Opens a bucket. Nothing is sent yet: the bucket may be away and come later. Reads files, so not on a worker.
    pub fn open(options: ObjectStoreOptions, clock: Clock) -> Result<Self, OpenError> {
        Ok(Self::with(Requests::open(options, clock)?))
    }

    fn with(requests: Requests) -> Self {
        let limits = requests.limits;
        let now = requests.clock.now().elapsed;
        let shared = Shared {
            doubts: Doubts::new(limits.in_doubt_max, limits.in_doubt, now),
            fence: Mutex::new(Fence::new(FENCES_MAX)),
            remembered: moka::sync::Cache::new(limits.remembered_max),
            turns: std::iter::repeat_with(tokio::sync::Mutex::default).take(TURNS).collect(),
            hasher: RandomState::new(),
            probe: Probe::default(),
            markers: Mutex::default(),
            names: AtomicU64::new(0),
            requests,
        };
        Self { shared: Arc::new(shared) }
    }

    /// What has to be done from time to time; call it about each second. Reads credentials that changed, asks the store
    /// whether it honours conditions, takes away markers of deletes. An error is in [`Self::health`] too.
    pub async fn tend(&self) {
        let shared = &self.shared;
        let wall = shared.requests.clock.now().wall;
        if let Err(failure) = shared.requests.refresh() {
            shared.requests.counters.failed(&failure, wall);
        }
        shared.doubts.sweep(shared.now());
        if shared.probe.conditions() == Conditions::Unknown
            && let Err(failure) = shared.needs_conditions().await
        {
            shared.requests.counters.failed(&failure, wall);
        }
        shared.sweep_markers().await;
    }

    /// How it is.
    pub fn health(&self) -> Health {
        let shared = &self.shared;
        let (reads, writes) = shared.requests.in_flight();
        Health {
            conditions: shared.probe.conditions(),
            last_error: shared.requests.counters.last_error(),
            reads,
            writes,
            in_doubt: shared.doubts.count(),
            markers: shared.markers().len(),
        }
    }

    /// What its requests came to.
    pub fn counters(&self) -> &Counters {
        &self.shared.requests.counters
    }
}

impl Source for ObjectStoreTier {
    fn name(&self) -> TierName {
        TierName::ObjectStore
    }

    fn read<'a>(
        &'a self,
        record: &'a Arc<Record>,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<Bytestream, TierError>> {
        let read = self.shared.read(record, range);
        read.map(|result| result.map_err(|failure| tier_error(format!("read {}", record.path), failure)))
            .boxed()
    }
}

impl Tier for ObjectStoreTier {
    fn put<'a>(
        &'a self,
        record: &'a Arc<Record>,
        body: &'a [Bytes],
    ) -> BoxFuture<'a, Result<Put, TierError>> {
        let put = self.shared.put(record, body);
        put.map(|result| result.map_err(|failure| tier_error(format!("write {}", record.path), failure)))
            .boxed()
    }

    fn find<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<Arc<Record>>, TierError>> {
        let find = self.shared.find(path);
        find.map(move |result| result.map_err(|failure| tier_error(format!("find {path}"), failure))).boxed()
    }

    fn delete<'a>(&'a self, path: &'a str, through: u64) -> BoxFuture<'a, Result<Removed, TierError>> {
        let delete = self.shared.delete(path, through);
        delete
            .map(move |result| result.map_err(|failure| tier_error(format!("delete {path}"), failure)))
            .boxed()
    }

    fn list<'a>(
        &'a self,
        folder: &'a str,
        after: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Listed>, TierError>> {
        let list = self.shared.list(folder, after, limit);
        list.map(move |result| result.map_err(|failure| tier_error(format!("list {folder}"), failure)))
            .boxed()
    }
}

fn tier_error(attempt: String, failure: Failure) -> TierError {
    TierError::new(TierName::ObjectStore, attempt, failure.kind(), failure)
}

impl Shared {
    fn now(&self) -> Duration {
        self.requests.clock.now().elapsed
    }

    fn turn(&self, path: &str) -> &tokio::sync::Mutex<()> {
        let index = usize::try_from(self.hasher.hash_one(path) % TURNS as u64).unwrap_or(0);
        &self.turns[index]
    }

    fn fence(&self) -> MutexGuard<'_, Fence> {
        self.fence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn markers(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Duration>> {
        self.markers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a version unless a newer one is: an answer to a read may be older than what was written meanwhile.
    fn remember(&self, state: State, record: &Arc<Record>, certainty: Certainty) {
        let new = Remembered { state, record: Arc::clone(record), certainty };
        let order = |remembered: &Remembered| {
            (remembered.record.sequence, remembered.certainty == Certainty::Written)
        };
        self.remembered.entry(Arc::clone(&record.path)).and_compute_with(|there| {
            let is_older = there.is_some_and(|there| order(there.value()) > order(&new));
            if is_older { Op::Nop } else { Op::Put(new) }
        });
    }

    /// A text that this process and those before it have not used: when it is, and a count.
    fn unique(&self) -> String {
        let wall = self.requests.clock.now().wall;
        let nanos = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let salt = self.hasher.hash_one(0);
        format!("{nanos:x}-{salt:x}-{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// Remembers a marker, to take it away when nothing is in doubt any more.
    fn note_marker(&self, path: &str) {
        let due = self.now() + self.requests.limits.in_doubt;
        let mut markers = self.markers();
        if markers.len() < MARKERS_MAX {
            markers.entry(Arc::from(path)).or_insert(due);
        }
    }

    fn has_marker_in(&self, folder: &str) -> bool {
        let behind = (std::ops::Bound::Included(folder), std::ops::Bound::Unbounded);
        self.markers().range::<str, _>(behind).next().is_some_and(|(path, _)| path.starts_with(folder))
    }

    async fn sweep_markers(&self) {
        let now = self.now();
        let due = |(path, due): (&Arc<str>, &Duration)| (*due <= now).then(|| Arc::clone(path));
        let paths: Vec<Arc<str>> = self.markers().iter().filter_map(due).take(UNMARK_AT_ONCE).collect();
        for path in paths {
            match self.unmark(&path).await {
                Ok(true) => {
                    self.markers().remove(&path);
                }
                Ok(false) | Err(_) => {
                    self.markers().insert(path, self.now() + self.requests.limits.in_doubt);
                }
            }
        }
    }
}
