//! One table of waiting connections per worker, and the rules by which the sweeper cuts them.
//!
//! No timer per connection: a connection writes its phase and a coarse time into its row, one sweeper task per worker walks
//! the rows every 100 ms. A row holds no file descriptor; to cut a connection the sweeper leaves a verdict in the row and
//! wakes the task, which finds it in its own wait. So a row that outlived its socket could hit nobody else's, `unsafe` is
//! not needed, and plain cells suffice, since task and sweeper share a thread. Rows lie side by side, which keeps the walk
//! over 10,000 of them far below half a millisecond.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Waker},
    time::Duration,
};

use super::{Settings, drain::Stage};

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
    /// The port is drained and the connection is idle.
    Drained,
}

/// Time-outs in ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    head: u32,
    idle: u32,
    write_stall: u32,
    linger: u32,
}

impl Limits {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            head: ticks(settings.head_timeout),
            idle: ticks(settings.idle_timeout),
            write_stall: ticks(settings.write_stall_timeout),
            linger: ticks(LINGER_TIMEOUT),
        }
    }

    /// The rule: what happens to a connection that has been in `phase` for `age` ticks.
    fn verdict(self, phase: Phase, age: u32, traffic: Traffic, stage: Stage) -> Option<Verdict> {
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

struct Row {
    phase: Phase,
    traffic: Traffic,
    /// Tick of the last progress.
    since: u32,
    verdict: Option<Verdict>,
    waker: Option<Waker>,
}

/// The table of one worker.
pub(super) struct Registry {
    rows: RefCell<Vec<Option<Row>>>,
    free: RefCell<Vec<usize>>,
    now: Cell<u32>,
    limits: Limits,
}

impl Registry {
    pub(super) fn new(limits: Limits) -> Rc<Self> {
        Rc::new(Self { rows: RefCell::default(), free: RefCell::default(), now: Cell::new(0), limits })
    }

    /// Adds a connection that waits for its first request.
    pub(super) fn add(self: &Rc<Self>) -> Slot {
        let row = Some(Row {
            phase: Phase::Idle,
            traffic: Traffic::Nothing,
            since: self.now.get(),
            verdict: None,
            waker: None,
        });
        let mut rows = self.rows.borrow_mut();
        let index = if let Some(index) = self.free.borrow_mut().pop() {
            rows[index] = row;
            index
        } else {
            rows.push(row);
            rows.len() - 1
        };
        Slot { registry: Rc::clone(self), index }
    }

    /// Sets the coarse clock and cuts whoever the rules say.
    pub(super) fn sweep(&self, now: Duration, stage: Stage) {
        let now = u32::try_from(now.as_millis() / TICK.as_millis()).unwrap_or(u32::MAX);
        self.now.set(now);
        let mut woken = Vec::new();
        for row in self.rows.borrow_mut().iter_mut().flatten() {
            let age = now.saturating_sub(row.since);
            if let Some(verdict) = self.limits.verdict(row.phase, age, row.traffic, stage) {
                row.verdict = Some(verdict);
                woken.extend(row.waker.take());
            }
        }
        // Outside of the borrow: a waker may run code that looks into the table.
        woken.into_iter().for_each(Waker::wake);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.rows.borrow().iter().flatten().count()
    }
}

/// A connection's row; leaves the table when dropped.
pub(super) struct Slot {
    registry: Rc<Registry>,
    index: usize,
}

impl Slot {
    /// Starts a phase; a verdict about the former one is forgotten.
    pub(super) fn enter(&self, phase: Phase) {
        let since = self.registry.now.get();
        self.with(|row| {
            (row.phase, row.since, row.verdict) = (phase, since, None);
        });
    }

    /// Notes a request, so that the drain knows whom to ask first.
    pub(super) fn carry(&self, upload: bool) {
        self.with(|row| {
            if upload {
                row.traffic = Traffic::Uploads;
            } else if row.traffic == Traffic::Nothing {
                row.traffic = Traffic::Reads;
            }
        });
    }

    /// What the connection has carried.
    pub(super) fn traffic(&self) -> Traffic {
        let mut traffic = Traffic::Nothing;
        self.with(|row| traffic = row.traffic);
        traffic
    }

    /// The sweeper's verdict if there is one; otherwise the task is woken when it falls.
    pub(super) fn poll_verdict(&self, context: &Context<'_>) -> Option<Verdict> {
        let mut verdict = None;
        self.with(|row| {
            verdict = row.verdict;
            match &mut row.waker {
                Some(waker) => waker.clone_from(context.waker()),
                none => *none = Some(context.waker().clone()),
            }
        });
        verdict
    }

    fn with(&self, change: impl FnOnce(&mut Row)) {
        if let Some(Some(row)) = self.registry.rows.borrow_mut().get_mut(self.index) {
            change(row);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // The row is dropped outside of the borrow, for the sake of its waker.
        let row = self.registry.rows.borrow_mut().get_mut(self.index).and_then(Option::take);
        self.registry.free.borrow_mut().push(self.index);
        drop(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        use Phase::{Busy, Head, Idle, Lingering, Sending};
        use Stage::{Draining, Finishing, Open};
        use Traffic::{Nothing, Reads, Uploads};
        let limits = Limits { head: 100, idle: 6000, write_stall: 200, linger: 20 };
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

    #[test]
    fn a_row_is_free_again_after_its_connection() {
        let registry = Registry::new(Limits::new(&Settings::default()));
        let (first, second) = (registry.add(), registry.add());
        drop(first);
        let third = registry.add();
        assert_eq!((third.index, registry.len(), registry.rows.borrow().len()), (0, 2, 2));
        drop((second, third));
        assert_eq!(registry.len(), 0);
    }

    #[test]
    fn a_new_phase_forgets_the_verdict() {
        let registry = Registry::new(Limits::new(&Settings::default()));
        let slot = registry.add();
        registry.sweep(Duration::from_hours(1), Stage::Open);
        let context = Context::from_waker(Waker::noop());
        assert_eq!(slot.poll_verdict(&context), Some(Verdict::TimedOut));
        slot.enter(Phase::Head);
        assert_eq!(slot.poll_verdict(&context), None);
    }
}
