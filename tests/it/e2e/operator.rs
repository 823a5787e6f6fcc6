//! The operator's absence, its return, its replacement by another, and the removal of the chart.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mediaorigin_tests::peer::Peer;

use super::cluster::{Cluster, SYSTEM};
use super::fleet::pods;
use super::turn;
use super::{OPERATOR_PORT, eventually, media, serve};

const NAMESPACE: &str = "e2e-operator";

fn round_trip(path: &str) {
    let mut peer = Peer::connect(media(OPERATOR_PORT)).unwrap();
    assert_eq!(peer.request("PUT", path, &[], Some(b"bytes")).unwrap().head.status, 201, "{path}");
    assert_eq!(peer.request("GET", path, &[], None).unwrap().body, b"bytes", "{path}");
}

/// Kill the operator: the data plane does not notice; what was asked meanwhile is done when it is back; a `MediaOrigin`
/// that was deleted meanwhile takes its children along.
#[test]
fn the_data_plane_does_not_notice_a_dead_operator() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    serve(NAMESPACE, OPERATOR_PORT, "");
    round_trip("/live/before.ts");
    cluster.kubectl(&format!(
        "delete -n {SYSTEM} pod -l app.kubernetes.io/name=mediaorigin-operator --grace-period=0 --force"
    ));
    round_trip("/live/killed.ts");
    cluster.kubectl(&format!("scale -n {SYSTEM} deployment/mediaorigin-operator --replicas=0"));
    eventually("the operator is gone", 60, || {
        cluster
            .kubectl(&format!("get -n {SYSTEM} pods -l app.kubernetes.io/name=mediaorigin-operator -o name"))
            .is_empty()
    });
    round_trip("/live/absent.ts");
    cluster.patch(NAMESPACE, "live", r#"{"spec":{"service":{"annotations":{"a":"b"}}}}"#);
    cluster.kubectl(&format!("scale -n {SYSTEM} deployment/mediaorigin-operator --replicas=1"));
    eventually("the edit is carried out", 60, || {
        cluster.json(&format!("get -n {NAMESPACE} service/live"))["metadata"]["annotations"]["a"] == "b"
    });
    round_trip("/live/back.ts");

    cluster.kubectl(&format!("scale -n {SYSTEM} deployment/mediaorigin-operator --replicas=0"));
    cluster.kubectl(&format!("delete -n {NAMESPACE} mediaorigin/live --timeout=30s"));
    eventually("the children went with it", 90, || {
        cluster.json(&format!("get -n {NAMESPACE} deployment/live")).is_null()
    });
    cluster.kubectl(&format!("scale -n {SYSTEM} deployment/mediaorigin-operator --replicas=1"));
    cluster.kubectl(&format!("rollout status -n {SYSTEM} deployment/mediaorigin-operator --timeout=120s"));
}

const OPERATORS: &str = "app.kubernetes.io/name=mediaorigin-operator";

