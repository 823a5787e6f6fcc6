//! `serveStaleSeconds`: what readers of a pod are answered while its log is away.

use mediaorigin_tests::links::Link;

use super::CONSISTENCY;
use super::pods::{Fleet, wait_until};

const RULES: &str = "[{name: long, match: {paths: [\"long/**\"]}, serveStaleSeconds: 300}, \
                     {name: short, match: {paths: [\"short/**\"]}, serveStaleSeconds: 1}, {name: rest, match: {paths: [\"**\"]}}]";
const FIRST: &[u8] = b"#EXTM3U\n#1\n";
const SECOND: &[u8] = b"#EXTM3U\n#2\n";

/// A pod loses its way to NATS. It says within seconds that it is not ready; it serves the segments that it knows; of what can change it
/// shows what it knew where the rule says so and for as long, and says that it did; everything else it refuses, that nothing is there too.
#[test]
fn a_pod_that_is_cut_off_shows_what_it_knew_for_as_long_as_its_rules_say() {
    let fleet = Fleet::start(2, RULES, false);
    let manifests = ["/long/a.m3u8", "/short/a.m3u8", "/other/a.m3u8"];
    for target in manifests {
        fleet.put(0, target, FIRST);
        // The log confirms what the pod is about to know.
        wait_until("an answer that all agree on", || {
            let answer = fleet.get(1, target);
            assert_eq!(answer.body, FIRST, "{target}");
            answer.head.header(CONSISTENCY).is_none().then_some(()).ok_or_else(|| "still stale".to_owned())
        });
    }
    for target in ["/long/init.mp4", "/other/init.mp4"] {
        fleet.put(0, target, b"a head");
        assert_eq!(fleet.get(1, target).body, b"a head");
    }
    fleet.put(0, "/long/a.ts", b"a segment");
    fleet.put(0, "/other/unread.ts", b"another");
    assert_eq!(fleet.get(1, "/long/a.ts").body, b"a segment");
    assert_eq!(fleet.get(1, "/other/unread.ts").head.status, 200);

    fleet.links[1].iter().for_each(Link::cut);
    wait_until("the pod to be unready", || match fleet.pod(1).readiness() {
        Err(reason) if reason.contains("no NATS server for") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    fleet.put(0, "/long/a.m3u8", SECOND);
    for method in ["GET", "HEAD"] {
        let answer = fleet.pod(1).ask(method, "/long/a.m3u8", &[], None).unwrap();
        let head = &answer.head;
        assert_eq!((head.status, head.header(CONSISTENCY), head.header("age")), (200, Some("stale"), None));
        assert!(method == "HEAD" || answer.body == FIRST, "it cannot know of another one");
    }
    // Longer ago than the rule allows: now, and from now on.
    wait_until("the second to be over", || match fleet.get(1, "/short/a.m3u8").head.status {
        503 => Ok(()),
        status => Err(status.to_string()),
    });
    let head = fleet.get(1, "/long/init.mp4");
    assert_eq!((head.body.as_slice(), head.head.header(CONSISTENCY)), (&b"a head"[..], Some("stale")));
    for target in ["/short/a.m3u8", "/other/a.m3u8", "/other/init.mp4", "/long/none.m3u8"] {
        let head = fleet.get(1, target).head;
        assert_eq!((head.status, head.header("retry-after")), (503, Some("1")), "{target}");
        assert_eq!(head.header(CONSISTENCY), None);
    }
    for (target, body) in [("/long/a.ts", &b"a segment"[..]), ("/other/unread.ts", b"another")] {
        let answer = fleet.get(1, target);
        assert_eq!((answer.head.status, answer.body.as_slice()), (200, body), "{target}");
        assert_eq!(answer.head.header(CONSISTENCY), None, "a segment is what it is");
    }
    for (method, body) in [("PUT", Some(SECOND)), ("DELETE", None)] {
        let head = fleet.pod(1).ask(method, "/long/a.m3u8", &[], body).unwrap().head;
        assert_eq!((head.status, head.header("retry-after")), (503, Some("1")), "{method}");
    }
    assert!(fleet.metric(1, "mediaorigin_index_stale_reads_total") >= 2);
    assert_eq!(fleet.metric(0, "mediaorigin_index_stale_reads_total"), 0);

    fleet.links[1].iter().for_each(Link::restore);
    for target in manifests {
        let newest = if target == "/long/a.m3u8" { SECOND } else { FIRST };
        wait_until("the log to be back", || {
            let answer = fleet.get(1, target);
            let is_back = answer.body == newest && answer.head.header(CONSISTENCY).is_none();
            is_back.then_some(()).ok_or_else(|| format!("{} {:?}", target, answer.head))
        });
    }
    wait_until("the pod to be ready", || fleet.pod(1).readiness());
}
