//! Versions of other pods, by their names.

use std::time::{Duration, SystemTime};

use mediaorigin_crds::policy::Class;

use crate::memory::blob::Uid;
use crate::memory::object::{Meta, Started};
use crate::memory::tests::{KEEP, LOOSE, World, read_all};
use crate::memory::upload::{Committed, Opening, Terms, Upload};
use crate::memory::{Counts, Found};

async fn follow(world: &World, path: &str, uid: Uid, sequence: u64) -> Option<Upload> {
    let meta = Meta {
        content_type: "video/mp2t".to_owned(),
        content_encoding: None,
        cache_control: None,
        class: Class::Segment,
    };
    let opening = Opening { path: path.into(), uid, meta, early: true, length: None };
    let started = Started { sequence, modified: SystemTime::UNIX_EPOCH + Duration::from_secs(5) };
    let mut upload = world.memory.follow(opening, started, &world.clock).await.unwrap()?;
    upload.write(b"abc", &world.clock).await.unwrap();
    Some(upload)
}

#[tokio::test]
async fn what_is_followed_has_the_name_and_the_beginning_of_another_pod() {
    let world = World::new(1 << 20);
    let upload = follow(&world, "a", Uid(1), 70).await.unwrap();
    let Found::Growing(version) = world.find("a") else { panic!("it has bytes") };
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(5);
    assert_eq!((version.uid, version.started()), (Uid(1), Some(Started { sequence: 70, modified })));
    assert_eq!(world.memory.counts().uploads, 0, "nobody uploads it here");
    assert!(follow(&world, "a", Uid(1), 70).await.is_none(), "it is here");
    let other = follow(&world, "a", Uid(2), 71).await.unwrap();
    assert!(matches!(upload.commit_at(90, world.clock.now(), KEEP), Committed::Created(_)));
    assert_eq!(world.memory.committed_sequence("a", world.clock.now()), Some(90));
    assert!(world.memory.next_sequence(world.clock.now()) > 90, "what is put here next is newer");
    assert!(matches!(other.commit_at(80, world.clock.now(), KEEP), Committed::Superseded(_)));
    assert_eq!(read_all(version).await.unwrap(), b"abc");
    assert!(follow(&world, "a", Uid(1), 70).await.is_none(), "it is here, complete");
    world.memory.delete("a", world.clock.now(), |_| true);
    drop(follow(&world, "a", Uid(1), 70).await.unwrap());
    assert!(matches!(world.find("a"), Found::Nothing));
    assert_eq!(world.memory.counts(), Counts::default(), "all is given back");
}

#[tokio::test]
async fn what_ends_without_a_commit_is_read_to_its_end_and_leaves_nothing() {
    let world = World::new(1 << 20);
    let upload = follow(&world, "a", Uid(1), 70).await.unwrap();
    let Found::Growing(version) = world.find("a") else { panic!("it has bytes") };
    upload.end();
    assert!(matches!(world.find("a"), Found::Nothing));
    assert_eq!(read_all(version).await.unwrap(), b"abc");
    assert_eq!(world.used(), 0);
}

/// Pods give places in the order of versions of their own accord, for different paths also the same one.
#[tokio::test]
async fn two_paths_may_have_the_same_place() {
    let world = World::new(1 << 20);
    for path in ["a", "b", "c"] {
        let upload = follow(&world, path, Uid(1), 70).await.unwrap();
        let terms = Terms { keep: KEEP.keep, expire: (path == "c").then_some(Duration::from_secs(20)) };
        assert!(matches!(upload.commit_at(70, world.clock.now(), terms), Committed::Created(_)));
    }
    assert_eq!((world.memory.counts().sizes.live, world.memory.counts().sizes.evictable), (3, 0));
    world.pass(10);
    assert_eq!((world.memory.counts().sizes.live, world.memory.counts().sizes.evictable), (0, 3));
    world.memory.delete("a", world.clock.now(), |_| true);
    assert!(world.complete("a").is_none() && world.complete("b").is_some());
    world.pass(10);
    assert!(world.complete("c").is_none() && world.complete("b").is_some());
    world.memory.evict_all(world.clock.now());
    assert_eq!((world.used(), world.memory.counts().sizes.evictable_bytes), (0, 0));
}

#[tokio::test]
async fn a_version_is_found_by_its_name() {
    let world = World::new(1 << 20);
    let named =
        |path: &str, uid| world.memory.holding(path, uid, world.clock.now()).map(|version| version.uid);
    let hidden = {
        let mut upload = world.open("a", None).await.unwrap();
        upload.write(b"abc", &world.clock).await.unwrap();
        upload
    };
    let uid = hidden.version().uid;
    assert_eq!((named("a", uid), named("a", Uid(7)), named("b", uid)), (Some(uid), None, None));
    world.commit(hidden, LOOSE);
    assert_eq!(named("a", uid), Some(uid));
    world
        .put("a", b"other", Terms { keep: Duration::ZERO, expire: Some(Duration::from_secs(3)) })
        .await
        .unwrap();
    assert_eq!(named("a", uid), None, "it was replaced");
    let uid = world.complete("a").unwrap().uid;
    let growing = world.open("a", None).await.unwrap();
    world.clock.advance(Duration::from_secs(3));
    assert_eq!(named("a", uid), None, "its time is over");
    assert_eq!(named("a", growing.version().uid), Some(growing.version().uid));
}
