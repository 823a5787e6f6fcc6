//! What a fleet costs, with three NATS servers and an S3 server on this machine; printed, for docs/benchmarks.md (`make bench`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mediaorigin_tests::bench::percentile;
use mediaorigin_tests::peer::Peer;

use super::pods::Fleet;

const RULES: &str = "[{name: memory, match: {paths: ['memory/**']}, durability: Memory}, \
     {name: log, match: {paths: ['log/**']}, durability: Replicated}, \
     {name: bucket, match: {paths: ['bucket/**']}, durability: Durable}, \
     {name: all, match: {paths: ['**']}, durability: Durable}]";
const MEGABYTE: usize = 1 << 20;
/// Uploads at each durability.
const UPLOADS: usize = 60;
const READS: usize = 2_000;
/// Segments that lie there when pods come.
const SEGMENTS: usize = 60;

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: usize| percentile(&times, share).unwrap().as_secs_f64() * 1e3;
    format!("{:.2} / {:.2} ms", at(50), at(99))
}

fn timed(once: impl FnOnce()) -> Duration {
    let began = Instant::now();
    once();
    began.elapsed()
}

fn ask(peer: &mut Peer, method: &str, target: &str, body: Option<&[u8]>) {
    let answer = peer.request(method, target, &[], body).unwrap();
    assert!(matches!(answer.head.status, 200 | 201 | 204), "{method} {target}: {}", answer.head.status);
}

/// From the first byte of a PUT of 1 MiB to its 2xx, at each durability, in turns; and reads of what needs a barrier beside those of what
/// does not.
#[test]
#[ignore = "a bench"]
fn uploads_and_reads() {
    let fleet = Fleet::start(3, RULES, true);
    let mut peer = Peer::connect(fleet.pod(0).media).unwrap();
    let body = vec![7; MEGABYTE];
    let folders = ["memory", "log", "bucket"];
    let mut times = folders.map(|_| Vec::new());
    for number in 0..UPLOADS {
        for (folder, times) in folders.iter().zip(&mut times) {
            let target = format!("/{folder}/seg{number}.m4s");
            times.push(timed(|| ask(&mut peer, "PUT", &target, Some(&body))));
        }
    }
    for (folder, times) in folders.iter().zip(times) {
        println!("PUT of 1 MiB until its 2xx, {folder}: {} (p50 / p99)", percentiles(times));
    }
    ask(&mut peer, "PUT", "/bucket/live.m3u8", Some(&body[..2_000]));
    ask(&mut peer, "PUT", "/bucket/small.m4s", Some(&body[..2_000]));
    let targets = ["/bucket/small.m4s", "/bucket/live.m3u8"];
    let mut times = targets.map(|_| Vec::new());
    for _ in 0..READS {
        for (target, times) in targets.iter().zip(&mut times) {
            times.push(timed(|| ask(&mut peer, "GET", target, None)));
        }
    }
    for (target, times) in targets.iter().zip(times) {
        println!("GET of 2 KB, {target}: {} (p50 / p99)", percentiles(times));
    }
}

/// Two pods become six under readers: how long each needs to be ready, what it fetches and from where, and what the readers feel.
#[test]
#[ignore = "a bench"]
fn from_two_pods_to_six() {
    let mut fleet = Fleet::start(6, RULES, true);
    for pod in 2..6 {
        fleet.leave(pod);
    }
    let mut peer = Peer::connect(fleet.pod(0).media).unwrap();
    let body = vec![7; MEGABYTE];
    for number in 0..SEGMENTS {
        ask(&mut peer, "PUT", &format!("/bucket/seg{number}.m4s"), Some(&body));
    }
    let is_over = AtomicBool::new(false);
    let readers = [fleet.pod(0).media, fleet.pod(1).media];
    thread::scope(|scope| {
        let readers = readers.map(|address| {
            let is_over = &is_over;
            scope.spawn(move || {
                let (mut calm, mut number) = (Vec::new(), 0);
                while !is_over.load(Ordering::Relaxed) {
                    let target = format!("/bucket/seg{}.m4s", number % SEGMENTS);
                    calm.push(timed(|| ask(&mut Peer::connect(address).unwrap(), "GET", &target, None)));
                    number += 1;
                }
                calm
            })
        });
        let mut took = Vec::new();
        for pod in 2..6 {
            took.push(timed(|| fleet.replace(pod)));
        }
        // What a reader of the new pods asks for first.
        for pod in 2..6 {
            for number in SEGMENTS - 10..SEGMENTS {
                assert_eq!(fleet.get(pod, &format!("/bucket/seg{number}.m4s")).body.len(), MEGABYTE);
            }
        }
        is_over.store(true, Ordering::Relaxed);
        let times = readers.map(|reader| reader.join().unwrap()).concat();
        println!("2 -> 6 pods, start to ready of each: {took:.2?}");
        println!("GETs of 1 MiB from the two meanwhile: {} (p50 / p99)", percentiles(times));
    });
    for pod in 2..6 {
        let mib = |name: &str| fleet.metric(pod, name) / MEGABYTE as u64;
        println!("pod {pod}: {} MiB from peers", mib("mediaorigin_peer_received_bytes_total"));
    }
}
