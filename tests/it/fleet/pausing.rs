//! A pod that stood still finds in its sockets what its clients said long ago.

use std::thread;
use std::time::Duration;

use mediaorigin_tests::peer::Peer;

use super::pods::Fleet;

/// Longer than clients wait for a pod.
const PAUSE: Duration = Duration::from_secs(4);
const IN_THE_INDEX: &str = "[{name: all, match: {paths: [\"**\"]}}]";

fn playlist(segment: u32) -> Vec<u8> {
    format!(
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{segment}\n#EXTINF:2,\nseg{segment}.ts\n"
    )
    .into_bytes()
}

/// A request that is sent whole to a pod that stands still.
fn send(fleet: &Fleet, method: &str, path: &str, body: &[u8]) -> Peer {
    let mut peer = Peer::connect(fleet.pod(0).media).unwrap();
    peer.send_head(method, path, &[("content-length".to_owned(), body.len().to_string())]).unwrap();
    peer.send(body).unwrap();
    peer
}

/// What was sent to a pod that stands still, and overtaken by what was sent to another one, is refused when the pod goes on. What nothing
/// overtook counts.
#[test]
fn what_waited_for_a_pod_that_stood_still_does_not_undo_what_came_after_it() {
    let fleet = Fleet::start(2, IN_THE_INDEX, false);
    let (overtaken, deleted, alone) = ("/live/a/live.m3u8", "/live/b/live.m3u8", "/live/c/live.m3u8");
    for path in [overtaken, deleted, alone] {
        fleet.put(0, path, &playlist(1));
    }
    fleet.pod(0).signal("-STOP").unwrap();
    let mut late = [
        send(&fleet, "PUT", overtaken, &playlist(2)),
        send(&fleet, "DELETE", deleted, b""),
        send(&fleet, "PUT", alone, &playlist(2)),
    ];
    thread::sleep(PAUSE);
    fleet.put(1, overtaken, &playlist(3));
    fleet.put(1, deleted, &playlist(3));
    fleet.pod(0).signal("-CONT").unwrap();
    let statuses = late.each_mut().map(|peer| peer.read_head().unwrap().status);
    assert_eq!(statuses, [503, 503, 204]);
    for pod in [0, 1] {
        let served = [overtaken, deleted, alone].map(|path| fleet.get(pod, path).body);
        assert_eq!(served, [playlist(3), playlist(3), playlist(2)], "pod {pod}");
    }
    // What comes now is news, on the pod that stood still as well.
    thread::sleep(Duration::from_secs(1));
    fleet.put(0, overtaken, &playlist(4));
    assert_eq!(fleet.get(1, overtaken).body, playlist(4));
}
