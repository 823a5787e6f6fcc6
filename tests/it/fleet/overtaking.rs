//! The last two manifests of a stream, on their way to two pods at once: ffmpeg sends them over two connections without waiting.

use mediaorigin_tests::peer::Peer;

use super::pods::Fleet;

/// Attempts: on a busy machine the two may begin too far apart to be taken for simultaneous.
const ATTEMPTS: usize = 8;
const IN_THE_BUCKET: &str = "[{name: all, match: {paths: [\"**\"]}, durability: Durable}]";

fn manifest(kind: &str) -> Vec<u8> {
    let times = match kind {
        "static" => "type=\"static\" mediaPresentationDuration=\"PT10.0S\"",
        _ => "type=\"dynamic\" publishTime=\"2026-11-22T06:33:30.106Z\"",
    };
    format!("<?xml version=\"1.0\"?>\n<MPD availabilityStartTime=\"2026-11-22T06:31:40.113Z\" {times}><Period id=\"0\"/></MPD>\n")
        .into_bytes()
}

/// The head and the first bytes of an upload to a pod.
fn begin(fleet: &Fleet, pod: usize, path: &str, kind: &str) -> (Peer, Vec<u8>) {
    let body = manifest(kind);
    let mut peer = Peer::connect(fleet.pod(pod).media).unwrap();
    let chunked = [("transfer-encoding".to_owned(), "chunked".to_owned())];
    peer.send_head("PUT", path, &chunked).unwrap();
    let (first, rest) = body.split_at(20);
    peer.send_chunk(first).unwrap();
    (peer, rest.to_vec())
}

fn end((mut peer, rest): (Peer, Vec<u8>)) {
    peer.send_chunk(&rest).unwrap();
    peer.send_chunk(b"").unwrap();
    let head = peer.read_head().unwrap();
    assert!(matches!(head.status, 201 | 204), "{}", head.status);
}

/// Whichever began first and whichever ended first, the final manifest is what is there, on all pods and in the bucket.
#[test]
fn of_two_manifests_that_overtake_each_other_on_two_pods_the_later_state_counts() {
    let fleet = Fleet::start(2, IN_THE_BUCKET, true);
    for (begins, ends) in
        [("static", "static"), ("static", "dynamic"), ("dynamic", "static"), ("dynamic", "dynamic")]
    {
        let is_right = (0..ATTEMPTS).any(|attempt| {
            let path = format!("/live/{begins}-{ends}-{attempt}/manifest.mpd");
            let other = |kind: &str| if kind == "static" { "dynamic" } else { "static" };
            let first = begin(&fleet, 0, &path, begins);
            let second = begin(&fleet, 1, &path, other(begins));
            let (soon, late) = if begins == ends { (first, second) } else { (second, first) };
            end(soon);
            end(late);
            let bucket = fleet.store.as_ref().unwrap().curl(&format!("origin{path}"), &[]).unwrap().stdout;
            let served = [0, 1].map(|pod| fleet.get(pod, &path).body);
            assert_eq!(served[0], served[1]);
            assert_eq!(served[0], bucket, "the bucket has another one than the pods");
            bucket == manifest("static")
        });
        assert!(is_right, "{begins} began first and {ends} ended first");
    }
}
