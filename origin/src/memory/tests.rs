//! The memory tier: what readers see, what is kept, and that the budget is never exceeded.

mod fills;
mod follows;
mod listing;
mod resizing;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, SystemTime};

use mediaorigin_crds::policy::Class;
use proptest::prelude::*;

use super::blob::{Read, State, Uid};
use super::chunk::CHUNK_BYTES;
use super::gone::Reason;
use super::object::{Meta, Reader, Version};
use super::upload::{Committed, Opening, Terms, Upload};
use super::{Deleted, Found, Full, Memory};
use crate::clock::Clock;

const KEEP: Terms = Terms { keep: Duration::from_secs(10), expire: None };
const LOOSE: Terms = Terms { keep: Duration::ZERO, expire: None };

struct World {
    memory: Arc<Memory>,
    clock: Clock,
}

impl World {
    fn new(bytes: u64) -> Self {
        Self { memory: Arc::new(Memory::new(bytes)), clock: Clock::manual(SystemTime::UNIX_EPOCH) }
    }

    async fn open(&self, path: &str, length: Option<u64>) -> Result<Upload, Full> {
        let meta = Meta {
            content_type: "video/mp2t".to_owned(),
            content_encoding: None,
            cache_control: None,
            class: Class::Segment,
        };
        let opening =
            Opening { path: Arc::from(path), uid: Uid(fastrand::u128(..)), meta, early: true, length };
        self.memory.open(opening, &self.clock).await
    }

    async fn put(&self, path: &str, data: &[u8], terms: Terms) -> Result<Committed, Full> {
        let mut upload = self.open(path, Some(data.len() as u64)).await?;
        upload.write(data, &self.clock).await?;
        Ok(self.commit(upload, terms))
    }

    fn commit(&self, upload: Upload, terms: Terms) -> Committed {
        upload.commit(self.clock.now(), terms, |_| true)
    }

    fn find(&self, path: &str) -> Found {
        self.memory.find(path, self.clock.now())
    }

    fn complete(&self, path: &str) -> Option<Arc<Version>> {
        match self.find(path) {
            Found::Complete(version) => Some(version),
            _ => None,
        }
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.memory.sweep(self.clock.now());
    }

    fn used(&self) -> u64 {
        self.memory.budget().used()
    }
}

async fn read_all(version: Arc<Version>) -> Result<Vec<u8>, Vec<u8>> {
    let mut reader = Reader::new(version, 0, u64::MAX);
    let mut all = Vec::new();
    loop {
        match poll_fn(|cx| reader.poll_next(cx)).await {
            Read::Bytes(bytes) => all.extend_from_slice(&bytes),
            Read::End => return Ok(all),
            Read::Aborted => return Err(all),
        }
    }
}

fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from((index * 31 + seed) % 251).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_readers_follow_one_copy() {
    let world = World::new(1 << 20);
    let mut upload = world.open("a", None).await.unwrap();
    upload.write(b"first", &world.clock).await.unwrap();
    let Found::Growing(version) = world.find("a") else { unreachable!("it has bytes") };
    let readers: Vec<_> = (0..100).map(|_| tokio::spawn(read_all(Arc::clone(&version)))).collect();
    let data = pattern(200_000, 7);
    for part in data.chunks(1_000) {
        upload.write(part, &world.clock).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(world.used() < 300_000, "one copy, not a hundred: {}", world.used());
    assert!(matches!(world.commit(upload, KEEP), Committed::Created(_)));
    for reader in readers {
        assert_eq!(reader.await.unwrap(), Ok([b"first".as_slice(), &data].concat()));
    }
    drop(version);
    assert!(world.used() < 220_000, "what the pieces cost is given back: {}", world.used());
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_goes_away_cuts_its_readers_and_leaves_nothing() {
    let world = World::new(1 << 20);
    world.put("a", b"old", KEEP).await.unwrap();
    let before = world.used();
    let mut upload = world.open("b", None).await.unwrap();
    upload.write(b"half", &world.clock).await.unwrap();
    let Found::Growing(version) = world.find("b") else { unreachable!("it has bytes") };
    let reader = tokio::spawn(read_all(version));
    tokio::task::yield_now().await;
    drop(upload);
    assert_eq!(reader.await.unwrap(), Err(b"half".to_vec()));
    assert!(matches!(world.find("b"), Found::Nothing));
    assert_eq!(world.used(), before);
}

#[tokio::test(start_paused = true)]
async fn readers_of_the_old_version_finish_it() {
    let world = World::new(1 << 20);
    world.put("a", &pattern(100_000, 1), KEEP).await.unwrap();
    let old = world.complete("a").unwrap();
    let mut reader = Reader::new(Arc::clone(&old), 0, 100_000);
    let first = poll_fn(|cx| reader.poll_next(cx)).await;
    assert!(matches!(world.put("a", &pattern(50, 2), KEEP).await, Ok(Committed::Replaced(_))));
    assert_eq!(read_all(world.complete("a").unwrap()).await, Ok(pattern(50, 2)));
    assert!(matches!(first, Read::Bytes(_)));
    assert_eq!(read_all(old).await, Ok(pattern(100_000, 1)));
}

#[tokio::test(start_paused = true)]
async fn the_version_that_started_later_wins() {
    let world = World::new(1 << 20);
    let mut early = world.open("a", None).await.unwrap();
    let mut late = world.open("a", None).await.unwrap();
    early.write(b"early", &world.clock).await.unwrap();
    late.write(b"late", &world.clock).await.unwrap();
    assert!(matches!(world.commit(late, KEEP), Committed::Created(_)));
    assert!(matches!(world.commit(early, KEEP), Committed::Superseded(_)));
    assert_eq!(read_all(world.complete("a").unwrap()).await, Ok(b"late".to_vec()));
}

#[tokio::test(start_paused = true)]
async fn the_first_byte_counts_and_not_the_opening() {
    let world = World::new(1 << 20);
    let mut opened_first = world.open("a", None).await.unwrap();
    world.put("a", b"second", KEEP).await.unwrap();
    opened_first.write(b"third", &world.clock).await.unwrap();
    assert!(matches!(world.commit(opened_first, KEEP), Committed::Replaced(_)));
}

#[tokio::test(start_paused = true)]
async fn an_empty_upload_changes_nothing() {
    let world = World::new(1 << 20);
    let empty = world.open("a", None).await.unwrap();
    assert!(matches!(world.find("a"), Found::Announced(_)));
    world.put("a", b"body", KEEP).await.unwrap();
    assert!(matches!(world.commit(empty, KEEP), Committed::Empty));
    assert_eq!(read_all(world.complete("a").unwrap()).await, Ok(b"body".to_vec()));
    let empty = world.open("fresh", Some(0)).await.unwrap();
    assert!(matches!(world.commit(empty, KEEP), Committed::Empty));
    assert!(matches!(world.find("fresh"), Found::Nothing));
}

#[tokio::test(start_paused = true)]
async fn the_same_bytes_keep_their_version() {
    let world = World::new(1 << 20);
    world.put("a", &pattern(150_000, 1), KEEP).await.unwrap();
    let etag = world.complete("a").unwrap().etag();
    let used = world.used();
    let mut again = world.open("a", None).await.unwrap();
    for part in pattern(150_000, 1).chunks(777) {
        again.write(part, &world.clock).await.unwrap();
    }
    world.clock.advance(Duration::from_secs(8));
    assert!(matches!(world.commit(again, KEEP), Committed::Unchanged(_)));
    assert_eq!((world.complete("a").unwrap().etag(), world.used()), (etag.clone(), used));
    world.pass(8);
    assert_eq!(world.memory.counts().sizes.live, 1, "its time began anew");
    assert!(matches!(world.put("a", &pattern(150_000, 2), KEEP).await, Ok(Committed::Replaced(_))));
    assert_ne!(world.complete("a").unwrap().etag(), etag);
}

#[tokio::test(start_paused = true)]
async fn a_complete_version_wins_over_a_growing_one() {
    let world = World::new(1 << 20);
    world.put("a", b"old", KEEP).await.unwrap();
    let mut upload = world.open("a", None).await.unwrap();
    upload.write(b"new", &world.clock).await.unwrap();
    assert_eq!(read_all(world.complete("a").unwrap()).await, Ok(b"old".to_vec()));
    assert_eq!(world.memory.delete("a", world.clock.now(), |_| true), Deleted::Gone);
    assert!(matches!(world.find("a"), Found::Growing(_)));
}

#[tokio::test(start_paused = true)]
async fn what_must_be_kept_is_never_evicted_and_uploads_are_refused() {
    let world = World::new(1 << 20);
    let data = pattern(200_000, 1);
    for name in ["1", "2", "3", "4", "5"] {
        world.put(name, &data, KEEP).await.unwrap();
    }
    assert!(world.put("6", &data, KEEP).await.is_err());
    assert!(world.complete("1").is_some());
    world.clock.advance(Duration::from_secs(10));
    // No sweep: the upload itself sees that their time is over.
    world.put("6", &data, KEEP).await.unwrap();
    assert!(world.complete("1").is_none());
    assert_eq!(world.memory.counts().evicted, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_read_again_survives_a_scan() {
    let world = World::new(1 << 20);
    world.put("hot", &pattern(100_000, 1), LOOSE).await.unwrap();
    for number in 0..50 {
        world.pass(1);
        assert!(world.complete("hot").is_some(), "before {number}");
        world.put(&format!("cold{number}"), &pattern(200_000, number), LOOSE).await.unwrap();
    }
    assert!(world.memory.counts().evicted >= 45);
}

#[tokio::test(start_paused = true)]
async fn memory_comes_back_with_the_last_reader() {
    let world = World::new(1 << 20);
    world.put("a", &pattern(900_000, 1), LOOSE).await.unwrap();
    let reader = Reader::new(world.complete("a").unwrap(), 0, u64::MAX);
    assert!(world.put("b", &pattern(900_000, 2), LOOSE).await.is_err(), "a reader holds the bytes");
    assert!(world.complete("a").is_some(), "evicting it would have freed nothing");
    drop(reader);
    world.put("b", &pattern(900_000, 2), LOOSE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_upload_waits_a_moment_for_memory() {
    let world = World::new(1 << 20);
    let held = world.open("a", Some(900_000)).await.unwrap();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(150)).await;
        drop(held);
    });
    assert!(world.open("b", Some(900_000)).await.is_ok());
    assert_eq!(world.open("c", Some(2 << 20)).await.unwrap_err().bytes, cost_of("c", 2 << 20));
}

fn cost_of(path: &str, length: u64) -> u64 {
    let texts = path.len() + "video/mp2t".len();
    super::chunk::cost_of_length(length) + super::object::OBJECT_COST + texts as u64
}

#[tokio::test(start_paused = true)]
async fn expiry_is_exact_at_a_read_and_frees_at_a_sweep() {
    let world = World::new(1 << 20);
    let terms = Terms { keep: Duration::from_mins(1), expire: Some(Duration::from_secs(10)) };
    world.put("a", b"x", terms).await.unwrap();
    world.clock.advance(Duration::from_millis(9_999));
    assert!(world.complete("a").is_some());
    world.clock.advance(Duration::from_millis(1));
    assert!(matches!(world.find("a"), Found::Gone(Reason::Expired)));
    assert_eq!(
        world.memory.delete("a", world.clock.now(), |_| true),
        Deleted::Nothing,
        "what is expired is not there to delete"
    );
    world.put("b", b"x", terms).await.unwrap();
    world.pass(10);
    assert_eq!((world.used(), world.memory.counts().expired), (0, 1));
    assert!(matches!(world.find("b"), Found::Gone(Reason::Expired)), "it is remembered that it expired");
}

#[tokio::test(start_paused = true)]
async fn overwriting_leaves_nothing_behind() {
    let world = World::new(1 << 20);
    let terms = Terms { keep: Duration::from_secs(1), expire: Some(Duration::from_secs(1000)) };
    for number in 0..20_000_usize {
        let path = format!("p{}", number % 10);
        world.put(&path, &pattern(100, number), terms).await.unwrap();
        if number % 16 == 0 {
            world.pass(1);
        }
    }
    world.pass(2);
    let sizes = world.memory.counts().sizes;
    assert_eq!((sizes.live, sizes.evictable, sizes.expiring), (0, 10, 10));
    assert_eq!(world.memory.evictable.settled_count(), 10);
    assert_eq!(sizes.evictable_bytes, world.used());
    let slots: usize = world.memory.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
    assert_eq!(slots, 0, "what is evictable lives in the cache only");
    world.pass(1000);
    assert_eq!((world.used(), world.memory.evictable.settled_count()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn small_bytes_one_by_one_do_not_escape_the_budget() {
    let world = World::new(1 << 20);
    let mut upload = world.open("a", None).await.unwrap();
    upload.write(b"x", &world.clock).await.unwrap();
    let Found::Growing(version) = world.find("a") else { unreachable!("it has bytes") };
    let mut reader = Reader::new(version, 0, u64::MAX);
    let cx = Context::from_waker(Waker::noop());
    let mut read = 0;
    for _ in 0..CHUNK_BYTES {
        upload.write(b"x", &world.clock).await.unwrap();
        while let std::task::Poll::Ready(Read::Bytes(bytes)) = reader.poll_next(&cx) {
            read += bytes.len();
        }
        assert!(world.used() <= 1 << 20);
    }
    let Committed::Created(version) = world.commit(upload, KEEP) else { unreachable!("a new path") };
    drop(reader);
    assert!(read >= CHUNK_BYTES, "the reader kept up: {read}");
    assert_eq!(version.blob.progress().state, State::Complete);
    assert!(world.used() < 8 * 65_536, "the pieces were merged: {}", world.used());
}

#[derive(Clone, Debug)]
enum Step {
    Put { path: u8, length: usize, keep: bool },
    Stream { path: u8, parts: Vec<usize> },
    Abort,
    Finish,
    Read { path: u8 },
    Drop,
    Delete { path: u8 },
    Pass { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..12, 0_usize..200_000, any::<bool>()).prop_map(|(path, length, keep)| Step::Put { path, length, keep }),
        2 => (0_u8..12, prop::collection::vec(1_usize..50_000, 0..6)).prop_map(|(path, parts)| Step::Stream { path, parts }),
        1 => Just(Step::Abort),
        2 => Just(Step::Finish),
        4 => (0_u8..12).prop_map(|path| Step::Read { path }),
        3 => Just(Step::Drop),
        1 => (0_u8..12).prop_map(|path| Step::Delete { path }),
        1 => (0_u64..20).prop_map(|seconds| Step::Pass { seconds }),
    ]
}

#[derive(Default)]
struct Held {
    uploads: Vec<Upload>,
    readers: Vec<Reader>,
}

async fn apply(world: &World, held: &mut Held, step: Step) {
    let cx = Context::from_waker(Waker::noop());
    match step {
        Step::Put { path, length, keep } => {
            let terms = if keep { KEEP } else { LOOSE };
            // Refusing is a legal answer.
            let _ = world.put(&format!("p{path}"), &pattern(length, usize::from(path)), terms).await;
        }
        Step::Stream { path, parts } => {
            let Ok(mut upload) = world.open(&format!("p{path}"), None).await else { return };
            for length in parts {
                if upload.write(&pattern(length, length), &world.clock).await.is_err() {
                    return;
                }
            }
            held.uploads.push(upload);
        }
        Step::Abort => drop(held.uploads.pop()),
        Step::Finish => {
            if let Some(upload) = held.uploads.pop() {
                world.commit(upload, LOOSE);
            }
        }
        Step::Read { path } => {
            if let Found::Complete(version) | Found::Growing(version) = world.find(&format!("p{path}")) {
                let mut reader = Reader::new(version, 0, u64::MAX);
                let _ = reader.poll_next(&cx);
                held.readers.push(reader);
            }
        }
        Step::Drop => drop(held.readers.pop()),
        Step::Delete { path } => {
            world.memory.delete(&format!("p{path}"), world.clock.now(), |_| true);
        }
        Step::Pass { seconds } => world.pass(seconds),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_budget_holds_whatever_happens(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = World::new(600_000);
            let mut held = Held::default();
            for step in steps {
                apply(&world, &mut held, step).await;
                assert!(world.used() <= 600_000);
                let sizes = world.memory.counts().sizes;
                assert!(sizes.live + sizes.evictable <= 12);
            }
            drop(held);
            world.pass(100);
            let counts = world.memory.counts();
            assert_eq!((counts.uploads, counts.sizes.live), (0, 0));
            for path in 0..12 {
                world.memory.delete(&format!("p{path}"), world.clock.now(), |_| true);
            }
            assert_eq!(world.used(), 0, "everything was given back");
        });
    }
}

#[test]
fn the_budget_holds_between_threads() {
    let world = World::new(2_000_000);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for seed in 0..4_u64 {
            let (world, over) = (&world, &over);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                let mut random = fastrand::Rng::with_seed(seed);
                let mut readers = Vec::new();
                runtime.block_on(async {
                    for number in 0..300 {
                        let path = format!("p{}", random.u8(0..8));
                        if random.bool() {
                            let _ = world.put(&path, &pattern(random.usize(0..150_000), number), LOOSE).await;
                        } else if let Some(version) = world.complete(&path) {
                            // Whatever is read is one version, from its first to its last byte.
                            let bytes = read_all(Arc::clone(&version)).await.unwrap();
                            let first = usize::from(bytes[0]);
                            assert!(bytes == pattern(bytes.len(), first));
                            readers.push(Reader::new(version, 0, u64::MAX));
                        }
                        readers.truncate(3);
                        over.fetch_or(world.used() > 2_000_000, Ordering::Relaxed);
                    }
                });
            });
        }
    });
    assert!(!over.load(Ordering::Relaxed));
    for path in 0..8 {
        world.memory.delete(&format!("p{path}"), world.clock.now(), |_| true);
    }
    assert_eq!(world.used(), 0);
}
