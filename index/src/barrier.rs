//! Barriers: how a pod learns that it has seen everything that was acknowledged before a moment.
//!
//! A barrier is a message of the log. Whoever asks is told when one that was sent *after* he asked has come by: everything
//! acknowledged before stands before it. One barrier serves all who asked before it was sent, and while it is on its way
//! the next ones gather.
//!
//! **The hole rule.** A barrier counts only if the follower met no hole between sending it and reaching it; otherwise
//! another one is sent. Without that rule this history happens, in which the reader is given v0 after v1 was acknowledged:
//!
//! ```text
//! 1  K = v0    the follower has applied it, and lags from here on
//! 2  K = v1    acknowledged
//! 3  barrier   of a GET that begins now
//! 4  K = v2    committed: the servers delete 2
//!    the follower goes on: it is given 3 (there is a hole at 2), and only then 4
//! ```

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use crate::follower::{Position, Stamp};

/// When a barrier that does not come back is followed by another.
pub const RESEND_AFTER: Duration = Duration::from_millis(500);
/// How often one is sent although nobody asks: how a pod knows that it is cut off, or that the log is another one.
pub const IDLE: Duration = Duration::from_millis(500);
/// Barriers lost in a row after which the connection is made anew.
pub const LOST_MAX: u32 = 4;
/// Without a valid barrier for so long, nor one that comes nearer, everything is begun anew.
pub const WATCHDOG: Duration = Duration::from_secs(10);

/// Somebody who waits for a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// The log is shorter than it was: it was deleted or restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Regression {
    /// The place that the barrier was given.
    pub given: u64,
    /// What had been applied when it was sent.
    pub applied: u64,
}

/// What the owner of the connection has to do about barriers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// Nothing.
    None,
    /// Barriers are lost: connect again.
    Reconnect,
    /// None was valid or came nearer for [`WATCHDOG`]: connect again and take the pod out of service.
    Stalled,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Barriers sent.
    pub sent: u64,
    /// Of these, sent because one before did not come back in time.
    pub resent: u64,
    /// Reached without a hole on the way.
    pub valid: u64,
    /// Reached, but across a hole.
    pub invalid: u64,
}

#[derive(Clone, Debug)]
struct Sent {
    counter: u64,
    at: Duration,
    /// The newest ticket that it serves.
    serves: u64,
    /// Where the follower was.
    from: Position,
    /// Its place in the log, and since when that is known.
    acked: Option<(u64, Duration)>,
}

/// The barriers of one pod in one partition.
#[derive(Clone, Debug)]
pub struct Barriers {
    nonce: u64,
    counter: u64,
    joined: u64,
    served: u64,
    sent: VecDeque<Sent>,
    lost: u32,
    /// When the last one was valid or came nearer, or the watchdog was fed by a new beginning.
    fed: Duration,
    valid_at: Option<Duration>,
    counts: Counts,
    /// What it is without the hole rule, for tests that must notice.
    #[cfg(test)]
    pub(crate) ignores_holes: bool,
}

/// Barriers on their way that are remembered. The older ones serve nobody whom a newer one does not serve.
const SENT_MAX: usize = 32;

impl Barriers {
    /// None yet; `nonce` is this process.
    pub fn new(nonce: u64, now: Duration) -> Self {
        Self {
            nonce,
            counter: 0,
            joined: 0,
            served: 0,
            sent: VecDeque::new(),
            lost: 0,
            fed: now,
            valid_at: None,
            counts: Counts::default(),
            #[cfg(test)]
            ignores_holes: false,
        }
    }

    /// Somebody waits, from now on.
    pub fn join(&mut self) -> Ticket {
        self.joined += 1;
        Ticket(self.joined)
    }

    /// Whether whoever has `ticket` has waited long enough.
    pub fn is_done(&self, ticket: Ticket) -> bool {
        ticket.0 <= self.served
    }

