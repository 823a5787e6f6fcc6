//! The memory tier: path → versions, within a strict byte budget.
//!
//! ```text
//! open ─→ upload (announced, then growing) ─commit→ live window (never evicted) ─age→ evictable ─evict/expire→ gone
//! ```
//!
//! Locks, always taken in this order: `order` (whoever changes the set of objects), a shard (whoever looks at a path), a
//! blob. Readers take a shard and a blob, both for a moment. No lock is held across an await.

pub mod agreed;
pub mod blob;
pub mod budget;
pub mod chunk;
pub mod derived;
pub mod fill;
pub mod follow;
pub mod gone;
mod listing;
pub mod object;
pub mod order;
pub mod reserve;
pub mod sequence;
pub mod upload;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Now};
use crate::pressure::Pressure;
use budget::{Budget, Permit};
use gone::{Gone, Reason};
use object::{Object, Version};
use order::{Evictable, Order, Sizes};
use reserve::Purpose;
use sequence::Sequence;
use upload::{Opening, Upload};

/// Parts of the index that are locked apart.
const SHARDS: usize = 64;
/// Objects that a sweep moves, or an upload evicts, before others have their turn.
const SWEEP_BATCH: usize = 256;

/// The memory tier of one origin.
#[derive(Debug)]
pub struct Memory {
    budget: Budget,
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    evictable: Evictable,
    order: Mutex<Order>,
    sequence: Sequence,
    gone: Mutex<Gone>,
    uploads: AtomicUsize,
    evicted: AtomicU64,
    expired: AtomicU64,
    newest_segment: Mutex<Option<Duration>>,
    held: AtomicUsize,
    pressure: Pressure,
}

/// A part of the index.
type Shard = HashMap<Arc<str>, Slot>;

/// What the index knows of a path beside the evictable part.
#[derive(Debug, Default)]
struct Slot {
    live: Option<Arc<Object>>,
    uploads: Vec<Arc<Version>>,
}

/// What lies under a path for a reader.
#[derive(Clone, Debug)]
pub enum Found {
    /// A complete version.
    Complete(Arc<Version>),
    /// No complete version, but one that is being written and has bytes.
    Growing(Arc<Version>),
    /// Uploads without a byte yet, and how often each has changed.
    Announced(Vec<(Arc<Version>, u64)>),
    /// Nothing, but there was something until lately.
    Gone(Reason),
    /// Nothing.
    Nothing,
}

/// Counters of the memory tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sizes of its structures.
    pub sizes: Sizes,
    /// Bytes that objects, uploads and their readers hold.
    pub used: u64,
    /// Uploads that are open.
    pub uploads: usize,
    /// Readers that wait for bytes which are not there yet.
    pub held: usize,
    /// Objects evicted so far.
    pub evicted: u64,
    /// Objects expired so far.
    pub expired: u64,
}

/// What became of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// The version is gone.
    Gone,
    /// There was none.
    Nothing,
    /// The condition did not hold.
    Refused,
}

/// There is no memory for an upload: everything that is held must be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no memory for {bytes} bytes: everything that is held must be kept")]
pub struct Full {
    /// What was asked for.
    pub bytes: u64,
}

impl Memory {
    /// An empty memory tier that holds up to `bytes`.
    pub fn new(bytes: u64) -> Self {
        Self {
            budget: Budget::new(bytes),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            evictable: Evictable::new(),
            order: Mutex::default(),
            sequence: Sequence::default(),
            gone: Mutex::default(),
            uploads: AtomicUsize::new(0),
            evicted: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            newest_segment: Mutex::default(),
            held: AtomicUsize::new(0),
            pressure: Pressure::default(),
        }
    }

    /// Its budget.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Called when an upload finds no memory and nothing can be evicted.
    pub fn pressure(&self) -> &Pressure {
        &self.pressure
    }

