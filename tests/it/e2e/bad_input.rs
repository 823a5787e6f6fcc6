//! What the API server refuses, and what only the operator can know.

use super::cluster::Cluster;
use super::eventually;
use super::turn;

fn spec(lines: &str) -> String {
    format!(
        "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: bad}}\nspec: {lines}\n"
    )
}

/// Refused at admission, with the path of the field and what to write instead.
#[test]
fn admission_names_the_field() {
    let _turn = turn::shared();
    let cluster = Cluster::get();
    cluster.namespace("e2e-bad");
    for (lines, path, words) in [
        ("{memory: {limt: 2Gi}}", "spec.memory.limt", "unknown field"),
        ("{memory: {limit: banana}}", "spec.memory.limit", "should match"),
        ("{memory: {limit: 64Mi}}", "spec.memory.limit", "at least 128Mi"),
        (
            "{memory: {limit: 128Mi}, limits: {connections: 5000}}",
            "spec.memory.limit",
            "fewer limits.connections",
        ),
        ("{replicas: 2}", "spec.replicas", "more than one pod needs spec.coordination"),
        ("{limits: {uploadIdleSeconds: 1}}", "spec.limits.uploadIdleSeconds", "greater than or equal to 5"),
        (
            "{tierPolicies: [{name: a, match: {paths: [a]}}, {name: a, match: {paths: [b]}}]}",
            "spec.tierPolicies[1]",
            "Duplicate value",
        ),
        (
            "{tierPolicies: [{name: a, match: {paths: ['/live/**']}}]}",
            "spec.tierPolicies[0].match.paths[0]",
            "no leading slash",
        ),
        (
            "{access: {cors: [{allowedOrigins: [player.example]}]}}",
            "spec.access.cors[0].allowedOrigins[0]",
            "should match",
        ),
        ("{service: {nodePort: 30089}}", "spec.service", "needs type NodePort"),
        ("{disk: {size: 1Mi}}", "spec.disk.size", "holds no media"),
        ("{objectStore: {url: 's3://bucket/a//b'}}", "spec.objectStore.url", "no empty folder"),
        ("{objectStore: {url: 'file:///srv'}}", "spec.objectStore.url", "one machine"),
        (
            "{disk: {size: 1Gi}, tierPolicies: [{name: a, match: {paths: [a]}, durability: Disk}]}",
            "spec",
            "set spec.disk.storageClassName",
        ),
        (
            "{tierPolicies: [{name: a, match: {paths: [a]}, objectStore: {keepSeconds: 5}}]}",
            "spec",
            "needs spec.objectStore",
        ),
        ("{service: {type: Ingress}}", "spec.service.type", "supported values"),
    ] {
        let refusal = cluster.refused("apply -n e2e-bad -f -", Some(&spec(lines)));
        assert!(refusal.contains(path) && refusal.contains(words), "{lines}\n{refusal}");
    }
    let long = spec("{}").replace("name: bad", &format!("name: {}", "a".repeat(53)));
    let refusal = cluster.refused("apply -n e2e-bad -f -", Some(&long));
    assert!(refusal.contains("at most 52 characters"), "{refusal}");
    assert!(cluster.kubectl("get -n e2e-bad mediaorigins -o name").is_empty());
}

/// What no schema can see is in `Accepted=False`: every problem at once, each with its path; nothing is created.
#[test]
fn the_operator_reports_every_problem_at_once() {
    let _turn = turn::shared();
    let cluster = Cluster::get();
    cluster.namespace("e2e-rejected");
    let lines = "{tierPolicies: [{name: a, match: {paths: ['live/[a', 'live/{b']}}]}";
    cluster.apply("e2e-rejected", &spec(lines));
    eventually("the status names both problems", 30, || {
        let origin = cluster.json("get -n e2e-rejected mediaorigin/bad");
        let conditions = origin["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|condition| {
            let message = condition["message"].as_str().unwrap_or_default();
            condition["type"] == "Accepted"
                && condition["status"] == "False"
                && message.contains("spec.tierPolicies[0].match.paths[0]")
                && message.contains("spec.tierPolicies[0].match.paths[1]")
        })
    });
    assert!(cluster.json("get -n e2e-rejected deployment/bad").is_null());
    cluster.kubectl("delete -n e2e-rejected mediaorigin/bad");
}

/// `kubectl explain` has a text for every field.
#[test]
fn every_field_is_explained() {
    let _turn = turn::shared();
    let cluster = Cluster::get();
    let definition = cluster.json("get crd/mediaorigins.mediaorigin.io");
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let mut missing = Vec::new();
    let mut count = 0;
    walk("spec", &schema["spec"], &mut missing, &mut count);
    walk("status", &schema["status"], &mut missing, &mut count);
    assert!(count > 50, "only {count} fields were seen");
    assert_eq!(missing, Vec::<String>::new());
    let text = cluster.kubectl("explain mediaorigin.spec.tierPolicies --recursive");
    assert!(text.contains("expireSeconds") && text.contains("keepSeconds"), "{text}");
}

fn walk(path: &str, schema: &serde_json::Value, missing: &mut Vec<String>, count: &mut usize) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        *count += 1;
        if field["description"].as_str().is_none_or(|text| text.trim().is_empty()) {
            missing.push(path.clone());
        }
        walk(&path, field, missing, count);
        walk(&path, &field["items"], missing, count);
    }
}
