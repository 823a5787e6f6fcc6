//! `spec.memory.limit` up and down under a full cache and two hundred readers: the pods are resized, not replaced.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use mediaorigin_tests::peer::{self, Peer};
use serde_json::Value;

use super::cluster::Cluster;
use super::turn;
use super::{MEMORY_PORT, condition, eventually, media, pod_uids, serve};

const NAMESPACE: &str = "e2e-memory";
const READERS: u32 = 200;
const OBJECT_BYTES: usize = 256 * 1024;
const MIB: u64 = 1 << 20;
/// Between two reads of one reader, as a player's.
const PAUSE: Duration = Duration::from_millis(400);
/// Nothing has to be kept, so that a cache is full of what may go.
const RULE: &str = "  tierPolicies: [{name: all, match: {paths: [\"**\"]}, memory: {keepSeconds: 0}}]\n";

fn path(number: u32) -> String {
    format!("/vod/{number}.ts")
}

fn put(from: u32, to: u32) {
    let mut encoder = Peer::connect(media(MEMORY_PORT)).unwrap();
    let body = vec![7; OBJECT_BYTES];
    for number in from..to {
        let answer = encoder.request("PUT", &path(number), &[], Some(&body)).unwrap();
        assert_eq!(answer.head.status, 201, "{number}");
    }
}

fn there(objects: std::ops::Range<u32>) -> Vec<u32> {
    let mut viewer = Peer::connect(media(MEMORY_PORT)).unwrap();
    let first = [("Range".to_owned(), "bytes=0-0".to_owned())];
    objects
        .filter(|number| viewer.request("GET", &path(*number), &first, None).unwrap().head.status == 206)
        .collect()
}

fn the_pod() -> Value {
    Cluster::get().json(&format!("get -n {NAMESPACE} pods -l app.kubernetes.io/instance=live"))["items"][0]
        .clone()
}

/// What the pod says of its memory.
fn said(pod: &str) -> Option<Value> {
    let text = Cluster::get().ask_pod(NAMESPACE, pod, 8081, "/-/status")?;
    Some(serde_json::from_slice::<Value>(&text).ok()?["memory"].clone())
}

