//! The life of a `MediaOrigin`: apply, scale, edit, lose a pod, delete.

use mediaorigin_tests::peer::{self, Peer};
use serde_json::Value;

use super::cluster::Cluster;
use super::turn;
use super::{
    ACCESS_PORT, LIFECYCLE_PORT, condition, eventually, free, manifest, media, pod_uids, ready, serve, shape,
};

const NAMESPACE: &str = "e2e-lifecycle";
const POLICY: &str =
    "  tierPolicies:\n  - {name: live, match: {paths: ['live/**']}, cacheControl: max-age=5}\n";

fn get(kind: &str) -> Value {
    Cluster::get().json(&format!("get -n {NAMESPACE} {kind}"))
}

fn cache_control() -> Option<String> {
    let answer = peer::fetch(media(LIFECYCLE_PORT), "GET", "/live/a.ts").ok()?;
    answer.head.header("cache-control").map(str::to_owned)
}

fn put(path: &str) -> u16 {
    let mut peer = Peer::connect(media(LIFECYCLE_PORT)).unwrap();
    peer.request("PUT", path, &[], Some(b"segment")).unwrap().head.status
}

#[test]
fn apply_scale_edit_lose_a_pod_delete() {
    let _turn = turn::shared();
    let cluster = Cluster::get();
    serve(NAMESPACE, LIFECYCLE_PORT, POLICY);
    listing();
    assert_eq!(put("/live/a.ts"), 201);
    assert_eq!(cache_control().as_deref(), Some("max-age=5"));
    pod_is_confined();

    hot_edit_reaches_the_running_pod();
    scale();

    let before = pod_uids(NAMESPACE);
    cluster.kubectl(&format!("delete -n {NAMESPACE} pod -l app.kubernetes.io/instance=live"));
    eventually("another pod serves", 90, || {
        pod_uids(NAMESPACE) != before && pod_uids(NAMESPACE).len() == shape::pods() && put_answers()
    });
    ready(NAMESPACE, LIFECYCLE_PORT);

    cluster.kubectl(&format!("delete -n {NAMESPACE} mediaorigin/live --timeout=60s"));
    for kind in ["deployment/live", "service/live", "configmap/live", "serviceaccount/live"] {
        eventually(&format!("{kind} is gone"), 60, || get(kind).is_null());
    }
    eventually("the pods are gone", 90, || pod_uids(NAMESPACE).is_empty());
}

fn put_answers() -> bool {
    Peer::connect(media(LIFECYCLE_PORT))
        .and_then(|mut peer| peer.request("PUT", "/live/b.ts", &[], Some(b"x")))
        .is_ok()
}

/// `kubectl get mediaorigin` shows Ready, replicas, memory and age.
fn listing() {
    // A pod serves before the Deployment counts it.
    eventually("the table has a row with all its pods", 20, || {
        let table = Cluster::get().kubectl(&format!("get -n {NAMESPACE} mediaorigin"));
        let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(
            lines.next().unwrap(),
            ["NAME", "READY", "REASON", "REPLICAS", "MEMORY", "OBJECTS", "AGE"]
        );
        lines.next().unwrap()[..5] == ["live", "True", "Serving", &shape::pods().to_string(), "256Mi"]
    });
}

/// The pod passes the restricted profile (the namespace enforces it), cannot write its root and has no token.
fn pod_is_confined() {
    let pods = Cluster::get().json(&format!("get -n {NAMESPACE} pods -l app.kubernetes.io/instance=live"));
    let spec = &pods["items"][0]["spec"];
    assert_eq!(spec["automountServiceAccountToken"], false);
    let container = &spec["containers"][0];
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["resources"]["limits"]["memory"], container["resources"]["requests"]["memory"]);
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        assert!(container[probe].is_object(), "no {probe}");
    }
}

fn hot_edit_reaches_the_running_pod() {
    let before = pod_uids(NAMESPACE);
    let patch = r#"{"spec":{"tierPolicies":[{"name":"live","match":{"paths":["live/**"]},"cacheControl":"max-age=7"}]}}"#;
    Cluster::get().patch(NAMESPACE, "live", patch);
    eventually("the edited policy is in force", 30, || cache_control().as_deref() == Some("max-age=7"));
    assert_eq!(pod_uids(NAMESPACE), before, "a hot edit replaced the pod");
}

/// Through the scale subresource: to 0, back to 1; more is refused with the reason.
fn scale() {
    let cluster = Cluster::get();
    let scale =
        |count: &str| cluster.kubectl(&format!("scale -n {NAMESPACE} mediaorigin/live --replicas {count}"));
    scale("0");
    eventually("no pod is left", 90, || pod_uids(NAMESPACE).is_empty());
    eventually("the status says so", 20, || get("mediaorigin/live")["status"]["replicas"] == 0);
    let all = shape::pods();
    scale(&all.to_string());
    eventually("pods are there again", 90, || pod_uids(NAMESPACE).len() == all && put_answers());
    ready(NAMESPACE, LIFECYCLE_PORT);
    if shape::is_fleet() {
        return;
    }
    let refusal = cluster.refused(&format!("scale -n {NAMESPACE} mediaorigin/live --replicas 2"), None);
    assert!(refusal.contains("more than one pod needs spec.coordination"), "{refusal}");
    assert_eq!(get("mediaorigin/live")["spec"]["replicas"], 1);
}

/// Write access from a Secret, and a Secret that comes late. Proves FQ-07's first half on a cluster.
#[test]
fn a_missing_secret_is_named_and_uploads_need_its_credentials() {
    let _turn = turn::shared();
    let cluster = Cluster::get();
    let namespace = "e2e-access";
    cluster.namespace(namespace);
    let spec = "  access: {write: {secretRef: {name: publisher}}}\n";
    free(ACCESS_PORT, namespace);
    cluster.apply(namespace, &manifest("live", ACCESS_PORT, spec));
    eventually("the status names the Secret", 60, || {
        let origin = cluster.json(&format!("get -n {namespace} mediaorigin/live"));
        let ready = condition(&origin, "Ready");
        ready["status"] == "False"
            && ready["message"].as_str().is_some_and(|message| message.contains("publisher"))
    });
    cluster.kubectl(&format!("create -n {namespace} secret generic publisher --type=kubernetes.io/basic-auth --from-literal=username=live --from-literal=password=s3cret"));
    ready(namespace, ACCESS_PORT);
    let put = |authorization: Option<&str>| {
        let headers: Vec<_> =
            authorization.map(|value| ("Authorization".to_owned(), value.to_owned())).into_iter().collect();
        let answer = Peer::connect(media(ACCESS_PORT))
            .unwrap()
            .request("PUT", "/live/a.ts", &headers, Some(b"x"))
            .unwrap();
        answer.head
    };
    let head = put(None);
    assert_eq!(head.status, 401);
    assert!(head.header("www-authenticate").is_some_and(|value| value.starts_with("Basic")));
    assert_eq!(put(Some("Basic bGl2ZTp3cm9uZw==")).status, 403);
    assert_eq!(put(Some("Basic bGl2ZTpzM2NyZXQ=")).status, 201);
    cluster.kubectl(&format!("delete -n {namespace} mediaorigin/live"));
}
