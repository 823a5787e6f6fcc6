//! What the task of a partition shares with those who ask: the replica and who waits for it, under one lock that nobody holds
//! across an await.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast, oneshot};
use tokio::time::Instant;

use crate::barrier::{Ticket, WATCHDOG};
use crate::follower::{Message, Slot};
use crate::index::{Change, Health};
use crate::key::{Key, Layout};
use crate::replica::{Replica, Todo};

/// Requests that wait for a barrier.
pub const WAITERS_MAX: usize = 65_536;
/// Changes that a slow listener may be behind before he is told that he missed some.
const CHANGES_MAX: usize = 4_096;
/// How long a pod that is cut off calls itself ready.
pub const CUT_OFF_MAX: Duration = Duration::from_secs(2);

/// The time since this index began: the core knows no clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Duration {
        self.0.elapsed()
    }

    pub(crate) fn at(self, time: Duration) -> Instant {
        self.0 + time
    }
}

struct Waiter {
    ticket: Ticket,
    key: Key,
    done: oneshot::Sender<Option<Slot>>,
}

struct State {
    replica: Replica,
    waiters: VecDeque<Waiter>,
    cut_off_since: Option<Duration>,
    /// The connection is new, and nobody has said yet that the stream is still the one that was followed.
    is_doubted: bool,
    trouble: Option<String>,
    counts: Counts,
}

/// What was counted beside what the replica and the barriers count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that were lost.
    pub disconnected: u64,
    /// Connections that were made anew because barriers were lost.
    pub forced: u64,
    /// Times that the watchdog barked.
    pub stalled: u64,
    /// Entries that this program could not read.
    pub unreadable: u64,
    /// Requests for which there was no room to wait.
    pub busy: u64,
    /// Messages that were sent for commits, retries too.
    pub attempts: u64,
    /// Attempts that found another last place.
    pub conflicts: u64,
    /// Commits that are in the log.
    pub committed: u64,
    /// Commits that somebody else's replaced as they came.
    pub superseded: u64,
    /// Commits of which nobody knows what became of them.
    pub unknown: u64,
    /// Commits that were given up before anything was sent.
    pub abandoned: u64,
    /// Entries that were taken out because nobody needs to find them in the index.
    pub forgotten: u64,
}

pub(crate) struct Shared {
    pub(crate) layout: Layout,
    pub(crate) clock: Clock,
    pub(crate) wake: Notify,
    /// Somebody has to ask whether the stream is the same.
    pub(crate) doubt: Notify,
    pub(crate) changes: broadcast::Sender<Change>,
    state: Mutex<State>,
}

