//! A fleet in virtual time: the real replicas and commits of some pods, over servers and a network that do everything to them
//! that the real ones do. Every run is made again from its seed.
//!
//! What it does to them: messages late, lost, twice; live messages that nobody sends; copies that lag; answers that never
//! come; attempts that leave seconds after they were given up; elections, after which ids are forgotten; pods that stop, are cut
//! off, or are replaced; clocks that differ from pod to pod.

mod faults;
mod network;
mod pod;
mod servers;
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use fastrand::Rng;

use crate::answer::Answer;
use crate::commit::{ATTEMPT, Commit, Interest, Kind, Outcome, Step};
use crate::entry::Rank;
use crate::follower::{Message, Stamp};
use crate::register::Operation;
use pod::{Ask, Next, Pod, Told, entry};
use servers::{Servers, Subject, Wanted};

/// What runs, here and in the model: the right thing, or one of the wrong ones that must be noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Variant {
    Right,
    /// A GET is answered from the table as it is.
    LocalRead,
    /// A barrier counts across holes.
    NoHoleRule,
    /// What a commit takes for the last place is what the table says.
    LocalFence,
    /// Commits rely on their id alone.
    NoExpectation,
    /// Whatever came first wins, as if there were no stamps.
    AlwaysSuperseded,
    /// A commit goes on behind whatever came first.
    AlwaysBehind,
}

#[derive(Clone, Debug)]
enum Event {
    Wake(usize),
    Live(usize, u64, Message),
    Fetched(usize, u64, u64, Message),
    FetchEnded(usize, u64, u64),
    Body(usize, u64),
    Publish(usize, u64, u64, Wanted),
    Answered(usize, u64, u64, Answer),
    Paused(usize, u64, u64),
    Barrier(usize, Stamp),
    Acked(usize, u64, u64),
    Client(usize, usize),
    Fault,
}

/// Everything there is.
struct World {
    variant: Variant,
    chance: Rng,
    now: Duration,
    /// Events by time; the number keeps those of one moment in their order.
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    events: HashMap<u64, (usize, u64, Event)>,
    number: u64,
    servers: Servers,
    pods: Vec<Pod>,
    /// A moment for each thing that a client sees: no two are the same.
    moment: u64,
    uid: u128,
    jobs: u64,
    told: Told,
    /// The last versions that the object store holds, of whom some were never committed.
    held: VecDeque<(usize, Rank)>,
    /// Changes that were acknowledged although what was there had a lower rank.
    misordered: usize,
    wakes: Vec<Option<Duration>>,
    /// When the last live message reaches each pod: they keep their order.
    live_at: Vec<Duration>,
    until: Duration,
    lives: u64,
}

const PATHS: usize = 2;
const PODS: usize = 3;
const CLIENTS: usize = 2;
/// Versions in the object store that somebody may meet.
const HELD: usize = 8;

/// What came of a run.
struct Run {
    /// By path.
    histories: Vec<Vec<Operation>>,
    /// Times that something was stored behind what has a higher rank, or acknowledged while what was there had a lower one.
    misordered: usize,
}

impl World {
    fn new(seed: u64, variant: Variant, until: Duration) -> Self {
        let mut world = Self {
            variant,
            chance: Rng::with_seed(seed),
            now: Duration::from_millis(1),
            queue: BinaryHeap::new(),
            events: HashMap::new(),
            number: 0,
            servers: Servers::default(),
            pods: Vec::new(),
            moment: 0,
            uid: 0,
            jobs: 0,
            told: Told::default(),
            held: VecDeque::new(),
            misordered: 0,
            wakes: vec![None; PODS],
            live_at: vec![Duration::ZERO; PODS],
            until,
            lives: 0,
        };
        for pod in 0..PODS {
            let started = world.start_pod();
            world.pods.push(started);
            for client in 0..CLIENTS {
                world.after(Duration::from_millis(1), pod, Event::Client(pod, client));
            }
        }
        world.after(Duration::from_millis(50), 0, Event::Fault);
        world
    }

    fn start_pod(&mut self) -> Pod {
        self.lives += 1;
        // Clocks are wrong by nothing, by about what a change takes, or by much more.
        let wrong = [0, 2_000, 2_000_000][self.chance.usize(..3)];
        let clock = Duration::from_micros(10_000_000 + self.chance.u64(0..=wrong));
        Pod::new(self.lives, self.now, clock, self.variant)
    }

