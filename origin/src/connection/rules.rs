//! When the sweeper cuts a connection. Pure; time is counted in ticks.

use std::time::Duration;

use super::{Settings, TimeoutPhase, drain::Stage};

/// Length of a tick of the coarse clock.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// How long a refused or abandoned upload is read and discarded.
pub(super) const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// What a connection is doing, as far as time-outs are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waiting for the first byte of a request.
    Idle,
    /// Waiting for the rest of a head.
    Head,
    /// The application works, or a body is on its way in: no time-out here.
    Busy,
    /// Waiting for the client to take bytes.
    Sending,
    /// Discarding what the client still sends.
    Lingering,
}

/// What a connection has carried so far; decides who leaves first when the port is drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    /// No request yet.
    Nothing,
    /// Only requests that read.
    Reads,
    /// At least one upload.
    Uploads,
}

/// Why the sweeper cuts a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The phase took too long.
    TimedOut,
    /// The client takes less than the minimum rate.
    TooSlow,
    /// The client is slow, and what it reads is only kept for it, and memory is needed.
    Pressed,
    /// The port is drained and the connection is idle.
    Drained,
}

impl Verdict {
    /// What a client that takes too little of a response is counted as.
    pub(super) fn phase(self) -> TimeoutPhase {
        match self {
            Self::TimedOut | Self::Drained => TimeoutPhase::WriteStall,
            Self::TooSlow => TimeoutPhase::Rate,
            Self::Pressed => TimeoutPhase::Memory,
        }
    }
}

/// Time-outs in ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    head: u32,
    idle: u32,
    write_stall: u32,
    linger: u32,
    /// Bytes that a client must take within a window.
    window_bytes: u64,
    window: u32,
    grace: u32,
    slow: u32,
}

/// How fast a client takes a response. Only ticks in which the response waits for the client count: who reads an object
/// that is being written is as slow as the writer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pace {
    /// Ticks since the response began in which it waited for its client.
    waited: u32,
    /// Of these, within this window.
    window_waited: u32,
    /// Bytes taken within this window.
    window_bytes: u64,
}

impl Pace {
    /// The client has taken some bytes.
    pub(super) fn took(&mut self, size_bytes: usize) {
        self.window_bytes += size_bytes as u64;
    }

    /// The response waits for its client in this tick; true when the client is too slow.
    pub(super) fn wait(&mut self, limits: Limits) -> bool {
        self.waited = self.waited.saturating_add(1);
        self.window_waited += 1;
        let grace = if self.waited == self.window_waited { limits.grace } else { 0 };
        if self.window_waited < limits.window.saturating_add(grace) {
            return false;
        }
        let is_slow = self.window_bytes < limits.window_bytes;
        (self.window_waited, self.window_bytes) = (0, 0);
        is_slow
    }

    /// Whether the client makes its response wait so long that it may be cut for the sake of others.
    pub(super) fn is_slow(self, limits: Limits) -> bool {
        self.waited >= limits.slow
    }
}

impl Limits {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            head: ticks(settings.head_timeout),
            idle: ticks(settings.idle_timeout),
            write_stall: ticks(settings.write_stall_timeout),
            linger: ticks(LINGER_TIMEOUT),
            window_bytes: u64::from(settings.rate_bytes_min) * settings.rate_window.as_secs(),
            window: ticks(settings.rate_window),
            grace: ticks(settings.rate_grace),
            slow: ticks(settings.slow_reader_wait),
        }
    }

    /// The rule: what happens to a connection that has been in `phase` for `age` ticks.
    pub(super) fn verdict(self, phase: Phase, age: u32, traffic: Traffic, stage: Stage) -> Option<Verdict> {
        let timed_out = |limit: u32| (age > limit).then_some(Verdict::TimedOut);
        match phase {
            Phase::Busy => None,
            Phase::Head => timed_out(self.head),
            Phase::Sending => timed_out(self.write_stall),
            Phase::Lingering => timed_out(self.linger),
            Phase::Idle if leaves(stage, traffic, age > self.head) => Some(Verdict::Drained),
            // Silent since it was accepted: the long idle time is for encoders, and they speak at once.
            Phase::Idle if traffic == Traffic::Nothing => timed_out(self.head),
            Phase::Idle => timed_out(self.idle),
        }
    }
}

