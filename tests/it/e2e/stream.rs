//! A live stream through the cluster: what ffmpeg wrote is what readers get.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use mediaorigin_tests::capture::{Capture, last};
use mediaorigin_tests::peer;

use super::cluster::Cluster;
use super::turn;
use super::{DRAIN_PORT, STREAM_PORT, eventually, manifest, media, ready, s3, serve, shape};

const SECONDS: u64 = 30;

/// Both tiers below memory; every upload is acknowledged when it is on the disk.
const DISK: &str = "  disk: {size: 1Gi, storageClassName: standard}\n";

/// Keeps everything that the test compares at the end.
const KEEP: &str =
    "  tierPolicies:\n  - {name: all, match: {paths: ['live/**']}, memory: {keepSeconds: 600}}\n";

/// `tests/sample/push`, as `make run` uses it, with its settings in the environment.
pub(crate) fn push(base: &str, seconds: u64, settings: &[(&str, &str)]) -> Child {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample/push");
    let mut command = Command::new(script);
    command.env("PUSH_EXTRA_WINDOW", "1000"); // nothing is deleted: all of it is compared
    command.envs(settings.iter().copied());
    command.args([base, &seconds.to_string()]).stdin(Stdio::null()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Proves FQ-01, FQ-03 and FQ-06 through the Service of a real cluster.
#[test]
fn ffmpegs_live_hls_and_dash_play_back_byte_for_byte() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    cluster.namespace("e2e-stream");
    let store = s3::start("e2e-stream");
    // The disk is that of one pod: a fleet has none.
    let disk = if shape::is_fleet() { "" } else { DISK };
    cluster.apply("e2e-stream", &manifest("live", STREAM_PORT, &format!("{disk}{store}{KEEP}")));
    ready("e2e-stream", STREAM_PORT);

    let capture = Capture::start(media(STREAM_PORT)).unwrap();
    let encoder = push(&format!("http://{}/live/e2e", capture.address), SECONDS, &[]);
    let playlist = "/live/e2e/hls/360p/live.m3u8";
    eventually("the first playlist is there", 30, || {
        peer::fetch(media(STREAM_PORT), "GET", playlist).is_ok_and(|answer| answer.head.status == 200)
    });
    let reader = thread::spawn(move || {
        read_to_the_end(&format!("http://{}/live/e2e/hls/master.m3u8", media(STREAM_PORT)))
    });

    let encoder = encoder.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&encoder.stderr).into_owned();
    assert!(encoder.status.success(), "the encoder failed: {complaints}");
    let frames = reader.join().unwrap();
    // The reader may start up to three segments behind the first frame, as players do.
    assert!(frames >= (SECONDS - 10) * 25, "the reader saw only {frames} frames; encoder: {complaints}");

    capture.settle().unwrap();
    let objects = capture.objects().unwrap();
    let segments = objects
        .keys()
        .filter(|path| Path::new(path).extension().is_some_and(|extension| extension == "m4s"))
        .count();
    assert!(
        segments as u64 >= 2 * SECONDS / 2 + 2 * SECONDS / 2 - 4,
        "only {segments} segments: {:?}",
        objects.keys()
    );
    for (path, uploads) in &objects {
        let answer = peer::fetch(media(STREAM_PORT), "GET", path).unwrap();
        assert_eq!(answer.head.status, 200, "{path}");
        assert!(last(uploads) == Some(&answer.body), "{path} differs from what was sent");
    }
    cluster.kubectl("delete -n e2e-stream mediaorigin/live");
}

/// A second ffmpeg, which stops at the first error: frames that it decoded.
fn read_to_the_end(url: &str) -> u64 {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-loglevel", "error", "-xerror", "-progress", "-", "-i", url])
        .args(["-map", "0:v:0", "-f", "null", "/dev/null"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "the reader failed: {errors}");
    let progress = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut frames = progress.lines().rev().filter_map(|line| line.strip_prefix("frame="));
    frames.find_map(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// The pod is replaced under a running encoder: the old one drains, refuses nothing, and the encoder ends well.
#[test]
fn a_deleted_pod_drains_and_the_encoder_does_not_end() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    serve("e2e-drain", DRAIN_PORT, KEEP);
    let mut encoder = push(&format!("http://{}/live/drain", media(DRAIN_PORT)), 25, &[]);
    let playlist = "/live/drain/hls/360p/live.m3u8";
    let plays =
        || peer::fetch(media(DRAIN_PORT), "GET", playlist).is_ok_and(|answer| answer.head.status == 200);
    eventually("the first playlist is there", 30, plays);
    thread::sleep(Duration::from_secs(4)); // into the stream: what is deleted must be in use
    cluster.kubectl("delete -n e2e-drain pod -l app.kubernetes.io/instance=live --wait=false");
    eventually("only new pods are left, and serve the stream", 60, || {
        let pods = cluster.json("get -n e2e-drain pods -l app.kubernetes.io/instance=live");
        pods["items"].as_array().is_some_and(|items| {
            items.len() == shape::pods()
                && items.iter().all(|pod| pod["metadata"]["deletionTimestamp"].is_null())
        }) && plays()
    });
    assert!(encoder.try_wait().unwrap().is_none_or(|status| status.success()), "the encoder gave up");
    let encoder = encoder.wait_with_output().unwrap();
    assert!(encoder.status.success(), "the encoder failed: {}", String::from_utf8_lossy(&encoder.stderr));
    cluster.kubectl("delete -n e2e-drain mediaorigin/live");
}
