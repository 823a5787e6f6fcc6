//! A process that stood still: its container was frozen, its machine was paused, or had no processor for it. In its sockets are uploads
//! whose clients gave up long ago, and said what came next to another pod; whoever takes one for news puts an old playlist over a newer
//! one.
//!
//! A heart that beats a few times a second tells of such a pause. A change that arrived before its end, or a moment after it, may be as
//! old as its beginning. Where the path was changed since then, it is refused (503: nothing was promised for it); where it was not, it
//! counts as ever.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::times;

/// Between two beats.
const BEAT: Duration = Duration::from_millis(250);
/// Without a beat for longer the process stood still: less than clients wait before they ask another pod.
const PAUSE: Duration = Duration::from_secs(3);
/// So long after a pause requests come that waited for its end.
const BACKLOG: Duration = Duration::from_secs(1);

/// The heart of this process.
#[derive(Debug)]
pub(super) struct Heart(Mutex<Beats>);

#[derive(Debug)]
struct Beats {
    last: Instant,
    pause: Option<Pause>,
}

/// The last time that the process stood still.
#[derive(Clone, Copy, Debug)]
struct Pause {
    /// Microseconds since 1970, as stamps are.
    began: u64,
    ended: Instant,
}

impl Heart {
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(Beats { last: now, pause: None }))
    }

    /// Beats for ever.
    pub(super) async fn run(&self, wall: impl Fn() -> SystemTime) {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            self.beat(Instant::now(), wall());
        }
    }

    /// From when on, in microseconds since 1970, a change may have waited that arrived at `arrived`; `None` where it is as new as it
    /// seems.
    pub(super) fn may_wait_since(&self, arrived: Instant, now: Instant, wall: SystemTime) -> Option<u64> {
        // Who comes first after a pause may come before the next beat.
        let pause = self.beat(now, wall)?;
        (arrived < pause.ended + BACKLOG).then_some(pause.began)
    }

    fn beat(&self, now: Instant, wall: SystemTime) -> Option<Pause> {
        let mut beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gap = now.saturating_duration_since(beats.last);
        beats.last = beats.last.max(now);
        if gap > PAUSE {
            let began = wall.checked_sub(gap).map_or(0, times::micros);
            tracing::warn!(seconds = gap.as_secs_f64(), "this process stood still");
            beats.pause = Some(Pause { began, ended: now });
        }
        beats.pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrived_before_the_end_of_a_pause_may_be_as_old_as_its_beginning() {
        let (start, wall) = (Instant::now(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000));
        let after = |milliseconds: u64| Duration::from_millis(milliseconds);
        let heart = Heart::new(start);
        let since = |arrived: u64, now: u64| {
            heart.may_wait_since(start + after(arrived), start + after(now), wall + after(now))
        };
        // Late beats are no pause.
        assert_eq!([since(0, 250), since(2_000, 2_900), since(5_900, 5_900)], [None; 3]);
        // One that began before ten seconds, heard of by whoever is the first to ask.
        assert_eq!(since(16_000, 16_000), Some(1_005_900_000));
        assert_eq!(since(5_000, 16_100), Some(1_005_900_000), "it arrived before, and was at work meanwhile");
        assert_eq!(since(16_900, 18_000), Some(1_005_900_000), "from the backlog");
        assert_eq!(since(17_100, 18_000), None);
    }
}
