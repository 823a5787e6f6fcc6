//! The write-ahead log of a fleet: that NATS has no room for it is said, and what a dead pod left in it is brought to the bucket.

use std::thread;

use mediaorigin_operator::reasons::HealthReason;
use mediaorigin_operator::report::PodReport;
use mediaorigin_tests::links::Link;
use mediaorigin_tests::nats::{NatsCluster, Setup};
use serde_json::{Value, json};

use super::pods::{Fleet, SMALL, wait_until};

const REPLICATED: &str = "[{name: all, match: {paths: [\"**\"]}, durability: Replicated}]";
const STREAM: &str = "MO_WAL_media-fleet";
/// Of 8 GB on each server; what is left is less than the log of 1 GiB.
const TAKEN: u64 = 7_900_000_000;

fn segment(seed: u64) -> Vec<u8> {
    let mut chance = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| chance.u8(..)).take(1_200_000).collect()
}

fn troubles(status: &Value) -> Vec<(HealthReason, String)> {
    let report = PodReport::read(status);
    report.troubles.into_iter().map(|trouble| (trouble.reason, trouble.message)).collect()
}

/// Nothing but uploads that need the log suffers, they and the pod's health say why, and it is over as soon as there is room.
#[test]
fn a_log_that_nats_has_no_room_for_is_told_and_tried_again() {
    let mut nats = NatsCluster::start_with(Setup { has_links: true, ..Setup::default() }).unwrap();
    nats.make_stream("other", "other", 3, &json!({ "max_bytes": TAKEN })).unwrap();
    // Its pods are ready.
    let fleet = Fleet::start_over(nats, (2, SMALL), REPLICATED, false, None);
    fleet.put(0, "/live/a.m3u8", b"#EXTM3U\n");
    let text = "NATS has no room for the write-ahead log of 1Gi: no suitable peers for placement";
    wait_until("both pods to say so", || {
        for pod in 0..2 {
            let status = fleet.status(pod);
            let said = troubles(&status);
            let [(HealthReason::LogFull, message)] = &said[..] else {
                return Err(format!("pod {pod}: {said:?}, {}", status["index"]["log"]));
            };
            assert!(message.starts_with(text), "{message}");
            assert_eq!(status["unready"], json!(""));
        }
        Ok(())
    });
    let refused = fleet.pod(0).ask("PUT", "/live/seg1.ts", &[], Some(&segment(1))).unwrap();
    let body = String::from_utf8_lossy(&refused.body);
    assert_eq!(refused.head.status, 503, "{body}");
    assert!(body.contains("write-ahead log") && body.contains(text), "{body}");
    assert_eq!(fleet.metric(0, "mediaorigin_index_log_refused_total"), 1);
    assert_eq!(fleet.status(0)["index"]["log"]["open"], json!(false));
    // What rides in the index is as before, on both.
    fleet.put(1, "/live/a.m3u8", b"#EXTM3U\n#2\n");
    assert_eq!(fleet.get(0, "/live/a.m3u8").body, b"#EXTM3U\n#2\n");

    fleet.nats.any_client().unwrap().api("STREAM.DELETE.other", &Value::Null).unwrap();
    wait_until("the log to be open", || {
        let answer = fleet.pod(0).ask("PUT", "/live/seg1.ts", &[], Some(&segment(1)));
        let head = answer.map_err(|error| error.to_string())?.head;
        if head.status == 201 { Ok(()) } else { Err(head.status.to_string()) }
    });
    for pod in 0..2 {
        wait_until("all to be well", || {
            let status = fleet.status(pod);
            let is_well = troubles(&status).is_empty() && status["index"]["log"]["open"] == json!(true);
            if is_well { Ok(()) } else { Err(status["index"]["log"].to_string()) }
        });
        assert_eq!(fleet.get(pod, "/live/seg1.ts").body, segment(1));
    }
}

/// Storage is reserved when a rule may need it, and not before.
#[test]
fn a_fleet_that_needs_no_log_has_none() {
    let rules = "[{name: all, match: {paths: [\"**\"]}, durability: Durable}]";
    let fleet = Fleet::start(1, rules, true);
    fleet.put(0, "/vod/a.mp4", &segment(1));
    let log = fleet.status(0)["index"]["log"].clone();
    assert_eq!((&log["open"], &log["limit"]), (&json!(false), &json!(0)));
    let streams = fleet.nats.any_client().unwrap().api("STREAM.NAMES", &Value::Null).unwrap();
    assert_eq!(streams["streams"], json!(["MO_IDX_media-fleet_0"]));
}

