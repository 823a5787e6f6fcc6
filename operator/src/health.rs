//! What the probes of the operator mean: ready after the first list of origins, or while another operator acts; alive while
//! no reconcile hangs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A reconcile of this age hangs: all its calls together have shorter deadlines.
pub const RECONCILE_AGE_MAX: Duration = Duration::from_mins(3);

/// The state behind the probes.
#[derive(Debug, Default)]
pub struct Health {
    synced: AtomicBool,
    standby: AtomicBool,
    next: AtomicU64,
    in_flight: Mutex<BTreeMap<u64, Instant>>,
}

/// A reconcile that runs; dropping it says that it has ended, in whatever way.
#[derive(Debug)]
pub struct Running<'a> {
    health: &'a Health,
    id: u64,
}

impl Health {
    /// The first list of origins is complete.
    pub fn set_synced(&self) {
        self.synced.store(true, Ordering::Release);
    }

    /// Another operator acts, and this one waits; or it has begun to act, and knows no origin yet.
    pub fn set_standby(&self, standby: bool) {
        self.synced.store(false, Ordering::Release);
        self.standby.store(standby, Ordering::Release);
    }

    /// Whether every origin is known, or need not be.
    pub fn is_ready(&self) -> bool {
        self.synced.load(Ordering::Acquire) || self.standby.load(Ordering::Acquire)
    }

    /// Whether no reconcile hangs.
    pub fn is_live(&self, now: Instant) -> bool {
        let in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        in_flight.values().all(|start| now.saturating_duration_since(*start) < RECONCILE_AGE_MAX)
    }

    /// A reconcile starts.
    pub fn start(&self, now: Instant) -> Running<'_> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).insert(id, now);
        Running { health: self, id }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.health.in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hanging_reconcile_is_noticed_and_a_finished_one_is_not_counted() {
        let health = Health::default();
        let start = Instant::now();
        let running = health.start(start);
        assert!(health.is_live(start));
        assert!(!health.is_live(start + RECONCILE_AGE_MAX));
        drop(running);
        assert!(health.is_live(start + RECONCILE_AGE_MAX));
        assert!(!health.is_ready());
        health.set_standby(true);
        assert!(health.is_ready(), "who waits for its turn is ready to take it");
        health.set_standby(false);
        assert!(!health.is_ready());
    }
}
