//! One pod: the real replica and the real commits, with clients that never rest.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::Variant;
use crate::barrier::Ticket;
use crate::commit::{Commit, Interest, Kind, Outcome, Seen, Step, Verdict};
use crate::entry::{Entry, Rank, State, Uid, Version};
use crate::follower::{Content, What};
use crate::index::Fence;
use crate::key::Key;
use crate::register::{Did, Operation};
use crate::replica::Replica;

pub(super) const DEADLINE: Duration = Duration::from_secs(4);

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Get,
    Change(Kind),
    /// Commits a version that somebody has put into the object store, who may be dead, or still about to do so.
    Adopt(Rank),
}

/// What a client is doing.
pub(super) struct Job {
    pub(super) path: usize,
    pub(super) client: usize,
    began: u64,
    uid: u128,
    ask: Ask,
    commit: Option<Commit>,
    /// What it makes; known behind its fence.
    pub(super) rank: Option<Rank>,
    /// The path as it was at its fence or at the last barrier since.
    pub(super) seen: Option<Seen>,
    ticket: Option<Ticket>,
    /// Whether the object store has it: then it may take effect although its own pod never sends it.
    pub(super) is_held: bool,
    /// Answers to attempts before the current one are nobody's any more.
    pub(super) attempt: u64,
}

/// What comes of looking at a job.
#[derive(Clone, Copy)]
pub(super) enum Next {
    /// Its fence is reached, and its body has to arrive.
    Body,
    Publish {
        expected: u64,
        attempt: u64,
    },
    Pause(Duration),
    Ended,
}

/// What clients were told.
#[derive(Default)]
pub(super) struct Told {
    pub(super) did: Vec<(usize, Operation)>,
    /// Changes that were acknowledged just now.
    pub(super) acknowledged: Vec<(usize, Rank)>,
}

pub(super) struct Pod {
    pub(super) replica: Replica,
    pub(super) jobs: HashMap<u64, Job>,
    pub(super) away_until: Duration,
    pub(super) stopped_until: Duration,
    /// Which process it is.
    pub(super) life: u64,
    variant: Variant,
    /// What its clock says at the beginning of time.
    clock: Duration,
}

pub(super) fn name(path: usize) -> String {
    format!("live/{path}.m3u8")
}

/// The message of a version or tombstone.
pub(super) fn entry(path: usize, Rank { stamp, uid }: Rank, kind: Kind) -> What {
    let state = match kind {
        Kind::Put => State::Live(Version::default()),
        Kind::Delete => State::Tombstone,
    };
    let name = name(path);
    let key = Key::of(&name);
    What::Entry(key, Content::Entry(Arc::new(Entry { path: name.into(), uid, stamp, state })))
}

impl Pod {
    pub(super) fn new(nonce: u64, now: Duration, clock: Duration, variant: Variant) -> Self {
        let mut replica = Replica::new(nonce, now);
        replica.barriers.ignores_holes = variant == Variant::NoHoleRule;
        let (jobs, away_until, stopped_until) = (HashMap::new(), Duration::ZERO, Duration::ZERO);
        Self { replica, jobs, away_until, stopped_until, life: nonce, variant, clock }
    }

    fn fence(&self, path: usize) -> Fence {
        let key = Key::of(&name(path));
        Fence { key, slot: self.replica.follower().slot(key).cloned() }
    }

    /// Begins what `ask` says.
    pub(super) fn begin(&mut self, client: usize, path: usize, uid: u128, ask: Ask, began: u64) -> Job {
        let ticket = Some(self.replica.join());
        let rank = match ask {
            Ask::Adopt(rank) => Some(rank),
            Ask::Get | Ask::Change(_) => None,
        };
        let (commit, seen, is_held, attempt) = (None, None, false, 0);
        Job { path, client, began, uid, ask, commit, rank, seen, ticket, is_held, attempt }
    }

    /// Jobs that a barrier has come by for, or that this variant does not let wait for one.
    pub(super) fn served(&self) -> Vec<u64> {
        let does_not_wait = |job: &Job| match job.ask {
            Ask::Get => self.variant == Variant::LocalRead,
            Ask::Change(_) => self.variant == Variant::LocalFence && job.commit.is_none(),
            Ask::Adopt(_) => false,
        };
        let is_served = |job: &Job| {
            let is_done = |ticket| self.replica.barriers().is_done(ticket) || does_not_wait(job);
            job.ticket.is_some_and(is_done)
        };
        let mut served: Vec<u64> =
            self.jobs.iter().filter(|(_, job)| is_served(job)).map(|(number, _)| *number).collect();
        served.sort_unstable();
        served
    }

