use std::path::PathBuf;
use std::sync::Arc;

use crate::tiers::contract::{self, Fresh, assert_holds, body, record, store};
use crate::tiers::object_store::{ObjectStoreOptions, ObjectStoreTier};
use crate::tiers::{ErrorKind, Listed, Tier};

/// A folder that is removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let name = format!("mediaorigin-bucket-{}-{:016x}", std::process::id(), fastrand::u64(..));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn open(&self) -> Arc<dyn Tier> {
        let options = ObjectStoreOptions::new(format!("file://{}", self.0.display()));
        Arc::new(ObjectStoreTier::open(options, super::clock()).unwrap())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[expect(clippy::unused_async, reason = "what the suite calls")]
async fn fresh() -> Fresh {
    let scratch = Scratch::new();
    Fresh { tier: scratch.open(), _keep: Box::new(scratch) }
}

// Without those in which an object and a folder have one name: a file system cannot hold both.
contract::suite! { fresh:
    what_was_put_is_found_with_every_field,
    an_empty_body_is_a_body,
    many_pieces_come_back_as_one_body,
    ranges_are_exact_across_all_borders,
    nothing_is_found_where_nothing_was_put,
    an_expired_version_is_still_found,
    a_newer_version_replaces_an_older_one,
    an_older_version_never_replaces_a_newer_one,
    the_same_version_may_be_put_twice,
    the_same_bytes_may_come_again_as_a_newer_version,
    a_delete_leaves_what_is_newer,
    a_delete_of_nothing_says_so,
    a_put_that_comes_after_its_delete_is_too_late,
    a_newer_version_may_come_after_a_delete,
    a_replaced_version_is_its_own_bytes_or_gone,
    a_version_that_never_was_is_gone,
    of_many_puts_at_once_the_newest_stays_whole,
    puts_and_deletes_at_once_end_as_their_order_says,
    many_paths_at_once_do_not_touch_each_other,
    a_dropped_put_is_done_or_not_done,
}

#[tokio::test]
async fn bodies_are_plain_files_and_survive_a_restart_with_their_fields() {
    let scratch = Scratch::new();
    let tier = scratch.open();
    let first = store(&tier, "live/ä 100%.ts", 7, b"bytes").await;
    assert_eq!(std::fs::read(scratch.0.join("live/ä 100%.ts")).unwrap(), b"bytes");
    assert_holds(&scratch.open(), &first, b"bytes").await;
    std::fs::write(scratch.0.join("live/foreign.m3u8"), "#EXTM3U").unwrap();
    let listed = tier.list("", "", 9).await.unwrap();
    assert_eq!(listed, [Listed::Folder("live/".to_owned())]);
    let listed = tier.list("live/", "", 9).await.unwrap();
    let names: Vec<&str> = listed.iter().map(Listed::name).collect();
    assert_eq!(names, ["live/foreign.m3u8", "live/ä 100%.ts"]);
    tier.delete("live/ä 100%.ts", 7).await.unwrap();
    tier.delete("live/foreign.m3u8", 7).await.unwrap();
    assert!(!scratch.0.join("live").exists(), "an empty folder is none");
}

#[tokio::test]
async fn a_crash_between_headers_and_body_leaves_the_version_before() {
    let scratch = Scratch::new();
    let tier = scratch.open();
    let first = store(&tier, "a.ts", 1, &body(1, 500)).await;
    let kept = scratch.0.join("kept");
    std::fs::hard_link(scratch.0.join("a.ts"), &kept).unwrap();
    store(&tier, "a.ts", 2, &body(2, 500)).await;
    // As if the last rename had not been done.
    std::fs::rename(&kept, scratch.0.join("a.ts")).unwrap();
    std::fs::create_dir_all(scratch.0.join(".mo/staged")).unwrap();
    std::fs::write(scratch.0.join(".mo/staged/9"), "left").unwrap();
    let next = scratch.open();
    assert_holds(&next, &first, &body(1, 500)).await;
    assert!(!scratch.0.join(".mo/staged/9").exists());
    store(&next, "a.ts", 3, &body(3, 500)).await;
}

#[tokio::test]
async fn an_object_where_a_folder_is_is_refused_with_a_reason() {
    let scratch = Scratch::new();
    let tier = scratch.open();
    store(&tier, "live/a", 1, b"x").await;
    for path in ["live", "live/a/b"] {
        let error = tier.put(&record(path, 2, 0), &[]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    }
}