    fn after(&mut self, delay: Duration, pod: usize, event: Event) {
        self.number += 1;
        self.queue.push(Reverse((self.now + delay, self.number)));
        let life = self.pods.get(pod).map_or(0, |pod| pod.life);
        self.events.insert(self.number, (pod, life, event));
    }

    /// A short way, a long one now and then.
    fn way(&mut self) -> Duration {
        let longest = if self.chance.u8(..) < 16 { 60_000 } else { 1_500 };
        Duration::from_micros(self.chance.u64(100..longest))
    }

    fn moment(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    fn run(mut self) -> Run {
        while let Some(Reverse((at, number))) = self.queue.pop() {
            self.now = self.now.max(at);
            let (pod, life, event) = self.events.remove(&number).unwrap();
            let stopped_until = self.pods[pod].stopped_until;
            let is_pods =
                !matches!(event, Event::Publish(..) | Event::Barrier(..) | Event::Client(..) | Event::Fault);
            // What was for a process that is no more is nobody's; what it sent is on its way all the same.
            if is_pods && life != self.pods[pod].life {
                continue;
            }
            if (is_pods || matches!(event, Event::Client(..))) && self.now < stopped_until {
                // What is for a stopped process waits for it, in its order.
                self.queue.push(Reverse((stopped_until, number)));
                self.events.insert(number, (pod, life, event));
                continue;
            }
            self.happen(event);
            self.tend(pod);
            for (path, rank) in self.told.acknowledged.drain(..) {
                self.misordered += usize::from(self.servers.rank(Subject::Path(path)) < Some(rank));
            }
            if self.now > self.until + Duration::from_secs(30) {
                break;
            }
        }
        let unfinished = self.pods.iter().map(|pod| pod.jobs.len()).sum::<usize>();
        assert_eq!(unfinished, 0, "somebody still waits although nothing is wrong any more");
        let did = |path| self.told.did.iter().filter(move |(of, _)| *of == path).map(|(_, did)| *did);
        let histories = (0..PATHS).map(|path| did(path).collect()).collect();
        Run { histories, misordered: self.misordered + self.servers.fallen }
    }

    fn is_away(&self, pod: usize) -> bool {
        self.now < self.pods[pod].away_until
    }

    fn happen(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::Wake(pod) => self.wakes[pod] = None,
            Event::Live(pod, session, message) => self.pods[pod].replica.live(session, message, now),
            Event::Fetched(pod, number, previous, message) => {
                self.pods[pod].replica.fetched(number, previous, &message, now);
            }
            Event::FetchEnded(pod, number, previous) => {
                self.pods[pod].replica.fetch_ended(number, previous, 0, now);
            }
            Event::Body(pod, number) => {
                let end = self.moment();
                self.hold(pod, number);
                let next = self.pods[pod].fenced(number, end, now, &mut self.told);
                self.follow(pod, number, next);
            }
            Event::Publish(pod, job, attempt, wanted) => self.publish(pod, job, attempt, wanted),
            Event::Answered(pod, number, attempt, answer) => {
                self.job(pod, number, attempt, |commit: &mut Commit, interest| {
                    commit.answered(answer, interest)
                });
            }
            Event::Paused(pod, number, attempt) => {
                self.job(pod, number, attempt, Commit::paused);
            }
            Event::Barrier(pod, stamp) => self.barrier(pod, stamp),
            Event::Acked(pod, counter, seq) => {
                self.pods[pod].replica.acked(counter, seq, now).expect("this log never goes back");
            }
            Event::Client(pod, client) => self.client(pod, client),
            Event::Fault => self.fault(),
        }
    }

    fn job(
        &mut self,
        pod: usize,
        number: u64,
        attempt: u64,
        event: impl FnOnce(&mut Commit, Interest) -> Result<Step, Outcome>,
    ) {
        let is_current = self.pods[pod].jobs.get(&number).is_some_and(|job| job.attempt == attempt);
        if !is_current {
            return;
        }
        // Whoever is answered, or has given an attempt up, waits for nothing of it any more.
        self.pods[pod].jobs.get_mut(&number).unwrap().attempt += 1;
        let interest = Interest { now: self.now, is_client_here: true };
        let end = self.moment();
        let next = self.pods[pod].step(number, |commit| event(commit, interest), end, &mut self.told);
        self.follow(pod, number, next);
    }

