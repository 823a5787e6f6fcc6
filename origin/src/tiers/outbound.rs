//! Copies to lower tiers that nobody waits for: bounded, tried until they succeed or are not wanted any more.
//!
//! A copy keeps its version in memory until it is done. When there is no room for a further copy, what the disk keeps
//! already is copied from there later ([`super::walker`] asks [`super::local::Local::kept`]); of what only memory was
//! promised, the copy is given up and remembered: an older version in the object store must not be served in its place.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::walker::Tiers;
use super::{ErrorKind, Record, TierError, TierName};
use crate::fleet::Fleet;
use crate::memory::budget::{Budget, Permit};
use crate::memory::object::Version;

/// Copies that are owed at most.
const COPIES_MAX: usize = 4_096;
/// Copies that are made at once.
const WORKERS: usize = 8;
/// Paths whose copies were given up, at most: behind them copies are waited for.
const BEHIND_MAX: usize = 64 * 1024;
/// Share of the memory's budget that copies may hold: one part in so many.
const SHARE: u64 = 4;
/// What a copy costs beside its bytes.
const COPY_COST: u64 = 1_024;
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// A version that a lower tier is owed.
#[derive(Debug)]
pub struct Copy {
    /// What it is.
    pub record: Arc<Record>,
    /// Where it goes.
    pub tier: TierName,
    /// Its bytes.
    pub pieces: Vec<Bytes>,
    /// Until when the tier keeps it.
    pub until: Option<SystemTime>,
    /// Whether the disk keeps it until it is done.
    pub must: bool,
    /// Holds its bytes in memory: what is read is not evicted.
    pub version: Option<Arc<Version>>,
    /// Whether the log of a fleet keeps it until it is done.
    pub is_logged: bool,
}

/// What is owed.
#[derive(Debug)]
pub(super) struct Outbound {
    queue: mpsc::Sender<(Copy, Permit)>,
    taken: Mutex<Option<mpsc::Receiver<(Copy, Permit)>>>,
    room: Budget,
    owed: AtomicUsize,
    done: AtomicU64,
    failed: AtomicU64,
    given_up: AtomicU64,
    behind: Mutex<HashMap<Arc<str>, u64>>,
}

/// Counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Copies that are owed.
    pub owed: usize,
    /// Copies made.
    pub done: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Copies given up for want of room.
    pub given_up: u64,
}

impl Outbound {
    /// Owes a share of `memory` bytes at most.
    pub(super) fn new(memory: u64) -> Self {
        let (queue, taken) = mpsc::channel(COPIES_MAX);
        Self {
            queue,
            taken: Mutex::new(Some(taken)),
            room: Budget::new(memory / SHARE),
            owed: AtomicUsize::new(0),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            behind: Mutex::default(),
        }
    }

    /// From now on a share of `memory` bytes may be owed. What is owed already stays so.
    pub(super) fn resize(&self, memory: u64) {
        self.room.set_limit(memory / SHARE);
    }

    /// Starts to work for `tiers`, until they are dropped.
    pub(super) fn start(tiers: &Arc<Tiers>) {
        let taken = tiers.outbound.taken.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(queue) = taken else { return };
        let queue = Arc::new(tokio::sync::Mutex::new(queue));
        for _ in 0..WORKERS {
            tiers.runtime.spawn(work(Arc::downgrade(tiers), Arc::clone(&queue)));
        }
    }

    /// Owes a copy, or gives it up.
    pub(super) fn push(&self, copy: Copy) {
        let path = Arc::clone(&copy.record.path);
        let (sequence, tier, must) = (copy.record.sequence, copy.tier, copy.must);
        let room = self.room.try_acquire(copy.record.size.saturating_add(COPY_COST));
        self.owed.fetch_add(1, Ordering::Relaxed);
        let is_queued = room.is_some_and(|room| self.queue.try_send((copy, room)).is_ok());
        if is_queued {
            return;
        }
        self.owed.fetch_sub(1, Ordering::Relaxed);
        self.given_up.fetch_add(1, Ordering::Relaxed);
        if !must && tier == TierName::ObjectStore {
            let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
            if behind.len() < BEHIND_MAX || behind.contains_key(&path) {
                behind.insert(path, sequence);
            }
        }
    }

