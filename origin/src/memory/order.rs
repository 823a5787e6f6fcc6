//! Who goes next: the live window by age, the evictable rest by second chance, expiry by time.
//!
//! **The evictable part** is held by an *unbounded* `moka` cache; what leaves it is decided here. Measured against the
//! needs of a live origin, moka's own eviction was rejected: `TinyLFU` refuses a segment that nobody has read yet, its LRU
//! policy lags behind by up to 384 writes (gigabytes of segments), a removed value lives on in its queues until
//! maintenance runs, and its capacity cannot change while it runs. So a seat in the cache is emptied by the one who
//! evicts, at once, and the bytes are free when the eviction returns; what lags in moka is an empty seat.
//!
//! Second chance (CLOCK, the ancestor of SIEVE): oldest first, but what was read since it was last looked at goes to the
//! back once. A scan over old recordings marks each object once and cannot push out what is read again and again.
//!
//! Every structure is keyed so that an entry is removed exactly when its object leaves: nothing grows by overwriting.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;

use super::object::Object;

/// Seats that one search for a victim looks at, at most, before it takes the next one that nobody reads.
const LOOKS_MAX: usize = 4_096;

/// What was filled from another tier and not read again may hold one part in so many of the evictable bytes before it
/// goes before everything else.
const PROBATION_SHARE: u64 = 8;

/// A place in the evictable part. It is emptied when its object leaves.
#[derive(Debug)]
pub struct Seat {
    object: Mutex<Option<Arc<Object>>>,
    was_read: AtomicBool,
}

