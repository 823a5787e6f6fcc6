//! A budget that becomes larger or smaller while it is used.

use std::collections::BTreeMap;

use super::*;

const MIB: u64 = 1 << 20;

impl World {
    fn resize(&self, bytes: u64) {
        self.memory.budget().set_limit(bytes);
    }

    /// Evicts what is beyond the budget, as far as it may go.
    fn trim(&self) {
        while self.memory.trim(self.clock.now()) {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_smaller_budget_evicts_the_oldest_and_a_larger_one_nothing() {
    let world = World::new(2 * MIB);
    let body = pattern(100_000, 1);
    for number in 0..18 {
        world.put(&format!("p{number}"), &body, LOOSE).await.unwrap();
    }
    world.pass(1);
    // Told by the bytes: what is looked for is not the oldest any more.
    world.resize(4 * MIB);
    world.trim();
    assert!(world.used() >= 18 * 100_000, "a larger budget keeps everything: {}", world.used());
    for number in 18..36 {
        world.put(&format!("p{number}"), &body, LOOSE).await.unwrap();
    }
    assert!(world.used() >= 36 * 100_000, "and has room for more: {}", world.used());
    world.resize(MIB);
    assert!(world.memory.trim(world.clock.now()) || world.used() <= MIB);
    world.trim();
    assert!(world.used() <= MIB, "{}", world.used());
    assert!(world.used() > MIB - 110_000, "no more than necessary: {}", world.used());
    let newest = (0..36).rev().take_while(|number| world.complete(&format!("p{number}")).is_some()).count();
    let left = (0..36).filter(|number| world.complete(&format!("p{number}")).is_some()).count();
    assert!(left >= 9 && newest == left, "the newest stay: {newest} of {left}");
    world.put("new", &body, LOOSE).await.unwrap();
    assert!(world.used() <= MIB);
}

#[tokio::test(start_paused = true)]
async fn what_is_read_or_must_be_kept_stays_and_nothing_new_is_taken_in() {
    let world = World::new(2 * MIB);
    let body = pattern(400_000, 3);
    world.put("kept", &body, KEEP).await.unwrap();
    world.put("read", &body, LOOSE).await.unwrap();
    world.put("loose", &body, LOOSE).await.unwrap();
    let mut reader = Reader::new(world.complete("read").unwrap(), 0, u64::MAX);
    let first = poll_fn(|cx| reader.poll_next(cx)).await;
    assert!(matches!(first, Read::Bytes(_)));
    drop(first);
    world.resize(500_000);
    world.trim();
    assert!(world.complete("loose").is_none());
    assert!(world.complete("kept").is_some() && world.complete("read").is_some());
    assert!(world.used() > 800_000, "{}", world.used());
    assert!(world.put("new", &pattern(1_000, 1), LOOSE).await.is_err(), "there is no room");
    // The reader goes on to the end, and then what it has read may go.
    let mut length = 0;
    loop {
        match poll_fn(|cx| reader.poll_next(cx)).await {
            Read::Bytes(bytes) => length += bytes.len(),
            Read::End => break,
            Read::Aborted => panic!("it is cut off"),
        }
    }
    assert!(length > 300_000);
    drop(reader);
    world.trim();
    assert!(world.complete("read").is_none() && world.complete("kept").is_some());
    assert!(world.used() <= 500_000, "{}", world.used());
    world.put("new", &pattern(1_000, 1), LOOSE).await.unwrap();
}

/// Who waits for memory is given what a larger budget has.
#[tokio::test(start_paused = true)]
async fn an_upload_that_waits_goes_on_when_the_budget_grows() {
    let world = World::new(500_000);
    world.put("kept", &pattern(400_000, 3), KEEP).await.unwrap();
    let body = pattern(400_000, 4);
    let (put, ()) = tokio::join!(world.put("new", &body, LOOSE), async {
        tokio::task::yield_now().await;
        world.resize(MIB);
    });
    assert!(put.is_ok());
}

#[derive(Clone, Debug)]
enum Change {
    Put { path: u8, length: usize },
    Read { path: u8 },
    Drop,
    Resize { bytes: u64 },
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (0..12_u8, 1..200_000_usize).prop_map(|(path, length)| Change::Put { path, length }),
        2 => (0..12_u8).prop_map(|path| Change::Read { path }),
        1 => Just(Change::Drop),
        2 => (100_000..1_500_000_u64).prop_map(|bytes| Change::Resize { bytes }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_budget_becomes_nothing_is_taken_in_beyond_it_and_readers_read_on(
        changes in prop::collection::vec(change(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = World::new(600_000);
            let mut readers: Vec<(Arc<Version>, Vec<u8>)> = Vec::new();
            let mut bodies: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
            for (number, change) in changes.into_iter().enumerate() {
                let before = world.used();
                match change {
                    Change::Put { path, length } => {
                        let body = pattern(length, number);
                        if world.put(&format!("p{path}"), &body, LOOSE).await.is_ok() {
                            assert!(world.used() <= world.memory.budget().limit());
                            bodies.insert(path, body);
                        } else {
                            assert!(world.used() <= before.max(world.memory.budget().limit()));
                        }
                    }
                    Change::Read { path } => {
                        readers.extend(world.complete(&format!("p{path}")).map(|version| (version, bodies[&path].clone())));
                    }
                    Change::Drop => readers.clear(),
                    Change::Resize { bytes } => {
                        let count = world.memory.counts().sizes.evictable;
                        let grows = bytes >= world.used();
                        world.resize(bytes);
                        world.trim();
                        assert!(world.used() <= before);
                        if grows {
                            assert_eq!(world.memory.counts().sizes.evictable, count, "nothing left for want of room");
                        }
                        if readers.is_empty() {
                            assert!(world.used() <= bytes, "{} of {bytes}", world.used());
                        }
                    }
                }
            }
            for (version, body) in readers {
                assert_eq!(read_all(version).await, Ok(body));
            }
            world.trim();
            assert!(world.used() <= world.memory.budget().limit());
        });
    }
}