/// Whether an idle connection is closed by the drain. One that has carried nothing may belong to an encoder whose head is
/// on its way, so it gets the time of a head.
fn leaves(stage: Stage, traffic: Traffic, head_is_late: bool) -> bool {
    match (stage, traffic) {
        (Stage::Open, _) | (Stage::Draining, Traffic::Uploads) => false,
        (Stage::Finishing, _) | (Stage::Draining, Traffic::Reads) => true,
        (Stage::Draining, Traffic::Nothing) => head_is_late,
    }
}

fn ticks(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        use Phase::{Busy, Head, Idle, Lingering, Sending};
        use Stage::{Draining, Finishing, Open};
        use Traffic::{Nothing, Reads, Uploads};
        let limits = Limits {
            head: 100,
            idle: 6000,
            write_stall: 200,
            linger: 20,
            ..Limits::new(&Settings::default())
        };
        let (late, drained) = (Some(Verdict::TimedOut), Some(Verdict::Drained));
        for (phase, age, traffic, stage, expected) in [
            (Idle, 6000, Reads, Open, None),
            (Idle, 6001, Uploads, Open, late),
            (Idle, 100, Nothing, Open, None),
            (Idle, 101, Nothing, Open, late),
            (Head, 100, Reads, Finishing, None),
            (Head, 101, Nothing, Open, late),
            (Busy, u32::MAX, Uploads, Finishing, None),
            (Sending, 200, Reads, Open, None),
            (Sending, 201, Reads, Open, late),
            (Lingering, 21, Uploads, Open, late),
            (Idle, 0, Reads, Draining, drained),
            (Idle, 0, Uploads, Draining, None),
            (Idle, 100, Nothing, Draining, None),
            (Idle, 101, Nothing, Draining, drained),
            (Idle, 0, Uploads, Finishing, drained),
            (Idle, 0, Nothing, Finishing, drained),
        ] {
            let verdict = limits.verdict(phase, age, traffic, stage);
            assert_eq!(verdict, expected, "{phase:?} {age} {traffic:?} {stage:?}");
        }
    }

    /// Ticks until a client that takes `bytes` per tick is found too slow, within two minutes.
    fn cut_after(limits: Limits, bytes: impl Fn(u32) -> usize) -> Option<u32> {
        let mut pace = Pace::default();
        (1..=1200).find(|tick| {
            pace.took(bytes(*tick));
            pace.wait(limits)
        })
    }

    #[test]
    fn a_client_below_the_minimum_rate_is_too_slow_after_the_grace_and_a_window() {
        let settings = Settings {
            rate_bytes_min: 5_000,
            rate_window: Duration::from_secs(20),
            rate_grace: Duration::from_secs(10),
            ..Settings::default()
        };
        let limits = Limits::new(&settings);
        assert_eq!(cut_after(limits, |_| 0), Some(300));
        assert_eq!(cut_after(limits, |_| 333), Some(300), "the grace counts for the client");
        assert_eq!(cut_after(limits, |_| 334), Some(500), "but once");
        assert_eq!(cut_after(limits, |_| 499), Some(500));
        assert_eq!(cut_after(limits, |_| 500), None);
        assert_eq!(cut_after(limits, |tick| if tick % 200 == 1 { 100_000 } else { 0 }), None, "an average");
        assert_eq!(cut_after(limits, |tick| if tick < 600 { 500 } else { 0 }), Some(700));
        let off = Limits::new(&Settings { rate_bytes_min: 0, ..settings });
        assert_eq!(cut_after(off, |_| 0), None);
    }

    #[test]
    fn a_client_is_slow_once_its_response_has_waited() {
        let limits =
            Limits::new(&Settings { slow_reader_wait: Duration::from_secs(1), ..Settings::default() });
        let mut pace = Pace::default();
        for waited in 0..30 {
            assert_eq!(pace.is_slow(limits), waited >= 10);
            pace.wait(limits);
        }
    }
}
