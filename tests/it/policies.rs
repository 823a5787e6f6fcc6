//! What the `NetworkPolicy` of an origin lets through, as cyclonus reads it: what the policy says. Nothing here enforces it; that is the
//! network of a cluster.

use std::collections::BTreeMap;
use std::process::Command;

use mediaorigin_operator::observed::Observed;
use mediaorigin_operator::part::Part;
use mediaorigin_operator::plan::{Settings, plan};
use mediaorigin_tests::folder::Folder;
use mediaorigin_tests::program::go_program;
use serde_json::{Value, json};

/// One connection: whether it may be made, by whom, to whom, at which port.
type Case = (bool, Value, Value, u16);

/// The policy of the origin `media/live` with `spec`, as the operator of `mediaorigin-system` applies it.
fn policy(spec: &Value) -> Value {
    let origin = json!({
        "apiVersion": "mediaorigin.io/v1alpha1",
        "kind": "MediaOrigin",
        "metadata": { "name": "live", "namespace": "media", "uid": "uid", "generation": 1 },
        "spec": spec,
    });
    let observed = Observed::from_json(&origin, BTreeMap::new(), &[], 0).unwrap();
    let operator_namespace = Some("mediaorigin-system".to_owned());
    let settings = Settings { origin_image: "mediaorigin:test".to_owned(), operator_namespace, nats: None };
    let plan = plan(&settings, &observed);
    let policy = plan.children.iter().find(|child| child.part == Part::NetworkPolicy);
    policy.unwrap_or_else(|| panic!("no policy: {plan}")).body.clone()
}

fn pod(namespace: &str, labels: &Value) -> Value {
    let of_namespace = json!({ "kubernetes.io/metadata.name": namespace });
    json!({
        "IP": "10.0.0.7",
        "Internal": { "PodLabels": labels, "NamespaceLabels": of_namespace, "Namespace": namespace },
    })
}

fn labels(instance: &str) -> Value {
    json!({
        "app.kubernetes.io/name": "mediaorigin",
        "app.kubernetes.io/component": "origin",
        "app.kubernetes.io/instance": instance,
    })
}

fn world(address: &str) -> Value {
    json!({ "IP": address })
}

/// What cyclonus says of each connection, in order.
fn verdicts(policy: &Value, cases: &[Case]) -> Vec<bool> {
    let folder = Folder::new("policies").unwrap();
    let policy = folder.write("policy.yaml", &policy.to_string()).unwrap();
    let traffic: Vec<Value> = cases
        .iter()
        .map(|(_, source, destination, port)| {
            json!({ "Source": source, "Destination": destination, "Protocol": "TCP", "ResolvedPort": port })
        })
        .collect();
    let traffic = folder.write("traffic.json", &json!(traffic).to_string()).unwrap();
    let output = Command::new(go_program("policies", "cyclonus").unwrap())
        .args(["analyze", "--mode", "query-traffic", "--policy-path", &policy, "--traffic-path", &traffic])
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    assert!(output.status.success(), "{text}");
    let answers = text.lines().filter_map(|line| line.split_once("IS ALLOWED? |"));
    answers.map(|(_, answer)| answer.trim_start().starts_with("TRUE")).collect()
}

#[track_caller]
fn check(spec: &Value, cases: &[Case]) {
    let verdicts = verdicts(&policy(spec), cases);
    assert_eq!(verdicts.len(), cases.len());
    for ((expected, source, destination, port), verdict) in cases.iter().zip(verdicts) {
        assert_eq!(verdict, *expected, "{source} to {destination} at {port}");
    }
}

const MEDIA: u16 = 8080;
const ADMIN: u16 = 8081;
const PEER: u16 = 8082;

