//! The operator's absence, its return, its replacement by another, and the removal of the chart.

use std::time::{Duration, Instant};

use mediaorigin_tests::peer::Peer;

use super::cluster::{Cluster, SYSTEM};
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
    cluster.kubectl(&format!(r#"patch -n {NAMESPACE} mediaorigin/live --type=merge -p {{"spec":{{"service":{{"annotations":{{"a":"b"}}}}}}}}"#));
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
    Cluster::get().kubectl(&format!("patch -n {NAMESPACE} mediaorigin/live --type=merge -p {patch}"));
}

fn is_carried_out(value: &str) -> bool {
    let service = Cluster::get().json(&format!("get -n {NAMESPACE} service/live"));
    service["metadata"]["annotations"]["turn"] == value
}

/// Rows 60 and 62: of two operators one acts and both are ready. One that is told to stop hands over at once, also when its pod
/// is taken away by force (it still has a second or two; who dies without a word is followed when the lease has run out, which only the
/// tests of the decision prove). What is asked meanwhile is done by the next.
#[test]
fn rows_60_and_62_another_operator_takes_over() {
    let cluster = Cluster::get();
    cluster.kubectl(&format!("scale -n {SYSTEM} deployment/mediaorigin-operator --replicas=2"));
    cluster.kubectl(&format!("rollout status -n {SYSTEM} deployment/mediaorigin-operator --timeout=120s"));
    serve(NAMESPACE, OPERATOR_PORT, "");
    for (how, seconds) in [("--grace-period=30", 5), ("--grace-period=0 --force", 20)] {
        eventually("two operators are ready and one acts", 90, || {
            let deployment = cluster.json(&format!("get -n {SYSTEM} deployment/mediaorigin-operator"));
            let pods = cluster.json(&format!("get -n {SYSTEM} pods -l {OPERATORS}"));
            let names = pods["items"].as_array().cloned().unwrap_or_default();
            let leads = names.iter().any(|pod| pod["metadata"]["name"] == leader());
            deployment["status"]["readyReplicas"] == 2 && names.len() == 2 && leads
        });
        let before = leader();
        // One reconcile by the one that is about to go: it did act.
        annotate(&format!("before-{seconds}"));
        eventually("the first one acts", 30, || is_carried_out(&format!("before-{seconds}")));
        let start = Instant::now();
        cluster.kubectl(&format!("delete -n {SYSTEM} pod/{before} --wait=false {how}"));
        annotate(&format!("after-{seconds}"));
        eventually("another one holds the lease", 60, || !leader().is_empty() && leader() != before);
        let taken = start.elapsed();
        eventually("and acts", 30, || is_carried_out(&format!("after-{seconds}")));
        println!("{how}: another operator holds the lease after {taken:?}");
        // The deadline of the lease, and of one that was given up, with the time that a busy machine takes to look.
        assert!(taken < Duration::from_secs(seconds + 10), "{how}: {taken:?}");
    }
    cluster.kubectl(&format!("delete -n {NAMESPACE} mediaorigin/live"));
}

/// The last test by name, because it takes the chart away and puts it back.
#[test]
fn z_uninstalling_the_chart_leaves_origins_and_their_data() {
    let cluster = Cluster::get();
    serve(NAMESPACE, OPERATOR_PORT, "");
    round_trip("/live/a.ts");
    let values = cluster.helm(&format!("get values mediaorigin -n {SYSTEM} -o yaml"));
    cluster.helm(&format!("uninstall mediaorigin -n {SYSTEM} --wait --timeout 2m"));
    let mut peer = Peer::connect(media(OPERATOR_PORT)).unwrap();
    assert_eq!(peer.request("GET", "/live/a.ts", &[], None).unwrap().body, b"bytes");
    assert!(!cluster.json(&format!("get -n {NAMESPACE} mediaorigin/live")).is_null());
    let file = std::env::temp_dir().join(format!("mediaorigin-values-{}.yaml", std::process::id()));
    std::fs::write(&file, values).unwrap();
    cluster.helm(&format!(
        "install mediaorigin charts/mediaorigin-operator -n {SYSTEM} -f {} --wait --timeout 3m",
        file.display()
    ));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(peer.request("GET", "/live/a.ts", &[], None).unwrap().body, b"bytes");
    cluster.kubectl(&format!("delete -n {NAMESPACE} mediaorigin/live"));
}