    fn follow(&mut self, pod: usize, number: u64, next: Next) {
        match next {
            Next::Body => {
                let longest = if self.chance.bool() { 200 } else { 20_000 };
                let time = Duration::from_micros(self.chance.u64(0..longest));
                self.after(time, pod, Event::Body(pod, number));
            }
            Next::Publish { expected, attempt } => {
                let job = &self.pods[pod].jobs[&number];
                let (rank, kind) = job.what();
                let what = entry(job.path, rank, kind);
                let expected = (self.variant != Variant::NoExpectation).then_some(expected);
                let (subject, id) = (Subject::Path(job.path), Some(rank.uid));
                let wanted = Wanted { subject, id, expected, what };
                let way = self.sending(pod);
                self.after(way, pod, Event::Publish(pod, number, attempt, wanted));
                self.after(ATTEMPT, pod, Event::Answered(pod, number, attempt, Answer::TimedOut));
            }
            Next::Pause(Duration::MAX) => {}
            Next::Pause(time) => {
                let attempt = self.pods[pod].jobs[&number].attempt;
                self.after(time, pod, Event::Paused(pod, number, attempt));
            }
            Next::Ended => {
                let job = self.pods[pod].jobs.remove(&number).unwrap();
                let rest = Duration::from_micros(self.chance.u64(0..4_000));
                self.after(rest, pod, Event::Client(pod, job.client));
            }
        }
    }

    fn client(&mut self, pod: usize, client: usize) {
        if self.now > self.until {
            return;
        }
        let path = self.chance.usize(..PATHS);
        let ask = match self.chance.u8(..40) {
            0..16 => Ask::Get,
            16..20 => Ask::Change(Kind::Delete),
            _ => Ask::Change(Kind::Put),
        };
        let held = self.held.get(self.chance.usize(..4 * HELD)).copied();
        let (path, ask) = held.map_or((path, ask), |(path, rank)| (path, Ask::Adopt(rank)));
        self.uid += 1;
        self.jobs += 1;
        let (uid, began) = (self.uid, self.moment());
        let job = self.pods[pod].begin(client, path, uid, ask, began);
        self.pods[pod].jobs.insert(self.jobs, job);
    }

    /// Some versions are in the object store before they are committed, and whoever meets them there commits them.
    fn hold(&mut self, pod: usize, number: u64) {
        let job = self.pods[pod].jobs.get_mut(&number).unwrap();
        let (rank, kind) = job.what();
        if kind == Kind::Put && self.chance.u8(..4) == 0 {
            job.is_held = true;
            self.held.push_front((job.path, rank));
            self.held.truncate(HELD);
        }
    }

    /// Serves whom a barrier has come by for, at this very moment, and does what the replica wants.
    fn tend(&mut self, pod: usize) {
        if self.now < self.pods[pod].stopped_until {
            return;
        }
        for number in self.pods[pod].served() {
            let (end, now) = (self.moment(), self.now);
            let next = self.pods[pod].go_on(number, end, now, &mut self.told);
            self.follow(pod, number, next);
        }
        let todo = self.pods[pod].replica.poll(self.now);
        if let Some(stamp) = todo.barrier
            && (!self.is_away(pod) || self.chance.bool())
        {
            let way = self.sending(pod);
            self.after(way, pod, Event::Barrier(pod, stamp));
        }
        if let Some(fetch) = todo.fetch
            && !self.is_away(pod)
        {
            self.fetch(pod, fetch.number, fetch.from);
        }
        let is_over = self.now > self.until && self.pods.iter().all(|pod| pod.jobs.is_empty());
        if !is_over && self.wakes[pod].is_none_or(|at| todo.wake_at < at) {
            self.wakes[pod] = Some(todo.wake_at);
            let delay = todo.wake_at.saturating_sub(self.now).max(Duration::from_micros(50));
            self.after(delay, pod, Event::Wake(pod));
        }
    }
}