/// Who may reach an origin: everybody at the media port; at the admin port its own namespace, the operator and whom `adminNamespaces`
/// names.
#[test]
fn the_media_port_is_for_all_and_the_admin_port_for_few() {
    let (live, other) = (|| pod("media", &labels("live")), json!({ "app": "grafana" }));
    check(
        &json!({ "networkPolicy": { "adminNamespaces": ["monitoring"] } }),
        &[
            (true, world("8.8.8.8"), live(), MEDIA),
            (true, pod("elsewhere", &other), live(), MEDIA),
            (false, world("8.8.8.8"), live(), ADMIN),
            (false, pod("elsewhere", &other), live(), ADMIN),
            (false, pod("elsewhere", &labels("live")), live(), ADMIN),
            (true, pod("media", &other), live(), ADMIN),
            (true, pod("mediaorigin-system", &other), live(), ADMIN),
            (true, pod("monitoring", &other), live(), ADMIN),
            (false, pod("media", &other), live(), 22),
            // The policy of one origin says nothing of another's pods.
            (true, pod("elsewhere", &other), pod("media", &labels("other")), ADMIN),
        ],
    );
}

/// Whom an origin may reach: names and its bucket; where it has no keys, also what gives them (the metadata service, a token service over
/// HTTPS); nothing else.
#[test]
fn an_origin_reaches_its_bucket_and_nothing_else() {
    let (live, world) = (|| pod("media", &labels("live")), || world("93.184.216.34"));
    check(
        &json!({}),
        &[
            (false, live(), world(), 443),
            (true, live(), world(), 53),
            (false, live(), pod("kube-system", &json!({})), 6443),
        ],
    );
    let with_keys =
        json!({ "objectStore": { "url": "s3://media", "credentialsSecretRef": { "name": "keys" } } });
    let metadata = || json!({ "IP": "169.254.169.254" });
    check(
        &with_keys,
        &[(true, live(), world(), 443), (false, live(), world(), 9000), (false, live(), metadata(), 80)],
    );
    let by_role = json!({ "objectStore": { "url": "s3://media", "endpoint": "http://minio.store:9000" } });
    check(
        &by_role,
        &[
            (true, live(), world(), 9000),
            (true, live(), world(), 443),
            (true, live(), metadata(), 80),
            (false, live(), world(), 80),
        ],
    );
}

/// The port between the pods of a fleet is for those of the same origin, in the same namespace, and for nobody else; without coordination
/// for nobody at all.
#[test]
fn the_peer_port_is_for_pods_of_the_same_origin() {
    let (live, other) = (|| pod("media", &labels("live")), json!({ "app": "grafana" }));
    let fleet = json!({
        "replicas": 3,
        "coordination": { "nats": { "url": "nats://nats.store:4222,tls://broker.example.com:4443" } },
        "networkPolicy": { "adminNamespaces": ["monitoring"] },
    });
    check(
        &fleet,
        &[
            (true, live(), live(), PEER),
            (false, pod("media", &labels("other")), live(), PEER),
            (false, pod("elsewhere", &labels("live")), live(), PEER),
            (false, pod("media", &other), live(), PEER),
            (false, pod("mediaorigin-system", &other), live(), PEER),
            (false, pod("monitoring", &other), live(), PEER),
            (false, world("8.8.8.8"), live(), PEER),
            // As without a fleet.
            (true, world("8.8.8.8"), live(), MEDIA),
            (true, pod("media", &other), live(), ADMIN),
            (false, pod("elsewhere", &other), live(), ADMIN),
        ],
    );
    check(&json!({}), &[(false, live(), live(), PEER)]);
}

/// A pod of a fleet reaches the others and NATS, besides what one alone reaches.
#[test]
fn a_pod_of_a_fleet_reaches_the_others_and_nats() {
    let live = || pod("media", &labels("live"));
    let nats = || pod("mediaorigin-system", &json!({ "app.kubernetes.io/name": "mediaorigin-nats" }));
    let fleet = |url: &str| json!({ "replicas": 3, "coordination": { "nats": { "url": url } } });
    check(
        &fleet("nats://nats.store,tls://broker.example.com:4443"),
        &[
            (true, live(), nats(), 4222),
            (true, live(), world("93.184.216.34"), 4443),
            (true, live(), world("93.184.216.34"), 53),
            (false, live(), nats(), 6222),
            (false, live(), nats(), 8222),
            (false, live(), world("93.184.216.34"), 443),
            (false, live(), pod("media", &labels("other")), PEER),
            (false, live(), pod("elsewhere", &labels("live")), PEER),
            (false, live(), live(), ADMIN),
        ],
    );
    check(&json!({}), &[(false, live(), nats(), 4222), (false, live(), live(), PEER)]);
}
