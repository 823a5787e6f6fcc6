//! The protocol as a model for stateright: the real follower, barriers and commits of two pods, and every order in which messages can
//! reach the log, its readers and those who wait for an answer. Where the simulator tries many long histories, this tries all short
//! ones.
//!
//! There is no time: whatever may take long may happen at any later step. A message that is lost is one that never arrives;
//! an attempt may be given up and arrive nevertheless; the servers may forget the ids of messages that were replaced.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use stateright::semantics::register::{Register, RegisterOp, RegisterRet};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester};
use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::answer::Answer;
use crate::barrier::{Barriers, Ticket};
use crate::commit::{Commit, Interest, Kind, Outcome, Seen, Step, Verdict};
use crate::entry::{Entry, Rank, State as EntryState, Uid, Version};
use crate::follower::{Content, Follower, Message, Stamp, What};
use crate::index::Fence;
use crate::key::Key;
use crate::simulator::Variant;

const PATH: &str = "a";
const PODS: usize = 2;
const ALWAYS: Interest = Interest { now: Duration::ZERO, is_client_here: true };
/// Barriers of one pod: enough for one that is invalid and those that follow it.
const BARRIERS_MAX: u64 = 3;

/// What is asked of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Get,
    /// A change, by a clock that says this.
    Put(u64),
    Delete(u64),
    /// Commits what another job has put into the object store.
    Adopt(usize),
}

use Ask::{Adopt, Delete, Get, Put};

/// A small fleet: what is asked of which pod, and how often what may happen.
#[derive(Clone, Debug)]
struct Fleet {
    variant: Variant,
    jobs: Vec<(usize, Ask)>,
    /// Attempts that are given up.
    give_ups: u8,
    /// Times that ids are forgotten.
    forgets: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Stored {
    /// The path, or a barrier of some pod.
    subject: Option<(u64, u64)>,
    id: Option<Uid>,
    message: Said,
}

/// What a message of the log says: a version, and whether it is there or deleted, or a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Said {
    Version(Rank, bool),
    Barrier(Stamp),
}

#[derive(Clone, Debug)]
struct Pod {
    follower: Follower,
    barriers: Barriers,
}

#[derive(Clone, Debug)]
enum Job {
    Idle,
    Reading(Ticket),
    /// Waits for its first fence.
    Arrived(Ticket),
    Fencing(Commit, Ticket, u8),
    Waiting(Commit, u8),
    Over,
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Way {
    Publish { job: usize, attempt: u8, expected: u64 },
    Answer { job: usize, attempt: u8, seq: Option<u64> },
    Barrier { pod: usize, stamp: Stamp },
    Ack { pod: usize, counter: u64, seq: u64 },
}

type History = LinearizabilityTester<usize, Register<Option<u8>>>;

#[derive(Clone, Debug)]
struct World {
    log: Vec<Stored>,
    ids: Vec<(Uid, u64)>,
    pods: Vec<Pod>,
    jobs: Vec<Job>,
    /// The rank of each change that has reached its fence.
    ranks: Vec<Option<Rank>>,
    ways: Vec<Way>,
    give_ups: u8,
    forgets: u8,
    history: History,
    /// Whether something was stored behind a higher rank, or acknowledged while a lower one was there.
    is_misordered: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Action {
    Begin(usize),
    Deliver(usize),
    Arrive(usize),
    GiveUp(usize),
    Forget,
}

impl World {
    /// What tells two of them apart.
    fn essence(&self) -> impl Hash + PartialEq + '_ {
        let pod = |pod: &Pod| {
            let slot = pod.follower.slot(Key::of(PATH));
            (pod.follower.position(), slot.map(|slot| slot.seq), format!("{:?}", pod.barriers))
        };
        let pods: Vec<_> = self.pods.iter().map(pod).collect();
        let mut ways = self.ways.clone();
        ways.sort_by_key(|way| format!("{way:?}"));
        (
            &self.log,
            &self.ids,
            pods,
            format!("{:?}", self.jobs),
            ways,
            (&self.ranks, self.give_ups, self.forgets, self.is_misordered),
            &self.history,
        )
    }

