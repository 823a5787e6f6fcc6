use std::sync::Arc;

use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use super::{as_tier, clock, process};
use crate::tiers::contract::{self, Fresh, assert_gone, assert_holds, assert_nothing, read_whole, store};
use crate::tiers::object_store::Conditions;
use crate::tiers::{Listed, Removed, Tier};

#[expect(clippy::unused_async, reason = "what the suite calls")]
async fn fresh() -> Fresh {
    let store = Arc::new(InMemory::new());
    Fresh { tier: as_tier(&process(&store, &clock())), _keep: Box::new(()) }
}

contract::suite!(fresh);

async fn keys(store: &InMemory) -> Vec<String> {
    use futures_util::TryStreamExt;
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    objects.into_iter().map(|object| object.location.to_string()).collect()
}

#[tokio::test]
async fn what_one_process_stored_the_next_one_has() {
    let (store_, clock) = (Arc::new(InMemory::new()), clock());
    let record = store(&as_tier(&process(&store_, &clock)), "live/a.ts", 7, b"bytes").await;
    let next = as_tier(&process(&store_, &clock));
    assert_holds(&next, &record, b"bytes").await;
    assert_eq!(keys(&store_).await, ["media/live/a.ts"]);
}

#[tokio::test]
async fn objects_of_others_are_served_listed_and_deleted() {
    let (store_, clock) = (Arc::new(InMemory::new()), clock());
    let key = Path::from("media/vod/film.mp4");
    store_.put(&key, PutPayload::from_static(b"film")).await.unwrap();
    let tier = as_tier(&process(&store_, &clock));
    let found = tier.find("vod/film.mp4").await.unwrap().unwrap();
    assert_eq!((found.sequence, found.size, found.meta.content_type.as_str()), (0, 4, "video/mp4"));
    assert_holds(&tier, &found, b"film").await;
    assert_eq!(tier.list("vod/", "", 9).await.unwrap(), [Listed::Object(Arc::clone(&found))]);

    store_.put(&key, PutPayload::from_static(b"other")).await.unwrap();
    let error = read_whole(&tier, &found).await.unwrap_err();
    assert_gone(&tier, "vod/film.mp4", &error);
    assert_eq!(tier.delete("vod/film.mp4", 0).await.unwrap(), Removed::Gone);
    assert_nothing(&tier, "vod/film.mp4").await;

    store_.put(&key, PutPayload::from_static(b"third")).await.unwrap();
    store(&tier, "vod/film.mp4", 1, b"ours").await;
}

#[tokio::test]
async fn a_delete_after_the_start_leaves_a_marker_that_goes_when_nothing_can_come_late() {
    let (store_, clock) = (Arc::new(InMemory::new()), clock());
    let tier = process(&store_, &clock);
    let tier_ = as_tier(&tier);
    store(&tier_, "a", 1, b"1").await;
    assert_eq!(tier.delete("a", 1).await.unwrap(), Removed::Gone);
    assert_eq!(tier.delete("never", 1).await.unwrap(), Removed::Nothing);
    assert_eq!(keys(&store_).await, ["media/a", "media/never"]);
    assert!(tier.list("", "", 9).await.unwrap().is_empty());
    assert_eq!(tier.health().markers, 2);

    let minute = tier.shared.requests.limits.in_doubt;
    clock.advance(minute / 2);
    tier.tend().await;
    assert_eq!(keys(&store_).await.len(), 2);
    clock.advance(minute / 2);
    tier.tend().await;
    assert!(keys(&store_).await.is_empty());
    assert_eq!(tier.health().markers, 0);

    store(&tier_, "b", 2, b"2").await;
    assert_eq!(tier.delete("b", 2).await.unwrap(), Removed::Gone);
    assert!(keys(&store_).await.is_empty(), "nothing is in doubt: no marker");
}

#[tokio::test]
async fn a_marker_of_the_process_before_is_found_by_a_listing_and_taken_away() {
    let (store_, clock) = (Arc::new(InMemory::new()), clock());
    let before = as_tier(&process(&store_, &clock));
    store(&before, "a", 1, b"1").await;
    before.delete("a", 1).await.unwrap();
    let next = process(&store_, &clock);
    assert!(next.list("", "", 9).await.unwrap().is_empty());
    clock.advance(next.shared.requests.limits.in_doubt);
    next.tend().await;
    assert!(keys(&store_).await.is_empty());
}

#[tokio::test]
async fn a_marker_that_was_replaced_stays() {
    let (store_, clock) = (Arc::new(InMemory::new()), clock());
    let tier = process(&store_, &clock);
    let tier_ = as_tier(&tier);
    store(&tier_, "a", 1, b"1").await;
    tier.delete("a", 1).await.unwrap();
    let newer = store(&tier_, "a", 2, b"2").await;
    clock.advance(tier.shared.requests.limits.in_doubt);
    tier.tend().await;
    assert_holds(&tier_, &newer, b"2").await;
}

#[tokio::test]
async fn the_probe_leaves_nothing_behind() {
    let store_ = Arc::new(InMemory::new());
    let tier = process(&store_, &clock());
    assert_eq!(tier.health().conditions, Conditions::Unknown);
    tier.tend().await;
    assert_eq!(tier.health().conditions, Conditions::Honoured);
    assert!(keys(&store_).await.is_empty());
}

#[tokio::test]
async fn bytes_that_changed_in_the_store_are_an_error() {
    let store_ = Arc::new(InMemory::new());
    let tier = as_tier(&process(&store_, &clock()));
    let record = store(&tier, "a", 1, b"right").await;
    let key = Path::from("media/a");
    let attributes = store_.get(&key).await.unwrap().attributes;
    store_.put_opts(&key, Bytes::from_static(b"wrong").into(), attributes.into()).await.unwrap();
    let error = read_whole(&tier, &record).await.unwrap_err();
    assert_eq!(error.kind, crate::tiers::ErrorKind::Corrupt, "{error}");
}