    /// What a reader of `path` is given. A complete version always wins over one that is being written: the latter may
    /// still be cut off.
    pub fn find(&self, path: &str, now: Now) -> Found {
        let shard = self.shard(path);
        let slot = shard.get(path);
        let object = slot.and_then(|slot| slot.live.clone()).or_else(|| self.evictable.get(path));
        let expired = object.as_ref().is_some_and(|object| object.is_expired(now.elapsed));
        if let Some(object) = object
            && !expired
        {
            return Found::Complete(Arc::clone(&object.version));
        }
        match slot.map_or(Found::Nothing, Slot::early) {
            Found::Nothing if expired => Found::Gone(Reason::Expired),
            Found::Nothing => {
                drop(shard);
                self.gone().reason(self.hash(path)).map_or(Found::Nothing, Found::Gone)
            }
            found => found,
        }
    }

    /// The complete version under `path`, without a mark as read.
    pub fn committed(&self, path: &str, now: Now) -> Option<Arc<Version>> {
        let shard = self.shard(path);
        let object = self.object(&shard, path).filter(|object| !object.is_expired(now.elapsed))?;
        Some(Arc::clone(&object.version))
    }

    /// The place in the order of the complete version under `path`.
    pub fn committed_sequence(&self, path: &str, now: Now) -> Option<u64> {
        let shard = self.shard(path);
        let object = self.object(&shard, path).filter(|object| !object.is_expired(now.elapsed))?;
        Some(object.sequence)
    }

    /// Opens an upload; with a known length all its memory is reserved.
    pub async fn open(self: &Arc<Self>, opening: Opening, clock: &Clock) -> Result<Upload, Full> {
        let (cost, body) = self.pay(&opening, Purpose::Upload, clock).await?;
        Ok(Upload::new(Arc::clone(self), opening, cost, body))
    }

    /// What a version costs, and what its bytes do as far as their length is known.
    async fn pay(
        &self,
        opening: &Opening,
        purpose: Purpose,
        clock: &Clock,
    ) -> Result<(Permit, Permit), Full> {
        let cost = opening.meta.cost(&opening.path);
        let body = opening.length.map_or(0, chunk::cost_of_length);
        let mut permit = self.reserve(cost.saturating_add(body), purpose, clock).await?;
        let cost = permit.split(cost).ok_or(Full { bytes: cost })?;
        Ok((cost, permit))
    }

    /// Takes the complete version under `path` away if `condition` holds for it; readers finish it. Uploads go on.
    pub fn delete(&self, path: &str, now: Now, condition: impl FnOnce(Option<&Version>) -> bool) -> Deleted {
        let mut order = self.order();
        let mut shard = self.shard(path);
        let object = self.object(&shard, path);
        let valid = object.as_ref().filter(|object| !object.is_expired(now.elapsed));
        let deleted = match valid {
            valid if !condition(valid.map(|object| &*object.version)) => return Deleted::Refused,
            Some(_) => Deleted::Gone,
            None => Deleted::Nothing,
        };
        if let Some(object) = &object {
            self.forget(&mut order, &mut shard, object);
        }
        drop((shard, order));
        self.gone().remove(self.hash(path));
        deleted
    }

    /// A place behind all versions so far.
    pub fn next_sequence(&self, now: Now) -> u64 {
        self.sequence.next(now.wall)
    }

    /// All versions to come are newer than `highest`, which a lower tier knows.
    pub fn pass_sequence(&self, highest: u64) {
        self.sequence.pass(highest);
    }

    /// Bytes of the largest object that could be held if it were alone.
    pub fn object_bytes_max(&self) -> u64 {
        let whole = chunk::CHUNK_BYTES as u64;
        let room = self.budget.limit().saturating_sub(object::COST_MAX);
        (room / chunk::cost_of_length(whole)) * whole
    }

    /// Frees what is expired and moves what need not be kept to the evictable part.
    pub fn sweep(&self, now: Now) {
        while self.sweep_batch(now.elapsed) == SWEEP_BATCH {}
    }

