//! A pod is rolled under a running stream: nobody notices.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mediaorigin_tests::capture::Capture;
use mediaorigin_tests::peer::{self, Peer};

use super::cluster::Cluster;
use super::stream::push;
use super::turn;
use super::viewer::{BUFFER, Viewing};
use super::{ROLLOUT_PORT, eventually, manifest, media, pod_uids, ready, s3, shape};

const NAMESPACE: &str = "e2e-rollout";
/// Every upload is in the bucket before its 2xx: the next pod has all that the one before it has acknowledged.
const DURABLE: &str = "  tierPolicies:\n  - {name: live, match: {paths: ['live/**']}, durability: Durable}\n";
const PLAYLIST: &str = "/live/roll/hls/360p/live.m3u8";
/// Seconds of media.
const SECONDS: u64 = 60;
/// Seconds of a segment, as `tests/sample/push` makes them.
const SEGMENT: u64 = 2;
/// Between two uploads of an encoder that waits for the next programme.
const IDLE: Duration = Duration::from_mins(1);

/// Proves FQ-10 and FQ-11: a rolling restart in the middle of a minute of HLS. The encoder ends well, a viewer gets every segment
/// when the playlist names it, and all that was sent is there at the end. Then a connection that was idle for a minute is used again.
#[test]
fn fq_10_a_rolling_restart_is_not_noticed_and_fq_11_an_idle_connection_stays() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    cluster.namespace(NAMESPACE);
    let store = s3::start(NAMESPACE);
    cluster.apply(NAMESPACE, &manifest("live", ROLLOUT_PORT, &format!("{store}{DURABLE}")));
    ready(NAMESPACE, ROLLOUT_PORT);

    let capture = Capture::start(media(ROLLOUT_PORT)).unwrap();
    let encoder = push(&format!("http://{}/live/roll", capture.address), SECONDS, &[("PUSH_DASH", "")]);
    eventually("the first playlist is there", 30, || {
        peer::fetch(media(ROLLOUT_PORT), "GET", PLAYLIST).is_ok_and(|answer| answer.head.status == 200)
    });
    let is_over = Arc::new(AtomicBool::new(false));
    let viewer = {
        let is_over = Arc::clone(&is_over);
        thread::spawn(move || Viewing::of(media(ROLLOUT_PORT), PLAYLIST, 0, &is_over))
    };
    let before = pod_uids(NAMESPACE);
    let named = |count: usize| {
        let sent = capture.sent().unwrap();
        sent.iter().filter(|sent| sent.target.contains("/360p/seg")).count() >= count
    };
    eventually("the stream is under way", 60, || named(5));
    cluster.kubectl(&format!("rollout restart -n {NAMESPACE} deployment/live"));
    cluster.kubectl(&format!("rollout status -n {NAMESPACE} deployment/live --timeout=120s"));
    eventually("only new pods are left", 120, || {
        let now = pod_uids(NAMESPACE);
        now.len() == shape::pods() && now.iter().all(|pod| !before.contains(pod))
    });
    let idle = idle_since();
    let encoder = encoder.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&encoder.stderr).into_owned();
    assert!(encoder.status.success() && complaints.is_empty(), "the encoder: {complaints}");
    capture.settle().unwrap();
    is_over.store(true, Ordering::Relaxed);
    let viewing = viewer.join().unwrap();
    assert!(viewing.failures.is_empty(), "{:?}", viewing.failures);
    assert!(viewing.pause() < BUFFER, "the playlist stood still for {:?}", viewing.pause());
    let sent = capture.sent().unwrap();
    let refused: Vec<_> =
        sent.iter().filter(|sent| !sent.is_acknowledged()).map(|sent| &sent.target).collect();
    assert!(refused.is_empty(), "not acknowledged: {refused:?}");
    let segments: BTreeSet<_> =
        sent.iter().map(|sent| &sent.target).filter(|path| path.contains("/360p/seg")).collect();
    assert!(segments.len() as u64 >= SECONDS / SEGMENT, "only {} segments", segments.len());
    for path in segments {
        assert_eq!(peer::fetch(media(ROLLOUT_PORT), "GET", path).unwrap().head.status, 200, "{path}");
    }
    reuse(idle);
    cluster.kubectl(&format!("delete -n {NAMESPACE} mediaorigin/live"));
}

/// An encoder's connection that has carried an upload.
fn idle_since() -> (Peer, Instant) {
    let mut peer = Peer::connect(media(ROLLOUT_PORT)).unwrap();
    let answer = peer.request("PUT", "/live/idle/a.m4s", &[], Some(b"a")).unwrap();
    assert_eq!(answer.head.status, 201);
    (peer, Instant::now())
}

fn reuse((mut peer, since): (Peer, Instant)) {
    thread::sleep(IDLE.saturating_sub(since.elapsed()));
    let answer = peer.request("PUT", "/live/idle/b.m4s", &[], Some(b"b")).unwrap();
    assert_eq!(answer.head.status, 201);
}