impl Shared {
    pub(crate) fn new(layout: Layout, clock: Clock, nonce: u64, mark: Duration) -> Self {
        let state = State {
            replica: Replica::new(nonce, clock.now()).with_marks_of(mark),
            waiters: VecDeque::new(),
            cut_off_since: None,
            is_doubted: false,
            trouble: None,
            counts: Counts::default(),
        };
        let (changes, _) = broadcast::channel(CHANGES_MAX);
        Self { layout, clock, wake: Notify::new(), doubt: Notify::new(), changes, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets something happen to the replica, serves whom it served at this very moment, and tells what changed.
    pub(crate) fn happen<T>(&self, what: impl FnOnce(&mut Replica, Duration) -> T) -> T {
        let mut guard = self.state();
        let state = &mut *guard;
        let (session, regressions) = (state.replica.session(), state.replica.counts().regressions);
        let result = what(&mut state.replica, self.clock.now());
        if state.replica.session() != session {
            // Barriers of the old log served nobody who still waits.
            state.waiters.iter_mut().for_each(|waiter| waiter.ticket = state.replica.join());
        }
        if state.replica.counts().regressions != regressions {
            tracing::error!(
                stream = self.layout.stream(),
                "the log is not the one that was followed: reading it from its beginning"
            );
        }
        while let Some(waiter) = state
            .waiters
            .pop_front_if(|waiter| !state.is_doubted && state.replica.barriers().is_done(waiter.ticket))
        {
            // Whoever does not wait any more needs no answer.
            let _ = waiter.done.send(state.replica.follower().slot(waiter.key).cloned());
        }
        let changes = state.replica.take_changes();
        for change in changes {
            if let crate::follower::Content::Unreadable { reason, .. } = &change.slot.content {
                state.counts.unreadable += 1;
                tracing::error!(stream = self.layout.stream(), seq = change.slot.seq, %reason, "an entry cannot be read");
            }
            // Nobody may listen.
            let _ = self.changes.send(Change { slot: change.slot, key: change.key });
        }
        result
    }

    pub(crate) fn live(&self, session: u64, message: Message) {
        self.happen(|replica, now| replica.live(session, message, now));
    }

    pub(crate) fn poll(&self) -> Todo {
        self.happen(Replica::poll)
    }

    pub(crate) fn session(&self) -> u64 {
        self.state().replica.session()
    }

    /// What is known of a key, without asking anybody.
    pub(crate) fn slot(&self, key: Key) -> Option<Slot> {
        self.state().replica.follower().slot(key).cloned()
    }

    /// Waits for a barrier that is sent from now on; the answer is what was known of the key as it came by. `None` if too
    /// many wait already.
    pub(crate) fn join(&self, key: Key) -> Option<oneshot::Receiver<Option<Slot>>> {
        let mut state = self.state();
        if state.waiters.len() >= WAITERS_MAX {
            state.waiters.retain(|waiter| !waiter.done.is_closed());
            if state.waiters.len() >= WAITERS_MAX {
                state.counts.busy += 1;
                return None;
            }
        }
        let (done, receiver) = oneshot::channel();
        let ticket = state.replica.join();
        state.waiters.push_back(Waiter { ticket, key, done });
        drop(state);
        self.wake.notify_one();
        Some(receiver)
    }

    pub(crate) fn connected(&self, is_long_ago: impl FnOnce(Duration) -> bool) {
        let now = self.clock.now();
        let begin_anew = {
            let mut state = self.state();
            state.is_doubted = true;
            let read_until = state.replica.barriers().valid_at();
            read_until.is_some_and(|at| is_long_ago(now.saturating_sub(at)))
        };
        self.happen(|replica, now| if begin_anew { replica.begin_anew(now) } else { replica.connected() });
        self.doubt.notify_one();
    }

    pub(crate) fn is_doubted(&self) -> bool {
        self.state().is_doubted
    }

    /// The stream is the one that was followed, or it is followed anew.
    pub(crate) fn believe(&self) {
        self.state().is_doubted = false;
        self.happen(|_, _| ());
        self.wake.notify_one();
    }

    /// Whether there is a connection now.
    pub(crate) fn connection(&self, is_there: bool) {
        let mut state = self.state();
        if is_there {
            state.cut_off_since = None;
        } else if state.cut_off_since.is_none() {
            state.cut_off_since = Some(self.clock.now());
            state.counts.disconnected += 1;
        }
    }

    pub(crate) fn count(&self, what: impl FnOnce(&mut Counts)) {
        what(&mut self.state().counts);
    }

    /// Says what keeps the pod from being ready, or that nothing does any more.
    pub(crate) fn trouble(&self, text: Option<String>) {
        self.state().trouble = text;
    }

    /// How long ago the last valid barrier came by.
    pub(crate) fn age(&self) -> Option<Duration> {
        let (state, now) = (self.state(), self.clock.now());
        state.replica.barriers().valid_at().map(|at| now.saturating_sub(at))
    }

    pub(crate) fn health(&self) -> Health {
        let (state, now) = (self.state(), self.clock.now());
        let (replica, barriers) = (&state.replica, state.replica.barriers());
        let cut_off = state.cut_off_since.map(|since| now.saturating_sub(since));
        let age = barriers.valid_at().map(|at| now.saturating_sub(at));
        Health {
            is_ready: state.trouble.is_none()
                && cut_off.is_none_or(|time| time < CUT_OFF_MAX)
                && age.is_some_and(|age| age < WATCHDOG),
            trouble: state.trouble.clone(),
            cut_off,
            age,
            last: replica.follower().position().last,
            keys: replica.follower().len(),
            memory_bytes: replica.follower().memory_bytes(),
            waiters: state.waiters.len(),
            barriers: barriers.counts(),
            replica: replica.counts(),
            holes: replica.follower().position().holes,
            counts: state.counts,
        }
    }

    /// What is known needs so much memory, estimated.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.state().replica.follower().memory_bytes()
    }

    /// All that is known, in no order.
    pub(crate) fn slots(&self, mut each: impl FnMut(&Slot)) {
        for (_, slot) in self.state().replica.follower().slots() {
            each(slot);
        }
    }
}