    fn last(&self, subject: Option<(u64, u64)>) -> u64 {
        let place = self.log.iter().rposition(|stored| stored.subject == subject);
        place.map_or(0, |place| place as u64 + 1)
    }

    fn store(&mut self, subject: Option<(u64, u64)>, id: Option<Uid>, message: Said) -> u64 {
        self.log.push(Stored { subject, id, message });
        self.log.len() as u64
    }

    /// The next message for a pod: the first behind what it has that nothing has replaced.
    fn next_for(&self, pod: usize) -> Option<Message> {
        let last = usize::try_from(self.pods[pod].follower.position().last).unwrap();
        let is_left = |place: &usize| self.last(self.log[*place].subject) == *place as u64 + 1;
        let place = (last..self.log.len()).find(is_left)?;
        let what = match self.log[place].message {
            Said::Barrier(stamp) => What::Barrier(Some(stamp)),
            Said::Version(Rank { stamp, uid }, is_there) => {
                let version = EntryState::Live(Version::default());
                let state = if is_there { version } else { EntryState::Tombstone };
                let entry = Entry { path: PATH.into(), uid, stamp, state };
                What::Entry(Key::of(PATH), Content::Entry(Arc::new(entry)))
            }
        };
        Some(Message { seq: place as u64 + 1, time: place as u64, what })
    }

    fn seen(&self, pod: usize) -> Seen {
        Seen::of(self.pods[pod].follower.slot(Key::of(PATH)), Verdict::Go)
    }

    fn value(&self, pod: usize) -> Option<u8> {
        let seen = self.seen(pod);
        let rank = seen.rank.filter(|_| seen.is_live)?;
        Some(u8::try_from(rank.uid.0).unwrap())
    }

    /// The rank of the last message of the path.
    fn rank(&self) -> Option<Rank> {
        let said =
            usize::try_from(self.last(None)).unwrap().checked_sub(1).map(|place| self.log[place].message);
        match said? {
            Said::Version(rank, _) => Some(rank),
            Said::Barrier(_) => None,
        }
    }

    /// What a job makes: its rank is known once it has reached its fence.
    fn made_by(&self, fleet: &Fleet, job: usize) -> Rank {
        let maker = match fleet.jobs[job].1 {
            Adopt(other) => other,
            Get | Put(_) | Delete(_) => job,
        };
        self.ranks[maker].unwrap()
    }

    /// A job has reached its first fence.
    fn begin(&mut self, fleet: &Fleet, job: usize) {
        let (pod, ask) = fleet.jobs[job];
        let slot = self.pods[pod].follower.slot(Key::of(PATH)).cloned();
        let (kind, rank) = match ask {
            Put(clock) | Delete(clock) => {
                let stamp = Fence { key: Key::of(PATH), slot }.stamp_after(clock);
                let kind = if ask == Put(clock) { Kind::Put } else { Kind::Delete };
                (kind, *self.ranks[job].insert(Rank { stamp, uid: uid(job) }))
            }
            Adopt(other) if self.seen(pod).rank < self.ranks[other] => (Kind::Put, self.made_by(fleet, job)),
            Get | Adopt(_) => {
                self.history.on_return(job, RegisterRet::ReadOk(self.value(pod))).unwrap();
                self.jobs[job] = Job::Over;
                return;
            }
        };
        let mut commit = Commit::new(kind, rank, false, Duration::MAX);
        commit.prejudice = match fleet.variant {
            Variant::AlwaysSuperseded => Some(Ordering::Greater),
            Variant::AlwaysBehind => Some(Ordering::Less),
            _ => None,
        };
        let step = commit.fenced(self.seen(pod), ALWAYS);
        self.follow(fleet, job, commit, 0, &step);
    }

