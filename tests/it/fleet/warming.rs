//! A pod that joins while streams are live has their newest segments before it is ready, and no pod that is silent keeps it.

use std::time::Duration;

use mediaorigin_tests::peer::{Peer, fetch};

use super::pods::{Fleet, wait_until};

const IN_MEMORY: &str = "[{name: all, match: {paths: [\"**\"]}, durability: Memory}]";
/// How long the live edge may keep a pod from being ready, and what a busy machine may add to it.
const BOUND: Duration = Duration::from_secs(3);
const BUSY: Duration = Duration::from_secs(5);

fn segment(number: usize, size: usize) -> Vec<u8> {
    (0..size).map(|byte| u8::try_from((byte + number) % 251).unwrap()).collect()
}

/// What a pod says it has done before it was ready.
fn warmed(fleet: &Fleet, pod: usize) -> (u64, u64, Duration) {
    let status = fleet.status(pod);
    let warmed = &status["index"]["warmed"];
    let number = |name: &str| warmed[name].as_u64().unwrap_or_else(|| panic!("no {name}: {status}"));
    (number("bytes"), number("missed"), Duration::from_secs_f64(warmed["seconds"].as_f64().unwrap()))
}

fn asked(fleet: &Fleet, pod: usize) -> (u64, u64) {
    let count = |name| fleet.metric(pod, name);
    (count("mediaorigin_peer_fetches_total"), count("mediaorigin_peer_received_bytes_total"))
}

/// Two renditions with a head each, a segment of two pieces, and one that is still being written. When the new pod is ready, nobody
/// else is needed for them: the others are killed.
#[test]
fn a_pod_that_joins_has_the_live_edge_before_it_is_ready() {
    let mut fleet = Fleet::start(3, IN_MEMORY, true);
    fleet.kill(2);
    let size = |number| if number == 5 { 3_000_000 } else { 50_000 };
    let mut expected = Vec::new();
    for (pod, rendition) in [(0, "/live/a"), (1, "/live/b")] {
        let init = format!("{rendition}/init.mp4");
        fleet.put(pod, &init, b"head");
        expected.push((init, b"head".to_vec()));
        for number in 0..6 {
            let (target, body) = (format!("{rendition}/seg{number}.m4s"), segment(number, size(number)));
            fleet.put(pod, &target, &body);
            expected.push((target, body));
        }
    }
    let recording = segment(1, 1_000);
    fleet.put(0, "/live/a/notes.bin", &recording);
    let chunked = [("Transfer-Encoding".to_owned(), "chunked".to_owned())];
    let mut writer = Peer::connect(fleet.pod(1).media).unwrap();
    writer.send_head("PUT", "/live/b/seg6.m4s", &chunked).unwrap();
    writer.send_chunk(b"first").unwrap();

    fleet.replace(2);
    let total: usize = expected.iter().map(|(_, body)| body.len()).sum();
    assert_eq!((warmed(&fleet, 2).0, warmed(&fleet, 2).1), (total as u64, 0));
    assert_eq!(fleet.metric(2, "mediaorigin_fleet_warmed_bytes"), total as u64);
    let before = asked(&fleet, 2);
    assert!(before.1 >= total as u64 && before.1 < total as u64 + 1_000, "{before:?} for {total} bytes");

    // What grew is followed already.
    let mut reader = Peer::follow(fleet.pod(2).media, "/live/b/seg6.m4s").unwrap();
    assert_eq!(reader.read_exact(5).unwrap(), b"first");
    writer.send_chunk(b"last").unwrap();
    writer.send_chunk(b"").unwrap();
    assert_eq!(writer.read_head().unwrap().status, 201);
    assert_eq!(reader.read_exact(4).unwrap(), b"last");
    assert_eq!(asked(&fleet, 2).0, before.0, "no pod was asked again");

    fleet.kill(0);
    fleet.kill(1);
    fleet.buckets[2].cut();
    for (target, body) in &expected {
        let found = fleet.get(2, target);
        assert_eq!((found.head.status, found.body.len()), (200, body.len()), "{target}");
        assert!(found.body == *body, "{target}");
        assert!(found.head.header("cache-status").is_some_and(|text| text.contains("hit")), "{target}");
    }
    assert_eq!(asked(&fleet, 2).0, before.0, "no pod was asked again");
    // What is no media is fetched when it is asked for.
    assert_eq!(fleet.get(2, "/live/a/notes.bin").head.status, 503);
}

/// A pod whose port for others is silent, and one that stands still: the new one waits no longer than it may, and is ready.
#[test]
fn a_pod_that_hangs_does_not_keep_others_from_being_ready() {
    let mut fleet = Fleet::start(3, IN_MEMORY, false);
    fleet.put(0, "/live/a/seg1.m4s", &segment(1, 50_000));
    fleet.peers[0].1.silence();
    fleet.replace(2);
    let (bytes, missed, time) = warmed(&fleet, 2);
    assert_eq!((bytes, missed), (0, 1));
    assert!(time < BOUND + BUSY, "{time:?}");
    fleet.peers[0].1.restore();
    wait_until("the way to the holder", || match fleet.get(2, "/live/a/seg1.m4s").head.status {
        200 => Ok(()),
        status => Err(status.to_string()),
    });

    fleet.put(0, "/live/a/seg2.m4s", &segment(2, 50_000));
    fleet.pod(0).signal("-STOP").unwrap();
    fleet.replace(2);
    let (_, missed, time) = warmed(&fleet, 2);
    assert!(missed >= 1 && time < BOUND + BUSY, "{missed} {time:?}");
    fleet.pod(0).signal("-CONT").unwrap();
}

/// Where nobody else is there nothing is waited for.
#[test]
fn a_pod_alone_is_ready_at_once() {
    let (running, _nats) = super::pods::alone();
    wait_until("the pod to be ready", || {
        let answer = fetch(running.admin_addr, "GET", "/readyz").map_err(|error| error.to_string())?;
        (answer.head.status == 200).then_some(()).ok_or_else(|| format!("{:?}", answer.head))
    });
    let status: serde_json::Value =
        serde_json::from_slice(&fetch(running.admin_addr, "GET", "/-/status").unwrap().body).unwrap();
    let seconds = status["index"]["warmed"]["seconds"].as_f64().unwrap();
    assert!(seconds < 1.0, "{status}");
}
