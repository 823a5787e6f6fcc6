//! Disk and object store on a cluster: what was acknowledged outlives its pod, and a volume's troubles are told.

use mediaorigin_tests::capture::Capture;
use mediaorigin_tests::peer::{self, Peer};
use serde_json::Value;

use super::cluster::Cluster;
use super::stream::push;
use super::turn;
use super::uploads::{acknowledged_segments, compare};
use super::{TIERS_PORT, condition, eventually, manifest, media, pod_uids, ready, s3, shape};

const NAMESPACE: &str = "e2e-tiers";
/// Each promise alone: what only the disk holds, what only the bucket holds, and what only memory holds.
const PROMISES: &str = "  disk: {size: 1Gi, storageClassName: standard}
  tierPolicies:
  - {name: disk, match: {paths: ['live/disk/**']}, durability: Disk, objectStore: {keepSeconds: 0}}
  - {name: durable, match: {paths: ['live/durable/**']}, durability: Durable, disk: {keepSeconds: 0}}
  - {name: memory, match: {paths: ['live/memory/**']}, durability: Memory, disk: {keepSeconds: 0}, objectStore: {keepSeconds: 0}}
";
/// The same of a fleet, which has no disk: the folder `disk` is in the write-ahead log.
const PROMISES_OF_FLEET: &str = "  tierPolicies:
  - {name: log, match: {paths: ['live/disk/**']}, durability: Replicated, objectStore: {keepSeconds: 0}}
  - {name: durable, match: {paths: ['live/durable/**']}, durability: Durable}
  - {name: memory, match: {paths: ['live/memory/**']}, durability: Memory, objectStore: {keepSeconds: 0}}
";
const IN_MEMORY: &str = "/live/memory/a.ts";

fn status(path: &str) -> Option<u16> {
    peer::fetch(media(TIERS_PORT), "GET", path).ok().map(|answer| answer.head.status)
}

fn promises() -> &'static str {
    if shape::is_fleet() { PROMISES_OF_FLEET } else { PROMISES }
}

fn put(path: &str) -> u16 {
    let mut peer = Peer::connect(media(TIERS_PORT)).unwrap();
    peer.request("PUT", path, &[], Some(b"segment")).unwrap().head.status
}

/// Two encoders push, HLS to the disk and DASH to the bucket. The pod is killed under them: the next one has what was
/// acknowledged, and the encoders go on with it. Then that pod is deleted too, so that all comes from the tiers.
#[test]
fn what_was_acknowledged_outlives_its_pod() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    cluster.namespace(NAMESPACE);
    let store = s3::start(NAMESPACE);
    cluster.apply(NAMESPACE, &manifest("live", TIERS_PORT, &format!("{}{store}", promises())));
    ready(NAMESPACE, TIERS_PORT);
    assert_eq!((put(IN_MEMORY), status(IN_MEMORY)), (201, Some(200)));

    let capture = Capture::start(media(TIERS_PORT)).unwrap();
    let through = |path: &str| format!("http://{}{path}", capture.address);
    let encoders = [
        push(&through("/live/disk"), 40, &[("PUSH_DASH", ""), ("PUSH_IGNORE_IO_ERRORS", "1")]),
        push(&through("/live/durable"), 40, &[("PUSH_HLS", ""), ("PUSH_IGNORE_IO_ERRORS", "1")]),
    ];
    eventually("segments of both streams are acknowledged", 60, || {
        let segments = acknowledged_segments(&capture.sent().unwrap());
        let of = |folder: &str| segments.keys().filter(|path| path.starts_with(folder)).count();
        of("/live/disk/") >= 6 && of("/live/durable/") >= 6
    });
    let before = acknowledged_segments(&capture.sent().unwrap());
    replace_pod("--grace-period=0 --force");
    for (path, body) in before {
        let answer = peer::fetch(media(TIERS_PORT), "GET", &path).unwrap();
        assert!(answer.head.status == 200 && answer.body == body, "{path}: {}", answer.head.status);
    }
    // What memory alone held is gone: it is another process that has the rest.
    eventually("what memory alone held is gone", 30, || matches!(status(IN_MEMORY), Some(404 | 410)));

    for encoder in encoders {
        let encoder = encoder.wait_with_output().unwrap();
        let complaints = String::from_utf8_lossy(&encoder.stderr).into_owned();
        assert!(encoder.status.success(), "an encoder failed: {complaints}");
    }
    capture.settle().unwrap();
    replace_pod("");
    let compared = compare(media(TIERS_PORT), &capture.sent().unwrap());
    assert!(compared >= 40, "only {compared} objects were acknowledged");
    if !shape::is_fleet() {
        a_volume_neither_grows_where_its_class_forbids_it_nor_shrinks();
    }

    cluster.kubectl(&format!("delete -n {NAMESPACE} mediaorigin/live"));
    eventually("the volume went with the origin", 90, || {
        cluster.json(&format!("get -n {NAMESPACE} persistentvolumeclaim/live")).is_null()
    });
}

