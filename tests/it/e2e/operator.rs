//! The operator's absence, its return, and the removal of the chart.

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
