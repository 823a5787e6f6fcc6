//! How far a worker is behind: the least delay of its ticks within half a second.
//!
//! The least, and not the mean: a queue that empties now and then is none, however long it was in between, and a single long
//! pause of the machine is no reason to turn anybody away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How long delays are looked at. A few ticks; a worker that is further behind has one tick in it.
const WINDOW: Duration = Duration::from_millis(500);

/// The delays of one worker.
#[derive(Debug)]
pub(super) struct Lag {
    told: Arc<AtomicU64>,
    least: Duration,
    since: Option<Duration>,
}

impl Lag {
    /// Tells its result to `told`, in microseconds.
    pub(super) fn new(told: Arc<AtomicU64>) -> Self {
        Self { told, least: Duration::MAX, since: None }
    }

    /// A tick came at `now`, so much later than it was due.
    pub(super) fn ticked(&mut self, now: Duration, delay: Duration) {
        self.least = self.least.min(delay);
        if now.saturating_sub(*self.since.get_or_insert(now)) < WINDOW {
            return;
        }
        self.told.store(u64::try_from(self.least.as_micros()).unwrap_or(u64::MAX), Relaxed);
        (self.least, self.since) = (Duration::MAX, Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told after ticks at these milliseconds with these delays.
    fn told(ticks: &[(u64, u64)]) -> Vec<u64> {
        let micros = Arc::new(AtomicU64::new(0));
        let mut lag = Lag::new(Arc::clone(&micros));
        let told = ticks.iter().map(|(now, delay)| {
            lag.ticked(Duration::from_millis(*now), Duration::from_millis(*delay));
            micros.load(Relaxed) / 1_000
        });
        told.collect()
    }

    #[test]
    fn one_long_pause_is_no_lag_and_a_standing_queue_is() {
        let pause = [(0, 0), (100, 0), (900, 700), (1_000, 0), (1_400, 0)];
        assert_eq!(told(&pause), [0; 5]);
        let queue = [(0, 0), (400, 300), (800, 350), (1_200, 320), (1_600, 400), (2_000, 0), (2_500, 0)];
        assert_eq!(told(&queue), [0, 0, 0, 0, 320, 320, 0]);
        // So far behind that each window has one tick.
        assert_eq!(told(&[(0, 0), (2_000, 1_900), (4_000, 2_000)]), [0, 0, 2_000]);
    }
}