/// Deletes the pod and waits until another one serves alone.
fn replace_pod(how: &str) {
    let cluster = Cluster::get();
    let before = pod_uids(NAMESPACE);
    let line = format!("delete -n {NAMESPACE} pod -l app.kubernetes.io/instance=live --wait=false {how}");
    cluster.kubectl(&line);
    eventually("another pod serves", 150, || {
        let now = pod_uids(NAMESPACE);
        now.len() == shape::pods()
            && now.iter().all(|pod| !before.contains(pod))
            && status("/live/none.ts") == Some(404)
    });
    ready(NAMESPACE, TIERS_PORT);
}

fn patch_size(size: &str) {
    let patch = format!(r#"{{"spec":{{"disk":{{"size":"{size}"}}}}}}"#);
    Cluster::get().patch(NAMESPACE, "live", &patch);
}

fn origin(namespace: &str) -> Value {
    Cluster::get().json(&format!("get -n {namespace} mediaorigin/live"))
}

/// The provisioner of the test cluster cannot grow a volume: the API server says so, and the spec may go back.
fn a_volume_neither_grows_where_its_class_forbids_it_nor_shrinks() {
    let says = |kind: &str, status: &str, words: &str| {
        let condition = condition(&origin(NAMESPACE), kind);
        condition["status"] == status
            && condition["message"].as_str().is_some_and(|message| message.contains(words))
    };
    patch_size("2Gi");
    eventually("growing is refused", 30, || says("Stalled", "True", "resize"));
    patch_size("512Mi");
    eventually("shrinking is refused", 30, || says("Accepted", "False", "cannot shrink"));
    patch_size("1Gi");
    eventually("nothing is wrong any more", 120, || {
        says("Stalled", "False", "") && says("Progressing", "False", "as the spec asks")
    });
    ready(NAMESPACE, TIERS_PORT);
}

/// A class that makes no volume is named, with the scheduler's words, and the claim goes with the origin.
#[test]
fn a_volume_that_nothing_makes_is_named() {
    let _turn = turn::shared();
    let cluster = Cluster::get();
    let namespace = "e2e-volume";
    cluster.namespace(namespace);
    let spec = "{disk: {size: 1Gi, storageClassName: no-such-class}}";
    cluster.apply(
        namespace,
        &format!(
            "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: live}}\nspec: {spec}\n"
        ),
    );
    eventually("the status names the class", 90, || {
        let origin = origin(namespace);
        let (ready, progressing) = (condition(&origin, "Ready"), condition(&origin, "Progressing"));
        ready["reason"] == "VolumeUnbound"
            && progressing["reason"] == "VolumeUnbound"
            && ready["message"].as_str().is_some_and(|message| message.contains("no-such-class"))
    });
    cluster.kubectl(&format!("delete -n {namespace} mediaorigin/live"));
    eventually("the claim is gone", 60, || {
        cluster.json(&format!("get -n {namespace} persistentvolumeclaim/live")).is_null()
    });
}