/// Asks for a limit and waits until the kubelet, the origin and the operator say that it is in force.
fn resize(limit: &str, bytes: u64, pod: &str) {
    let cluster = Cluster::get();
    cluster.patch(NAMESPACE, "live", &format!(r#"{{"spec":{{"memory":{{"limit":"{limit}"}}}}}}"#));
    eventually(&format!("the container has {limit}"), 120, || {
        the_pod()["status"]["containerStatuses"][0]["resources"]["limits"]["memory"] == limit
    });
    eventually(&format!("the origin has planned with {limit}"), 30, || {
        said(pod).is_some_and(|memory| memory["limit"] == bytes && memory["containerLimit"] == bytes)
    });
    eventually("the condition says so", 60, || {
        let origin = cluster.json(&format!("get -n {NAMESPACE} mediaorigin/live"));
        let resized = condition(&origin, "Resized");
        resized["status"] == "True"
            && resized["observedGeneration"] == origin["metadata"]["generation"]
            && condition(&origin, "Reconciling")["status"] == "False"
            && origin["status"]["memory"]["limit"] == limit
            && origin["status"]["pods"][0]["memoryLimit"] == limit
    });
}

/// What the readers, and who watches the pod, have seen so far.
#[derive(Default)]
struct Seen {
    over: AtomicBool,
    /// What they ask for.
    asked: Mutex<Vec<u32>>,
    hits: AtomicU64,
    misses: AtomicU64,
    /// Answers that it is too busy: a machine that others keep busy may say so.
    waits: AtomicU64,
    failures: Mutex<Vec<String>>,
    /// The most that the container used, in percent of its limit.
    highest: AtomicU64,
}

impl Seen {
    fn read(&self, mut chance: Rng) {
        while !self.over.load(Ordering::Relaxed) {
            let number = {
                let asked = self.asked.lock().unwrap();
                asked[chance.usize(..asked.len())]
            };
            match peer::fetch(media(MEMORY_PORT), "GET", &path(number)) {
                Ok(answer) => match answer.head.status {
                    200 if answer.body.len() == OBJECT_BYTES => _ = self.hits.fetch_add(1, Ordering::Relaxed),
                    404 | 410 => _ = self.misses.fetch_add(1, Ordering::Relaxed),
                    503 => _ = self.waits.fetch_add(1, Ordering::Relaxed),
                    status => self.failures.lock().unwrap().push(format!("{number}: {status}")),
                },
                Err(error) => self.failures.lock().unwrap().push(format!("{number}: {error:#}")),
            }
            thread::sleep(PAUSE.mul_f64(0.5 + chance.f64()));
        }
    }

    fn watch(&self, pod: &str) {
        while !self.over.load(Ordering::Relaxed) {
            if let Some(memory) = said(pod) {
                let number = |field: &str| memory[field].as_u64().unwrap();
                let percent = number("workingSet") * 100 / number("containerLimit");
                self.highest.fetch_max(percent, Ordering::Relaxed);
            }
            thread::sleep(Duration::from_millis(200));
        }
    }
}

/// From 256Mi to 512Mi to 192Mi: the same pod, without a restart or an end by the kernel, without a failed read; nothing is evicted on the way
/// up, and what the container uses is below its limit at every look.
#[test]
fn the_limit_goes_up_and_down_and_the_pod_stays() {
    let _turn = turn::alone();
    up_and_down(fastrand::u64(..));
}

/// `make soak`.
#[test]
#[ignore = "as long as three of them"]
fn the_limit_goes_up_and_down_with_three_seeds() {
    let _turn = turn::alone();
    (1..=3).for_each(up_and_down);
}

/// The number is the seed of what readers ask for, and when.
fn up_and_down(number: u64) {
    println!("seed {number}");
    let cluster = Cluster::get();
    serve(NAMESPACE, MEMORY_PORT, RULE);
    put(0, 620);
    let full = there(0..620);
    assert!(full.len() > 400 && full.len() < 620, "the cache is full: {}", full.len());
    let pods = pod_uids(NAMESPACE);
    let pod = the_pod()["metadata"]["name"].as_str().unwrap().to_owned();
    let template =
        || cluster.json(&format!("get -n {NAMESPACE} deployment/live"))["spec"]["template"].clone();
    let made_with = template();
    let seen = Seen { asked: Mutex::new(full), ..Seen::default() };
    thread::scope(|scope| {
        let ends = Ends(&seen.over);
        let mut chance = Rng::with_seed(number);
        for _ in 0..READERS {
            let (seen, chance) = (&seen, chance.fork());
            scope.spawn(move || seen.read(chance));
        }
        scope.spawn(|| seen.watch(&pod));
        eventually("all read", 60, || seen.hits.load(Ordering::Relaxed) > u64::from(READERS));
        resize("512Mi", 512 * MIB, &pod);
        assert_eq!(seen.misses.load(Ordering::Relaxed), 0, "what was there is there");
        put(620, 1_600);
        let full = there(0..1_600);
        assert!(full.len() > 1_300 && full.len() < 1_600, "it is full again: {}", full.len());
        resize("192Mi", 192 * MIB, &pod);
        let left = there(0..1_600);
        assert!(left.len() > 200, "no more is evicted than must be: {}", left.len());
        *seen.asked.lock().unwrap() = left;
        let before = seen.hits.load(Ordering::Relaxed);
        eventually("they read on", 60, || seen.hits.load(Ordering::Relaxed) > before + u64::from(READERS));
        drop(ends);
    });
    println!(
        "{:?} hits, {:?} misses on the way down, {:?} told to wait, at most {:?} % of the limit",
        seen.hits, seen.misses, seen.waits, seen.highest
    );
    let failures = seen.failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} failures: {:?}", failures.len(), &failures[..failures.len().min(5)]);
    assert!(seen.highest.into_inner() < 100);
    assert_eq!(pod_uids(NAMESPACE), pods, "no pod was replaced");
    assert_eq!(template(), made_with, "nor will one be");
    let container = the_pod()["status"]["containerStatuses"][0].clone();
    assert_eq!(
        (&container["restartCount"], &container["lastState"]),
        (&Value::from(0), &serde_json::json!({}))
    );
    // Its port is wanted by another test.
    cluster.kubectl(&format!("delete -n {NAMESPACE} mediaorigin/live"));
    eventually("its pod is gone", 60, || pod_uids(NAMESPACE).is_empty());
}

/// Ends the readers, whatever becomes of the test.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
