//! One rendition: which numbers came, when, and which did not.

use std::collections::BTreeSet;
use std::time::Duration;

/// Missing numbers that are named; of further ones only the count is kept.
const NAMED_MAX: usize = 64;
/// Numbers that may be missing in one gap; a larger jump is another numbering and begins anew.
const GAP_MAX: u64 = 1_000;
/// A number that is so much lower than the last one begins anew: the encoder was restarted.
const RESTART: u64 = 100;
/// The part of a new interval in the average: 1 in so many.
const SMOOTHING: u32 = 4;

/// One rendition.
#[derive(Clone, Debug)]
pub(super) struct Rendition {
    pub(super) last: u64,
    /// Difference of two numbers that follow each other: 1, or a segment's duration where numbers are times.
    pub(super) step: Option<u64>,
    pub(super) seen: Duration,
    /// The average time between two segments.
    pub(super) interval: Option<Duration>,
    pub(super) segments: u64,
    pub(super) missing: BTreeSet<u64>,
    pub(super) missing_total: u64,
    pub(super) late_total: u64,
}

impl Rendition {
    pub(super) fn new(number: u64, now: Duration) -> Self {
        Self {
            last: number,
            step: None,
            seen: now,
            interval: None,
            segments: 1,
            missing: BTreeSet::new(),
            missing_total: 0,
            late_total: 0,
        }
    }

    pub(super) fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.seen)
    }

    /// Whether the next segment is overdue: twice the usual time, and a second more.
    pub(super) fn is_late(&self, now: Duration) -> bool {
        self.interval.is_some_and(|interval| self.age(now) > interval * 2 + Duration::from_secs(1))
    }

    /// The segment of this number came.
    pub(super) fn add(&mut self, number: u64, now: Duration) {
        self.segments += 1;
        if number < self.last {
            self.behind(number, now);
        } else if number > self.last {
            self.ahead(number - self.last, number, now);
        }
    }

    /// A number that was passed already: it is late, or sent again, or the first after a restart.
    fn behind(&mut self, number: u64, now: Duration) {
        if self.missing.remove(&number) {
            self.late_total += 1;
            self.missing_total -= 1;
        } else if self.last - number > RESTART.saturating_mul(self.step.unwrap_or(1)) || number == 0 {
            *self = Self { segments: self.segments, ..Self::new(number, now) };
        } else if self.step.is_some_and(|step| step > 1) && self.missing_total > 0 {
            // Times are not guessed exactly, so what is late is only counted.
            self.late_total += 1;
            self.missing_total -= 1;
        }
    }

    fn ahead(&mut self, ahead: u64, number: u64, now: Duration) {
        // Segments of one presentation differ in length by a frame or two.
        let step = *self.step.get_or_insert(ahead);
        let count = (ahead + step / 2) / step.max(1);
        if count > GAP_MAX {
            *self = Self { segments: self.segments, ..Self::new(number, now) };
            return;
        }
        if count == 0 {
            // The first difference had a gap in it.
            self.step = Some(ahead);
        }
        for index in 1..count {
            self.missing_total += 1;
            if step == 1 && self.missing.len() < NAMED_MAX {
                self.missing.insert(self.last + index);
            }
        }
        let passed = self.age(now) / u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        self.interval = Some(match self.interval {
            None => passed,
            Some(average) => (average * (SMOOTHING - 1) + passed) / SMOOTHING,
        });
        (self.last, self.seen) = (number, now);
    }
}