/// The pod that holds the lease.
fn leader() -> String {
    let lease = Cluster::get().json(&format!("get -n {SYSTEM} lease/mediaorigin-operator"));
    lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

fn annotate(value: &str) {
    let patch = format!(r#"{{"spec":{{"service":{{"annotations":{{"turn":"{value}"}}}}}}}}"#);
    Cluster::get().patch(NAMESPACE, "live", &patch);
}

fn is_carried_out(value: &str) -> bool {
    let service = Cluster::get().json(&format!("get -n {NAMESPACE} service/live"));
    service["metadata"]["annotations"]["turn"] == value
}

/// Two operators are ready, and one of them acts: which one.
fn two_operators() -> String {
    let cluster = Cluster::get();
    eventually("two operators are ready and one acts", 90, || {
        let deployment = cluster.json(&format!("get -n {SYSTEM} deployment/mediaorigin-operator"));
        let pods = cluster.json(&format!("get -n {SYSTEM} pods -l {OPERATORS}"));
        let pods = pods["items"].as_array().cloned().unwrap_or_default();
        let leads = pods.iter().any(|pod| pod["metadata"]["name"] == leader());
        deployment["status"]["readyReplicas"] == 2 && pods.len() == 2 && leads
    });
    leader()
}

/// Two operators, of which the one on this node acts, and the other one waits on another node.
pub(super) fn acts_on(node: &str) {
    let cluster = Cluster::get();
    scale_to_two();
    for _ in 0..5 {
        let acts = two_operators();
        let waits = pods(SYSTEM, OPERATORS).into_iter().find(|pod| *pod != acts).unwrap();
        let is_there = |pod: &str| cluster.node_of(SYSTEM, pod) == node;
        let wrong = match (is_there(&acts), is_there(&waits)) {
            (true, false) => return,
            (true, true) => waits,
            (false, _) => acts,
        };
        cluster.kubectl(&format!("delete -n {SYSTEM} pod/{wrong}"));
    }
    panic!("no operator acts on {node}");
}

fn scale_to_two() {
    let cluster = Cluster::get();
    cluster.kubectl(&format!("scale -n {SYSTEM} deployment/mediaorigin-operator --replicas=2"));
    cluster.kubectl(&format!("rollout status -n {SYSTEM} deployment/mediaorigin-operator --timeout=120s"));
}

/// The time until another one than `before` holds the lease; what is asked of it is done.
fn another_takes_over(before: &str, ask: &str) -> Duration {
    let start = Instant::now();
    annotate(ask);
    eventually("another one holds the lease", 60, || !leader().is_empty() && leader() != before);
    let taken = start.elapsed();
    eventually("and acts", 30, || is_carried_out(ask));
    println!("another operator holds the lease after {taken:?}");
    taken
}

/// The operator's process in `pod`: the nodes are containers of this machine.
fn process_of(pod: &str) -> String {
    let is_it = |process: &Path| {
        let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        // The kernel cuts names.
        name.starts_with("mediaorigin-ope")
            && environment.split(|byte| *byte == 0).any(|line| line == format!("POD_NAME={pod}").as_bytes())
    };
    let mut processes = fs::read_dir("/proc").unwrap().map(|process| process.unwrap().path());
    let process = processes.find(|process| is_it(process)).unwrap();
    process.file_name().unwrap().to_str().unwrap().to_owned()
}

fn signal(process: &str, signal: &str) {
    assert!(Command::new("kill").args([signal, process]).status().unwrap().success());
}

/// Rows 60 and 62: of two operators one acts and both are ready. One that is told to stop hands over at once. One that hangs is
/// followed when its lease has run out; when it goes on, it finds that it has lost it, and waits for its turn. What is asked meanwhile is done by the
/// other.
#[test]
fn rows_60_and_62_another_operator_takes_over() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    scale_to_two();
    serve(NAMESPACE, OPERATOR_PORT, "");
    let told = two_operators();
    cluster.kubectl(&format!("delete -n {SYSTEM} pod/{told} --wait=false"));
    // Five seconds, and what a busy machine needs to look.
    assert!(another_takes_over(&told, "told") < Duration::from_secs(12));

    let hanging = two_operators();
    let process = process_of(&hanging);
    signal(&process, "-STOP");
    let taken = another_takes_over(&hanging, "hanging");
    signal(&process, "-CONT");
    // Its last renewal may be a period old when it stops.
    assert!((Duration::from_secs(12)..Duration::from_secs(30)).contains(&taken), "{taken:?}");
    eventually("the one that hung knows that it has lost", 30, || {
        cluster.kubectl(&format!("logs -n {SYSTEM} pod/{hanging}")).contains("the lease is lost")
    });
    assert_ne!(leader(), hanging);
    cluster.kubectl(&format!("delete -n {NAMESPACE} mediaorigin/live"));
}

/// The last test by name, because it takes the chart away and puts it back.
#[test]
fn z_uninstalling_the_chart_leaves_origins_and_their_data() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    serve(NAMESPACE, OPERATOR_PORT, "");
    round_trip("/live/a.ts");
    let values = cluster.helm(&format!("get values mediaorigin -n {SYSTEM} -o yaml"));
    cluster.helm(&format!("uninstall mediaorigin -n {SYSTEM} --wait --timeout 2m"));
    let mut peer = Peer::connect(media(OPERATOR_PORT)).unwrap();
    assert_eq!(peer.request("GET", "/live/a.ts", &[], None).unwrap().body, b"bytes");
    assert!(!cluster.json(&format!("get -n {NAMESPACE} mediaorigin/live")).is_null());
    let file = std::env::temp_dir().join(format!("mediaorigin-values-{}.yaml", std::process::id()));
    fs::write(&file, values).unwrap();
    cluster.helm(&format!(
        "install mediaorigin charts/mediaorigin-operator -n {SYSTEM} -f {} --wait --timeout 3m",
        file.display()
    ));
    fs::remove_file(&file).unwrap();
    assert_eq!(peer.request("GET", "/live/a.ts", &[], None).unwrap().body, b"bytes");
    cluster.kubectl(&format!("delete -n {NAMESPACE} mediaorigin/live"));
}
