//! Every history of PUT, GET and DELETE through all pods is linearizable per path, under faults of pods, servers and links; the
//! histories are judged by porcupine.
//!
//! Short in `make test`, long in `make soak`: `MEDIAORIGIN_SOAK_SECONDS`. The seed is printed and taken from
//! `MEDIAORIGIN_SEED`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fastrand::Rng;
use mediaorigin_index::register::{Did, Operation};
use mediaorigin_tests::nats::PATIENCE;
use mediaorigin_tests::peer::Peer;
use mediaorigin_tests::porcupine::not_linearizable;

use super::clocks::Clocks;
use super::faults::Fault;
use super::forgetting::manifest;
use super::pods::{Fleet, SMALL, Size, wait_until};

const CLIENTS_PER_POD: usize = 3;
const PATHS: u64 = 2;

const SHORT: [Fault; 5] =
    [Fault::ReplacePod, Fault::CutPod, Fault::KillFollower, Fault::StopPod, Fault::KillLeader];

struct Shared {
    moment: AtomicU64,
    value: AtomicU64,
    /// Paths of a round are used in no other, so that no history grows long.
    round: AtomicU64,
    is_over: AtomicBool,
    did: Mutex<Vec<(String, Operation)>>,
    extension: &'static str,
    paths: u64,
    /// By pod: where it is, if it is there, and successes so far.
    pods: Vec<(RwLock<Option<SocketAddr>>, AtomicU64)>,
}

