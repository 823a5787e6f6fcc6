//! What the index forgets is answered as before.

use mediaorigin_crds::budget::INDEX_PERCENT;
use serde_json::Value;

use super::pods::{Fleet, SMALL, Size, wait_until};

/// Bodies of manifests ride in the index: these are more than it may need of the memory.
const CHANNELS: usize = 140;
pub(super) const MANIFEST_BYTES: usize = 60_000;
/// Nobody reads it before it is deleted: what a pod has seen in the bucket it believes for half a minute, far less than things are
/// remembered outside of tests.
const DELETED: usize = 2;
const LIMIT: u64 = 128 << 20;
const SIZE: Size = Size { memory: "128Mi", connections: 100, forget_after: Some(1), ..SMALL };

const RULES: &str = "[{name: brief, match: {paths: ['live/brief/**']}, durability: Memory, expireSeconds: 1}, \
                     {name: here, match: {paths: ['live/here/**']}, durability: Memory, objectStore: {keepSeconds: 0}}, \
                     {name: rest, match: {paths: ['**']}, durability: Durable}]";

/// A manifest of that size.
pub(super) fn manifest(channel: usize, version: usize) -> Vec<u8> {
    let mut text = format!("#EXTM3U\n#{channel}.{version}\n");
    text.extend(std::iter::repeat_n('#', MANIFEST_BYTES - text.len()));
    text.into_bytes()
}

pub(super) fn target(channel: usize) -> String {
    format!("/live/{channel}/index.m3u8")
}

/// Objects that are deleted, expired, or held by nobody leave the index, and those that the object store has when the index needs more
/// memory than its share. Reads, conditions, listings and deletions through any pod are as before.
#[test]
fn what_the_index_forgets_is_answered_as_before() {
    let mut fleet = Fleet::start_with((3, SIZE), RULES, true, None);
    fleet.put(0, "/live/brief/a.bin", b"brief");
    fleet.put(1, "/live/here/a.bin", b"here");
    fleet.put(2, "/live/gone.bin", b"gone");
    assert_eq!(fleet.pod(0).ask("DELETE", "/live/gone.bin", &[], None).unwrap().head.status, 204);
    for channel in 0..CHANNELS {
        fleet.put(channel % 3, &target(channel), &manifest(channel, 0));
    }
    // What only its memory held is gone with it.
    fleet.replace(1);
    let share = LIMIT / 100 * INDEX_PERCENT;
    for pod in 0..3 {
        wait_until("the index to need no more than its share", || {
            let needs = fleet.metric(pod, "mediaorigin_index_memory_bytes");
            (needs <= share).then_some(()).ok_or_else(|| format!("{needs} bytes of {share} on pod {pod}"))
        });
    }
    let forgotten = || (0..3).map(|pod| fleet.metric(pod, "mediaorigin_index_forgotten_total")).sum::<u64>();
    let least = (CHANNELS * MANIFEST_BYTES) as u64 - share;
    wait_until("what nobody needs to be forgotten", || {
        let enough = least / MANIFEST_BYTES as u64 + 3;
        (forgotten() >= enough).then_some(()).ok_or_else(|| format!("{} of {enough}", forgotten()))
    });

    for path in ["/live/brief/a.bin", "/live/here/a.bin", "/live/gone.bin"] {
        // 410 as long as the index remembers that its time is over.
        wait_until("a path that nobody has heard of", || {
            let answer = fleet.get(0, path);
            let text = String::from_utf8_lossy(&answer.body);
            (answer.head.status == 404)
                .then_some(())
                .ok_or_else(|| format!("{path}: {:?} {text}", answer.head))
        });
    }
    for channel in (0..CHANNELS).filter(|channel| *channel != DELETED) {
        let answer = fleet.get((channel + 1) % 3, &target(channel));
        assert!(
            answer.head.status == 200 && answer.body == manifest(channel, 0),
            "{channel}: {:?}",
            answer.head
        );
    }
    listed(&fleet, CHANNELS);
    // The oldest were the first to go.
    let only_new = [("If-None-Match", "*")];
    let refused = fleet.pod(0).ask("PUT", &target(0), &only_new, Some(b"#EXTM3U\n")).unwrap();
    assert_eq!(refused.head.status, 412, "it is there");
    fleet.put(2, &target(1), &manifest(1, 1));
    assert_eq!(fleet.get(0, &target(1)).body, manifest(1, 1));
    assert_eq!(fleet.pod(1).ask("DELETE", &target(DELETED), &[], None).unwrap().head.status, 204);
    let before = forgotten();
    wait_until("the deletion to be forgotten", || {
        (forgotten() > before).then_some(()).ok_or_else(|| format!("{before} before"))
    });
    for pod in 0..3 {
        assert_eq!(fleet.get(pod, &target(DELETED)).head.status, 404);
        assert_eq!(fleet.get(pod, &target(1)).body, manifest(1, 1));
    }
    listed(&fleet, CHANNELS - 1);
}

fn listed(fleet: &Fleet, channels: usize) {
    let listing = fleet.pod(1).ask("GET", "/?Path=live&MaxResults=1000", &[], None).unwrap();
    let listing: Value = serde_json::from_slice(&listing.body).unwrap();
    let names = listing["Items"].as_array().unwrap().iter().map(|item| item["Name"].as_str().unwrap());
    // As without a fleet, a folder is there as long as the bucket has something in it, expired or not.
    assert_eq!(names.filter(|name| *name != "brief").count(), channels, "{listing}");
}
