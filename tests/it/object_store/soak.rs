//! Random calls over a random network: whatever was acknowledged is there, whatever was deleted is not.
//!
//! Runs for `MEDIAORIGIN_SOAK_SECONDS` (default 5) with the seed of `MEDIAORIGIN_SEED`, which is printed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fastrand::Rng;
use mediaorigin_origin::tiers::object_store::Limits;
use mediaorigin_origin::tiers::{ErrorKind, Put, Removed, Tier};
use mediaorigin_tests::faults::{Fate, Seen};

use super::{WINDOW, World, collect, limits, record};

const KEYS: usize = 12;
/// Between two moments at which everything has arrived.
const ROUND: Duration = Duration::from_millis(1_200);
/// Names for requests that are held; one is reused when it has been delivered.
const HELD: [&str; 24] = [
    "h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8", "h9", "h10", "h11", "h12", "h13", "h14", "h15",
    "h16", "h17", "h18", "h19", "h20", "h21", "h22", "h23",
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Few bodies, so that the same bytes and with them the same `ETag`s come back.
fn data(sequence: u64) -> Vec<u8> {
    super::body(sequence % 3, 2_000)
}

fn fate(random: &mut Rng, seen: &Seen) -> Fate {
    let is_write = seen.method != "GET" && seen.method != "HEAD";
    match random.u32(0..100) {
        0..15 if is_write => Fate::Hold(HELD[random.usize(..HELD.len())]),
        15..17 => Fate::AnswerLost,
        17..19 => Fate::Status([500, 503][random.usize(..2)]),
        19..22 => Fate::Cut(random.usize(..2_000)),
        22..23 => Fate::AnswerLate(Duration::from_millis(random.u64(100..600))),
        23..24 => Fate::Late(Duration::from_millis(random.u64(100..600))),
        _ => Fate::Pass,
    }
}

/// What one key was told.
#[derive(Clone, Copy, Debug)]
enum Promise {
    Nothing,
    /// This version or a newer one is there, unless a delete that failed was done all the same.
    Stored {
        at_least: u64,
        may_be_deleted: bool,
    },
    /// Nothing up to this is there.
    Deleted(u64),
}

#[derive(Debug, Default)]
struct Counts {
    stored: AtomicU64,
    deleted: AtomicU64,
    failed: AtomicU64,
}

/// A key, its calls so far and what they promised.
struct Key {
    path: String,
    random: Rng,
    sequence: u64,
    promise: Promise,
}

impl Key {
    /// Calls one after the other, until `end`.
    async fn call(&mut self, world: &World, end: Instant, counts: &Counts) {
        while Instant::now() < end {
            self.sequence += 1;
            if self.random.u32(..3) == 0 {
                self.delete(world, counts).await;
            } else {
                self.put(world, counts).await;
            }
            if self.random.u32(..3) == 0 {
                // Between the calls, as a network would; another key may deliver the same at this moment.
                let _ = world.proxy.deliver_all(&self.path);
            }
            check(world, &self.path, self.promise, false).await;
        }
    }

    async fn delete(&mut self, world: &World, counts: &Counts) {
        match world.tier.delete(&self.path, self.sequence).await {
            Ok(Removed::Newer) => panic!("{}: nothing is newer than {}", self.path, self.sequence),
            Ok(_) => {
                self.promise = Promise::Deleted(self.sequence);
                counts.deleted.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                expect_unavailable(&error, counts);
                if let Promise::Stored { may_be_deleted, .. } = &mut self.promise {
                    *may_be_deleted = true;
                }
            }
        }
    }

    async fn put(&mut self, world: &World, counts: &Counts) {
        let body = data(self.sequence);
        let record = record(&self.path, self.sequence, &body);
        match world.tier.put(&record, &[Bytes::from(body)]).await {
            Ok(Put::Superseded) => panic!("{}: nothing is newer than {}", self.path, self.sequence),
            Ok(Put::Stored) => {
                self.promise = Promise::Stored { at_least: self.sequence, may_be_deleted: false };
                counts.stored.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => expect_unavailable(&error, counts),
        }
    }
}

fn expect_unavailable(error: &mediaorigin_origin::tiers::TierError, counts: &Counts) {
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    counts.failed.fetch_add(1, Ordering::Relaxed);
}

/// That a promise is kept; the network may prevent us from seeing it unless it `is_quiet`.
async fn check(world: &World, path: &str, promise: Promise, is_quiet: bool) {
    let found = match world.tier.find(path).await {
        Ok(found) => found,
        Err(error) if !is_quiet && error.kind == ErrorKind::Unavailable => return,
        Err(error) => panic!("{error}"),
    };
    let sequence = found.as_ref().map(|found| found.sequence);
    match promise {
        Promise::Stored { at_least, may_be_deleted } => assert!(
            sequence.map_or(may_be_deleted, |sequence| sequence >= at_least),
            "{path}: {sequence:?} in place of {at_least}"
        ),
        Promise::Deleted(through) => assert!(
            sequence.is_none_or(|sequence| sequence > through),
            "{path}: {sequence:?} is back after {through}"
        ),
        Promise::Nothing => {}
    }
    let Some(found) = found else { return };
    match collect(&world.tier, &found, 0..found.size).await {
        Ok(bytes) => assert!(bytes == data(found.sequence), "{path}: other bytes"),
        Err(error) if !is_quiet && error.kind == ErrorKind::Unavailable => {}
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promises_are_kept_over_a_random_network() {
    let seed = number("MEDIAORIGIN_SEED").unwrap_or_else(|| fastrand::u64(..));
    let seconds = number("MEDIAORIGIN_SOAK_SECONDS").unwrap_or(5);
    println!("MEDIAORIGIN_SEED={seed} for {seconds} s");
    let short = Limits { attempt: Duration::from_millis(400), ..limits() };
    let world = World::with(short).await;
    let mut random = Rng::with_seed(seed);
    let key = |key| Key {
        path: format!("live/{key}.ts"),
        random: random.fork(),
        sequence: 0,
        promise: Promise::Nothing,
    };
    let mut keys: Vec<Key> = (0..KEYS).map(key).collect();
    let (begin, counts) = (Instant::now(), Counts::default());
    while begin.elapsed() < Duration::from_secs(seconds) {
        let mut network = random.fork();
        world.proxy.plan(move |seen| fate(&mut network, seen));
        let end = Instant::now() + ROUND;
        futures_util::future::join_all(keys.iter_mut().map(|key| key.call(&world, end, &counts))).await;
        // All that is on its way arrives; later than that nothing comes any more.
        world.proxy.pass();
        world.proxy.deliver_all("").unwrap();
        world.proxy.wait_idle().unwrap();
        for _ in 0..2 {
            for key in &keys {
                check(&world, &key.path, key.promise, true).await;
            }
            world.clock.advance(WINDOW);
            world.tier.tend().await;
        }
    }
    println!("{counts:?}, {:?}", world.tier.counters());
    let wanted = 8 * seconds;
    assert!(
        counts.stored.load(Ordering::Relaxed) > wanted,
        "the network lets too little through: {counts:?}"
    );
}