    /// Serves who waits, and sends what has to be sent.
    fn tend(&mut self, fleet: &Fleet) {
        for job in 0..self.jobs.len() {
            let pod = fleet.jobs[job].0;
            match self.jobs[job].clone() {
                Job::Reading(ticket)
                    if self.pods[pod].barriers.is_done(ticket) || fleet.variant == Variant::LocalRead =>
                {
                    self.history.on_return(job, RegisterRet::ReadOk(self.value(pod))).unwrap();
                    self.jobs[job] = Job::Over;
                }
                Job::Arrived(ticket)
                    if self.pods[pod].barriers.is_done(ticket) || fleet.variant == Variant::LocalFence =>
                {
                    self.begin(fleet, job);
                }
                Job::Fencing(mut commit, ticket, attempt)
                    if self.pods[pod].barriers.is_done(ticket) || fleet.variant == Variant::LocalFence =>
                {
                    let step = commit.fenced(self.seen(pod), ALWAYS);
                    self.follow(fleet, job, commit, attempt, &step);
                }
                _ => {}
            }
        }
        for pod in 0..PODS {
            let Pod { follower, barriers } = &mut self.pods[pod];
            let is_waited_for =
                barriers.due_at(Duration::ZERO).is_zero() && barriers.counts().sent < BARRIERS_MAX;
            if is_waited_for && self.jobs.iter().zip(&fleet.jobs).any(|(job, of)| of.0 == pod && job.waits())
            {
                let stamp = barriers.send(Duration::ZERO, follower.position());
                self.ways.extend(stamp.map(|stamp| Way::Barrier { pod, stamp }));
            }
        }
    }

    fn follow(
        &mut self,
        fleet: &Fleet,
        job: usize,
        mut commit: Commit,
        attempt: u8,
        step: &Result<Step, Outcome>,
    ) {
        let pod = fleet.jobs[job].0;
        self.jobs[job] = match step {
            Ok(Step::Fence) => Job::Fencing(commit, self.pods[pod].barriers.join(), attempt),
            Ok(Step::Pause(_)) => {
                let step = commit.paused(ALWAYS);
                return self.follow(fleet, job, commit, attempt, &step);
            }
            Ok(Step::Publish { expected }) => {
                self.ways.push(Way::Publish { job, attempt: attempt + 1, expected: *expected });
                Job::Waiting(commit, attempt + 1)
            }
            Err(outcome @ (Outcome::Committed { .. } | Outcome::Superseded | Outcome::Nothing)) => {
                let made = self.made_by(fleet, job);
                self.is_misordered |= *outcome != Outcome::Nothing && self.rank() < Some(made);
                let told = match (fleet.jobs[job].1, outcome) {
                    (Adopt(other), Outcome::Committed { .. }) => RegisterRet::ReadOk(Some(value(other))),
                    (Adopt(_), _) => RegisterRet::ReadOk(self.value(pod)),
                    _ => RegisterRet::WriteOk,
                };
                self.history.on_return(job, told).unwrap();
                Job::Over
            }
            Err(Outcome::Failed(reason)) => panic!("{reason}"),
            Err(_) => Job::Over,
        };
    }

