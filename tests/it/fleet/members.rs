//! Who comes and who goes: readers move to a pod that has come, and what only a pod had is gone with it.

use mediaorigin_tests::peer::Peer;

use super::pods::{Fleet, wait_until};

const IN_MEMORY: &str = "[{name: all, match: {paths: [\"**\"]}, durability: Memory}]";
const READERS: usize = 60;

/// Of the connections that readers keep, about a third moves on when two pods become three; the encoders' stay.
#[test]
fn readers_connections_are_spread_over_a_pod_that_has_come() {
    let mut fleet = Fleet::start(3, "[]", false);
    fleet.put(0, "/live/a.ts", b"a segment");
    wait_for_pods(&fleet, 3);
    fleet.kill(2);
    wait_for_pods(&fleet, 2);
    let connect = || Peer::connect(fleet.pod(0).media).unwrap();
    let mut readers: Vec<_> = (0..READERS).map(|_| connect()).collect();
    let mut encoder = connect();
    let stored = encoder.request("PUT", "/live/b.ts", &[], Some(b"another")).unwrap();
    assert!(!closes(&stored.head));
    let asked = |readers: &mut Vec<Peer>| {
        let before = readers.len();
        readers.retain_mut(|reader| {
            let answer = reader.request("GET", "/live/a.ts", &[], None).unwrap();
            assert_eq!((answer.head.status, answer.body.as_slice()), (200, &b"a segment"[..]));
            !closes(&answer.head)
        });
        before - readers.len()
    };
    assert_eq!(asked(&mut readers), 0);
    fleet.replace(2);
    wait_for_pods(&fleet, 3);
    let moved = asked(&mut readers);
    // Twenty are expected; fewer than five or more than forty come once in a hundred thousand runs.
    assert!((5..=40).contains(&moved), "{moved} of {READERS} readers moved on");
    assert_eq!(asked(&mut readers), 0, "who stays is asked once");
    let answer = encoder.request("GET", "/live/a.ts", &[], None).unwrap();
    assert!(!closes(&answer.head), "an encoder was sent away");
}

/// Waits until the first pod knows of so many.
#[track_caller]
fn wait_for_pods(fleet: &Fleet, count: u64) {
    wait_until(&format!("{count} pods"), || match fleet.metric(0, "mediaorigin_fleet_pods") {
        pods if pods == count => Ok(()),
        pods => Err(format!("{pods} pods")),
    });
}

fn closes(head: &mediaorigin_tests::peer::Head) -> bool {
    head.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

/// An object that only the memory of a pod held is gone when that pod is, and said to be (410), not looked for for ever.
#[test]
fn what_only_a_dead_pod_held_is_gone() {
    let mut fleet = Fleet::start(2, IN_MEMORY, false);
    fleet.put(0, "/live/a.ts", b"a segment");
    fleet.put(0, "/live/kept.ts", b"another");
    assert_eq!(fleet.get(1, "/live/kept.ts").head.status, 200);
    fleet.kill(0);
    wait_until("the pod to be taken for dead", || match fleet.get(1, "/live/a.ts").head.status {
        410 => Ok(()),
        status => {
            assert_eq!(status, 503, "before that nobody knows");
            Err(status.to_string())
        }
    });
    assert_eq!(fleet.get(1, "/live/kept.ts").body, b"another", "what this pod has it serves");
    fleet.put(1, "/live/a.ts", b"anew");
    assert_eq!(fleet.get(1, "/live/a.ts").body, b"anew");
}
