//! `kubectl mediaorigin` on a real cluster: kubectl finds it, and it sees what is there.

use mediaorigin_tests::peer::Peer;

use super::cluster::Cluster;
use super::turn;
use super::{PLUGIN_PORT, eventually, free, manifest, media, ready, shape};

const NAMESPACE: &str = "e2e-plugin";

#[test]
fn the_plugin_tells_how_an_origin_is_and_why() {
    let _turn = turn::shared();
    let cluster = Cluster::get();
    cluster.namespace(NAMESPACE);
    let spec = "  access: {write: {secretRef: {name: publisher}}}\n";
    free(PLUGIN_PORT, NAMESPACE);
    cluster.apply(NAMESPACE, &manifest("live", PLUGIN_PORT, spec));
    let plugin = |line: &str| cluster.plugin(&format!("{line} -n {NAMESPACE}"));

    eventually("status names the Secret and fails", 60, || {
        let (code, text) = plugin("status live");
        code == Some(1) && text.contains("publisher") && text.contains("create the Secret named")
    });
    eventually("explain says why, and that the operator has done its part", 60, || {
        let (_, text) = plugin("explain live");
        let all =
            ["The operator would\n  do nothing", "mediaorigin-system/mediaorigin-operator", "FailedMount"];
        all.iter().all(|words| text.contains(words))
    });
    assert!(plugin("streams live").0 == Some(1));

    cluster.kubectl(&format!("create -n {NAMESPACE} secret generic publisher --type=kubernetes.io/basic-auth --from-literal=username=live --from-literal=password=s3cret"));
    ready(NAMESPACE, PLUGIN_PORT);
    for number in [1, 2, 4] {
        let headers = [("Authorization".to_owned(), "Basic bGl2ZTpzM2NyZXQ=".to_owned())];
        let path = format!("/live/a/seg{number}.ts");
        let mut peer = Peer::connect(media(PLUGIN_PORT)).unwrap();
        assert_eq!(peer.request("PUT", &path, &headers, Some(b"segment")).unwrap().head.status, 201);
    }
    // A pod serves before the Deployment counts it. By the API server's proxy the pod itself says what it serves.
    eventually("status finds nothing to do", 60, || {
        let (code, text) = plugin("status live");
        code == Some(0) && text.contains("generation 1 ") && text.contains("nothing to do")
    });
    let (code, text) = plugin("streams live");
    assert!(code == Some(0) && text.contains("seg*.ts") && text.contains("1 (3)"), "{text}");
    let (_, text) = plugin("publisher live");
    assert!(text.contains(&format!("http://NODE:{PLUGIN_PORT}")) && !text.contains("s3cret"), "{text}");
    assert!(plugin("publisher live --show-secret").1.contains("s3cret"));
    let (code, text) = plugin("status");
    assert!(code == Some(0) && text.contains(&format!("{0}/{0}", shape::pods())), "{text}");

    cluster.kubectl(&format!("delete -n {NAMESPACE} mediaorigin/live"));
    assert_eq!(plugin("status live").0, Some(2));
}
