//! The log as three servers keep it: one message per subject, copies that lag, a leader that goes, a memory for ids that
//! does not survive him.

use std::collections::HashMap;
use std::time::Duration;

use fastrand::Rng;

use crate::answer::Answer;
use crate::entry::{Rank, Uid};
use crate::follower::{Content, Message, What};

/// What a message is about: only the last one of each subject is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Path(usize),
    Barrier(u64, u64),
}

#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) subject: Subject,
    id: Option<Uid>,
    pub(super) message: Message,
}

/// What a publisher wants.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) subject: Subject,
    pub(super) id: Option<Uid>,
    /// The last place of the subject, unless nothing is said about it.
    pub(super) expected: Option<u64>,
    pub(super) what: What,
}

#[derive(Debug, Default)]
pub(super) struct Servers {
    /// Everything that was ever committed; the place of a message is its index and one.
    log: Vec<Stored>,
    last: HashMap<Subject, u64>,
    ids: HashMap<Uid, u64>,
    /// How far each server's own copy is.
    copies: [u64; 3],
    pub(super) leaderless_until: Duration,
    /// Times that something was stored behind what has a higher rank.
    pub(super) fallen: usize,
}

impl Servers {
    fn end(&self) -> u64 {
        self.log.len() as u64
    }

    /// Stores a message, or says why not.
    pub(super) fn store(&mut self, wanted: Wanted, now: Duration, chance: &mut Rng) -> Answer {
        if now < self.leaderless_until {
            return Answer::NoLeader;
        }
        if let Some(seq) = wanted.id.and_then(|id| self.ids.get(&id)) {
            return Answer::Stored { seq: *seq, duplicate: true };
        }
        let last = self.last.get(&wanted.subject).copied().unwrap_or(0);
        // Now and then as if another one of the subject was just being stored.
        let is_busy = wanted.expected.is_some() && chance.u8(..) < 4;
        if is_busy || wanted.expected.is_some_and(|expected| expected != last) {
            return Answer::Conflict;
        }
        if rank(&wanted.what).is_some_and(|rank| self.rank(wanted.subject) >= Some(rank)) {
            self.fallen += 1;
        }
        let seq = self.end() + 1;
        let message =
            Message { seq, time: u64::try_from(now.as_nanos()).unwrap() * 7 + seq, what: wanted.what };
        self.log.push(Stored { subject: wanted.subject, id: wanted.id, message });
        self.last.insert(wanted.subject, seq);
        if let Some(id) = wanted.id {
            self.ids.insert(id, seq);
        }
        for copy in &mut self.copies {
            // One that lags goes on lagging for a while.
            if chance.u8(..) < 200 {
                *copy = seq;
            }
        }
        Answer::Stored { seq, duplicate: false }
    }

    /// The rank of the last message of a subject.
    pub(super) fn rank(&self, subject: Subject) -> Option<Rank> {
        rank(&self.message(*self.last.get(&subject)?).message.what)
    }

    pub(super) fn message(&self, seq: u64) -> &Stored {
        &self.log[usize::try_from(seq).unwrap() - 1]
    }

    /// What is left, in the copy of some server, from `from` on.
    pub(super) fn read(&self, from: u64, chance: &mut Rng) -> Vec<Message> {
        let end = self.copies[chance.usize(..3)];
        let mut newest: HashMap<Subject, u64> = HashMap::new();
        for stored in &self.log[..usize::try_from(end).unwrap()] {
            newest.insert(stored.subject, stored.message.seq);
        }
        let is_left = |stored: &&Stored| newest[&stored.subject] == stored.message.seq;
        let range = usize::try_from(from - 1).unwrap().min(usize::try_from(end).unwrap())
            ..usize::try_from(end).unwrap();
        self.log[range].iter().filter(is_left).map(|stored| stored.message.clone()).collect()
    }

    pub(super) fn catch_up(&mut self, chance: &mut Rng) {
        self.copies[chance.usize(..3)] = self.end();
    }

    /// The leader goes. The next one knows the ids of messages that are still there, and no others.
    pub(super) fn elect(&mut self, until: Duration) {
        self.leaderless_until = until;
        let last = &self.last;
        let kept = self.log.iter().filter(|stored| last[&stored.subject] == stored.message.seq);
        self.ids = kept.filter_map(|stored| Some((stored.id?, stored.message.seq))).collect();
    }
}

fn rank(what: &What) -> Option<Rank> {
    match what {
        What::Entry(_, Content::Entry(entry)) => Some(entry.rank()),
        _ => None,
    }
}
