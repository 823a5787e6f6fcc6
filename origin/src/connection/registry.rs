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

use super::{
    drain::Stage,
    hold::{Hold, give_up},
    rules::{Limits, Pace, Phase, TICK, Traffic, Verdict},
};

struct Row {
    phase: Phase,
    traffic: Traffic,
    pace: Pace,
    hold: Option<Hold>,
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
            pace: Pace::default(),
            hold: None,
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
            let is_too_slow = row.phase == Phase::Sending && row.pace.wait(self.limits);
            let verdict = self.limits.verdict(row.phase, age, row.traffic, stage);
            if let Some(verdict) = verdict.or(is_too_slow.then_some(Verdict::TooSlow)) {
                row.verdict = Some(verdict);
                woken.extend(row.waker.take());
            }
        }
        // Outside of the borrow: a waker may run code that looks into the table.
        woken.into_iter().for_each(Waker::wake);
    }

    /// Cuts slow readers of what is kept for them alone, until `bytes` come back.
    pub(super) fn press(&self, bytes: u64) {
        let mut rows = self.rows.borrow_mut();
        let claim = |row: &Row| {
            let is_slow = row.phase == Phase::Sending && row.pace.is_slow(self.limits);
            is_slow.then(|| row.hold.as_ref()?.claim()).flatten()
        };
        let given_up = give_up(rows.iter().flatten().filter_map(claim).collect(), bytes);
        let mut woken = Vec::new();
        for row in rows.iter_mut().flatten() {
            if claim(row).is_some_and(|claim| given_up.contains(&claim.order)) {
                row.verdict = Some(Verdict::Pressed);
                woken.extend(row.waker.take());
            }
        }
        drop(rows);
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

    /// As [`Self::enter`], but a phase that goes on keeps its age.
    pub(super) fn enter_anew(&self, phase: Phase) {
        let mut is_same = false;
        self.with(|row| is_same = row.phase == phase);
        if !is_same {
            self.enter(phase);
        }
    }

    /// A response begins that keeps `hold` in memory.
    pub(super) fn begin(&self, hold: Option<Hold>) {
        self.with(|row| (row.pace, row.hold) = (Pace::default(), hold));
    }

    /// The response is over.
    pub(super) fn end(&self) {
        self.with(|row| row.hold = None);
    }

    /// The client has taken some bytes of the response.
    pub(super) fn took(&self, size_bytes: usize) {
        let since = self.registry.now.get();
        self.with(|row| {
            row.since = since;
            row.pace.took(size_bytes);
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
    use crate::connection::Settings;

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