    fn arrive(&mut self, fleet: &Fleet, way: &Way) {
        match *way {
            Way::Publish { job, attempt, expected } => {
                let made = self.made_by(fleet, job);
                let known = self.ids.iter().find(|(id, _)| *id == made.uid).map(|(_, seq)| *seq);
                let is_expected = self.last(None) == expected || fleet.variant == Variant::NoExpectation;
                let seq = match known {
                    Some(seq) => Some(seq),
                    None if is_expected => {
                        let is_there = !matches!(fleet.jobs[job].1, Delete(_));
                        self.is_misordered |= self.rank() >= Some(made);
                        let seq = self.store(None, Some(made.uid), Said::Version(made, is_there));
                        self.ids.push((made.uid, seq));
                        Some(seq)
                    }
                    None => None,
                };
                self.ways.push(Way::Answer { job, attempt, seq });
            }
            Way::Answer { job, attempt, seq } => {
                let Job::Waiting(mut commit, current) = self.jobs[job].clone() else { return };
                if attempt == current {
                    let answer = seq.map_or(Answer::Conflict, |seq| Answer::Stored { seq, duplicate: false });
                    let step = commit.answered(answer, ALWAYS);
                    self.follow(fleet, job, commit, current, &step);
                }
            }
            Way::Barrier { pod, stamp } => {
                let seq = self.store(Some((stamp.nonce, stamp.counter)), None, Said::Barrier(stamp));
                self.ways.push(Way::Ack { pod, counter: stamp.counter, seq });
            }
            Way::Ack { pod, counter, seq } => {
                let Pod { follower, barriers } = &mut self.pods[pod];
                barriers.acked(counter, seq, follower.position(), Duration::ZERO).unwrap();
            }
        }
    }
}

impl Job {
    fn waits(&self) -> bool {
        matches!(self, Self::Reading(_) | Self::Arrived(_) | Self::Fencing(..))
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.essence().hash(state);
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.essence() == other.essence()
    }
}

/// The version that a job makes.
fn uid(job: usize) -> Uid {
    Uid(job as u128 + 1)
}

fn value(job: usize) -> u8 {
    u8::try_from(uid(job).0).unwrap()
}

impl Model for Fleet {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let pod = |nonce| {
            let mut barriers = Barriers::new(nonce, Duration::ZERO);
            barriers.ignores_holes = self.variant == Variant::NoHoleRule;
            Pod { follower: Follower::default(), barriers }
        };
        vec![World {
            log: Vec::new(),
            ids: Vec::new(),
            pods: (0..PODS as u64).map(pod).collect(),
            jobs: vec![Job::Idle; self.jobs.len()],
            ranks: vec![None; self.jobs.len()],
            ways: Vec::new(),
            give_ups: self.give_ups,
            forgets: self.forgets,
            history: LinearizabilityTester::new(Register(None)),
            is_misordered: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        // Jobs begin in their order: which of them are at the same time, and where, is what differs.
        let next = world.jobs.iter().position(|job| matches!(job, Job::Idle));
        // Nobody adopts what no other has put into the object store, which he does behind his fence.
        let can_begin =
            |job: &usize| !matches!(self.jobs[*job].1, Adopt(other) if world.ranks[other].is_none());
        actions.extend(next.filter(can_begin).map(Action::Begin));
        // What a pod of which nothing is asked has read makes no difference.
        let is_asked = |pod: &usize| self.jobs.iter().any(|(of, _)| of == pod);
        let has_next = |pod: &usize| is_asked(pod) && world.next_for(*pod).is_some();
        actions.extend((0..PODS).filter(has_next).map(Action::Deliver));
        actions.extend((0..world.ways.len()).map(Action::Arrive));
        if world.give_ups > 0 {
            let is_waiting = |job: &usize| matches!(world.jobs[*job], Job::Waiting(..));
            actions.extend((0..world.jobs.len()).filter(is_waiting).map(Action::GiveUp));
        }
        if world.forgets > 0 && !world.ids.is_empty() {
            actions.push(Action::Forget);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut world = world.clone();
        match action {
            Action::Begin(job) => {
                let (pod, ask) = self.jobs[job];
                let ticket = world.pods[pod].barriers.join();
                let (op, begun) = match ask {
                    Get => (RegisterOp::Read, Job::Reading(ticket)),
                    Adopt(_) => (RegisterOp::Read, Job::Arrived(ticket)),
                    Put(_) => (RegisterOp::Write(Some(value(job))), Job::Arrived(ticket)),
                    Delete(_) => (RegisterOp::Write(None), Job::Arrived(ticket)),
                };
                world.history.on_invoke(job, op).unwrap();
                world.jobs[job] = begun;
            }
            Action::Deliver(pod) => {
                let message = world.next_for(pod)?;
                let Pod { follower, barriers } = &mut world.pods[pod];
                follower.apply(&message);
                let seen = match message.what {
                    What::Barrier(stamp) => stamp,
                    _ => None,
                };
                barriers.passed(follower.position(), seen, Duration::ZERO);
            }
            Action::Arrive(index) => {
                let way = world.ways.swap_remove(index);
                world.arrive(self, &way);
            }
            Action::GiveUp(job) => {
                let Job::Waiting(mut commit, attempt) = world.jobs[job].clone() else { return None };
                world.give_ups -= 1;
                let step = commit.answered(Answer::TimedOut, ALWAYS);
                world.follow(self, job, commit, attempt, &step);
            }
            Action::Forget => {
                world.forgets -= 1;
                let last = world.last(None);
                world.ids.retain(|(_, seq)| *seq == last);
            }
        }
        world.tend(self);
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("linearizable", |_, world: &World| world.history.serialized_history().is_some()),
            Property::always("ordered by rank", |_, world: &World| !world.is_misordered),
            Property::sometimes("all answered", |_, world: &World| {
                world.jobs.iter().all(|job| matches!(job, Job::Over))
            }),
        ]
    }
}

fn fleet(variant: Variant, jobs: &[(usize, Ask)], give_ups: u8, forgets: u8) -> Fleet {
    Fleet { variant, jobs: jobs.to_vec(), give_ups, forgets }
}

/// Small fleets, each with a history that some wrong design gets wrong.
fn fleets(variant: Variant) -> Vec<Fleet> {
    vec![
        // A reader that lags while it is overwritten: F1.
        fleet(variant, &[(0, Put(0)), (0, Put(0)), (1, Get)], 0, 0),
        // What is acknowledged by one pod is the last place for another, whose clock is slow.
        fleet(variant, &[(0, Put(5)), (1, Put(0)), (1, Get)], 0, 0),
        // An attempt that is given up and arrives late, with and without its id: F2, F3.
        fleet(variant, &[(0, Put(0)), (0, Put(0)), (0, Get)], 1, 1),
        // Something that is deleted does not come back.
        fleet(variant, &[(0, Put(5)), (1, Delete(0)), (1, Get)], 1, 0),
        // A change whose attempt was given up comes second to one with a lower rank, and goes on behind it.
        fleet(variant, &[(0, Put(5)), (0, Put(0)), (0, Get)], 1, 1),
        // The same for a deletion.
        fleet(variant, &[(0, Put(0)), (0, Delete(5)), (0, Get)], 1, 0),
        // Three that overlap, in an order of their own.
        fleet(variant, &[(0, Put(5)), (0, Put(9)), (0, Put(0))], 0, 0),
        // Somebody adopts what another still writes, or has given up.
        fleet(variant, &[(0, Put(5)), (0, Adopt(0)), (0, Put(0))], 1, 1),
        fleet(variant, &[(0, Put(0)), (0, Put(5)), (0, Adopt(0))], 1, 1),
    ]
}

#[test]
fn every_short_history_is_linearizable() {
    for fleet in fleets(Variant::Right) {
        let begin = std::time::Instant::now();
        let checker = fleet.clone().checker().threads(2).spawn_bfs().join();
        println!("{:?}: {} states in {:?}", fleet.jobs, checker.unique_state_count(), begin.elapsed());
        checker.assert_properties();
    }
}

#[test]
fn each_wrong_design_has_a_short_history_that_shows_it() {
    for (variant, index, property) in [
        (Variant::LocalRead, 0, "linearizable"),
        (Variant::NoHoleRule, 0, "linearizable"),
        (Variant::LocalFence, 1, "linearizable"),
        (Variant::NoExpectation, 2, "linearizable"),
        (Variant::AlwaysSuperseded, 4, "ordered by rank"),
        (Variant::AlwaysBehind, 4, "ordered by rank"),
    ] {
        // A wrong design may have no end of states.
        let shown = HasDiscoveries::AllOf([property].into());
        let checker =
            fleets(variant).remove(index).checker().finish_when(shown).threads(2).spawn_bfs().join();
        let path = checker.discovery(property).expect("no history shows that it is wrong");
        println!("{variant:?}: {:?}", path.into_actions());
    }
}