impl Seat {
    fn new(object: Arc<Object>) -> Arc<Self> {
        Arc::new(Self { object: Mutex::new(Some(object)), was_read: AtomicBool::new(false) })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Object>>> {
        self.object.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its object, without a mark.
    fn peek(&self) -> Option<Arc<Object>> {
        self.lock().clone()
    }

    fn take(&self) -> Option<Arc<Object>> {
        self.lock().take()
    }
}

/// The objects that may be evicted, by path.
#[derive(Debug)]
pub struct Evictable(Cache<Arc<str>, Arc<Seat>>);

impl Evictable {
    pub(super) fn new() -> Self {
        Self(Cache::builder().build())
    }

    /// The object under `path`; it is marked as read.
    pub(super) fn get(&self, path: &str) -> Option<Arc<Object>> {
        let seat = self.0.get(path)?;
        seat.was_read.store(true, Ordering::Relaxed);
        seat.peek()
    }

    /// The object under `path`, without a mark.
    pub(super) fn peek(&self, path: &str) -> Option<Arc<Object>> {
        self.0.get(path)?.peek()
    }

    /// Entries after moka's own maintenance; for tests.
    #[cfg(test)]
    pub(super) fn settled_count(&self) -> u64 {
        self.0.run_pending_tasks();
        self.0.entry_count()
    }
}

/// The order of all objects. One lock guards it; whoever changes the set of objects holds it.
#[derive(Debug, Default)]
pub struct Order {
    live: BTreeMap<(Duration, u64), Arc<Object>>,
    queue: BTreeMap<u64, Arc<Seat>>,
    places: BTreeMap<u64, u64>,
    /// Filled from another tier and not read since: in turn among themselves, so that a scan pushes out no more than
    /// its own share.
    probation: BTreeMap<u64, Arc<Seat>>,
    probation_bytes: u64,
    expiry: BTreeMap<(Duration, u64), Arc<Object>>,
    names: BTreeMap<Arc<str>, Arc<Object>>,
    tickets: u64,
    live_bytes: u64,
    evictable_bytes: u64,
}

/// Sizes of the structures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Objects in the live window.
    pub live: usize,
    /// Objects that may be evicted.
    pub evictable: usize,
    /// Objects with an expiry.
    pub expiring: usize,
    /// Objects, without pieces of fills.
    pub named: usize,
    /// Bytes of the live window.
    pub live_bytes: u64,
    /// Bytes that may be evicted.
    pub evictable_bytes: u64,
}

impl Order {
    /// A name for a new object.
    pub(super) fn next_id(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// Takes in a new object, into the live window.
    pub(super) fn enter(&mut self, object: &Arc<Object>) {
        self.live_bytes += object.size;
        object.version.kept.store(true, Ordering::Relaxed);
        self.live.insert((object.pinned_until, object.id), Arc::clone(object));
        if !object.on_probation {
            self.names.insert(Arc::clone(&object.version.path), Arc::clone(object));
        }
        if let Some(at) = object.expires_at {
            self.expiry.insert((at, object.id), Arc::clone(object));
        }
    }

    /// Forgets an object, wherever it is.
    pub(super) fn leave(&mut self, object: &Object, evictable: &Evictable) {
        if let Some(at) = object.expires_at {
            self.expiry.remove(&(at, object.id));
        }
        let path = &object.version.path;
        if self.names.get(path).is_some_and(|named| named.id == object.id) {
            self.names.remove(path);
        }
        if self.live.remove(&(object.pinned_until, object.id)).is_some() {
            self.live_bytes -= object.size;
            object.version.kept.store(false, Ordering::Relaxed);
            return;
        }
        let Some(place) = self.places.remove(&object.id) else { return };
        let seat = match self.queue.remove(&place) {
            Some(seat) => Some(seat),
            None => self.leave_probation(place, object.size),
        };
        if let Some(seat) = seat {
            self.evictable_bytes -= object.size;
            drop(seat.take());
            evictable.0.invalidate(path);
        }
    }

    /// The next object of the live window whose time is over.
    pub(super) fn due(&self, now: Duration) -> Option<Arc<Object>> {
        let ((pinned_until, _), object) = self.live.first_key_value()?;
        (*pinned_until <= now).then(|| Arc::clone(object))
    }

    /// Moves an object of the live window to the evictable part.
    pub(super) fn age(&mut self, object: &Arc<Object>, evictable: &Evictable) {
        if self.live.remove(&(object.pinned_until, object.id)).is_none() {
            return;
        }
        self.live_bytes -= object.size;
        object.version.kept.store(false, Ordering::Relaxed);
        self.evictable_bytes += object.size;
        let seat = Seat::new(Arc::clone(object));
        evictable.0.insert(Arc::clone(&object.version.path), Arc::clone(&seat));
        if object.on_probation {
            self.tickets += 1;
            self.probation.insert(self.tickets, seat);
            self.places.insert(object.id, self.tickets);
            self.probation_bytes += object.size;
        } else {
            self.enqueue(object.id, seat);
        }
    }

    /// The next expired object.
    pub(super) fn expired(&self, now: Duration) -> Option<Arc<Object>> {
        let ((at, _), object) = self.expiry.first_key_value()?;
        (*at <= now).then(|| Arc::clone(object))
    }

    /// The object to evict next; those that are being read are passed over, because nothing would be freed. What is on
    /// probation goes first while it has more than its share, and when there is nothing else.
    pub(super) fn victim(&mut self) -> Option<Arc<Object>> {
        let has_its_share = self.probation_bytes <= self.evictable_bytes / PROBATION_SHARE;
        if has_its_share {
            self.victim_by_age().or_else(|| self.victim_on_probation())
        } else {
            self.victim_on_probation().or_else(|| self.victim_by_age())
        }
    }

    /// The oldest that nobody has read since it was filled; what was read is moved among the others.
    fn victim_on_probation(&mut self) -> Option<Arc<Object>> {
        for _ in 0..self.probation.len() {
            let (place, seat) =
                self.probation.first_key_value().map(|(place, seat)| (*place, Arc::clone(seat)))?;
            let Some(object) = seat.peek() else {
                self.probation.remove(&place);
                continue;
            };
            if !seat.was_read.load(Ordering::Relaxed) && !object.has_readers() {
                return Some(object);
            }
            self.leave_probation(place, object.size);
            self.enqueue(object.id, seat);
        }
        None
    }

    fn leave_probation(&mut self, place: u64, size: u64) -> Option<Arc<Seat>> {
        let seat = self.probation.remove(&place)?;
        self.probation_bytes -= size;
        Some(seat)
    }

    fn victim_by_age(&mut self) -> Option<Arc<Object>> {
        for looked in 0..self.queue.len().saturating_mul(2) {
            let (_, seat) = self.queue.pop_first()?;
            let Some(object) = seat.peek() else { continue };
            let spared = looked < LOOKS_MAX && seat.was_read.swap(false, Ordering::Relaxed);
            // The place of the victim stays in the books until `leave` closes them.
            self.enqueue(object.id, seat);
            if !spared && !object.has_readers() {
                return Some(object);
            }
        }
        None
    }

    /// Objects by name, without pieces of fills.
    pub(super) fn names(&self) -> &BTreeMap<Arc<str>, Arc<Object>> {
        &self.names
    }

    /// Sizes of the structures.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            live: self.live.len(),
            evictable: self.queue.len() + self.probation.len(),
            named: self.names.len(),
            expiring: self.expiry.len(),
            live_bytes: self.live_bytes,
            evictable_bytes: self.evictable_bytes,
        }
    }

    fn enqueue(&mut self, id: u64, seat: Arc<Seat>) {
        self.tickets += 1;
        self.queue.insert(self.tickets, seat);
        self.places.insert(id, self.tickets);
    }
}
