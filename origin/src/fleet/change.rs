//! A request for a change of a path, from its arrival on: when that was, what it may change, and whether anybody waits for its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::OptionFuture;
use mediaorigin_index::entry::Entry;
use mediaorigin_index::{Condition as IndexCondition, Fence, Outcome, ReadError, Rules};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::commit::unavailable;
use super::overtaking::gives_way;
use super::{Fleet, READ_PATIENCE, entry};
use crate::clock::Now;
use crate::tiers::TierError;
use crate::tiers::walker::{Condition, Tiers};

/// A request for a change that has arrived: in a fleet, the path is looked at while the body arrives.
#[derive(Debug)]
pub struct Arrival {
    pub(super) at: Instant,
    fence: Option<JoinHandle<Result<Fence, ReadError>>>,
}

impl Arrival {
    /// Now, of a change at which nobody has looked yet.
    pub(crate) fn now() -> Self {
        Self { at: Instant::now(), fence: None }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if let Some(fence) = &self.fence {
            fence.abort();
        }
    }
}

/// Whether whoever waits for the answer still does.
#[derive(Clone, Debug)]
pub(crate) struct Waiting(Arc<AtomicBool>);

/// Its end is that of the wait.
#[derive(Debug)]
pub(crate) struct Client(Arc<AtomicBool>);

impl Client {
    /// A client that waits until this value goes.
    pub(crate) fn new() -> (Self, Waiting) {
        let is_here = Arc::new(AtomicBool::new(true));
        (Self(Arc::clone(&is_here)), Waiting(is_here))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Waiting {
    fn is_here(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a change is to be.
pub(super) struct Change {
    pub(super) fleet: Arc<Fleet>,
    pub(super) path: Arc<str>,
    pub(super) condition: Option<Arc<Condition>>,
    waiting: Waiting,
    /// When its request arrived.
    arrived: Instant,
}

impl Tiers {
    /// A request for a change of `path` has arrived.
    pub fn arrive(&self, path: &str) -> Arrival {
        let fleet = self.seat.as_ref().and_then(|seat| seat.fleet());
        let fence = fleet.map(|fleet| {
            let (fleet, path) = (Arc::clone(fleet), path.to_owned());
            self.runtime.spawn(async move { fleet.index.fence(&path, READ_PATIENCE).await })
        });
        Arrival { at: Instant::now(), fence }
    }
}

impl Change {
    pub(super) fn new(
        fleet: &Arc<Fleet>,
        path: &Arc<str>,
        condition: Option<Condition>,
        waiting: Waiting,
        arrived: Instant,
    ) -> Self {
        let (fleet, path) = (Arc::clone(fleet), Arc::clone(path));
        Self { fleet, path, condition: condition.map(Arc::new), waiting, arrived }
    }

    /// Whether whoever asked for it still waits.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting.is_here()
    }

    pub(super) fn may_wait_since(&self, now: Now) -> Option<u64> {
        self.fleet.heart.may_wait_since(self.arrived, Instant::now(), now.wall)
    }

    /// Refuses what may have waited, while this process stood still, for longer than what is there has been there.
    pub(super) fn check_age(&self, fence: &Fence, now: Now) -> Result<(), Arc<TierError>> {
        match self.may_wait_since(now) {
            Some(since) if fence.stamp() > since => {
                let why = "this pod stood still for a while, and the path was changed meanwhile; ask again";
                Err(Arc::new(unavailable("change", &self.path, why)))
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn first_fence(&self, mut arrival: Arrival) -> Result<Fence, Arc<TierError>> {
        let fence = OptionFuture::from(arrival.fence.as_mut()).await;
        match fence {
            Some(Ok(Ok(fence))) => Ok(fence),
            // It may have been asked in the middle of an election: a later one is as good.
            Some(_) | None => self.fence().await,
        }
    }

    pub(super) async fn fence(&self) -> Result<Fence, Arc<TierError>> {
        self.fleet.fence(&self.path).await.map_err(Arc::new)
    }

    pub(super) fn is_allowed(&self, there: Option<&Entry>, now: Now) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition(entry::current(there, now).as_ref()))
    }

    pub(super) fn commit(
        &self,
        fence: Fence,
        entry: Arc<Entry>,
        now: Now,
        patience: Duration,
    ) -> impl Future<Output = Outcome> + Send + use<> {
        let allows = self.condition.clone().map(|condition| -> IndexCondition {
            Box::new(move |there: Option<&Entry>| condition(entry::current(there, now).as_ref()))
        });
        let rules = Rules { allows, yields: Some(gives_way(&entry)) };
        let (fleet, waiting) = (Arc::clone(&self.fleet), self.waiting.clone());
        let is_here = move || waiting.is_here();
        async move { fleet.index.commit_after(fence, &entry, rules, patience, is_here).await }
    }
}
