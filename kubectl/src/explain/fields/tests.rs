use std::collections::BTreeMap;

use jiff::Timestamp;
use mediaorigin_operator::observed::Observed;
use mediaorigin_operator::part::Part;
use mediaorigin_operator::plan::{Action, Reason, Settings, plan};
use serde_json::{Value, json};

use super::super::children::inside;
use super::source;

fn observed(spec: &Value) -> Observed {
    let origin = json!({ "metadata": { "name": "live", "namespace": "media", "uid": "1", "generation": 1 }, "spec": spec });
    Observed::new(&origin, BTreeMap::new(), Vec::new(), Timestamp::UNIX_EPOCH)
}

/// The fields of the spec that are named where `spec` is edited to `{}`'s children, or the other way round.
fn named(before: &Value, after: &Value) -> Vec<(String, Option<&'static str>)> {
    let settings = Settings {
        origin_image: "mediaorigin:1".to_owned(),
        operator_namespace: Some("system".to_owned()),
        nats: None,
    };
    let first = plan(&settings, &observed(before));
    let live = first.children.iter().map(|child| (child.part, child.body.clone())).collect();
    let edited = Observed { children: live, ..observed(after) };
    let second = plan(&settings, &edited);
    let mut named = Vec::new();
    for action in &second.actions {
        let Action::Apply(child, Reason::Edited(found) | Reason::Drifted(found)) = action else { continue };
        let told =
            found.iter().flat_map(|difference| inside(difference, child, &edited.children[&child.part]));
        named.extend(told.map(|difference| {
            let source = source(child.part, &difference.path);
            (difference.path, source)
        }));
    }
    named
}

/// Whatever is edited, each field of a child that changes with it names the field of the spec that was edited, or one around it.
#[test]
fn every_change_names_the_field_that_it_comes_from() {
    let rule = json!([{ "name": "live", "match": { "paths": ["live/**"] }, "cacheControl": "max-age=5" }]);
    let tls = json!({ "type": "ClusterIP", "tls": { "secretRef": { "name": "certificate" } } });
    let cases = [
        ("spec.replicas", json!({ "replicas": 0 })),
        ("spec.memory.limit", json!({ "memory": { "limit": "2Gi" } })),
        ("spec.cpu.request", json!({ "cpu": { "request": "2" } })),
        ("spec.cpu.limit", json!({ "cpu": { "limit": "2" } })),
        ("spec.disk", json!({ "disk": { "size": "20Gi" } })),
        ("spec.disk.storageClassName", json!({ "disk": { "size": "20Gi", "storageClassName": "fast" } })),
        (
            "spec.objectStore",
            json!({ "objectStore": { "url": "s3://bucket/prefix", "credentialsSecretRef": { "name": "keys" } } }),
        ),
        (
            "spec.coordination",
            json!({ "coordination": { "nats": { "url": "nats://nats", "credentialsSecretRef": { "name": "keys" } } } }),
        ),
        ("spec.networkPolicy", json!({ "networkPolicy": { "adminNamespaces": ["monitoring"] } })),
        ("spec.limits.connections", json!({ "limits": { "connections": 2_000 } })),
        ("spec.limits.objectSize", json!({ "limits": { "objectSize": "5Mi" } })),
        ("spec.limits.uploadIdleSeconds", json!({ "limits": { "uploadIdleSeconds": 7 } })),
        ("spec.tierPolicies", json!({ "tierPolicies": rule })),
        ("spec.cdnProfile", json!({ "cdnProfile": "Fastly" })),
        ("spec.access.write", json!({ "access": { "write": { "secretRef": { "name": "publisher" } } } })),
        ("spec.access.cors", json!({ "access": { "cors": [] } })),
        ("spec.compatibility.mediaStore", json!({ "compatibility": { "mediaStore": "Strict" } })),
        ("spec.service.type", json!({ "service": { "type": "NodePort" } })),
        ("spec.service.port", json!({ "service": { "port": 8_000 } })),
        ("spec.service.nodePort", json!({ "service": { "type": "NodePort", "nodePort": 30_080 } })),
        ("spec.service.annotations", json!({ "service": { "annotations": { "a": "b" } } })),
        ("spec.service.tls", json!({ "service": tls })),
        ("spec.podTemplate.labels", json!({ "podTemplate": { "labels": { "a": "b" } } })),
        ("spec.podTemplate.annotations", json!({ "podTemplate": { "annotations": { "a": "b" } } })),
        ("spec.podTemplate.image", json!({ "podTemplate": { "image": "mediaorigin:2" } })),
        ("spec.podTemplate.imagePullPolicy", json!({ "podTemplate": { "imagePullPolicy": "Never" } })),
        (
            "spec.podTemplate.imagePullSecrets",
            json!({ "podTemplate": { "imagePullSecrets": [{ "name": "a" }] } }),
        ),
        ("spec.podTemplate.nodeSelector", json!({ "podTemplate": { "nodeSelector": { "a": "b" } } })),
        (
            "spec.podTemplate.tolerations",
            json!({ "podTemplate": { "tolerations": [{ "operator": "Exists" }] } }),
        ),
        ("spec.podTemplate.priorityClassName", json!({ "podTemplate": { "priorityClassName": "high" } })),
        ("spec.podTemplate.env", json!({ "podTemplate": { "env": [{ "name": "A", "value": "b" }] } })),
    ];
    for (field, spec) in cases {
        let changes = named(&json!({}), &spec);
        assert!(!changes.is_empty(), "{field}: nothing changes");
        assert!(
            changes.iter().any(|(_, source)| source
                .is_some_and(|source| source.starts_with(field) || field.starts_with(source))),
            "{field}: {changes:?}"
        );
        // The parts of one section come together: a disk is a volume, a mount, a probe. Whatever is named lies in that section.
        let section = field.split('.').nth(1).unwrap();
        for (path, source) in changes {
            let source = source.unwrap_or_else(|| panic!("{field}: {path} names nothing"));
            let is_own = source.contains(&format!("spec.{section}")) || source.ends_with("of the spec");
            assert!(is_own, "{field}: {path} names {source}");
        }
    }
}

/// What is the operator's own names nothing of the spec.
#[test]
fn what_is_not_of_the_spec_names_nothing() {
    assert_eq!(source(Part::Deployment, "spec.selector.matchLabels.app.kubernetes.io/instance"), None);
    assert_eq!(source(Part::Service, "spec.selector.app.kubernetes.io/instance"), None);
    assert_eq!(source(Part::ConfigMap, "data.origin.yaml: cold.mediaPort"), None);
    assert_eq!(source(Part::ConfigMap, "data.origin.yaml: hot.corsOther"), None);
    assert_eq!(source(Part::PodsService, "spec.ports[media].port"), None);
}
