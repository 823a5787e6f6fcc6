//! What each pod knows of the streams that all of them take.

use std::collections::BTreeSet;

use mediaorigin_tests::peer;
use serde_json::{Value, json};

use super::pods::{Fleet, wait_until};

const PODS: usize = 3;

fn rendition(fleet: &Fleet, pod: usize) -> Value {
    let answer = peer::fetch(fleet.pod(pod).admin, "GET", "/-/streams").unwrap();
    let report: Value = serde_json::from_slice(&answer.body).unwrap();
    report["streams"][0]["renditions"][0].clone()
}

/// An encoder whose uploads go to one pod after the other leaves nothing out, and no pod says that it does; a number that it did leave out,
/// every pod names.
#[test]
fn every_pod_follows_the_streams_of_all() {
    let fleet = Fleet::start(PODS, "[]", false);
    // A pod follows from the moment it has read the log: all of them do when each has heard of the first segments.
    let mut next = 1;
    wait_until("all pods to follow", || {
        fleet.put(next % PODS, &format!("/live/a/seg{next}.ts"), b"a segment");
        next += 1;
        let known: BTreeSet<_> = (0..PODS).map(|pod| rendition(&fleet, pod).is_null()).collect();
        if known == BTreeSet::from([false]) { Ok(()) } else { Err("not all".to_owned()) }
    });
    for number in next..next + 9 {
        fleet.put(number % PODS, &format!("/live/a/seg{number}.ts"), b"a segment");
    }
    let left_out = next + 9;
    fleet.put(0, &format!("/live/a/seg{}.ts", left_out + 1), b"a segment");
    for pod in 0..PODS {
        wait_until("the last segment to be known", || {
            let rendition = rendition(&fleet, pod);
            if rendition["lastNumber"] == left_out + 1 { Ok(()) } else { Err(rendition.to_string()) }
        });
        let rendition = rendition(&fleet, pod);
        assert_eq!(rendition["missingNumbers"], json!([left_out]), "pod {pod}: {rendition}");
    }
}
