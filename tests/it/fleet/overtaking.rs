//! The last two manifests of a stream, on their way to two pods at once: ffmpeg sends them over two connections without waiting.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use mediaorigin_tests::peer::Peer;

use super::CONSISTENCY;
use super::pods::{Fleet, wait_until};

/// Attempts: on a busy machine the two may begin too far apart to be taken for simultaneous.
const ATTEMPTS: usize = 8;
/// Which one begins first, and which one ends first.
const ORDERS: [(&str, &str); 4] =
    [("static", "static"), ("static", "dynamic"), ("dynamic", "static"), ("dynamic", "dynamic")];
const STALLS: usize = 40;
const STALL_MILLISECONDS: u64 = 750;
const IN_THE_BUCKET: &str = "[{name: all, match: {paths: [\"**\"]}, durability: Durable}]";
const EAGER: &str = "[{name: all, match: {paths: [\"**\"]}, durability: Durable, consistency: Eager}]";

fn manifest(kind: &str) -> Vec<u8> {
    let times = match kind {
        "early" => "type=\"dynamic\" publishTime=\"2026-11-22T06:33:28.101Z\"",
        "static" => "type=\"static\" mediaPresentationDuration=\"PT10.0S\"",
        _ => "type=\"dynamic\" publishTime=\"2026-11-22T06:33:30.106Z\"",
    };
    format!("<?xml version=\"1.0\"?>\n<MPD availabilityStartTime=\"2026-11-22T06:31:40.113Z\" {times}><Period id=\"0\"/></MPD>\n")
        .into_bytes()
}

/// The head and the first bytes of an upload to a pod.
fn begin(pod: SocketAddr, path: &str, kind: &str) -> (Peer, Vec<u8>) {
    let body = manifest(kind);
    let mut peer = Peer::connect(pod).unwrap();
    let chunked = [("transfer-encoding".to_owned(), "chunked".to_owned())];
    peer.send_head("PUT", path, &chunked).unwrap();
    let (first, rest) = body.split_at(20);
    peer.send_chunk(first).unwrap();
    (peer, rest.to_vec())
}

fn end((mut peer, rest): (Peer, Vec<u8>)) -> u16 {
    peer.send_chunk(&rest).unwrap();
    peer.send_chunk(b"").unwrap();
    peer.read_head().unwrap().status
}

/// Uploads both of a stream to two pods; how they were answered.
fn upload(pods: [SocketAddr; 2], path: &str, (begins, ends): (&str, &str)) -> [u16; 2] {
    let other = if begins == "static" { "dynamic" } else { "static" };
    let first = begin(pods[0], path, begins);
    let second = begin(pods[1], path, other);
    let (soon, late) = if begins == ends { (first, second) } else { (second, first) };
    [end(soon), end(late)]
}

fn pods(fleet: &Fleet) -> [SocketAddr; 2] {
    [0, 1].map(|pod| fleet.pod(pod).media)
}

fn are_acknowledged(answers: [u16; 2]) -> bool {
    answers.iter().all(|status| matches!(status, 201 | 204))
}

fn bucket(fleet: &Fleet, path: &str) -> Vec<u8> {
    fleet.store.as_ref().unwrap().curl(&format!("origin{path}"), &[]).unwrap().stdout
}

/// Waits until nobody answers eagerly any more, and all pods and the bucket have the same.
fn wait_for_the_log(fleet: &Fleet, path: &str) -> Vec<u8> {
    wait_until("the log to have it", || {
        let answers = [0, 1].map(|pod| fleet.get(pod, path));
        let is_eager = answers.each_ref().map(|answer| answer.head.header(CONSISTENCY).is_some());
        let bodies = answers.map(|answer| answer.body);
        let bucket = bucket(fleet, path);
        if is_eager == [false; 2] && bodies.iter().all(|body| *body == bucket) {
            return Ok(bucket);
        }
        let [first, other, bucket] =
            [&bodies[0], &bodies[1], &bucket].map(|body| String::from_utf8_lossy(body));
        Err(format!("eager: {is_eager:?}\n{first}\n{other}\nin the bucket: {bucket}"))
    })
}