struct Workload {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

impl Workload {
    /// Clients of all pods; the paths of `round` and the next ones are new.
    fn start(fleet: &Fleet, seed: u64, (extension, paths): (&'static str, u64), round: u64) -> Self {
        let place = |number| (RwLock::new(Some(fleet.pod(number).media)), AtomicU64::new(0));
        let shared = Arc::new(Shared {
            moment: AtomicU64::new(1),
            value: AtomicU64::new(1),
            round: AtomicU64::new(round),
            is_over: AtomicBool::new(false),
            did: Mutex::default(),
            extension,
            paths,
            pods: (0..fleet.pods.len()).map(place).collect(),
        });
        let clients = (0..fleet.pods.len() * CLIENTS_PER_POD)
            .map(|number| {
                let shared = Arc::clone(&shared);
                let chance = Rng::with_seed(seed.wrapping_add(number as u64));
                thread::spawn(move || client(&shared, number % shared.pods.len(), chance))
            })
            .collect();
        Self { shared, clients }
    }

    /// Waits until every pod has had `more` successes.
    fn go_on(&self, more: u64) {
        let successes = || self.shared.pods.iter().map(|(_, count)| count.load(Ordering::SeqCst));
        let before: Vec<u64> = successes().collect();
        wait_until("all pods to go on", || {
            let goes_on = successes().zip(&before).all(|(now, before)| now >= before + more);
            goes_on.then_some(()).ok_or_else(|| format!("{:?}", successes().collect::<Vec<_>>()))
        });
    }

    /// Where a pod is from now on.
    fn moved(&self, pod: usize, address: Option<SocketAddr>) {
        *self.shared.pods[pod].0.write().unwrap_or_else(PoisonError::into_inner) = address;
    }

    fn finish(self) -> Vec<(String, Operation)> {
        self.shared.is_over.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.join().unwrap();
        }
        std::mem::take(&mut *self.shared.did.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn client(shared: &Shared, pod: usize, mut chance: Rng) {
    let mut peer = None;
    while !shared.is_over.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_micros(chance.u64(200..4_000)));
        let address = *shared.pods[pod].0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(address) = address else { continue };
        if peer.is_none() {
            peer = Peer::connect(address).ok();
        }
        let Some(connection) = &mut peer else { continue };
        let round = shared.round.load(Ordering::SeqCst);
        // A channel each: where the log has several parts, they may be in two of them.
        let path = format!("/live/{round}-{}/0.{}", chance.u64(..shared.paths), shared.extension);
        let value = shared.value.fetch_add(1, Ordering::SeqCst);
        let method = ["GET", "GET", "GET", "PUT", "PUT", "DELETE"][chance.usize(..6)];
        let body = format!("#EXTM3U\n#{value}\n");
        let began = shared.moment.fetch_add(1, Ordering::SeqCst);
        let body = (method == "PUT").then_some(body.as_bytes());
        let answer = connection.request(method, &path, &[], body);
        let ended = shared.moment.fetch_add(1, Ordering::SeqCst);
        let status = answer.as_ref().map_or(0, |answer| answer.head.status);
        let (did, is_known) = match (method, status) {
            ("GET", 200) => (Did::Read(Some(number(&answer.unwrap().body))), true),
            ("GET", 404) => (Did::Read(None), true),
            ("GET", 0 | 503) => (Did::Read(None), false),
            ("PUT", 201 | 204) => (Did::Write(Some(value)), true),
            ("PUT", 0 | 503) => (Did::Write(Some(value)), false),
            // Of a deletion that overlaps another change it is not promised whether it says that there was something.
            ("DELETE", 204 | 404) => (Did::Write(None), true),
            ("DELETE", 0 | 503) => (Did::Write(None), false),
            _ => panic!("{method} {path}: {status}"),
        };
        if status == 0 {
            peer = None;
        }
        if is_known {
            shared.pods[pod].1.fetch_add(1, Ordering::SeqCst);
        }
        let operation = Operation { began, ended: is_known.then_some(ended), did };
        shared.did.lock().unwrap_or_else(PoisonError::into_inner).push((path, operation));
    }
}

fn number(body: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(body);
    text.rsplit('#').next().and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

fn number_of(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// One run.
struct Scene {
    /// Tier policies.
    rules: &'static str,
    extension: &'static str,
    has_bucket: bool,
    has_wrong_clocks: bool,
    partitions: u16,
    /// Where paths are used for as long as the run lasts, and the index forgets: how many, and after how many seconds.
    lasting: Option<(u64, u64)>,
}

/// Manifests ride in the index.
const MANIFESTS: Scene = Scene {
    rules: "[]",
    extension: "m3u8",
    has_bucket: false,
    has_wrong_clocks: false,
    partitions: 1,
    lasting: None,
};
/// Bodies in the bucket instead of the index, so that index and object store must agree.
const OBJECTS: Scene = Scene {
    rules: "[{name: all, match: {paths: [\"**\"]}, durability: Durable, memory: {keepSeconds: 0}}]",
    extension: "bin",
    has_bucket: true,
    has_wrong_clocks: false,
    partitions: 1,
    lasting: None,
};
/// What is in the bucket is forgotten, as manifests that nobody else has need more than the index's share. So many paths that each is left
/// alone for longer than things are remembered now and then; that is longer than anything lasts that the real time covers: what a pod has
/// seen in the bucket it believes for 30 seconds.
const FORGOTTEN: Scene = Scene {
    rules: "[{name: fill, match: {paths: [\"fill/**\"]}, durability: Replicated, objectStore: {keepSeconds: 0}}, \
             {name: all, match: {paths: [\"**\"]}, durability: Durable, memory: {keepSeconds: 0}}]",
    lasting: Some((6_000, 40)),
    ..OBJECTS
};
/// More than the share of 128Mi.
const FILL: usize = 120;

impl Scene {
    /// The same with pods whose clocks are wrong.
    fn with_wrong_clocks(self) -> Self {
        Self { has_wrong_clocks: true, ..self }
    }

    /// The same over a log in several parts, each of which is led by a server of its own choice.
    fn with_partitions(self) -> Self {
        Self { partitions: 3, ..self }
    }

    /// The faults that can happen in it.
    fn faults(&self) -> Vec<Fault> {
        let more = self.has_bucket.then_some([Fault::CutBucket, Fault::SlowBucket]);
        let jump = self.has_wrong_clocks.then_some(Fault::JumpClock);
        let others = [Fault::RollPods, Fault::StopPodLong, Fault::CutPeer, Fault::SlowDisk];
        SHORT.into_iter().chain(others).chain(more.into_iter().flatten()).chain(jump).collect()
    }

    /// Plays faults until there is no `next` one, and asks for a judgement.
    fn play(&self, seed: u64, mut next: impl FnMut(usize, &mut Rng) -> Option<Fault>) {
        println!("MEDIAORIGIN_SEED={seed}");
        let mut chance = Rng::with_seed(seed);
        let clocks = self.has_wrong_clocks.then(Clocks::wrong);
        let (paths, size) = match self.lasting {
            Some((paths, seconds)) => {
                (paths, Size { memory: "128Mi", connections: 100, forget_after: Some(seconds), ..SMALL })
            }
            None => (PATHS, SMALL),
        };
        let size = Size { partitions: self.partitions, ..size };
        let mut fleet = Fleet::start_with((3, size), self.rules, self.has_bucket, clocks);
        fleet.clocks.iter().for_each(|clocks| clocks.check(&fleet));
        for number in (0..FILL).filter(|_| self.lasting.is_some()) {
            fleet.put(number % 3, &format!("/fill/{number}/index.m3u8"), &manifest(number, 0));
        }
        let workload = Workload::start(&fleet, seed, (self.extension, paths), 0);
        let (mut count, mut forgotten) = (0, 0);
        workload.go_on(20);
        while let Some(fault) = next(count, &mut chance) {
            if self.lasting.is_none() {
                workload.shared.round.fetch_add(1, Ordering::SeqCst);
            }
            workload.go_on(10);
            if self.lasting.is_some() {
                // A pod that is replaced counts anew.
                let count = |pod| fleet.metric(pod, "mediaorigin_index_forgotten_total");
                forgotten = forgotten.max((0..3).map(count).sum::<u64>());
            }
            let begin = Instant::now();
            fault.happen(&mut fleet, &|pod, address| workload.moved(pod, address), &mut chance);
            workload.go_on(10);
            println!("{fault:?}: all go on after {:?}", begin.elapsed());
            count += 1;
        }
        let history = workload.finish();
        let known = history.iter().filter(|(_, operation)| operation.ended.is_some()).count();
        println!(
            "{count} faults, {forgotten} entries forgotten, {known} operations with a known end of {}",
            history.len()
        );
        let bad = not_linearizable(&history).unwrap();
        for path in &bad {
            let of_path = history.iter().filter(|(other, _)| other == path);
            of_path.for_each(|(_, operation)| println!("{path}: {operation:?}"));
        }
        assert!(bad.is_empty(), "seed {seed}: not linearizable: {bad:?}");
        assert!(known > 200, "only {known} operations");
        assert!(self.lasting.is_none() || forgotten > 300, "only {forgotten} entries were forgotten");
    }

    fn play_all(&self, faults: &[Fault]) {
        let seed = number_of("MEDIAORIGIN_SEED").unwrap_or_else(|| fastrand::u64(..));
        self.play(seed, |count, _| faults.get(count).copied());
    }
}

#[test]
fn histories_through_all_pods_are_linearizable_under_faults() {
    MANIFESTS.play_all(&SHORT);
}

#[test]
fn histories_are_linearizable_when_pods_are_rolled_and_clocks_are_wrong() {
    MANIFESTS.with_wrong_clocks().play_all(&[Fault::JumpClock, Fault::RollPods, Fault::JumpClock]);
}

#[test]
fn histories_are_linearizable_over_a_log_in_several_parts() {
    MANIFESTS.with_partitions().play_all(&[Fault::KillLeader, Fault::ReplacePod, Fault::CutPod]);
}

#[test]
fn histories_of_what_is_durable_are_linearizable_when_pods_are_killed() {
    OBJECTS.play_all(&[Fault::ReplacePod; 3]);
}

#[test]
fn histories_of_what_is_durable_are_linearizable_when_links_fail_and_the_bucket_is_slow() {
    OBJECTS.play_all(&[Fault::CutPeer, Fault::SlowBucket, Fault::CutBucket, Fault::StopPodLong]);
}

/// The control: names of media segments are used once, so they are read without asking anybody. Who overwrites them anyway is told
/// old values by other pods for a moment, and the checker must notice.
#[test]
fn what_is_read_without_a_barrier_is_noticed() {
    let fleet = Fleet::start(3, "[]", false);
    let deadline = Instant::now() + PATIENCE;
    // Each history is whole, with paths of its own; most show it.
    for round in 0.. {
        let workload = Workload::start(&fleet, 7 + round, ("ts", PATHS), round);
        workload.go_on(60);
        if !not_linearizable(&workload.finish()).unwrap().is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "nothing was noticed in {round} histories");
    }
}

/// For `make soak`: fleets of both kinds, with right clocks and wrong ones, over logs in one part and in three, one seed after the other; in
/// each a few faults of any kind.
#[test]
#[ignore = "for make soak"]
fn soak_histories_through_all_pods_are_linearizable() {
    let end = Instant::now() + Duration::from_secs(number_of("MEDIAORIGIN_SOAK_SECONDS").unwrap_or(60));
    let first = number_of("MEDIAORIGIN_SEED").unwrap_or_else(|| fastrand::u64(..));
    let mut seeds = 0;
    while Instant::now() < end {
        let seed = first.wrapping_add(seeds);
        let scene = if seed % 2 == 0 { MANIFESTS } else { OBJECTS };
        let scene = if seed / 2 % 2 == 0 { scene } else { scene.with_wrong_clocks() };
        let scene = if seed / 4 % 2 == 0 { scene } else { scene.with_partitions() };
        let faults = scene.faults();
        scene.play(seed, |count, chance| (count < 4).then(|| faults[chance.usize(..faults.len())]));
        seeds += 1;
    }
    println!("{seeds} seeds from {first} on");
}

/// For `make soak`: what the index forgets is read, replaced and deleted again while things fail.
#[test]
#[ignore = "for make soak"]
fn soak_histories_of_what_is_forgotten_are_linearizable() {
    let seed = number_of("MEDIAORIGIN_SEED").unwrap_or_else(|| fastrand::u64(..));
    let lasts = Duration::from_secs(number_of("MEDIAORIGIN_SOAK_SECONDS").unwrap_or(60).max(180));
    let (begin, faults) = (Instant::now(), FORGOTTEN.faults());
    FORGOTTEN.play(seed, |_, chance| {
        thread::sleep(Duration::from_secs(chance.u64(..10)));
        (begin.elapsed() < lasts).then(|| faults[chance.usize(..faults.len())])
    });
}
