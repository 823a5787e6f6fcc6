//! One partition as one pod has it: the follower, what it still has to fetch, and the barriers. No I/O and no clock: messages
//! and the time are arguments, and what has to be done is an answer, so that the same code runs over NATS, in the simulator
//! and in the model.
//!
//! Messages come in two ways. *Live* ones are published again by the servers as they store them: fast, in order, and some
//! may be missing (a pod was away, a leader died between storing and publishing). A *fetch* reads the log itself from a place
//! on: what is missing there is gone for good. So only a fetch may pass a hole; a live message behind one waits for it.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::time::Duration;

use crate::barrier::{Barriers, Concern, Regression, Ticket};
use crate::fetch::{Chain, Fetch, Fetching};
use crate::follower::{Applied, Content, Follower, Message, Position, Slot, Stamp, What};
use crate::key::Key;

/// How long an acknowledged barrier may take to come by before it is fetched.
pub const OVERDUE_AFTER: Duration = Duration::from_millis(20);
/// Live messages that wait for a fetch; those beyond are fetched too.
pub const WAITING_MAX: usize = 1_024;

/// How long the servers keep the mark of what was removed. A pod that was away for longer may have missed one, and begins anew.
pub const MARK: Duration = Duration::from_mins(30);
/// How many times as long a pod remembers it: the servers have surely dropped it then.
const MARK_REMEMBERED: u32 = 2;
/// Marks that are forgotten in one go.
const MARKS_AT_ONCE: usize = 4_096;

/// What the owner of the connection has to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Todo {
    /// Send this barrier.
    pub barrier: Option<Stamp>,
    /// Read the log.
    pub fetch: Option<Fetch>,
    /// Barriers are lost.
    pub concern: Concern,
    /// Come back then, if nothing happens before.
    pub wake_at: Duration,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages applied.
    pub applied: u64,
    /// Live messages that came ahead of what the follower had.
    pub ahead: u64,
    /// Fetches begun.
    pub fetches: u64,
    /// Fetches of which a part was lost on the way.
    pub broken: u64,
    /// Live messages for which there was no room.
    pub overflowed: u64,
    /// Times that the log was found to be another one than that which was followed.
    pub regressions: u64,
}

/// A change of a key that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Key,
    /// What is there now.
    pub slot: Slot,
}

/// One partition as one pod has it.
#[derive(Clone, Debug)]
pub struct Replica {
    follower: Follower,
    pub(crate) barriers: Barriers,
    waiting: BTreeMap<u64, Message>,
    fetching: Fetching,
    /// Something may have been missed: read to the end of the log.
    is_behind: bool,
    session: u64,
    changes: Vec<Change>,
    /// Marks in the order in which they were read, with the time.
    marks: VecDeque<(Duration, Key, u64)>,
    /// How long the servers keep them.
    mark: Duration,
    counts: Counts,
}

impl Replica {
    /// Knows nothing yet; `nonce` is this process.
    pub fn new(nonce: u64, now: Duration) -> Self {
        Self {
            follower: Follower::default(),
            barriers: Barriers::new(nonce, now),
            waiting: BTreeMap::new(),
            fetching: Fetching::default(),
            is_behind: true,
            session: 1,
            changes: Vec::new(),
            marks: VecDeque::new(),
            mark: MARK,
            counts: Counts::default(),
        }
    }

    /// The same where the servers keep marks for another time.
    #[must_use]
    pub fn with_marks_of(self, mark: Duration) -> Self {
        Self { mark, ..self }
    }

    /// The table.
    pub fn follower(&self) -> &Follower {
        &self.follower
    }

