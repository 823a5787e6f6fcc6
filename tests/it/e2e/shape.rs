//! What an origin of these tests is: one pod, or, with `MEDIAORIGIN_E2E_PODS=3`, a fleet over the chart's NATS and a bucket. What a test
//! shows of one pod it shows of three then; by hand, as it takes as long again.

use serde_json::Value;

use super::cluster::Cluster;
use super::{eventually, free, manifest, pod_uids, ready, s3};

/// Of each NATS server: the streams of all the fleets reserve what they may need, and outlive their origins.
pub(super) const STORAGE: &str = "32Gi";

/// Pods of an origin that does not say how many.
pub(super) fn pods() -> usize {
    let Ok(text) = std::env::var("MEDIAORIGIN_E2E_PODS") else { return 1 };
    text.parse().unwrap_or_else(|error| panic!("MEDIAORIGIN_E2E_PODS={text}: {error}"))
}

/// Whether that is more than one.
pub(super) fn is_fleet() -> bool {
    pods() > 1
}

/// Lines of a spec that has the lines `more` already.
pub(super) fn lines(more: &str) -> String {
    if is_fleet() && !more.contains("coordination:") { coordinated(pods()) } else { String::new() }
}

/// Lines of a spec that make it a fleet.
pub(super) fn coordinated(pods: usize) -> String {
    format!(
        "  replicas: {pods}\n  coordination: {{nats: {{url: 'nats://mediaorigin-nats.mediaorigin-system.svc:4222', copies: 3}}}}\n"
    )
}

/// An origin `live` with a bucket and these lines in its spec, which serves at `port`.
pub(super) fn start(namespace: &str, port: u16, spec: &str) {
    let store = s3::start(namespace);
    free(port, namespace);
    Cluster::get().apply(namespace, &manifest("live", port, &format!("{spec}{store}")));
    ready(namespace, port);
}

/// Waits until as many pods are there as should be, and serve.
pub(super) fn all_serve(namespace: &str) {
    let all = || origin(namespace)["spec"]["replicas"].as_u64().unwrap();
    if is_fleet() {
        eventually("every pod serves", 120, || serves(namespace, all()));
    }
}

/// Whether so many pods serve, and no other is there.
pub(super) fn serves(namespace: &str, count: u64) -> bool {
    origin(namespace)["status"]["readyReplicas"] == count && pod_uids(namespace).len() as u64 == count
}

fn origin(namespace: &str) -> Value {
    Cluster::get().json(&format!("get -n {namespace} mediaorigin/live"))
}
