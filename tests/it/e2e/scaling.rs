//! An origin that is as large as its audience: ten times the viewers come, and go again, while an encoder publishes.

use std::time::Instant;

use mediaorigin_tests::peer::Peer;
use mediaorigin_tests::planner::merge::merge;
use serde_json::Value;

use super::cluster::Cluster;
use super::crowd::Crowd;
use super::stream::push;
use super::{FLEET_PORT, condition, eventually, free, media, nats, ready, s3, shape, turn};

const NAMESPACE: &str = "e2e-scaling";
/// What every viewer asks for.
const SEGMENT: &str = "/live/load/seg1.m4s";
const SEGMENT_BYTES: usize = 256 << 10;
/// Requests in a second: 42 Mbit/s, and ten times as much.
const CALM: u32 = 20;
const STORM: u32 = 200;
/// The storm needs more than these, whatever share of it the machine can make; the calm fits into one pod.
const PODS_MAX: u64 = 4;
const MEGABITS_OF_A_POD: u32 = 80;

/// A `HorizontalPodAutoscaler` of the origin `live`: pods at least and at most, and percent of the CPU that they ask for.
pub(super) fn autoscaler((min, max): (u32, u32), percent: u32) -> String {
    format!(
        "apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{name: live}}
spec:
  scaleTargetRef: {{apiVersion: mediaorigin.io/v1alpha1, kind: MediaOrigin, name: live}}
  minReplicas: {min}
  maxReplicas: {max}
  metrics:
  - {{type: Resource, resource: {{name: cpu, target: {{type: Utilization, averageUtilization: {percent}}}}}}}
"
    )
}

fn origin() -> Value {
    Cluster::get().json(&format!("get -n {NAMESPACE} mediaorigin/live"))
}

/// Pods that the Deployment is asked for.
fn asked() -> u64 {
    let deployment = Cluster::get().json(&format!("get -n {NAMESPACE} deployment/live"));
    deployment["spec"]["replicas"].as_u64().unwrap_or_default()
}

/// examples/live-event.yaml on a small machine: what differs is the size of everything, and the way in.
fn patch(store: &str) -> String {
    let store: Value = serde_yaml_of(store);
    serde_json::json!({ "spec": {
        "memory": { "limit": "256Mi" },
        "cpu": { "request": "50m" },
        "service": { "type": "NodePort", "nodePort": FLEET_PORT },
        "objectStore": store["objectStore"],
        "autoscaling": {
            "minReplicas": 1,
            "maxReplicas": PODS_MAX,
            // A CPU that others use too is no measure.
            "targets": { "egressMegabitsPerSecond": MEGABITS_OF_A_POD, "cpuPercent": 1000 },
            "scaleDown": { "stabilizationSeconds": 10, "percentPerMinute": 100 },
            "schedules": null,
            "events": null,
        },
    }})
    .to_string()
}

fn serde_yaml_of(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

/// A tenfold load on an origin of one pod: more pods are asked for within seconds, they serve, and nothing fails; they go again when the
/// crowd does, one after the other, and no request and no upload of the encoder notices. What Git holds is applied again meanwhile and
/// changes nothing. Then `kubectl scale` decides, and an autoscaler that scales the Deployment is named.
#[test]
fn ten_times_the_viewers_find_as_many_pods_as_they_need() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let _nats = nats::install(&[NAMESPACE]);
    let manifest = start();
    let mut encoder = push(&format!("http://{}/live/event", media(FLEET_PORT)), 150, &[]);
    let mut uploads = Peer::connect(media(FLEET_PORT)).unwrap();
    let stored = uploads.request("PUT", SEGMENT, &[], Some(&vec![7; SEGMENT_BYTES])).unwrap();
    assert!(matches!(stored.head.status, 201 | 204), "{}", stored.head.status);
    let crowd = Crowd::gather(media(FLEET_PORT), SEGMENT, CALM);
    eventually("the operator knows the load", 60, || {
        let reason = origin()["status"]["scaling"]["reason"].as_str().unwrap_or_default().to_owned();
        !reason.is_empty() && reason != "Starting"
    });
    crowd.wait_for(5 * CALM as usize);
    // That everybody comes at once in the beginning looks like more to come.
    serving(1);
    println!("calm: {}", crowd.seen().line());

    crowd.ask_at(STORM);
    let began = Instant::now();
    eventually("as many pods as there may be are asked for", 30, || asked() == PODS_MAX);
    let until_asked = began.elapsed();
    cluster.apply(NAMESPACE, &manifest);
    serving(PODS_MAX);
    let until_served = began.elapsed();
    assert_eq!(asked(), PODS_MAX, "what Git holds was applied again");
    let scaling = origin()["status"]["scaling"].clone();
    println!(
        "storm: asked for after {until_asked:.1?}, served after {until_served:.1?}; {}",
        crowd.seen_well()
    );
    println!("{scaling}");
    assert_eq!(scaling["dimension"], "egress", "{scaling}");
    assert!(scaling["explanation"].as_str().is_some_and(|text| text.contains("/ (80×0.7) = ")), "{scaling}");

    crowd.ask_at(CALM);
    serving(1);
    println!("calm again: {}", crowd.seen_well());
    drop(crowd);
    assert!(encoder.try_wait().unwrap().is_none_or(|status| status.success()), "the encoder gave up");
    by_hand(cluster);
    let encoder = encoder.wait_with_output().unwrap();
    assert!(encoder.status.success(), "the encoder: {}", String::from_utf8_lossy(&encoder.stderr));
}

