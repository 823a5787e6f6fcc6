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
use mediaorigin_tests::peer::Peer;
use mediaorigin_tests::porcupine::not_linearizable;

use super::pods::{Fleet, wait_until};

const CLIENTS_PER_POD: usize = 3;
const PATHS: u64 = 2;

/// What happens to a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// A pod is killed, and another one comes in its place.
    ReplacePod,
    /// A pod gets no turn for a while.
    StopPod,
    /// A pod reaches no server for a while.
    CutPod,
    /// The leader of the log is killed, and comes back.
    KillLeader,
    /// One of the others is.
    KillFollower,
}

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
    /// By pod: where it is, if it is there, and successes so far.
    pods: Vec<(RwLock<Option<SocketAddr>>, AtomicU64)>,
}

struct Workload {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

impl Workload {
    fn start(fleet: &Fleet, seed: u64, extension: &'static str) -> Self {
        let place = |number| (RwLock::new(Some(fleet.pod(number).media)), AtomicU64::new(0));
        let shared = Arc::new(Shared {
            moment: AtomicU64::new(1),
            value: AtomicU64::new(1),
            round: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            did: Mutex::default(),
            extension,
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
        let path = format!("/live/{round}/{}.{}", chance.u64(..PATHS), shared.extension);
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

fn happen(fault: Fault, fleet: &mut Fleet, workload: &Workload, chance: &mut Rng) {
    let pod = chance.usize(..fleet.pods.len());
    match fault {
        Fault::ReplacePod => {
            fleet.kill(pod);
            workload.moved(pod, None);
            fleet.replace(pod);
            workload.moved(pod, Some(fleet.pod(pod).media));
        }
        Fault::StopPod => {
            fleet.pod(pod).signal("-STOP").unwrap();
            thread::sleep(Duration::from_millis(chance.u64(500..3_000)));
            fleet.pod(pod).signal("-CONT").unwrap();
        }
        Fault::CutPod => {
            fleet.links[pod].iter().for_each(mediaorigin_tests::links::Link::cut);
            wait_until("the pod that is cut off to be unready", || match fleet.pod(pod).readiness() {
                Err(reason) if reason.contains("NATS") => Ok(()),
                other => Err(format!("{other:?}")),
            });
            fleet.links[pod].iter().for_each(mediaorigin_tests::links::Link::restore);
        }
        Fault::KillLeader | Fault::KillFollower => {
            let leader = fleet.nats.wait_stream_leader("MO_IDX_media-fleet_0").unwrap();
            let server = if fault == Fault::KillLeader { leader } else { (leader + 1) % 3 };
            fleet.nats.kill(server);
            fleet.nats.restart(server).unwrap();
            fleet.nats.wait_healthy(server).unwrap();
        }
    }
}

fn number_of(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn run(
    (rules, extension): (&str, &'static str),
    has_bucket: bool,
    mut next: impl FnMut(usize, &mut Rng) -> Option<Fault>,
) {
    let seed = number_of("MEDIAORIGIN_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("MEDIAORIGIN_SEED={seed}");
    let mut chance = Rng::with_seed(seed);
    let mut fleet = Fleet::start(3, rules, has_bucket);
    let workload = Workload::start(&fleet, seed, extension);
    let mut count = 0;
    workload.go_on(20);
    while let Some(fault) = next(count, &mut chance) {
        workload.shared.round.fetch_add(1, Ordering::SeqCst);
        workload.go_on(10);
        let begin = Instant::now();
        happen(fault, &mut fleet, &workload, &mut chance);
        workload.go_on(10);
        println!("{fault:?}: all go on after {:?}", begin.elapsed());
        count += 1;
    }
    let history = workload.finish();
    let bad = not_linearizable(&history).unwrap();
    let known = history.iter().filter(|(_, operation)| operation.ended.is_some()).count();
    println!("{count} faults, {known} operations with a known end of {}", history.len());
    assert!(bad.is_empty(), "seed {seed}: not linearizable: {bad:?}");
    assert!(known > 200, "only {known} operations");
}

#[test]
fn histories_through_all_pods_are_linearizable_under_faults() {
    run(("[]", "m3u8"), false, |count, _| SHORT.get(count).copied());
}

/// Bodies in the bucket instead of the index, so that index and object store must agree.
#[test]
fn histories_of_what_is_durable_are_linearizable_when_pods_are_killed() {
    let rules = "[{name: all, match: {paths: [\"**\"]}, durability: Durable, memory: {keepSeconds: 0}}]";
    run((rules, "bin"), true, |count, _| (count < 3).then_some(Fault::ReplacePod));
}

/// The control: names of media segments are used once, so they are read without asking anybody. Who overwrites them anyway is told
/// old values by other pods for a moment, and the checker must notice.
#[test]
fn what_is_read_without_a_barrier_is_noticed() {
    let fleet = Fleet::start(3, "[]", false);
    let workload = Workload::start(&fleet, 7, "ts");
    for _ in 0..10 {
        workload.shared.round.fetch_add(1, Ordering::SeqCst);
        workload.go_on(100);
    }
    assert!(!not_linearizable(&workload.finish()).unwrap().is_empty(), "nothing was noticed");
}

/// For `make soak`: any fault, again and again.
#[test]
#[ignore = "for make soak"]
fn soak_histories_through_all_pods_are_linearizable() {
    let end = Instant::now() + Duration::from_secs(number_of("MEDIAORIGIN_SOAK_SECONDS").unwrap_or(60));
    run(("[]", "m3u8"), false, |_, chance| {
        (Instant::now() < end).then(|| SHORT[chance.usize(..SHORT.len())])
    });
}
