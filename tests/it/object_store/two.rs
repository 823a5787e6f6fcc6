//! Two origins on one bucket, as for the seconds of a rolling update: the newest version stays, whoever wrote it.
//!
//! versitygw 1.8 answers HEAD from several reads of the object, without a lock: first its headers, then its `ETag`. When
//! another version takes its place in between, the answer is of two versions. That is how an older version came to replace
//! a newer one here, about once in a few hundred races on a busy machine; `heads.rs` shows it without our tier.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mediaorigin_origin::memory::blob::Uid;
use mediaorigin_origin::tiers::object_store::{Limits, ObjectStoreTier};
use mediaorigin_origin::tiers::{Listed, Put, Record, Removed, Tier};
use mediaorigin_tests::faults::{Exchange, Fate, Seen};
use mediaorigin_tests::s3::Program;
use tokio::task::JoinHandle;

use super::{World, first, limits, record};

const PATH: &str = "live/index.m3u8";
/// Longer than any test: here a held answer is waited for, not repeated.
const LONG: Duration = Duration::from_mins(1);

/// Another origin on the bucket of `world`. It has only just started, so its deletes leave markers.
async fn other(world: &World, limits: Limits) -> Arc<ObjectStoreTier> {
    let options = super::options(world.proxy.address, world.secret.path());
    let options = super::ObjectStoreOptions { limits, ..options };
    let other = ObjectStoreTier::open(options, world.clock.clone()).unwrap();
    other.tend().await;
    Arc::new(other)
}

/// Nothing is repeated because it takes long.
fn patient() -> Limits {
    Limits { attempt: LONG, call: LONG, hedge_after: LONG, ..limits() }
}

async fn put(tier: &ObjectStoreTier, sequence: u64, data: &'static [u8]) -> Put {
    tier.put(&record(PATH, sequence, data), &[Bytes::from_static(data)]).await.unwrap()
}