/// Applies the example, made small; the text with which it is applied again.
fn start() -> String {
    let store = s3::start(NAMESPACE);
    let cluster = Cluster::get();
    let example =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/live-event.yaml"));
    let mut document = serde_yaml_of(&example.unwrap());
    let patch: Value = serde_json::from_str(&patch(&store)).unwrap();
    merge(&mut document, &patch);
    let manifest = document.to_string();
    free(FLEET_PORT, NAMESPACE);
    cluster.apply(NAMESPACE, &manifest);
    ready(NAMESPACE, FLEET_PORT);
    manifest
}

fn serving(count: u64) {
    eventually(&format!("{count} pods serve, and no other is left"), 180, || {
        asked() == count && shape::serves(NAMESPACE, count)
    });
}

impl Crowd {
    /// What it saw, of which nothing failed.
    fn seen_well(&self) -> String {
        let seen = self.seen();
        assert!(seen.failures.is_empty() && seen.shed == 0, "{}: {:?}", seen.line(), seen.failures.first());
        seen.line()
    }
}

/// `kubectl scale` is a floor in mode Internal. In mode External it decides, and so does a `HorizontalPodAutoscaler` of the origin; one of
/// the Deployment is named.
fn by_hand(cluster: &Cluster) {
    cluster.kubectl(&format!("scale -n {NAMESPACE} mediaorigin/live --replicas=2"));
    serving(2);
    assert_eq!(origin()["status"]["scaling"]["reason"], "Floor");
    cluster.patch(NAMESPACE, "live", r#"{"spec":{"autoscaling":{"mode":"External"}}}"#);
    cluster.kubectl(&format!("scale -n {NAMESPACE} mediaorigin/live --replicas=1"));
    serving(1);
    assert_eq!(condition(&origin(), "ScalingActive")["reason"], "External");
    cluster.apply(NAMESPACE, &autoscaler((2, 3), 99));
    serving(2);
    assert_eq!(origin()["spec"]["replicas"], 2, "it writes what is its own to write");
    cluster.kubectl(&format!("delete -n {NAMESPACE} hpa/live"));
    cluster.kubectl(&format!(
        "autoscale -n {NAMESPACE} deployment/live --name=rival --min=1 --max=3 --cpu-percent=99"
    ));
    cluster.kubectl(&format!("annotate -n {NAMESPACE} mediaorigin/live look=again"));
    let stalled = || condition(&origin(), "Stalled");
    eventually("the autoscaler of the Deployment is named", 30, || {
        let stalled = stalled();
        stalled["reason"] == "ScalingConflict"
            && stalled["message"].as_str().is_some_and(|message| message.contains("\"rival\""))
    });
    cluster.kubectl(&format!("delete -n {NAMESPACE} hpa/rival"));
    cluster.kubectl(&format!("annotate -n {NAMESPACE} mediaorigin/live look=once-more --overwrite"));
    eventually("it is gone, and so is what was said of it", 60, || stalled()["status"] == "False");
}
