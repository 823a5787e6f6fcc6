//! One change of one path, from the request to its answer.
//!
//! ```text
//! fence ─▶ publish, naming the last place of the path ─▶ stored: committed
//!               ▲  │
//!               │  ├─ conflict ─▶ barrier ─▶ ours is there: committed · a higher rank: superseded
//!               │  │                ├─ as at the fence: publish again
//!               │  │                └─ a lower rank: decide the client's condition again, publish behind it
//!               └──┴─ no leader, in process, nothing answered: publish again, the same
//! ```
//!
//! Every attempt names the place that was the last one of the path at the latest barrier, the first PUT of a path too (0). That
//! is what makes attempts harmless which the client library sends, or the servers store, after everybody has given them up:
//! the servers forget the ids of superseded messages when they start, and would store such a one again (F2, F3).
//!
//! **The stamp rule.** Nothing is published behind what has a higher rank, so the ranks of a path only rise in the log. It has two
//! uses. The object store orders versions by their rank too, so both agree on the winner of changes that overlap. And whoever comes
//! behind a change has a higher rank than it: what is there with a lower one than ours says that no attempt of ours was stored.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::time::Duration;

use crate::answer::Answer;
use crate::entry::Rank;
use crate::follower::{Content, Slot};

/// How long one attempt waits for its answer.
pub const ATTEMPT: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(25);
const PAUSE_WITHOUT_LEADER: Duration = Duration::from_millis(75);

/// What is to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something is put there.
    Put,
    /// What is there is taken away.
    Delete,
}

/// A path as it was when a valid barrier was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The last place; 0 if there never was one.
    pub seq: u64,
    /// The rank of the version, or tombstone, that is there.
    pub rank: Option<Rank>,
    /// Whether there is something; what cannot be read is something.
    pub is_live: bool,
    /// Whether the servers removed it because of its age: then the servers themselves may have no last place any more.
    pub is_expired: bool,
    /// What the caller says of it.
    pub verdict: Verdict,
}

/// What the caller of a change says of what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The change may be made.
    Go,
    /// The client's condition does not hold.
    Refuse,
    /// The change gives way to it, whatever the ranks say: it is a later state of the same thing.
    Yield,
}

impl Seen {
    /// What `slot` says, and what the caller says of it.
    pub fn of(slot: Option<&Slot>, verdict: Verdict) -> Self {
        let entry = slot.and_then(Slot::entry);
        Self {
            seq: slot.map_or(0, |slot| slot.seq),
            rank: slot.and_then(Slot::rank),
            is_live: entry.is_some_and(|entry| entry.is_live()) || slot.is_some_and(Slot::is_unreadable),
            is_expired: slot.is_some_and(|slot| slot.content == Content::Expired),
            verdict,
        }
    }
}

/// What has to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reach a valid barrier that is sent after now, then call [`Commit::fenced`].
    Fence,
    /// Publish, naming this last place, then call [`Commit::answered`].
    Publish {
        /// The last place of the path.
        expected: u64,
    },
    /// Wait, then call [`Commit::paused`].
    Pause(Duration),
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log.
    Committed {
        /// Its place.
        seq: u64,
        /// Whether there was something before.
        replaced: bool,
    },
    /// Somebody else's change with a higher rank, or one to which this one gives way, was committed after this one began: this one is
    /// as if it had come just before. A success; a deletion with this end says nothing about whether there was something.
    Superseded,
    /// The condition did not hold; nothing was changed.
    Refused,
    /// A deletion of nothing; nothing was changed.
    Nothing,
    /// The time was over, or the client gone, before anything was sent; or a change with a condition came behind one with a higher
    /// rank, and the condition still holds: the same with a higher stamp may succeed. Nothing was changed, and nothing will be.
    Abandoned,
    /// It may be in the log now or soon, or never.
    Unknown,
    /// The servers refuse it for good, or it cannot be sent; nothing was changed.
    Failed(String),
}

/// Whether somebody still waits for the answer, and whether it is still worth to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// The time.
    pub now: Duration,
    /// Whether the client is still connected.
    pub is_client_here: bool,
}

/// A change under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    kind: Kind,
    rank: Rank,
    has_condition: bool,
    deadline: Duration,
    phase: Phase,
    /// The path as it was at the fence, or at the barrier behind which this change goes on.
    seen: Option<Seen>,
    expected: u64,
    /// Whether an attempt may be stored although nothing was answered, or something else.
    is_uncertain: bool,
    /// What it takes every other change for, without the stamp rule: for tests that must notice.
    #[cfg(test)]
    pub(crate) prejudice: Option<Ordering>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Fence,
    Publish,
    Confirm,
}

impl Commit {
    /// A change that makes the version, or tombstone, of rank `rank`; nothing is published from `deadline` on.
    pub fn new(kind: Kind, rank: Rank, has_condition: bool, deadline: Duration) -> Self {
        Self {
            kind,
            rank,
            has_condition,
            deadline,
            phase: Phase::Fence,
            seen: None,
            expected: 0,
            is_uncertain: false,
            #[cfg(test)]
            prejudice: None,
        }
    }

    /// Begins.
    pub fn start(&self) -> Step {
        Step::Fence
    }

