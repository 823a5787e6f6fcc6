//! From the first chart to this one, and the chart's own test.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mediaorigin_tests::peer::{self, Peer};

use super::cluster::{Cluster, SYSTEM};
use super::{OPERATOR_PORT, eventually, media, pod_uids, ready, serve, shape, turn};

const NAMESPACE: &str = "e2e-upgrade";
const FIRST: &str = "tests/fixtures/chart-0.1.0/mediaorigin-operator";

/// `helm test`: a `MediaOrigin` is made, serves, and is gone afterwards.
#[test]
fn row_75_helm_test_passes_and_leaves_nothing() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    cluster.helm(&format!("test mediaorigin -n {SYSTEM} --timeout 4m"));
    assert!(cluster.json(&format!("get -n {SYSTEM} mediaorigin/trial-mediaorigin")).is_null());
    assert!(cluster.json(&format!("get -n {SYSTEM} pod/mediaorigin-operator-trial")).is_null());
}

/// The last test by name. The way back to the first chart and from there to this one, under an origin that serves: nobody who reads notices,
/// and the pod stays the same. The images are those of today with both charts, as the first ones cannot be had; with the rights of the first
/// chart this operator cannot make everything that it wants, says so, and touches nothing that serves. Row 72: the definition of this chart is
/// in force afterwards, and so is what the operator could not do before.
#[test]
fn zz_the_first_chart_is_upgraded_under_traffic() {
    if shape::is_fleet() {
        println!("the first chart knows neither fleets nor NATS");
        return;
    }
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let values = cluster.helm(&format!("get values mediaorigin -n {SYSTEM} -o yaml"));
    let file = std::env::temp_dir().join(format!("mediaorigin-upgrade-{}.yaml", std::process::id()));
    std::fs::write(&file, values).unwrap();
    let install = |chart: &str| {
        let file = file.display();
        cluster.helm(&format!(
            "upgrade --install mediaorigin {chart} -n {SYSTEM} -f {file} --force-conflicts --wait --timeout 3m"
        ));
    };
    serve(NAMESPACE, OPERATOR_PORT, "");
    let mut peer = Peer::connect(media(OPERATOR_PORT)).unwrap();
    assert_eq!(peer.request("PUT", "/live/a.ts", &[], Some(b"bytes")).unwrap().head.status, 201);
    let before = pod_uids(NAMESPACE);
    let is_over = AtomicBool::new(false);
    let reads = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            // An upgrade that fails ends this thread, too.
            let deadline = Instant::now() + Duration::from_mins(8);
            while !is_over.load(Ordering::Relaxed) && Instant::now() < deadline {
                let answer = peer::fetch(media(OPERATOR_PORT), "GET", "/live/a.ts").unwrap();
                assert_eq!(
                    (answer.head.status, &answer.body[..]),
                    (200, &b"bytes"[..]),
                    "after {reads} reads"
                );
                reads += 1;
            }
            reads
        });
        install(FIRST);
        cluster.kubectl(&format!("delete -n {NAMESPACE} networkpolicy/live"));
        install("charts/mediaorigin-operator");
        is_over.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    std::fs::remove_file(&file).unwrap();
    assert!(reads > 10, "only {reads} reads");
    assert_eq!(pod_uids(NAMESPACE), before, "the pod was replaced");
    let definition = cluster.json("get crd mediaorigins.mediaorigin.io");
    let (live, ours) = (&definition["spec"]["versions"][0], mediaorigin_crds::crd::definition().unwrap());
    let properties = "/schema/openAPIV3Schema/properties/spec/properties";
    let names = |version: &serde_json::Value| {
        version.pointer(properties).unwrap().as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(live), names(&ours["spec"]["versions"][0]));
    eventually("what the first chart had no right for is there again", 120, || {
        !cluster.json(&format!("get -n {NAMESPACE} networkpolicy/live")).is_null()
    });
    ready(NAMESPACE, OPERATOR_PORT);
    cluster.kubectl(&format!("delete -n {NAMESPACE} mediaorigin/live"));
}