    /// When the last valid one was reached.
    pub fn valid_at(&self) -> Option<Duration> {
        self.valid_at
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// When one has to be sent.
    pub fn due_at(&self, now: Duration) -> Duration {
        match self.sent.back() {
            Some(sent) => sent.at + RESEND_AFTER,
            None if self.joined > self.served => now,
            None => self.valid_at.map_or(now, |at| at + IDLE),
        }
    }

    /// The connection is new: what was on its way is lost, and another one is sent at once.
    pub fn hurry(&mut self) {
        if let Some(sent) = self.sent.back_mut() {
            sent.at = Duration::ZERO;
        }
    }

    /// Sends one, if it is time.
    pub fn send(&mut self, now: Duration, from: Position) -> Option<Stamp> {
        if self.due_at(now) > now {
            return None;
        }
        if let Some(before) = self.sent.back() {
            self.counts.resent += 1;
            // The servers have it, and the follower comes nearer: it reads what lies before, which may be a long log.
            if before.acked.is_some() && before.from.last < from.last {
                (self.lost, self.fed) = (0, now);
            } else {
                self.lost += 1;
            }
        }
        if self.sent.len() == SENT_MAX {
            self.sent.pop_front();
        }
        self.counter += 1;
        self.counts.sent += 1;
        self.sent.push_back(Sent { counter: self.counter, at: now, serves: self.joined, from, acked: None });
        Some(Stamp { nonce: self.nonce, counter: self.counter })
    }

    /// The servers gave barrier `counter` the place `given`, and the follower is at `position`.
    pub fn acked(
        &mut self,
        counter: u64,
        given: u64,
        position: Position,
        now: Duration,
    ) -> Result<(), Regression> {
        let Some(sent) = self.sent.iter_mut().find(|sent| sent.counter == counter) else { return Ok(()) };
        if given <= sent.from.last {
            return Err(Regression { given, applied: sent.from.last });
        }
        sent.acked.get_or_insert((given, now));
        self.passed(position, None, now);
        Ok(())
    }

    /// The follower is at `position` now, and has just applied barrier `seen`.
    pub fn passed(&mut self, position: Position, seen: Option<Stamp>, now: Duration) {
        let seen = seen.filter(|stamp| stamp.nonce == self.nonce).map(|stamp| stamp.counter);
        let is_reached = |sent: &Sent| {
            sent.acked.is_some_and(|(given, _)| given <= position.last) || seen == Some(sent.counter)
        };
        // The newest one that is reached: it serves whom the ones before it serve, and who knows whether it is valid for
        // fewer reasons to doubt it.
        let Some(index) = self.sent.iter().rposition(is_reached) else { return };
        let reached = self.sent[index].clone();
        self.sent.drain(..=index);
        self.lost = 0;
        let is_valid = reached.from.holes == position.holes;
        #[cfg(test)]
        let is_valid = is_valid || self.ignores_holes;
        if is_valid {
            self.counts.valid += 1;
            self.served = self.served.max(reached.serves);
            (self.valid_at, self.fed) = (Some(now), now);
        } else {
            self.counts.invalid += 1;
        }
    }

    /// The place of the newest barrier that was acknowledged `patience` ago and has not come by: there is something to fetch.
    pub fn overdue(&self, patience: Duration, now: Duration) -> Option<u64> {
        let acked = self.sent.iter().rev().find_map(|sent| sent.acked)?;
        (now >= acked.1 + patience).then_some(acked.0)
    }

    /// When [`Self::overdue`] may change its answer.
    pub fn overdue_at(&self, patience: Duration) -> Option<Duration> {
        self.sent.iter().rev().find_map(|sent| sent.acked).map(|(_, at)| at + patience)
    }

    /// What is to be done; what was said once is not said again at once.
    pub fn concern(&mut self, now: Duration) -> Concern {
        if now >= self.fed + WATCHDOG {
            self.fed = now;
            self.lost = 0;
            return Concern::Stalled;
        }
        if self.lost >= LOST_MAX {
            self.lost = 0;
            return Concern::Reconnect;
        }
        Concern::None
    }

    /// Begins anew: nothing that was sent counts any more, and nobody is served by it.
    pub fn clear(&mut self, now: Duration) {
        self.sent.clear();
        self.lost = 0;
        self.fed = now;
        self.valid_at = None;
    }
}
