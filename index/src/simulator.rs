//! A fleet in virtual time: the real replicas and commits of some pods, over servers and a network that do everything to them
//! that the real ones do. Every run is made again from its seed.
//!
//! What it does to them: messages late, lost, twice; live messages that nobody sends; copies that lag; answers that never
//! come; attempts that leave seconds after they were given up; elections, after which ids are forgotten; pods that stop, are cut
//! off, or are replaced.

mod pod;
mod servers;
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use fastrand::Rng;

use crate::answer::Answer;
use crate::commit::{ATTEMPT, Commit, Interest, Kind, Outcome, Step};
use crate::entry::Uid;
use crate::follower::{Message, Stamp, What};
use crate::key::BARRIER_SUBJECTS;
use crate::register::Operation;
use pod::{Next, Pod, entry};
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
}

#[derive(Clone, Debug)]
enum Event {
    Wake(usize),
    Live(usize, u64, Message),
    Fetched(usize, u64, u64, Message),
    FetchEnded(usize, u64, u64),
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
    did: Vec<(usize, Operation)>,
    wakes: Vec<Option<Duration>>,
    /// When the last live message reaches each pod: they keep their order.
    live_at: Vec<Duration>,
    until: Duration,
    lives: u64,
}

const PATHS: usize = 2;
const PODS: usize = 3;
const CLIENTS: usize = 2;

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
            did: Vec::new(),
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
        Pod::new(self.lives, self.now, self.variant)
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

    fn run(mut self) -> Vec<Vec<Operation>> {
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
            if self.now > self.until + Duration::from_secs(30) {
                break;
            }
        }
        let unfinished = self.pods.iter().map(|pod| pod.jobs.len()).sum::<usize>();
        assert_eq!(unfinished, 0, "somebody still waits although nothing is wrong any more");
        let of = |path| self.did.iter().filter(move |(of, _)| *of == path).map(|(_, operation)| *operation);
        (0..PATHS).map(|path| of(path).collect()).collect()
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
        let next = self.pods[pod].step(number, |commit| event(commit, interest), end, &mut self.did);
        self.follow(pod, number, next);
    }

    fn follow(&mut self, pod: usize, number: u64, next: Next) {
        match next {
            Next::Publish { expected, attempt } => {
                let job = &self.pods[pod].jobs[&number];
                let what = entry(job.path, job.uid, job.kind.unwrap());
                let expected = (self.variant != Variant::NoExpectation).then_some(expected);
                let (subject, id) = (Subject::Path(job.path), Some(Uid(job.uid)));
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

    /// How long a message takes to the servers: what is sent without a connection leaves when there is one again.
    fn sending(&mut self, pod: usize) -> Duration {
        self.pods[pod].away_until.saturating_sub(self.now) + self.way()
    }

    fn publish(&mut self, pod: usize, job: u64, attempt: u64, wanted: Wanted) {
        let answer = self.servers.store(wanted, self.now, &mut self.chance);
        self.spread(&answer);
        let way = self.way();
        if self.chance.u8(..) > 6 && !self.is_away(pod) {
            self.after(way, pod, Event::Answered(pod, job, attempt, answer));
        }
    }

    fn barrier(&mut self, pod: usize, stamp: Stamp) {
        let subject = Subject::Barrier(stamp.nonce, stamp.counter % BARRIER_SUBJECTS);
        let wanted = Wanted { subject, id: None, expected: None, what: What::Barrier(Some(stamp)) };
        let answer = self.servers.store(wanted, self.now, &mut self.chance);
        self.spread(&answer);
        let way = self.way();
        if let Answer::Stored { seq, .. } = answer
            && self.chance.u8(..) > 6
            && !self.is_away(pod)
            && stamp.nonce == self.pods[pod].life
        {
            self.after(way, pod, Event::Acked(pod, stamp.counter, seq));
        }
    }

    /// Publishes again what was stored: to each pod in order, mostly.
    fn spread(&mut self, answer: &Answer) {
        let Answer::Stored { seq, duplicate: false } = answer else { return };
        let message = self.servers.message(*seq).message.clone();
        let nobody = self.chance.u8(..) < 3;
        for pod in 0..PODS {
            let at = (self.now + self.way()).max(self.live_at[pod]);
            self.live_at[pod] = at;
            if nobody || self.is_away(pod) || self.chance.u8(..) < 8 {
                continue;
            }
            let session = self.pods[pod].replica.session();
            for _ in 0..=u8::from(self.chance.u8(..) < 8) {
                self.after(at.saturating_sub(self.now), pod, Event::Live(pod, session, message.clone()));
            }
        }
    }

    fn client(&mut self, pod: usize, client: usize) {
        if self.now > self.until {
            return;
        }
        let path = self.chance.usize(..PATHS);
        let kind = match self.chance.u8(..10) {
            0..4 => None,
            4 => Some(Kind::Delete),
            _ => Some(Kind::Put),
        };
        self.uid += 1;
        self.jobs += 1;
        let (uid, began, now) = (self.uid, self.moment(), self.now);
        let job = self.pods[pod].begin(client, path, uid, kind, began, now);
        self.pods[pod].jobs.insert(self.jobs, job);
    }

    /// Serves whom a barrier has come by for, at this very moment, and does what the replica wants.
    fn tend(&mut self, pod: usize) {
        if self.now < self.pods[pod].stopped_until {
            return;
        }
        for number in self.pods[pod].served(self.variant) {
            let (end, now) = (self.moment(), self.now);
            let next = self.pods[pod].go_on(number, end, now, &mut self.did);
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

    fn fetch(&mut self, pod: usize, number: u64, from: u64) {
        let messages = self.servers.read(from, &mut self.chance);
        let (mut delay, mut previous) = (self.way(), 0);
        for message in messages {
            let (seq, is_lost) = (message.seq, self.chance.u16(..) < 200);
            if !is_lost {
                self.after(delay, pod, Event::Fetched(pod, number, previous, message));
            }
            delay += Duration::from_micros(self.chance.u64(0..300));
            previous = seq;
        }
        self.after(delay, pod, Event::FetchEnded(pod, number, previous));
    }

    fn fault(&mut self) {
        self.servers.catch_up(&mut self.chance);
        if self.now > self.until {
            return;
        }
        let pod = self.chance.usize(..PODS);
        let time = Duration::from_millis(self.chance.u64(5..2_500));
        match self.chance.u8(..8) {
            0 | 1 => self.pods[pod].stopped_until = self.now + time / 4,
            2 => self.servers.elect(self.now + time),
            3 => self.pods[pod].away_until = self.now + time,
            4 => self.replace(pod),
            _ => {}
        }
        for pod in 0..PODS {
            if !self.is_away(pod) && self.chance.u8(..) < 40 {
                self.pods[pod].replica.connected();
            }
        }
        let rest = Duration::from_millis(self.chance.u64(5..150));
        self.after(rest, 0, Event::Fault);
    }

    /// `kill -9`, and another one in its place. Its clients do not know what became of what they asked for.
    fn replace(&mut self, pod: usize) {
        let end = self.moment();
        let jobs: Vec<u64> = self.pods[pod].jobs.keys().copied().collect();
        for number in jobs {
            let job = self.pods[pod].jobs.remove(&number).unwrap();
            if let Some(operation) = job.forgotten(end) {
                self.did.push((job.path, operation));
            }
            self.after(Duration::from_millis(1), pod, Event::Client(pod, job.client));
        }
        self.pods[pod] = self.start_pod();
        self.wakes[pod] = None;
    }
}
