//! The right to hold bytes: taken from what is free, from what may be evicted, or after a short wait.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::budget::Permit;
use super::gone::Reason;
use super::{Full, Memory, SWEEP_BATCH};
use crate::clock::{Clock, Now};

/// The share of the budget that fills leave to uploads: one part in so many.
const FILL_HEADROOM: u64 = 16;
/// How long an upload waits for memory before it is refused.
pub const RESERVE_WAIT: Duration = Duration::from_millis(200);

/// For whom memory is reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// What comes in.
    Upload,
    /// What is brought back from another tier: it leaves room for uploads.
    Fill,
}

/// The answer to a request for memory.
enum Reserved {
    /// Here it is.
    Permit(Permit),
    /// There is more to evict: ask again when others had their turn.
    Evicting,
    /// Nothing can be evicted now.
    Later,
    /// More than there is at all.
    Never,
}

impl Memory {
    /// The right to hold `bytes` more for something that can be done without, if they are free or can be freed at once.
    pub fn try_reserve(&self, bytes: u64, now: Now) -> Option<Permit> {
        match self.reserve_now(bytes, Purpose::Fill, now) {
            Reserved::Permit(permit) => Some(permit),
            Reserved::Evicting | Reserved::Later | Reserved::Never => None,
        }
    }

    /// The right to hold `bytes`: at once, or by evicting, or by a short wait for readers and uploads to end.
    pub(super) async fn reserve(&self, bytes: u64, purpose: Purpose, clock: &Clock) -> Result<Permit, Full> {
        let deadline = tokio::time::Instant::now() + RESERVE_WAIT;
        let mut waiting = None;
        loop {
            let freed = self.budget.freed();
            match self.reserve_now(bytes, purpose, clock.now()) {
                Reserved::Permit(permit) => return Ok(permit),
                Reserved::Evicting => tokio::task::yield_now().await,
                // A reader that goes between the look and the mark would not say so: look again.
                Reserved::Later if waiting.is_none() => waiting = Some(self.budget.wait()),
                Reserved::Later => {
                    // Only uploads are worth cutting a reader off.
                    if purpose == Purpose::Upload {
                        self.pressure.call(bytes);
                    }
                    if tokio::time::timeout_at(deadline, freed).await.is_err() {
                        return Err(Full { bytes });
                    }
                }
                Reserved::Never => return Err(Full { bytes }),
            }
        }
    }

    /// The right to hold `bytes`: at once, or by evicting a batch.
    fn reserve_now(&self, bytes: u64, purpose: Purpose, now: Now) -> Reserved {
        let spare = match purpose {
            Purpose::Upload => 0,
            Purpose::Fill => self.budget.limit() / FILL_HEADROOM,
        };
        if bytes > self.budget.limit().saturating_sub(spare) {
            return Reserved::Never;
        }
        for _ in 0..SWEEP_BATCH {
            if let Some(permit) = self.budget.try_acquire_leaving(bytes, spare) {
                return Reserved::Permit(permit);
            }
            if !self.evict_one(now.elapsed) {
                return Reserved::Later;
            }
        }
        Reserved::Evicting
    }

    /// Evicts a batch of what is beyond the budget, which has become smaller; true while there is more to evict. What is read, or
    /// must be kept, stays until it need not: nothing new is taken in meanwhile.
    pub(crate) fn trim(&self, now: Now) -> bool {
        (0..SWEEP_BATCH).all(|_| self.budget.excess() > 0 && self.evict_one(now.elapsed))
    }

    fn evict_one(&self, now: Duration) -> bool {
        let mut order = self.order();
        self.age_due(&mut order, now, SWEEP_BATCH);
        let Some(object) = order.victim() else { return false };
        let mut shard = self.shard(&object.version.path);
        self.forget(&mut order, &mut shard, &object);
        drop((shard, order));
        self.evicted.fetch_add(1, Ordering::Relaxed);
        self.note_gone(&object.version.path, Reason::Evicted);
        true
    }

    /// Evicts whatever may be evicted.
    #[cfg(test)]
    pub(crate) fn evict_all(&self, now: Now) {
        while self.evict_one(now.elapsed) {}
    }
}
