//! The memory of an origin that runs: its container's limit goes up and down under a full cache and two hundred readers. The
//! program in a group of its own, whose limit the kernel enforces, as a kubelet resizes the container of a pod.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mediaorigin_tests::folder::Folder;
use mediaorigin_tests::peer::{Peer, fetch};
use serde_json::Value;

use crate::program::{Group, Program};

const MIB: u64 = 1 << 20;
const READERS: u32 = 200;
const OBJECT_BYTES: usize = 256 * 1024;
/// More than 256Mi have room for, and than 512Mi.
const OBJECTS: [u32; 2] = [620, 1_600];
/// Between two reads of one reader, as a player's.
const PAUSE: Duration = Duration::from_millis(400);
/// Bounds failures only.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the readers have seen so far.
#[derive(Debug, Default)]
struct Seen {
    hits: AtomicU64,
    /// Evicted, as an origin without tiers below memory says it.
    misses: AtomicU64,
    /// Told to come again, as a machine that others keep busy may say.
    waits: AtomicU64,
    failures: Mutex<Vec<String>>,
    /// The objects that are asked for.
    asked: Mutex<Vec<u32>>,
    is_over: AtomicBool,
}

impl Seen {
    fn fail(&self, failure: String) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
    }

    fn reads(&self) -> u64 {
        self.hits.load(Ordering::Relaxed) + self.misses.load(Ordering::Relaxed)
    }

    fn ask_for(&self, objects: Vec<u32>) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = objects;
    }

    fn next(&self) -> u32 {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked[fastrand::usize(..asked.len())]
    }
}

fn body(number: u32) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(u64::from(number));
    (0..OBJECT_BYTES).map(|_| random.u8(..)).collect()
}

fn path(number: u32) -> String {
    format!("/vod/{number}.ts")
}

/// Reads one object after the other until it is over; one connection that must never be cut.
fn read(media: SocketAddr, seen: &Seen, bodies: &BTreeMap<u32, Vec<u8>>) {
    let mut peer = Peer::connect(media).unwrap();
    while !seen.is_over.load(Ordering::Relaxed) {
        let number = seen.next();
        match peer.request("GET", &path(number), &[], None) {
            Ok(answer) => match answer.head.status {
                200 if answer.body == bodies[&number] => _ = seen.hits.fetch_add(1, Ordering::Relaxed),
                404 | 410 => _ = seen.misses.fetch_add(1, Ordering::Relaxed),
                503 => _ = seen.waits.fetch_add(1, Ordering::Relaxed),
                status => seen.fail(format!("{number}: {status} and {} bytes", answer.body.len())),
            },
            Err(error) => return seen.fail(format!("{number}: {error:#}")),
        }
        thread::sleep(PAUSE);
    }
}

fn status(admin: SocketAddr) -> Value {
    serde_json::from_slice(&fetch(admin, "GET", "/-/status").unwrap().body).unwrap()
}

