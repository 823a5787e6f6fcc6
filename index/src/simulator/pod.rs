//! One pod: the real replica and the real commits, with clients that never rest.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::Variant;
use crate::barrier::Ticket;
use crate::commit::{Commit, Interest, Kind, Outcome, Seen, Step};
use crate::entry::{Entry, State, Uid, Version};
use crate::follower::{Content, What};
use crate::key::Key;
use crate::register::{Did, Operation};
use crate::replica::Replica;

pub(super) const DEADLINE: Duration = Duration::from_secs(4);

/// What a client is doing.
pub(super) struct Job {
    pub(super) path: usize,
    pub(super) client: usize,
    began: u64,
    pub(super) uid: u128,
    pub(super) kind: Option<Kind>,
    commit: Option<Commit>,
    ticket: Option<Ticket>,
    /// Answers to attempts before the current one are nobody's any more.
    pub(super) attempt: u64,
}

/// What comes of looking at a job.
#[derive(Clone, Copy)]
pub(super) enum Next {
    Publish { expected: u64, attempt: u64 },
    Pause(Duration),
    Ended,
}

pub(super) struct Pod {
    pub(super) replica: Replica,
    pub(super) jobs: HashMap<u64, Job>,
    pub(super) away_until: Duration,
    pub(super) stopped_until: Duration,
    /// Which process it is.
    pub(super) life: u64,
}

pub(super) fn name(path: usize) -> String {
    format!("live/{path}.m3u8")
}

/// The message of a version or tombstone.
pub(super) fn entry(path: usize, uid: u128, kind: Kind) -> What {
    let state = match kind {
        Kind::Put => State::Live(Version::default()),
        Kind::Delete => State::Tombstone,
    };
    let name = name(path);
    let key = Key::of(&name);
    What::Entry(key, Content::Entry(Arc::new(Entry { path: name.into(), uid: Uid(uid), stamp: 0, state })))
}

impl Pod {
    pub(super) fn new(nonce: u64, now: Duration, variant: Variant) -> Self {
        let mut replica = Replica::new(nonce, now);
        replica.barriers.ignores_holes = variant == Variant::NoHoleRule;
        let jobs = HashMap::new();
        Self { replica, jobs, away_until: Duration::ZERO, stopped_until: Duration::ZERO, life: nonce }
    }

    fn seen(&self, path: usize) -> Seen {
        Seen::of(self.replica.follower().slot(Key::of(&name(path))), true)
    }

    /// Begins a GET (`kind` none), PUT or DELETE.
    pub(super) fn begin(
        &mut self,
        client: usize,
        path: usize,
        uid: u128,
        kind: Option<Kind>,
        began: u64,
        now: Duration,
    ) -> Job {
        let commit = kind.map(|kind| Commit::new(kind, Uid(uid), false, now + DEADLINE));
        let ticket = Some(self.replica.join());
        Job { path, client, began, uid, kind, commit, ticket, attempt: 0 }
    }

    /// Jobs that a barrier has come by for, or that this variant does not let wait for one.
    pub(super) fn served(&self, variant: Variant) -> Vec<u64> {
        let is_served = |job: &Job| {
            let Some(ticket) = job.ticket else { return false };
            let is_first = job.commit.is_some() && job.attempt == 0;
            self.replica.barriers().is_done(ticket)
                || job.commit.is_none() && variant == Variant::LocalRead
                || is_first && variant == Variant::LocalFence
        };
        let mut served: Vec<u64> =
            self.jobs.iter().filter(|(_, job)| is_served(job)).map(|(number, _)| *number).collect();
        served.sort_unstable();
        served
    }

    /// Goes on with a job whose barrier has come by.
    pub(super) fn go_on(
        &mut self,
        number: u64,
        end: u64,
        now: Duration,
        did: &mut Vec<(usize, Operation)>,
    ) -> Next {
        let path = self.jobs[&number].path;
        let seen = self.seen(path);
        let job = self.jobs.get_mut(&number).unwrap();
        job.ticket = None;
        let Some(commit) = &mut job.commit else {
            let value = seen.uid.filter(|_| seen.is_live).map(|uid| u64::try_from(uid.0).unwrap());
            did.push((path, Operation { began: job.began, ended: Some(end), did: Did::Read(value) }));
            return Next::Ended;
        };
        let step = commit.fenced(seen, Interest { now, is_client_here: true });
        self.follow(number, step, end, did)
    }

    /// Goes on with a commit by some other event.
    pub(super) fn step(
        &mut self,
        number: u64,
        event: impl FnOnce(&mut Commit) -> Result<Step, Outcome>,
        end: u64,
        did: &mut Vec<(usize, Operation)>,
    ) -> Next {
        let step = event(self.jobs.get_mut(&number).unwrap().commit.as_mut().unwrap());
        self.follow(number, step, end, did)
    }

    fn follow(
        &mut self,
        number: u64,
        step: Result<Step, Outcome>,
        end: u64,
        did: &mut Vec<(usize, Operation)>,
    ) -> Next {
        let job = self.jobs.get_mut(&number).unwrap();
        match step {
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
                if let Some(operation) = operation(job, &outcome, end) {
                    did.push((job.path, operation));
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
}

/// What the client may conclude.
fn operation(job: &Job, outcome: &Outcome, end: u64) -> Option<Operation> {
    let value = u64::try_from(job.uid).unwrap();
    let (did, ended) = match (job.kind?, outcome) {
        (Kind::Put, Outcome::Committed { .. } | Outcome::Superseded) => (Did::Write(Some(value)), Some(end)),
        (Kind::Put, Outcome::Unknown) => (Did::Write(Some(value)), None),
        (Kind::Delete, Outcome::Committed { .. }) => (Did::Remove(true), Some(end)),
        (Kind::Delete, Outcome::Superseded) => (Did::Write(None), Some(end)),
        (Kind::Delete, Outcome::Nothing) => (Did::Remove(false), Some(end)),
        (Kind::Delete, Outcome::Unknown) => (Did::Write(None), None),
        _ => return None,
    };
    Some(Operation { began: job.began, ended, did })
}