    /// Goes on with a job whose barrier has come by.
    pub(super) fn go_on(&mut self, number: u64, end: u64, now: Duration, told: &mut Told) -> Next {
        let fence = self.fence(self.jobs[&number].path);
        let seen = Seen::of(fence.slot.as_ref(), Verdict::Go);
        let job = self.jobs.get_mut(&number).unwrap();
        job.ticket = None;
        job.seen = Some(seen);
        if job.commit.is_some() {
            return self.fenced(number, end, now, told);
        }
        let (rank, kind) = match job.ask {
            Ask::Change(kind) => {
                let clock = u64::try_from((self.clock + now).as_micros()).unwrap();
                (Rank { stamp: fence.stamp_after(clock), uid: Uid(job.uid) }, kind)
            }
            Ask::Adopt(rank) if seen.rank < Some(rank) => (rank, Kind::Put),
            Ask::Get | Ask::Adopt(_) => {
                let did = Did::Read(value(seen));
                told.did.push((job.path, Operation { began: job.began, ended: Some(end), did }));
                return Next::Ended;
            }
        };
        job.rank = Some(rank);
        let mut commit = Commit::new(kind, rank, false, now + DEADLINE);
        commit.prejudice = match self.variant {
            Variant::AlwaysSuperseded => Some(Ordering::Greater),
            Variant::AlwaysBehind => Some(Ordering::Less),
            _ => None,
        };
        job.commit = Some(commit);
        Next::Body
    }

    /// Tells a commit what was seen at its barrier.
    pub(super) fn fenced(&mut self, number: u64, end: u64, now: Duration, told: &mut Told) -> Next {
        let seen = self.jobs[&number].seen.unwrap();
        let interest = Interest { now, is_client_here: true };
        self.step(number, |commit| commit.fenced(seen, interest), end, told)
    }

    /// Goes on with a commit by some event.
    pub(super) fn step(
        &mut self,
        number: u64,
        event: impl FnOnce(&mut Commit) -> Result<Step, Outcome>,
        end: u64,
        told: &mut Told,
    ) -> Next {
        let job = self.jobs.get_mut(&number).unwrap();
        match event(job.commit.as_mut().unwrap()) {
            Ok(Step::Fence) => {
                job.ticket = Some(self.replica.join());
                Next::Pause(Duration::MAX)
            }
            Ok(Step::Publish { expected }) => {
                job.attempt += 1;
                Next::Publish { expected, attempt: job.attempt }
            }
            Ok(Step::Pause(time)) => Next::Pause(time),
            Err(outcome) => {
                told.did.extend(operation(job, &outcome, end).map(|operation| (job.path, operation)));
                if matches!(outcome, Outcome::Committed { .. } | Outcome::Superseded) {
                    told.acknowledged.push((job.path, job.rank.unwrap()));
                }
                Next::Ended
            }
        }
    }
}

impl Job {
    /// What it may have done, when nobody tells any more.
    pub(super) fn forgotten(&self, end: u64) -> Option<Operation> {
        operation(self, &Outcome::Unknown, end)
    }

    /// What it sends.
    pub(super) fn what(&self) -> (Rank, Kind) {
        let kind = if self.ask == Ask::Change(Kind::Delete) { Kind::Delete } else { Kind::Put };
        (self.rank.unwrap(), kind)
    }
}

/// What is read where `seen` is.
fn value(seen: Seen) -> Option<u64> {
    let rank = seen.rank.filter(|_| seen.is_live)?;
    Some(u64::try_from(rank.uid.0).unwrap())
}

/// What the client may conclude.
fn operation(job: &Job, outcome: &Outcome, end: u64) -> Option<Operation> {
    let mine = u64::try_from(job.uid).unwrap();
    let (did, ended) = match (job.ask, outcome) {
        (_, Outcome::Failed(reason)) => panic!("{reason}"),
        (Ask::Change(Kind::Put), Outcome::Committed { .. } | Outcome::Superseded) => {
            (Did::Write(Some(mine)), Some(end))
        }
        (Ask::Change(Kind::Put), Outcome::Unknown) => (Did::Write(Some(mine)), None),
        (Ask::Change(Kind::Put), Outcome::Abandoned) if job.is_held => (Did::Write(Some(mine)), None),
        (Ask::Change(Kind::Delete), Outcome::Committed { .. }) => (Did::Remove(true), Some(end)),
        (Ask::Change(Kind::Delete), Outcome::Superseded) => (Did::Write(None), Some(end)),
        (Ask::Change(Kind::Delete), Outcome::Nothing) => (Did::Remove(false), Some(end)),
        (Ask::Change(Kind::Delete), Outcome::Unknown) => (Did::Write(None), None),
        (Ask::Adopt(rank), Outcome::Committed { .. }) => {
            (Did::Read(Some(u64::try_from(rank.uid.0).unwrap())), Some(end))
        }
        (Ask::Adopt(_), Outcome::Superseded) => (Did::Read(value(job.seen?)), Some(end)),
        _ => return None,
    };
    Some(Operation { began: job.began, ended, did })
}
