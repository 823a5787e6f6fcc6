//! The order of versions, across restarts too.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Hands out places in the order of versions: microseconds of the time of day, made strictly increasing. A clock that is
/// set back slows nothing down and turns nothing round; after a restart the highest place that a tier knows is passed.
#[derive(Debug, Default)]
pub struct Sequence(AtomicU64);

impl Sequence {
    /// The next place, at the time `wall`.
    pub fn next(&self, wall: SystemTime) -> u64 {
        let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let micros = u64::try_from(since.as_micros()).unwrap_or(u64::MAX / 2);
        let step = |last: u64| Some(micros.max(last.saturating_add(1)));
        let last =
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or_else(|last| last);
        micros.max(last.saturating_add(1))
    }

    /// All further places lie behind `highest`.
    pub fn pass(&self, highest: u64) {
        self.0.fetch_max(highest, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn places_increase_whatever_the_clock_does() {
        let sequence = Sequence::default();
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        assert_eq!(sequence.next(noon), 1_000_000_000);
        assert_eq!(sequence.next(noon), 1_000_000_001);
        assert_eq!(sequence.next(noon - Duration::from_secs(10)), 1_000_000_002);
        sequence.pass(5_000_000_000);
        assert_eq!(sequence.next(noon), 5_000_000_001);
        assert_eq!(sequence.next(noon + Duration::from_mins(150)), 10_000_000_000);
    }
}
