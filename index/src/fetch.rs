//! One fetch at a time: a request that reads the log from a place on, answered by a chain of messages.
//!
//! Each message of an answer names the one before it. One that was lost on the way must not look like a hole, which says that
//! a message is gone for good, so a broken chain is fetched again from where the follower is.

use std::time::Duration;

/// How long nothing of an answer may come; twice as long after each answer of which nothing came. The servers count what is
/// behind the place first, which takes them the longer the more keys there are, and would count ever more at once.
pub const PATIENCE: Duration = Duration::from_secs(1);
const PATIENCE_MAX: Duration = Duration::from_secs(8);
/// Between a fetch that brought nothing and the next one: the server that answered is behind; then twice as long, and so on.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// A fetch that has to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Its number: answers to others are strangers.
    pub number: u64,
    /// The first place that is wanted.
    pub from: u64,
}

/// What a message is to the fetch that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chain {
    /// Of another one.
    Stranger,
    /// Something before it was lost; the fetch is over.
    Broken,
    /// The next of its answer.
    Whole,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    number: u64,
    previous: u64,
    heard: Duration,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Fetching {
    number: u64,
    under_way: Option<UnderWay>,
    patience: Duration,
    not_before: Duration,
    pause: Duration,
}

impl Fetching {
    /// When `begin` may be called with success.
    pub(crate) fn due_at(&self) -> Duration {
        self.under_way.map_or(self.not_before, |fetch| fetch.heard + self.patience())
    }

    fn patience(&self) -> Duration {
        self.patience.clamp(PATIENCE, PATIENCE_MAX)
    }

    pub(crate) fn begin(&mut self, from: u64, now: Duration) -> Option<Fetch> {
        if self.due_at() > now {
            return None;
        }
        if self.under_way.is_some_and(|fetch| fetch.previous == 0) {
            self.patience = self.patience() * 2;
        }
        self.number += 1;
        self.under_way = Some(UnderWay { number: self.number, previous: 0, heard: now });
        Some(Fetch { number: self.number, from })
    }

    pub(crate) fn message(&mut self, number: u64, previous: u64, seq: u64, now: Duration) -> Chain {
        let Some(fetch) = self.under_way.as_mut().filter(|fetch| fetch.number == number) else {
            return Chain::Stranger;
        };
        if fetch.previous != previous {
            self.give_up(now);
            return Chain::Broken;
        }
        (fetch.previous, fetch.heard) = (seq, now);
        (self.pause, self.patience) = (Duration::ZERO, PATIENCE);
        Chain::Whole
    }

    pub(crate) fn end(&mut self, number: u64, previous: u64, now: Duration) -> Chain {
        let Some(fetch) = self.under_way.filter(|fetch| fetch.number == number) else {
            return Chain::Stranger;
        };
        if fetch.previous != previous {
            self.give_up(now);
            return Chain::Broken;
        }
        if previous == 0 {
            self.fail(number, now);
        } else {
            self.give_up(now);
        }
        Chain::Whole
    }

    /// It brought nothing; the next one waits.
    pub(crate) fn fail(&mut self, number: u64, now: Duration) {
        if self.under_way.is_some_and(|fetch| fetch.number == number) {
            self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
            self.under_way = None;
            self.not_before = now + self.pause;
        }
    }

    /// Ends it; another may begin at `now`.
    pub(crate) fn give_up(&mut self, now: Duration) {
        (self.under_way, self.patience) = (None, PATIENCE);
        self.not_before = now;
    }
}