/// Whether the final manifest is there; all pods and the bucket have the same.
fn is_final(fleet: &Fleet, path: &str) -> bool {
    let bucket = bucket(fleet, path);
    let served = [0, 1].map(|pod| fleet.get(pod, path).body);
    let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
    assert_eq!(text(&served[0]), text(&served[1]));
    assert_eq!(text(&served[0]), text(&bucket), "the bucket has another one than the pods");
    bucket == manifest("static")
}

fn path((begins, ends): (&str, &str), attempt: usize) -> String {
    format!("/live/{begins}-{ends}-{attempt}/manifest.mpd")
}

/// Whichever began first and whichever ended first, the final manifest is what is there, on all pods and in the bucket.
#[test]
fn of_two_manifests_that_overtake_each_other_on_two_pods_the_later_state_counts() {
    let fleet = Fleet::start(2, IN_THE_BUCKET, true);
    for order in ORDERS {
        let is_right = (0..ATTEMPTS).any(|attempt| {
            let path = path(order, attempt);
            // As in a stream that is on: there is one already.
            fleet.put(1, &path, &manifest("early"));
            let answers = upload(pods(&fleet), &path, order);
            assert!(are_acknowledged(answers), "{answers:?}");
            is_final(&fleet, &path)
        });
        assert!(is_right, "(begins, ends) first: {order:?}");
    }
}

/// The same while the log has no quorum and both count because two pods hold them: when it has one again, the final manifest is what is
/// there.
#[test]
fn also_where_the_log_does_not_commit_the_later_state_counts() {
    let mut fleet = Fleet::start(2, EAGER, true);
    fleet.nats.kill(0);
    fleet.nats.kill(1);
    wait_until("an upload that two pods hold", || {
        let answer = fleet.pod(0).ask("PUT", "/live/first.m3u8", &[], Some(b"#EXTM3U\n"));
        let head = answer.map_err(|error| error.to_string())?.head;
        matches!(head.status, 201 | 204).then_some(()).ok_or_else(|| format!("{head:?}"))
    });
    // A busy machine may take longer than a pod waits for another one to hold what it was given.
    let mut acknowledged = ORDERS.map(|order| (order, Vec::new()));
    for (order, paths) in &mut acknowledged {
        for attempt in 0..ATTEMPTS {
            let path = path(*order, attempt);
            let answers = upload(pods(&fleet), &path, *order);
            println!("{path}: {answers:?}");
            if are_acknowledged(answers) {
                paths.push(path);
            }
        }
    }
    fleet.nats.restart(0).unwrap();
    fleet.nats.restart(1).unwrap();
    for (order, paths) in acknowledged {
        let right = paths.iter().filter(|path| wait_for_the_log(&fleet, path) == manifest("static")).count();
        println!("{order:?}: {right} of {}", paths.len());
        assert!(right > 0, "(begins, ends) first: {order:?}");
    }
}

/// The log stands still for up to three times as long as a manifest waits for it: one of the two may count because two pods hold it, and the
/// other because it is committed. They may be on their way to one pod.
#[test]
fn also_where_the_log_stands_still_for_a_moment_the_later_state_counts() {
    let mut fleet = Fleet::start(2, EAGER, true);
    let mut chance = Rng::with_seed(7);
    let mut missed = 0;
    for attempt in 0..STALLS {
        let order = ORDERS[attempt % ORDERS.len()];
        let [first, other] = pods(&fleet);
        let (path, pods) = (path(order, attempt), [first, if chance.bool() { first } else { other }]);
        let answers = thread::scope(|scope| {
            for server in 0..3 {
                fleet.nats.stop(server).unwrap();
            }
            let uploads = scope.spawn(|| upload(pods, &path, order));
            thread::sleep(Duration::from_millis(chance.u64(0..STALL_MILLISECONDS)));
            for server in 0..3 {
                fleet.nats.resume(server).unwrap();
            }
            uploads.join().unwrap()
        });
        println!("{path}: {answers:?}");
        // Of one that nobody acknowledged, a part may still be on its way.
        if are_acknowledged(answers) {
            missed += usize::from(wait_for_the_log(&fleet, &path) != manifest("static"));
        }
    }
    assert_eq!(missed, 0, "of {STALLS} streams");
}