/// Begins `call`; its first HEAD is held after the headers were read, before the `ETag` is.
fn torn<T: Send + 'static>(world: &World, call: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    let is_head = |seen: &Seen| seen.method == "HEAD";
    world.proxy.plan(first(vec![Fate::Torn("head")], is_head));
    let call = tokio::spawn(call);
    world.proxy.wait_held("head").unwrap();
    call
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_does_not_believe_an_answer_of_two_versions() {
    let world = World::with(patient()).await;
    let other = other(&world, patient()).await;
    world.store(PATH, 1, b"one").await;
    let late = torn(&world, async move { put(&other, 2, b"two").await });
    world.store(PATH, 3, b"three").await;
    world.proxy.release("head").unwrap();
    assert_eq!(late.await.unwrap(), Put::Superseded);
    world.assert_holds(PATH, 3, b"three").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_read_saw_is_not_taken_for_granted_by_a_put() {
    let world = World::with(patient()).await;
    let other = other(&world, patient()).await;
    let reader = Arc::clone(&other);
    world.store(PATH, 1, b"one").await;
    let find = torn(&world, async move { reader.find(PATH).await.unwrap().unwrap().sequence });
    world.store(PATH, 3, b"three").await;
    world.proxy.release("head").unwrap();
    assert_eq!(find.await.unwrap(), 1, "the answer was not torn: nothing was proven");
    assert_eq!(put(&other, 2, b"two").await, Put::Superseded);
    world.assert_holds(PATH, 3, b"three").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_takes_no_place_by_an_answer_of_two_versions() {
    let world = World::with(patient()).await;
    let other = other(&world, patient()).await;
    world.store(PATH, 1, b"one").await;
    let delete = torn(&world, async move { other.delete(PATH, 2).await.unwrap() });
    world.store(PATH, 3, b"three").await;
    world.proxy.release("head").unwrap();
    assert_eq!(delete.await.unwrap(), Removed::Newer);
    world.assert_holds(PATH, 3, b"three").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_does_not_take_an_old_answer_for_the_new_version() {
    let world = World::with(patient()).await;
    let tier = other(&world, patient()).await;
    let reader = Arc::clone(&tier);
    assert_eq!(put(&tier, 1, b"one").await, Put::Stored);
    let find = torn(&world, async move { reader.find(PATH).await.unwrap().unwrap().sequence });
    assert_eq!(put(&tier, 2, b"two").await, Put::Stored);
    world.proxy.release("head").unwrap();
    assert_eq!(find.await.unwrap(), 1, "the answer was not torn: nothing was proven");
    let listed = tier.list("live/", "", 9).await.unwrap();
    assert_eq!(listed, [Listed::Object(record(PATH, 2, b"two"))]);
}

/// Places in the order of versions are times: two origins may give the same one.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_versions_with_one_place_the_same_one_stays_whichever_comes_first() {
    let world = World::with(patient()).await;
    let other = other(&world, patient()).await;
    for (path, order) in [("live/a", [1, 2]), ("live/b", [2, 1])] {
        for (uid, tier) in order.into_iter().zip([&world.tier, &*other]) {
            let version = Record { uid: Uid(uid), ..Record::clone(&record(path, 5, b"same size")) };
            let put = tier.put(&Arc::new(version), &[Bytes::from_static(b"same size")]).await.unwrap();
            assert_eq!(put, if order == [2, 1] && uid == 1 { Put::Superseded } else { Put::Stored });
        }
        assert_eq!(world.tier.find(path).await.unwrap().unwrap().uid, Uid(2));
    }
}

/// The one way that is left, as docs/object-store.md says: the `ETag` of S3 is the MD5 of the bytes.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_again_hide_a_newer_version_from_another_origin() {
    let world = World::with(patient()).await;
    let other = other(&world, patient()).await;
    assert_eq!(put(&other, 1, b"same").await, Put::Stored);
    world.store(PATH, 2, b"two").await;
    world.store(PATH, 9, b"same").await;
    assert_eq!(put(&other, 5, b"five").await, Put::Stored, "the store has other ETags: say so in the docs");
}

/// Time is not what a race is about: no call may fail on a busy machine.
fn unhurried() -> Limits {
    Limits { attempt: LONG, call: LONG, ..limits() }
}

/// Twenty versions at once, by two origins in turn. What is wrong afterwards says whether the server or the tier is to blame.
async fn race(world: &World, other: &ObjectStoreTier, path: &str) -> Result<(), String> {
    let puts = (1..=20_u64).map(|sequence| {
        let tier = if sequence % 2 == 0 { &world.tier } else { other };
        async move {
            let data = super::body(sequence, 20_000);
            let record = record(path, sequence, &data);
            tier.put(&record, &[data.into()]).await
        }
    });
    let results = futures_util::future::join_all(puts).await;
    let wrong = |what: String| format!("{what}\n{}", why(&world.proxy.exchanges()));
    let results: Result<Vec<Put>, _> = results.into_iter().collect();
    let results = results.map_err(|error| wrong(error.to_string()))?;
    if results[19] != Put::Stored {
        return Err(wrong(format!("the newest version: {:?}", results[19])));
    }
    let found = world.tier.find(path).await.map_err(|error| wrong(error.to_string()))?;
    if found.as_ref().map(|found| found.sequence) != Some(20) {
        return Err(wrong(format!("{found:?} is there at the end")));
    }
    let data = super::body(20, 20_000);
    match world.read(&record(path, 20, &data)).await {
        Ok(read) if read == data => Ok(()),
        Ok(_) => Err(wrong("other bytes".to_owned())),
        Err(error) => Err(wrong(error.to_string())),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_origins_at_once_end_with_the_newest_version() {
    let world = World::with(unhurried()).await;
    let other = other(&world, unhurried()).await;
    race(&world, &other, PATH).await.unwrap_or_else(|wrong| panic!("{wrong}"));
    // What the one remembers of it is old by now.
    assert_eq!(other.delete(PATH, 19).await.unwrap(), Removed::Newer);
}

/// The control: the same race on a server that lets two writers win.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "builds s3s-fs: `make soak`"]
async fn the_race_notices_a_store_in_which_two_writers_win() {
    assert_eq!(Program::chosen().unwrap(), Program::S3sFs, "MEDIAORIGIN_S3_SERVER=s3s-fs");
    let world = World::with(unhurried()).await;
    let other = other(&world, unhurried()).await;
    for round in 1..=50 {
        if let Err(wrong) = race(&world, &other, &format!("live/{round}.ts")).await {
            println!("round {round}: {}", wrong.lines().next().unwrap_or_default());
            return;
        }
    }
    panic!("fifty races without anything wrong");
}

/// What went over the network, and whether the server's answers belong together.
fn why(exchanges: &[Exchange]) -> String {
    let lines: Vec<String> = exchanges.iter().map(ToString::to_string).collect();
    let log = lines.join("\n");
    match of_two_versions(exchanges) {
        0 => format!(
            "each answer of the server is of one version, so the tier let an older one through:\n{log}"
        ),
        torn => {
            format!("{torn} answers of the server are of two versions; the tier believed one of them:\n{log}")
        }
    }
}

/// How many answers to HEAD have a place in the order of versions and an `ETag` that were not stored together.
fn of_two_versions(exchanges: &[Exchange]) -> usize {
    const SEQUENCE: &str = "x-amz-meta-mo-sequence";
    let written =
        exchanges.iter().filter(|exchange| exchange.method() == "PUT" && exchange.status() == "200");
    let written: HashMap<&str, &str> =
        written.filter_map(|put| Some((put.answered("etag")?, put.asked(SEQUENCE)?))).collect();
    let is_torn = |head: &&Exchange| {
        let known = head.answered("etag").and_then(|etag| written.get(etag));
        known.is_some_and(|sequence| head.answered(SEQUENCE) != Some(sequence))
    };
    let heads = exchanges.iter().filter(|exchange| exchange.method() == "HEAD");
    heads.filter(is_torn).count()
}