    /// Whether the object store has an older version of `path` than `sequence` says, which must not be served.
    pub(super) fn is_behind(&self, path: &str, sequence: u64) -> bool {
        let behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        behind.get(path).is_some_and(|owed| sequence < *owed)
    }

    /// Copies that are owed.
    pub(super) fn owed(&self) -> usize {
        self.owed.load(Ordering::Relaxed)
    }

    /// Counters.
    pub(super) fn counts(&self) -> Counts {
        Counts {
            owed: self.owed(),
            done: self.done.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            given_up: self.given_up.load(Ordering::Relaxed),
        }
    }

    pub(super) fn caught_up(&self, record: &Record) {
        let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        if behind.get(&record.path).is_some_and(|owed| *owed <= record.sequence) {
            behind.remove(&record.path);
        }
    }
}

type Queue = Arc<tokio::sync::Mutex<mpsc::Receiver<(Copy, Permit)>>>;

async fn work(tiers: Weak<Tiers>, queue: Queue) {
    loop {
        let next = queue.lock().await.recv().await;
        let Some((copy, _room)) = next else { return };
        let mut pause = PAUSE_MIN;
        loop {
            let Some(tiers) = tiers.upgrade() else { return };
            match tiers.copy(&copy).await {
                Ok(()) => break,
                Err(error) => {
                    tiers.outbound.failed.fetch_add(1, Ordering::Relaxed);
                    let (tier, path) = (copy.tier.as_str(), &*copy.record.path);
                    tracing::warn!(%error, tier, path, "a copy failed, it is tried again");
                    if error.kind == ErrorKind::Full && copy.tier == TierName::Disk {
                        // Only a cache: there is no room for it.
                        break;
                    }
                }
            }
            drop(tiers);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        let Some(tiers) = tiers.upgrade() else { return };
        tiers.outbound.owed.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Tiers {
    /// Makes a copy, unless it is not wanted any more.
    pub(super) async fn copy(&self, copy: &Copy) -> Result<(), TierError> {
        let fleet = self.fleet()?;
        if self.is_wanted(fleet, &copy.record) {
            self.copy_wanted(fleet, copy).await?;
        }
        if let Some(fleet) = fleet.filter(|_| copy.is_logged) {
            fleet.forget(copy.record.uid).await;
        }
        Ok(())
    }

    fn is_wanted(&self, fleet: Option<&Arc<Fleet>>, record: &Record) -> bool {
        let now = self.clock.now();
        let here = self.memory.committed_sequence(&record.path, now);
        let agreed = fleet.map(|fleet| fleet.known_stamp(&record.path));
        let newest = here.max(agreed).unwrap_or_default();
        newest <= record.sequence && !record.is_expired(now)
    }

    async fn copy_wanted(&self, fleet: Option<&Arc<Fleet>>, copy: &Copy) -> Result<(), TierError> {
        let Copy { record, tier, pieces, until, must: _, version: _, is_logged: _ } = copy;
        let now = self.clock.now();
        match (tier, &self.disk, &self.object_store) {
            (TierName::Disk, Some(disk), _) => {
                disk.store(record, pieces, true, *until).await?;
            }
            (TierName::ObjectStore, disk, Some(store)) => {
                self.put_in_store(store, &record.until(*until), pieces, now).await?;
                if let Some(fleet) = fleet {
                    self.look_behind(fleet, record).await;
                }
                if let Some(disk) = disk {
                    disk.release(&record.path, record.sequence).await?;
                }
            }
            _ => {}
        }
        self.outbound.done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// A copy was made: another pod may have deleted the path meanwhile, and have found nothing to delete.
    async fn look_behind(&self, fleet: &Fleet, record: &Record) {
        while let Err(error) = self.take_back_deleted(fleet, &record.path, record.sequence).await {
            tracing::debug!(%error, path = &*record.path, "whether a copy was deleted meanwhile is asked again");
            tokio::time::sleep(PAUSE_MAX).await;
        }
    }
}