    /// When the newest media segment was complete: the age of the live edge.
    pub fn newest_segment(&self) -> Option<Duration> {
        *self.newest_segment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a reader that waits for bytes which are not there yet, until the guard is dropped.
    pub fn hold(&self) -> Held<'_> {
        self.held.fetch_add(1, Ordering::Relaxed);
        Held(&self.held)
    }

    /// Counters.
    pub fn counts(&self) -> Counts {
        Counts {
            sizes: self.order().sizes(),
            used: self.budget.used(),
            uploads: self.uploads.load(Ordering::Relaxed),
            held: self.held.load(Ordering::Relaxed),
            evicted: self.evicted.load(Ordering::Relaxed),
            expired: self.expired.load(Ordering::Relaxed),
        }
    }

    fn sweep_batch(&self, now: Duration) -> usize {
        let mut order = self.order();
        let mut gone = Vec::new();
        while gone.len() < SWEEP_BATCH
            && let Some(object) = order.expired(now)
        {
            let mut shard = self.shard(&object.version.path);
            self.forget(&mut order, &mut shard, &object);
            gone.push(object);
        }
        let aged = self.age_due(&mut order, now, SWEEP_BATCH - gone.len());
        drop(order);
        // The bytes are freed here, outside the lock.
        self.expired.fetch_add(gone.len() as u64, Ordering::Relaxed);
        for object in &gone {
            self.note_gone(&object.version.path, Reason::Expired);
        }
        gone.len() + aged
    }

    fn age_due(&self, order: &mut Order, now: Duration, most: usize) -> usize {
        let mut count = 0;
        while count < most
            && let Some(object) = order.due(now)
        {
            let mut shard = self.shard(&object.version.path);
            order.age(&object, &self.evictable);
            if let Some(slot) = shard.get_mut(&object.version.path) {
                slot.live = None;
                if slot.uploads.is_empty() {
                    shard.remove(&object.version.path);
                }
            }
            count += 1;
        }
        count
    }

    /// Takes an object out of every structure.
    fn forget(&self, order: &mut Order, shard: &mut Shard, object: &Arc<Object>) {
        order.leave(object, &self.evictable);
        let path = &object.version.path;
        let Some(slot) = shard.get_mut(path) else { return };
        if slot.live.as_ref().is_some_and(|live| Arc::ptr_eq(live, object)) {
            slot.live = None;
        }
        if slot.live.is_none() && slot.uploads.is_empty() {
            shard.remove(path);
        }
    }

    fn object(&self, shard: &Shard, path: &str) -> Option<Arc<Object>> {
        shard.get(path).and_then(|slot| slot.live.clone()).or_else(|| self.evictable.peek(path))
    }

    fn note_gone(&self, path: &str, reason: Reason) {
        if !fill::is_piece(path) {
            self.gone().insert(self.hash(path), reason);
        }
    }

    fn gone(&self) -> MutexGuard<'_, Gone> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hash(&self, path: &str) -> u64 {
        self.hasher.hash_one(path)
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard(&self, path: &str) -> MutexGuard<'_, Shard> {
        // The remainder of a constant count fits any usize.
        let index = usize::try_from(self.hash(path) % SHARDS as u64).unwrap_or(0);
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader that waits.
#[derive(Debug)]
pub struct Held<'a>(&'a AtomicUsize);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Slot {
    /// What a reader may have of the uploads: the newest with bytes, else the news that there will be some.
    fn early(&self) -> Found {
        let early = || self.uploads.iter().filter(|version| version.early);
        let newest = early()
            .filter_map(|version| Some((version.started()?.sequence, version)))
            .max_by_key(|(sequence, _)| *sequence);
        if let Some((_, version)) = newest {
            return Found::Growing(Arc::clone(version));
        }
        let announced: Vec<_> =
            early().map(|version| (Arc::clone(version), version.blob.progress().changes)).collect();
        if announced.is_empty() { Found::Nothing } else { Found::Announced(announced) }
    }
}
