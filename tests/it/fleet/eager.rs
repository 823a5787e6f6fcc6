//! `consistency: Eager`: a live stream goes on while the log has no quorum.

use super::CONSISTENCY;
use super::pods::{Fleet, wait_until};

const RULES: &str = "[{name: eager, match: {paths: [\"live/**\"]}, consistency: Eager}, {name: rest, match: {paths: [\"**\"]}}]";

fn manifest(number: u64) -> Vec<u8> {
    format!("#EXTM3U\n#{number}\n").into_bytes()
}

/// Two of three servers are gone: nothing can be committed. What was acknowledged meanwhile, by any pod, is what every pod answers
/// with, never an older one, and it is in the log when there is one again.
#[test]
fn manifests_go_on_without_a_quorum_and_are_committed_afterwards() {
    let mut fleet = Fleet::start(3, RULES, false);
    // A busy machine may take longer than the rule allows the log.
    wait_until("an upload that the log has confirmed", || {
        let answer = fleet.put(0, "/live/a.m3u8", &manifest(1));
        answer.head.header(CONSISTENCY).is_none().then_some(()).ok_or_else(|| "still eager".to_owned())
    });
    for pod in 0..3 {
        wait_until("a read that the log has confirmed", || {
            let answer = fleet.get(pod, "/live/a.m3u8");
            assert_eq!(answer.body, manifest(1), "pod {pod}");
            answer.head.header(CONSISTENCY).is_none().then_some(()).ok_or_else(|| "still eager".to_owned())
        });
    }

    fleet.nats.kill(0);
    fleet.nats.kill(1);
    // The pods that were connected to them find the third one; on a busy machine another pod may take too long to hold one.
    let put = |writer: usize, number| {
        wait_until("an upload that two pods hold", || {
            let answer = fleet.pod(writer).ask("PUT", "/live/a.m3u8", &[], Some(&manifest(number)));
            let head = answer.map_err(|error| error.to_string())?.head;
            let is_held = head.status == 204 && head.header(CONSISTENCY) == Some("eager");
            is_held.then_some(()).ok_or_else(|| format!("{head:?}"))
        });
    };
    put(0, 2);
    for number in 3..9 {
        let writer = usize::try_from(number).unwrap() % 3;
        put(writer, number);
        let holders = (0..3).filter(|pod| fleet.get(*pod, "/live/a.m3u8").body == manifest(number)).count();
        assert!(holders >= 2, "{holders} pods answer with version {number}");
        let answer = fleet.get(writer, "/live/a.m3u8");
        assert_eq!(answer.head.header(CONSISTENCY), Some("eager"));
    }
    // What is not eager is honest about it.
    let refused = fleet.pod(0).ask("PUT", "/other/a.m3u8", &[], Some(&manifest(1))).unwrap();
    assert_eq!(refused.head.status, 503);
    assert_eq!(fleet.get(1, "/other/a.m3u8").head.status, 503);
    let deleted = fleet.pod(0).ask("DELETE", "/live/a.m3u8", &[], None).unwrap();
    assert_eq!(deleted.head.status, 503);

    fleet.nats.restart(0).unwrap();
    fleet.nats.restart(1).unwrap();
    for pod in 0..3 {
        wait_until("the log to have it", || {
            let answer = fleet.get(pod, "/live/a.m3u8");
            assert_eq!(answer.body, manifest(8), "pod {pod} went back");
            let is_settled = answer.head.header(CONSISTENCY).is_none();
            is_settled.then_some(()).ok_or_else(|| "still eager".to_owned())
        });
    }
    // A process that knows nothing but the log has it too.
    fleet.replace(2);
    assert_eq!(fleet.get(2, "/live/a.m3u8").body, manifest(8));
    let deleted = fleet.pod(0).ask("DELETE", "/live/a.m3u8", &[], None).unwrap();
    assert_eq!(deleted.head.status, 204);
    for pod in 0..3 {
        assert_eq!(fleet.get(pod, "/live/a.m3u8").head.status, 404);
    }
}
