//! What the object store was seen to have, or not to have: asked once by all who want to know, and again after a while.
//!
//! An object that somebody else wrote into the bucket is found within [`ABSENT_FOR`]; what we write or delete ourselves is
//! known at once. An answer that was on its way when its path was written is not remembered.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use moka::sync::Cache;
use tokio::runtime::Handle;

use super::{Record, TierError};
use crate::clock::Now;

/// Paths that are remembered at most: about 8 MiB, paid by the base term of the budget.
const PATHS_MAX: u64 = 16 * 1024;
/// How long it is believed that the bucket has nothing under a path.
pub(super) const ABSENT_FOR: Duration = Duration::from_secs(1);
/// How long a record is believed. Its bytes are asked for by its exact version, so nothing wrong can come of it.
pub(super) const PRESENT_FOR: Duration = Duration::from_secs(30);
/// Counters of changes; paths that share one merely forget each other's answers.
const EPOCHS: usize = 1_024;

type Answer = Result<Option<Arc<Record>>, Arc<TierError>>;
type Flight = Shared<BoxFuture<'static, Answer>>;

/// What is known of a path.
#[derive(Debug)]
pub(super) enum Seen {
    /// The store has this.
    Present(Arc<Record>),
    /// The store has nothing.
    Absent,
    /// It must be asked.
    Unknown,
}

/// What is known.
#[derive(Debug)]
pub(crate) struct Known {
    seen: Cache<Arc<str>, (Option<Arc<Record>>, Duration)>,
    flights: Mutex<std::collections::HashMap<Arc<str>, Flight>>,
    epochs: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Known {
    pub(super) fn new() -> Self {
        Self {
            seen: Cache::new(PATHS_MAX),
            flights: Mutex::default(),
            epochs: (0..EPOCHS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    /// What is known of `path`, if it is known at `now`.
    pub(super) fn get(&self, path: &str, now: Now) -> Seen {
        match self.seen.get(path) {
            Some((record, until)) if now.elapsed < until => record.map_or(Seen::Absent, Seen::Present),
            _ => Seen::Unknown,
        }
    }

    /// The answer to `ask`, which is asked once for all who come meanwhile, and goes on without them.
    pub(super) async fn ask<F>(self: &Arc<Self>, runtime: &Handle, path: &str, now: Now, ask: F) -> Answer
    where
        F: Future<Output = Result<Option<Arc<Record>>, TierError>> + Send + 'static,
    {
        let path: Arc<str> = path.into();
        let flight = {
            let mut flights = self.flights();
            if let Some(flight) = flights.get(&path) {
                flight.clone()
            } else {
                let flight = Arc::clone(self).fly(Arc::clone(&path), now, ask);
                // The first to ask may leave. It only fails when the origin stops.
                let task = runtime.spawn(flight);
                let flight = async move { task.await.unwrap_or_else(|_| Ok(None)) }.boxed().shared();
                flights.insert(path, flight.clone());
                flight
            }
        };
        flight.await
    }

    /// `path` has changed: to `record`, or to what must be asked.
    pub(crate) fn changed(&self, path: &Arc<str>, record: Option<Arc<Record>>, now: Now) {
        self.epoch(path).fetch_add(1, Ordering::AcqRel);
        self.flights().remove(path);
        match record {
            Some(record) => self.seen.insert(Arc::clone(path), (Some(record), now.elapsed + PRESENT_FOR)),
            None => self.seen.invalidate(path),
        }
    }

    async fn fly(
        self: Arc<Self>,
        path: Arc<str>,
        now: Now,
        ask: impl Future<Output = Result<Option<Arc<Record>>, TierError>>,
    ) -> Answer {
        let epoch = self.epoch(&path).load(Ordering::Acquire);
        let answer = ask.await.map_err(Arc::new);
        let mut flights = self.flights();
        if self.epoch(&path).load(Ordering::Acquire) == epoch {
            flights.remove(&path);
            if let Ok(record) = &answer {
                let believed = if record.is_some() { PRESENT_FOR } else { ABSENT_FOR };
                self.seen.insert(path, (record.clone(), now.elapsed + believed));
            }
        }
        answer
    }

    fn flights(&self) -> MutexGuard<'_, std::collections::HashMap<Arc<str>, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn epoch(&self, path: &str) -> &AtomicU64 {
        // The remainder of a constant count fits any usize.
        let index = usize::try_from(self.hasher.hash_one(path) % EPOCHS as u64).unwrap_or(0);
        &self.epochs[index]
    }
}
