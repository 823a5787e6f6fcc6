//! Requests that come when nobody waits for them any more: what was acknowledged stays.

use mediaorigin_origin::tiers::{ErrorKind, Removed, Tier};
use mediaorigin_tests::faults::{Fate, Seen};

use super::{WINDOW, World, first};

fn is_create(seen: &Seen) -> bool {
    seen.method == "PUT" && seen.if_none_match.is_some()
}

fn is_replace(seen: &Seen) -> bool {
    seen.method == "PUT" && seen.if_match.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_create_does_not_bring_back_what_was_deleted() {
    let world = World::start().await;
    world.proxy.plan(first(vec![Fate::Hold("create")], is_create));
    world.store("live/a.ts", 1, b"one").await;
    world.proxy.wait_held("create").unwrap();
    world.store("live/a.ts", 2, b"two").await;
    assert_eq!(world.tier.delete("live/a.ts", 2).await.unwrap(), Removed::Gone);
    assert_eq!(world.proxy.deliver("create").unwrap(), 412);
    world.assert_nothing("live/a.ts").await;
    assert!(world.tier.list("", "", 9).await.unwrap().is_empty());

    world.server.curl("origin/live/a.ts", &[]).unwrap();
    world.clock.advance(WINDOW);
    world.tier.tend().await;
    world.assert_nothing("live/a.ts").await;
    assert!(world.server.curl("origin/live/a.ts", &[]).is_err(), "the marker is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_marker_a_late_create_would_bring_it_back() {
    let world = World::start().await;
    world.proxy.plan(first(vec![Fate::Hold("create")], is_create));
    world.store("live/a.ts", 1, b"one").await;
    world.clock.advance(WINDOW);
    world.tier.tend().await;
    assert_eq!(world.tier.delete("live/a.ts", 1).await.unwrap(), Removed::Gone);
    assert_eq!(
        world.proxy.deliver("create").unwrap(),
        200,
        "the proxy delivers nothing, so it proves nothing"
    );
    world.assert_holds("live/a.ts", 1, b"one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_failed_does_not_come_after_its_delete() {
    let world = World::start().await;
    world.proxy.plan(|seen| if seen.method == "PUT" { Fate::Hold("create") } else { Fate::Pass });
    assert_eq!(world.put("live/a.ts", 1, b"one").await.unwrap_err().kind, ErrorKind::Unavailable);
    world.proxy.pass();
    assert_eq!(world.tier.delete("live/a.ts", 1).await.unwrap(), Removed::Nothing);
    assert_eq!(world.proxy.deliver("create").unwrap(), 412);
    world.assert_nothing("live/a.ts").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_replacement_does_not_replace_a_newer_version() {
    let world = World::start().await;
    world.store("live/index.m3u8", 1, b"one").await;
    world.proxy.plan(first(vec![Fate::Hold("replace")], is_replace));
    world.store("live/index.m3u8", 2, b"two").await;
    world.store("live/index.m3u8", 3, b"three").await;
    assert_eq!(world.proxy.deliver("replace").unwrap(), 412);
    world.assert_holds("live/index.m3u8", 3, b"three").await;
}

/// The `ETag` of S3 is the MD5 of the bytes: a condition is met again when the same bytes come back.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_again_are_not_written_while_something_waits_for_them() {
    let world = World::start().await;
    world.store("live/index.m3u8", 1, b"same").await;
    world.proxy.plan(first(vec![Fate::Hold("replace")], is_replace));
    world.store("live/index.m3u8", 2, b"two").await;
    world.store("live/index.m3u8", 3, b"three").await;
    let again = world.put("live/index.m3u8", 4, b"same").await.unwrap_err();
    assert_eq!(again.kind, ErrorKind::Unavailable, "{again}");
    assert_eq!(world.proxy.deliver("replace").unwrap(), 412);
    world.assert_holds("live/index.m3u8", 3, b"three").await;

    world.clock.advance(WINDOW);
    world.tier.tend().await;
    world.store("live/index.m3u8", 4, b"same").await;
    world.assert_holds("live/index.m3u8", 4, b"same").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_of_another_client_would_let_a_late_replacement_in() {
    let world = World::start().await;
    world.store("live/index.m3u8", 1, b"same").await;
    world.proxy.plan(first(vec![Fate::Hold("replace")], is_replace));
    world.store("live/index.m3u8", 2, b"two").await;
    world.server.curl("origin/live/index.m3u8", &["--request", "PUT", "--data-binary", "same"]).unwrap();
    assert_eq!(world.proxy.deliver("replace").unwrap(), 200, "the store has other ETags: nothing was proven");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_delete_takes_nothing_that_was_acknowledged() {
    let world = World::start().await;
    world.store("live/a.ts", 1, b"one").await;
    world.proxy.plan(first(vec![Fate::Hold("delete")], |seen| {
        seen.method == "DELETE" || seen.target.contains("?delete")
    }));
    assert_eq!(world.tier.delete("live/a.ts", 1).await.unwrap(), Removed::Gone);
    world.proxy.wait_held("delete").unwrap();
    let error = world.put("live/a.ts", 2, b"two").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    world.proxy.deliver("delete").unwrap();

    world.clock.advance(WINDOW);
    world.tier.tend().await;
    world.store("live/a.ts", 2, b"two").await;
    world.assert_holds("live/a.ts", 2, b"two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_whose_answer_was_lost_is_found_to_be_stored() {
    let world = World::start().await;
    let before = world.proxy.seen().len();
    world.proxy.plan(first(vec![Fate::AnswerLost], |seen| seen.method == "PUT"));
    world.store("live/a.ts", 1, b"one").await;
    let methods: Vec<String> = world.proxy.seen().drain(before..).map(|seen| seen.method).collect();
    assert_eq!(methods, ["HEAD", "PUT", "HEAD"]);
}
