//! The product on a real kind cluster, as its users drive it: helm, kubectl, ffmpeg.
//!
//! Needs the cluster of `tests/cluster/cluster up` and the images of `tests/images`; `make test` makes both. Without
//! `MEDIAORIGIN_E2E=1` these tests are not asked for and are skipped by name; asked for without a cluster they fail.

mod bad_input;
mod cluster;
mod credentials;
mod crowd;
mod fleet;
mod headroom;
mod hot;
mod keda;
mod lifecycle;
mod memory;
mod mistakes;
mod nats;
mod operator;
mod plugin;
mod race;
mod rollout;
mod s3;
mod scaling;
mod shape;
mod stream;
mod tiers;
mod turn;
mod upgrade;
mod uploads;
mod viewer;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use cluster::Cluster;
use mediaorigin_tests::peer;
use serde_json::Value;

/// The media ports of the test cluster on this machine: one for each test that pushes.
const STREAM_PORT: u16 = 30081;
const LIFECYCLE_PORT: u16 = 30082;
const OPERATOR_PORT: u16 = 30083;
const DRAIN_PORT: u16 = 30084;
const ACCESS_PORT: u16 = 30085;
const TIERS_PORT: u16 = 30086;
const ROLLOUT_PORT: u16 = 30087;
const HOT_PORT: u16 = 30088;
/// For the clients of NATS.
const NATS_PORT: u16 = 30089;
/// The last of the test's ports; what had it before is gone by then: that test was alone.
const PLUGIN_PORT: u16 = HOT_PORT;
/// The same.
const MEMORY_PORT: u16 = HOT_PORT;
/// The same.
const FLEET_PORT: u16 = DRAIN_PORT;

fn media(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A `MediaOrigin` with a port on this machine; `more` are further lines of its spec.
fn manifest(name: &str, port: u16, more: &str) -> String {
    format!(
        "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: {name}}}\nspec:\n  \
         memory: {{limit: 256Mi}}\n  cpu: {{request: 50m}}\n  service: {{type: NodePort, nodePort: {port}}}\n{more}{}",
        shape::lines(more)
    )
}

/// Applies a `MediaOrigin` named `live` and waits until it is Ready and its port answers here: kube-proxy needs a moment
/// after the pod is ready.
#[track_caller]
fn serve(namespace: &str, port: u16, more: &str) {
    let cluster = Cluster::get();
    free(port, namespace);
    cluster.namespace(namespace);
    let bucket = if shape::is_fleet() { s3::start(namespace) } else { String::new() };
    cluster.apply(namespace, &manifest("live", port, &format!("{more}{bucket}")));
    ready(namespace, port);
}

/// Ends what a test that failed has left on `port`.
fn free(port: u16, namespace: &str) {
    let cluster = Cluster::get();
    let origins = cluster.json("get mediaorigins -A");
    for origin in origins["items"].as_array().into_iter().flatten() {
        let theirs = origin["metadata"]["namespace"].as_str().unwrap();
        if origin["spec"]["service"]["nodePort"] == port && theirs != namespace {
            cluster.kubectl(&format!("delete namespace {theirs} --wait --timeout=120s"));
        }
    }
}

#[track_caller]
fn ready(namespace: &str, port: u16) {
    let cluster = Cluster::get();
    let wait = format!("wait -n {namespace} --for=condition=Ready mediaorigin/live --timeout=120s");
    cluster.kubectl_tried(&wait).unwrap_or_else(|error| panic!("{error}\n{}", cluster.describe()));
    shape::all_serve(namespace);
    eventually("the port answers", 20, || peer::fetch(media(port), "GET", "/").is_ok());
}

/// The pods of the origin `live`, those that end included.
fn pod_uids(namespace: &str) -> Vec<String> {
    let pods = Cluster::get().json(&format!("get -n {namespace} pods -l app.kubernetes.io/instance=live"));
    let items = pods["items"].as_array().cloned().unwrap_or_default();
    items.iter().map(|pod| pod["metadata"]["uid"].as_str().unwrap().to_owned()).collect()
}

/// A condition of a `MediaOrigin`, or null.
fn condition(origin: &Value, kind: &str) -> Value {
    let conditions = origin["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default()
}

/// Asks until the answer is yes; what a cluster does has no barrier that a client could wait at.
#[track_caller]
fn eventually(what: &str, seconds: u64, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !condition() {
        if Instant::now() > deadline {
            let state = Cluster::get().describe();
            panic!("waited {seconds} s until {what}\n{state}");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