    /// The path as it was when a barrier was reached that was sent after it was asked for.
    pub fn fenced(&mut self, seen: Seen, interest: Interest) -> Result<Step, Outcome> {
        match (self.phase, self.seen) {
            (Phase::Confirm, Some(before)) => {
                if seen.rank.is_some_and(|rank| rank.uid == self.rank.uid) {
                    return Err(self.committed(seen.seq));
                }
                if seen.seq == before.seq {
                    return self.again(seen, interest);
                }
                self.come_second(seen)?;
            }
            _ if seen.rank >= Some(self.rank) => {
                return Err(Outcome::Failed(
                    "its rank is not above that of what was there before".to_owned(),
                ));
            }
            _ => {}
        }
        match seen.verdict {
            Verdict::Go => {}
            Verdict::Refuse => return Err(Outcome::Refused),
            Verdict::Yield => return Err(Outcome::Superseded),
        }
        if self.kind == Kind::Delete && !seen.is_live {
            return Err(Outcome::Nothing);
        }
        self.seen = Some(seen);
        self.expected = seen.seq;
        self.phase = Phase::Publish;
        self.publish(interest)
    }

    /// Nobody came first: an old leader answered from an old state, or something was just being stored.
    fn again(&mut self, seen: Seen, interest: Interest) -> Result<Step, Outcome> {
        if seen.is_expired {
            // The mark of what expired has expired too, or will: one of the two places is the servers'.
            self.expected = if self.expected == 0 { seen.seq } else { 0 };
        }
        self.phase = Phase::Publish;
        self.pause(PAUSE, interest)
    }

    /// Somebody came first. Whether this change goes on behind what is there now, or how it ends.
    fn come_second(&mut self, seen: Seen) -> Result<(), Outcome> {
        match self.compare(seen) {
            Some(Ordering::Less) => {
                // Whoever replaces ours has a higher rank, and so has everybody behind him. So none of our attempts was stored, and
                // none will be: the place that they name is not the last one any more.
                self.is_uncertain = false;
                Ok(())
            }
            // What the servers removed because of its age, or a log that went back. Ours may have been that.
            None if self.is_uncertain => Err(Outcome::Unknown),
            None => Ok(()),
            Some(_) if !self.has_condition => Err(Outcome::Superseded),
            // An attempt of ours may have been stored and replaced: neither 412 nor "nothing happened" can be said.
            Some(_) if self.is_uncertain => Err(Outcome::Unknown),
            Some(_) if seen.verdict == Verdict::Refuse => Err(Outcome::Refused),
            Some(_) => Err(Outcome::Abandoned),
        }
    }

    /// What is there, compared with ours; `None` if there is nothing to compare with.
    fn compare(&self, seen: Seen) -> Option<Ordering> {
        #[cfg(test)]
        if self.prejudice.is_some() {
            return self.prejudice;
        }
        match seen.rank {
            Some(rank) => Some(rank.cmp(&self.rank)),
            // Something of which not even the rank can be read: nobody can say that he is above it.
            None if seen.is_live => Some(Ordering::Greater),
            None => None,
        }
    }

    /// The servers answered the attempt.
    pub fn answered(&mut self, answer: Answer, interest: Interest) -> Result<Step, Outcome> {
        match answer {
            Answer::Stored { seq, .. } => Err(self.committed(seq)),
            Answer::Conflict => {
                self.phase = Phase::Confirm;
                Ok(Step::Fence)
            }
            Answer::InProcess | Answer::Unavailable(_) => {
                self.is_uncertain = true;
                self.pause(PAUSE, interest)
            }
            Answer::NoLeader => {
                self.is_uncertain = true;
                self.pause(PAUSE_WITHOUT_LEADER, interest)
            }
            Answer::NotSent => self.pause(PAUSE_WITHOUT_LEADER, interest),
            Answer::TimedOut => {
                self.is_uncertain = true;
                self.publish(interest)
            }
            Answer::Refused(_) if self.is_uncertain => Err(Outcome::Unknown),
            Answer::Refused(text) => Err(Outcome::Failed(text)),
        }
    }

    /// The pause is over.
    pub fn paused(&mut self, interest: Interest) -> Result<Step, Outcome> {
        self.publish(interest)
    }

    /// How it ends when nothing more is waited for.
    pub fn given_up(&self) -> Outcome {
        if self.is_uncertain { Outcome::Unknown } else { Outcome::Abandoned }
    }

    /// When nothing more is published.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The last look before a message leaves: an encoder that has given this one up may have sent the next already, through
    /// another pod, and viewers would step back (F8).
    fn publish(&self, interest: Interest) -> Result<Step, Outcome> {
        if !interest.is_client_here || interest.now >= self.deadline {
            return Err(self.given_up());
        }
        Ok(Step::Publish { expected: self.expected })
    }

    fn pause(&self, time: Duration, interest: Interest) -> Result<Step, Outcome> {
        if !interest.is_client_here || interest.now + time >= self.deadline {
            return Err(self.given_up());
        }
        Ok(Step::Pause(time))
    }

    fn committed(&self, seq: u64) -> Outcome {
        Outcome::Committed { seq, replaced: self.seen.is_some_and(|seen| seen.is_live) }
    }
}