fn in_bucket(fleet: &Fleet, name: &str) -> Result<Option<Vec<u8>>, String> {
    match fleet.store.as_ref().unwrap().curl(&format!("origin/live/{name}"), &[]) {
        Ok(output) => Ok(Some(output.stdout)),
        Err(error) if error.to_string().contains("404") => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn wait_log_empty(fleet: &Fleet) {
    wait_until("the log to be empty", || match fleet.nats.messages_on(0, STREAM) {
        Ok(0) => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

/// Pod 0 dies with copies and a deletion that it owes the bucket, which nobody reaches at that time. The others finish them: what
/// was replaced or deleted meanwhile is not brought there.
#[test]
fn what_a_dead_pod_owed_the_bucket_is_done_by_another() {
    let mut fleet = Fleet::start(3, REPLICATED, true);
    fleet.put(0, "/live/seg0.ts", &segment(0));
    wait_until("its pod to copy it", || match in_bucket(&fleet, "seg0.ts") {
        Ok(Some(body)) if body == segment(0) => Ok(()),
        other => Err(format!("{:?}", other.map(|body| body.map(|body| body.len())))),
    });
    wait_log_empty(&fleet);
    // The pods have heard that it is.
    wait_until("its pod to have taken it out of the log", || {
        let count = fleet.metric(0, "mediaorigin_index_log_forgotten_total");
        if count == 1 { Ok(()) } else { Err(count.to_string()) }
    });

    fleet.buckets.iter().for_each(Link::cut);
    for number in 1..4 {
        fleet.put(0, &format!("/live/seg{number}.ts"), &segment(number));
    }
    fleet.put(1, "/live/seg2.ts", &segment(22));
    // They wait for the bucket before they are answered; the second one will never be.
    let deletions = [(1, "/live/seg3.ts"), (0, "/live/seg0.ts")].map(|(pod, path)| {
        let media = fleet.pod(pod).media;
        thread::spawn(move || mediaorigin_tests::peer::fetch(media, "DELETE", path))
    });
    for path in ["/live/seg0.ts", "/live/seg3.ts"] {
        wait_until("the index to have deleted it", || match fleet.get(2, path).head.status {
            404 => Ok(()),
            status => Err(format!("{path}: {status}")),
        });
    }
    assert!(fleet.nats.messages_on(0, STREAM).unwrap() >= 1, "nothing is owed");
    fleet.kill(0);
    let [deleted, never] = deletions.map(|deletion| deletion.join().unwrap());
    assert_eq!(deleted.unwrap().head.status, 204);
    println!("the deletion through the pod that was killed: {:?}", never.map(|answer| answer.head.status));
    fleet.buckets.iter().for_each(Link::restore);

    let expected = [("seg0.ts", None), ("seg1.ts", Some(1)), ("seg2.ts", Some(22)), ("seg3.ts", None)];
    wait_until("the bucket to have what it is owed", || {
        for (name, seed) in expected {
            let there = in_bucket(&fleet, name)?;
            if there != seed.map(segment) {
                return Err(format!("{name}: {:?}", there.map(|body| body.len())));
            }
        }
        Ok(())
    });
    wait_log_empty(&fleet);
    for (name, seed) in expected {
        assert!(in_bucket(&fleet, name).unwrap() == seed.map(segment), "{name}");
        for pod in [1, 2] {
            let answer = fleet.get(pod, &format!("/live/{name}"));
            let body = (answer.head.status == 200).then_some(answer.body);
            assert!(body == seed.map(segment), "{name} through pod {pod}: {}", answer.head.status);
        }
    }
    let swept = [1, 2].map(|pod| fleet.metric(pod, "mediaorigin_index_log_swept_total"));
    // Only one was nobody's; on a busy machine a pod may be silent for so long that its copy is made by another.
    assert!((1..=2).contains(&swept.iter().sum::<u64>()), "{swept:?}");
}