fn memory(admin: SocketAddr, field: &str) -> u64 {
    status(admin)["memory"][field].as_u64().unwrap_or_else(|| panic!("{field}"))
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited until {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn put(media: SocketAddr, bodies: &BTreeMap<u32, Vec<u8>>, from: u32, to: u32) {
    let mut peer = Peer::connect(media).unwrap();
    for number in from..to {
        let answer = peer.request("PUT", &path(number), &[], Some(&bodies[&number])).unwrap();
        assert_eq!(answer.head.status, 201, "{number}");
    }
}

/// Those of the objects that are there.
fn there(media: SocketAddr, objects: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut peer = Peer::connect(media).unwrap();
    let first = [("Range".to_owned(), "bytes=0-0".to_owned())];
    objects
        .filter(|number| peer.request("GET", &path(*number), &first, None).unwrap().head.status == 206)
        .collect()
}

/// The file that the origin watches, as the operator's is.
struct File(PathBuf);

impl File {
    fn write(&self, limit: &str) {
        let text = format!(
            "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: live}}\nspec:\n  memory: {{limit: {limit}}}\n  \
             tierPolicies: [{{name: all, match: {{paths: [\"**\"]}}, memory: {{keepSeconds: 0}}}}]\n"
        );
        let new = self.0.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, &self.0).unwrap();
    }
}

/// From 256Mi to 512Mi to 192Mi without a restart, a failed read, or a sample of its memory above the limit; on the way up nothing is
/// evicted.
#[test]
fn a_limit_goes_up_and_down_under_a_full_cache_and_two_hundred_readers() {
    let Some(group) = Group::new(256 * MIB) else {
        println!("no group can be made here: its limit is what the kernel enforces");
        return;
    };
    let folder = Folder::new("memory").unwrap();
    let file = File(folder.path().join("live.yaml"));
    file.write("256Mi");
    let limits = group.handle();
    let mut origin = Program::start(Some(group), &["-f", file.0.to_str().unwrap()]);
    let [media, admin] = origin.ports();
    let bodies: BTreeMap<u32, Vec<u8>> = (0..OBJECTS[1]).map(|number| (number, body(number))).collect();
    put(media, &bodies, 0, OBJECTS[0]);
    let full = there(media, 0..OBJECTS[0]);
    assert!(full.len() > 400 && full.len() < OBJECTS[0] as usize, "the cache is full: {}", full.len());
    let seen = Seen::default();
    seen.ask_for(full.clone());
    let samples = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| read(media, &seen, &bodies));
        }
        let over = Over(&seen);
        scope.spawn(|| {
            while !seen.is_over.load(Ordering::Relaxed) {
                let before = limits.limit();
                let resident = origin.resident();
                let most = before.max(limits.limit());
                samples.lock().unwrap().push((resident, most));
                thread::sleep(Duration::from_millis(20));
            }
        });
        // Up: told first, and nothing happens until the container has grown.
        file.write("512Mi");
        wait_until("it has been told", || memory(admin, "configuredLimit") == 512 * MIB);
        assert_eq!(memory(admin, "limit"), 256 * MIB);
        limits.set(512 * MIB);
        wait_until("it has grown", || memory(admin, "limit") == 512 * MIB);
        let before = seen.reads();
        wait_until("it is read", || seen.reads() > before + 400);
        assert_eq!(seen.misses.load(Ordering::Relaxed), 0, "what was there is there");
        put(media, &bodies, OBJECTS[0], OBJECTS[1]);
        let full = there(media, 0..OBJECTS[1]);
        assert!(full.len() > 1_300 && full.len() < OBJECTS[1] as usize, "it is full again: {}", full.len());
        // Down: it needs less before its container has less.
        file.write("192Mi");
        wait_until("it needs less", || {
            let memory = status(admin)["memory"].clone();
            memory["limit"] == 192 * MIB && memory["workingSet"].as_u64().unwrap() < 186 * MIB
        });
        let left = there(media, 0..OBJECTS[1]);
        assert!(left.len() > 200, "no more is evicted than must be: {}", left.len());
        limits.set(192 * MIB);
        seen.ask_for(left);
        wait_until("it sees the limit", || memory(admin, "containerLimit") == 192 * MIB);
        let before = seen.reads();
        wait_until("it is read", || seen.reads() > before + 400);
        drop(over);
    });
    let failures = seen.failures.lock().unwrap();
    assert!(failures.is_empty(), "{} failures: {:?}", failures.len(), &failures[..failures.len().min(5)]);
    let samples = samples.lock().unwrap();
    let above: Vec<_> = samples.iter().filter(|(resident, limit)| resident > limit).collect();
    assert!(above.is_empty() && samples.len() > 10, "{above:?} of {}", samples.len());
    let highest = samples.iter().map(|(resident, limit)| resident * 100 / limit).max().unwrap();
    let [hits, misses, waits] =
        [&seen.hits, &seen.misses, &seen.waits].map(|count| count.load(Ordering::Relaxed));
    println!(
        "{hits} hits, {misses} misses on the way down, {waits} told to wait; at most {highest} % of the limit in {} samples",
        samples.len()
    );
    assert_eq!(limits.kills(), 0);
}

/// Ends the readers, whatever becomes of the test.
struct Over<'a>(&'a Seen);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}
