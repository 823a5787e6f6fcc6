//! How much of their budget objects give up while the container has hardly any memory left. Whatever is not counted, a burst of
//! connections or an allocator that does not give back, must not end the process: what can be had again goes first.
//!
//! Pure: it is given what the container says five times a second.

use std::time::Duration;

use mediaorigin_crds::units::Bytes;

use crate::limit::group::Reading;

/// Of what the container may use, in percent: from here on objects make room. The budget leaves a tenth free, so a full cache stays
/// below.
const EVICT_PERCENT: u64 = 94;
/// From here on reads have to wait, too.
const SHED_PERCENT: u64 = 97;
/// Below this the room is given back.
const CALM_PERCENT: u64 = 88;
/// The same as [`SHED_PERCENT`] where tasks wait for memory for so much of their time.
const STALLED_PERCENT: f64 = 20.0;
/// Between two steps: what was freed takes some time until the kernel has it back.
const STEP: Duration = Duration::from_secs(1);
/// Smallest step back.
const BACK_MIN: u64 = Bytes::MIB;

/// The room that objects leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Squeeze {
    bytes: u64,
    is_full: bool,
    stepped_at: Option<Duration>,
}

/// Something to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Objects make room from now on.
    Began,
    /// They have all of their budget again.
    Ended,
}

impl Squeeze {
    /// Takes a reading in; `objects` is the term of the budget. Never more than half of it is given up.
    pub fn look(&mut self, now: Duration, reading: &Reading, objects: u64) -> Option<Change> {
        let before = self.bytes;
        let (used, limit) = (reading.working_set.get(), reading.limit.get());
        let at = |percent: u64| limit / 100 * percent;
        let is_tight = used > at(EVICT_PERCENT);
        self.is_full = used > at(SHED_PERCENT) || (is_tight && reading.stalled_percent >= STALLED_PERCENT);
        let may_step = self.stepped_at.is_none_or(|at| now.saturating_sub(at) >= STEP);
        if is_tight && may_step {
            self.bytes = self.bytes.saturating_add(used - at(EVICT_PERCENT));
            self.stepped_at = Some(now);
        } else if used < at(CALM_PERCENT) && self.bytes > 0 && may_step {
            self.bytes -= (self.bytes / 4).max(BACK_MIN).min(self.bytes);
            self.stepped_at = Some(now);
        }
        self.bytes = self.bytes.min(objects / 2);
        match (before, self.bytes) {
            (0, 1..) => Some(Change::Began),
            (1.., 0) => Some(Change::Ended),
            _ => None,
        }
    }

    /// What objects give up.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether reads have to wait as well.
    pub fn is_full(&self) -> bool {
        self.is_full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = Bytes::MIB;

    fn reading(used: u64) -> Reading {
        Reading { limit: Bytes(1000 * MIB), working_set: Bytes(used * MIB), stalled_percent: 0.0 }
    }

    /// Looks at `used` MiB of 1000 for so many seconds, five times in each.
    fn spend(squeeze: &mut Squeeze, from: u64, seconds: u64, used: u64) -> Vec<Change> {
        let looks = (0..seconds * 5).map(|look| Duration::from_millis(from * 1000 + look * 200));
        looks.filter_map(|now| squeeze.look(now, &reading(used), 800 * MIB)).collect()
    }

    #[test]
    fn a_full_cache_gives_nothing_up_and_what_is_beyond_it_is_made_up_for() {
        let mut squeeze = Squeeze::default();
        assert_eq!(spend(&mut squeeze, 0, 5, 930), []);
        assert_eq!((squeeze.bytes(), squeeze.is_full()), (0, false));
        assert_eq!(spend(&mut squeeze, 5, 1, 950), [Change::Began]);
        assert_eq!((squeeze.bytes(), squeeze.is_full()), (10 * MIB, false), "once a second");
        assert_eq!(spend(&mut squeeze, 6, 1, 980), []);
        assert_eq!((squeeze.bytes(), squeeze.is_full()), (50 * MIB, true));
        // Between the two marks it stays.
        assert_eq!(spend(&mut squeeze, 7, 60, 900), []);
        assert_eq!((squeeze.bytes(), squeeze.is_full()), (50 * MIB, false));
        assert_eq!(spend(&mut squeeze, 67, 60, 500), [Change::Ended]);
        assert_eq!(squeeze.bytes(), 0);
    }

    #[test]
    fn never_more_than_half_is_given_up_and_stalls_shed_before_the_end() {
        let mut squeeze = Squeeze::default();
        spend(&mut squeeze, 0, 600, 1000);
        assert_eq!(squeeze.bytes(), 400 * MIB);
        let stalled = Reading { stalled_percent: 25.0, ..reading(945) };
        squeeze.look(Duration::from_hours(1), &stalled, 800 * MIB);
        assert!(squeeze.is_full());
        let stalled = Reading { stalled_percent: 25.0, ..reading(500) };
        squeeze.look(Duration::from_hours(2), &stalled, 800 * MIB);
        assert!(!squeeze.is_full(), "they wait for something else");
    }
}