    /// The barriers.
    pub fn barriers(&self) -> &Barriers {
        &self.barriers
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Live messages that wait for a fetch.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Which log is followed: whoever listens must listen anew when it changes, and name it with every live message.
    pub fn session(&self) -> u64 {
        self.session
    }

    /// Whether the table has been the log's since the beginning of this session.
    pub fn is_replayed(&self) -> bool {
        self.barriers.valid_at().is_some()
    }

    /// Changes applied since the last call, in order.
    pub fn take_changes(&mut self) -> Vec<Change> {
        mem::take(&mut self.changes)
    }

    /// Somebody waits for a barrier from now on.
    pub fn join(&mut self) -> Ticket {
        self.barriers.join()
    }

    /// The connection is new: live messages may have been missed.
    pub fn connected(&mut self) {
        self.is_behind = true;
        self.fetching.give_up(Duration::ZERO);
        self.barriers.hurry();
    }

    /// A live message of `session`.
    pub fn live(&mut self, session: u64, message: Message, now: Duration) {
        if session != self.session {
            return;
        }
        let Position { last, .. } = self.follower.position();
        if message.seq <= last + 1 {
            self.apply(&message, now);
            self.drain(now);
            return;
        }
        self.counts.ahead += 1;
        if self.waiting.len() < WAITING_MAX {
            self.waiting.insert(message.seq, message);
        } else {
            self.counts.overflowed += 1;
            self.is_behind = true;
        }
    }

    /// A message of fetch `number`, which says that the one before it in the same answer was `previous`.
    pub fn fetched(&mut self, number: u64, previous: u64, message: &Message, now: Duration) {
        match self.fetching.message(number, previous, message.seq, now) {
            Chain::Stranger => {}
            Chain::Broken => self.counts.broken += 1,
            Chain::Whole => {
                self.apply(message, now);
                self.drain(now);
            }
        }
    }

    /// The end of fetch `number`: the last message in the answer was `previous`, and `pending` more are there to be fetched.
    pub fn fetch_ended(&mut self, number: u64, previous: u64, pending: u64, now: Duration) {
        match self.fetching.end(number, previous, now) {
            Chain::Stranger => {}
            Chain::Broken => self.counts.broken += 1,
            Chain::Whole if pending == 0 => self.is_behind = false,
            Chain::Whole => self.is_behind = true,
        }
    }

    /// Fetch `number` was refused.
    pub fn fetch_failed(&mut self, number: u64, now: Duration) {
        self.fetching.fail(number, now);
    }

    /// The servers gave barrier `counter` the place `given`.
    pub fn acked(&mut self, counter: u64, given: u64, now: Duration) -> Result<(), Regression> {
        let acked = self.barriers.acked(counter, given, self.follower.position(), now);
        if acked.is_err() {
            self.regressed(now);
        }
        acked
    }

    /// The log is not the one that was followed.
    pub fn regressed(&mut self, now: Duration) {
        self.counts.regressions += 1;
        self.begin_anew(now);
    }

    /// Forgets everything and reads the log from its beginning.
    pub fn begin_anew(&mut self, now: Duration) {
        self.follower.clear();
        self.barriers.clear(now);
        self.waiting.clear();
        self.marks.clear();
        self.fetching.give_up(Duration::ZERO);
        self.is_behind = true;
        self.session += 1;
    }

    /// What has to be done at `now`.
    pub fn poll(&mut self, now: Duration) -> Todo {
        self.drop_marks(now);
        let needs_fetch =
            self.is_behind || !self.waiting.is_empty() || self.barriers.overdue(OVERDUE_AFTER, now).is_some();
        let concern = self.barriers.concern(now);
        let position = self.follower.position();
        let barrier = self.barriers.send(now, position);
        let fetch = if needs_fetch { self.fetching.begin(position.last + 1, now) } else { None };
        self.counts.fetches += u64::from(fetch.is_some());
        let mut wake_at = self.barriers.due_at(now);
        if needs_fetch {
            wake_at = wake_at.min(self.fetching.due_at());
        } else if let Some(overdue_at) = self.barriers.overdue_at(OVERDUE_AFTER) {
            wake_at = wake_at.min(overdue_at);
        }
        Todo { barrier, fetch, concern, wake_at }
    }

    /// What has no mark in the log any more is as if it had never been there.
    fn drop_marks(&mut self, now: Duration) {
        let remembered = self.mark * MARK_REMEMBERED;
        for _ in 0..MARKS_AT_ONCE {
            let Some((_, key, seq)) = self.marks.pop_front_if(|(read, ..)| *read + remembered <= now) else {
                return;
            };
            self.follower.drop_mark(key, seq);
        }
    }

    fn drain(&mut self, now: Duration) {
        while let Some(first) = self.waiting.first_entry() {
            if *first.key() > self.follower.position().last + 1 {
                return;
            }
            let message = first.remove();
            self.apply(&message, now);
        }
    }

    fn apply(&mut self, message: &Message, now: Duration) {
        match self.follower.apply(message) {
            Applied::Old => return,
            Applied::Contradiction => return self.regressed(now),
            Applied::Next | Applied::BehindHole => {}
        }
        self.counts.applied += 1;
        let seen = match &message.what {
            What::Entry(key, content) => {
                if *content == Content::Expired {
                    self.marks.push_back((now, *key, message.seq));
                }
                let slot = Slot { seq: message.seq, content: content.clone() };
                self.changes.push(Change { key: *key, slot });
                None
            }
            What::Barrier(stamp) => *stamp,
            What::Other => None,
        };
        self.barriers.passed(self.follower.position(), seen, now);
    }
}
