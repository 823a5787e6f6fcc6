//! Room on the nodes, kept by pods that go when an origin needs it.

use serde_json::Value;

use super::cluster::Cluster;
use super::{MEMORY_PORT, condition, eventually, serve, turn};

const NAMESPACE: &str = "e2e-headroom";
const KEEPERS: &str = "app.kubernetes.io/name=mediaorigin-headroom";
/// Far more than the nodes have room for.
const FULL: &str = r#"{"spec":{"cpu":{"request":"450m"},"autoscaling":{"headroom":{"replicas":12}}}}"#;

fn pods(selector: &str) -> Vec<Value> {
    let list = Cluster::get().json(&format!("get -n {NAMESPACE} pods -l {selector}"));
    list["items"].as_array().cloned().unwrap_or_default()
}

fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready")["status"] == "True"
}

/// Every node is full of pods that keep room: a new pod of the origin is there all the same, in the place of one of them.
#[test]
fn a_pod_that_needs_room_takes_the_place_of_one_that_keeps_it() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    serve(NAMESPACE, MEMORY_PORT, "");
    cluster.patch(NAMESPACE, "live", FULL);
    eventually("the nodes are full", 120, || {
        let keepers = pods(KEEPERS);
        let is_waiting = |pod: &Value| condition(pod, "PodScheduled")["reason"] == "Unschedulable";
        keepers.len() == 12 && keepers.iter().any(is_waiting) && keepers.iter().any(is_ready)
    });
    let service = cluster.json(&format!("get -n {NAMESPACE} endpoints/live"));
    let behind = service["subsets"][0]["addresses"].as_array().cloned().unwrap_or_default();
    assert_eq!(behind.len(), 1, "the Service has the origin behind it and nobody else: {service}");
    let before = pods("app.kubernetes.io/name=mediaorigin");
    // A pod with other settings, beside the one that there is.
    cluster.patch(NAMESPACE, "live", r#"{"spec":{"limits":{"connections":777}}}"#);
    eventually("a new pod serves, and the one before is gone", 120, || {
        let after = pods("app.kubernetes.io/name=mediaorigin");
        after.len() == 1 && is_ready(&after[0]) && after[0]["metadata"]["uid"] != before[0]["metadata"]["uid"]
    });
    let preempted =
        cluster.json(&format!("get -n {NAMESPACE} events --field-selector reason=Preempted"))["items"]
            .clone();
    assert!(preempted.as_array().is_some_and(|events| !events.is_empty()), "nobody made room: {preempted}");
    cluster.patch(NAMESPACE, "live", r#"{"spec":{"autoscaling":{"headroom":{"replicas":0}}}}"#);
    eventually("nobody keeps room any more", 60, || pods(KEEPERS).is_empty());
    cluster.kubectl(&format!("delete -n {NAMESPACE} mediaorigin/live --timeout=60s"));
}
