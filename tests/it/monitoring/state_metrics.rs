//! kube-state-metrics' configuration against the definition: each path leads to a field.

use serde_json::Value;

use crate::golden;

const FILE: &str = "docs/monitoring/kube-state-metrics.yaml";

fn schema() -> Value {
    let definition = mediaorigin_crds::crd::definition().unwrap();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// Where a path leads from a schema; through a list it goes on in each element.
fn follow(schema: &Value, path: &Value) -> Option<Value> {
    let mut schema = schema.clone();
    for step in path.as_array()? {
        if schema["type"] == "array" {
            schema = schema["items"].take();
        }
        // What every object has is not in the definition.
        schema = if step == "metadata" {
            serde_json::json!({ "type": "metadata" })
        } else {
            step_into(&schema, step)?
        };
    }
    Some(schema)
}

fn step_into(schema: &Value, step: &Value) -> Option<Value> {
    let step = step.as_str()?;
    if schema["type"] == "metadata" {
        let is_known = ["name", "namespace", "generation", "creationTimestamp"].contains(&step);
        return is_known.then(|| serde_json::json!({ "type": "string" }));
    }
    schema["properties"].get(step).cloned()
}

/// Labels and values of a metric that lead nowhere.
fn dead_ends(schema: &Value, resource: &Value) -> Vec<String> {
    let mut dead = Vec::new();
    let mut check = |schema: &Value, path: &Value| {
        let end = follow(schema, path);
        if end.is_none() {
            dead.push(path.to_string());
        }
        end
    };
    for path in resource["labelsFromPath"].as_object().unwrap().values() {
        check(schema, path);
    }
    for metric in resource["metrics"].as_array().unwrap() {
        let gauge = &metric["each"]["gauge"];
        let Some(mut end) = check(schema, &gauge["path"]) else { continue };
        if end["type"] == "array" {
            end = end["items"].take();
        }
        let labels = gauge["labelsFromPath"].as_object().into_iter().flat_map(|labels| labels.values());
        for path in labels.chain(gauge.get("valueFrom")) {
            check(&end, path);
        }
    }
    dead
}

#[test]
fn row_71_every_path_of_the_state_metrics_leads_to_a_field() {
    let file: Value = serde_yaml::from_str(&golden::read(FILE)).unwrap();
    assert_eq!(file["kind"], "CustomResourceStateMetrics");
    let resources = file["spec"]["resources"].as_array().unwrap();
    let [resource] = &resources[..] else { panic!("{resources:?}") };
    let kind = &resource["groupVersionKind"];
    assert_eq!(
        (kind["group"].as_str(), kind["version"].as_str(), kind["kind"].as_str()),
        (
            Some(mediaorigin_crds::names::GROUP),
            Some(mediaorigin_crds::names::VERSION),
            Some(mediaorigin_crds::names::KIND)
        )
    );
    assert!(resource["metrics"].as_array().unwrap().len() > 4);
    let schema = schema();
    assert_eq!(dead_ends(&schema, resource), Vec::<String>::new());
    let mut broken = resource.clone();
    broken["metrics"][0]["each"]["gauge"]["valueFrom"] = serde_json::json!(["state"]);
    assert_eq!(dead_ends(&schema, &broken), ["[\"state\"]"], "a path that leads nowhere is found");
}
