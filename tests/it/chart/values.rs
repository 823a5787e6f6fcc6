//! The values: what the schema describes, what `values.yaml` sets and what the templates use are the same.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{CHART, EVERYTHING, render, template};
use crate::golden;

/// Helm hands it to every chart; ours has no use for it.
const NOT_OURS: &str = "global";

fn schema() -> Value {
    serde_json::from_str(&golden::read(&format!("{CHART}/values.schema.json"))).unwrap()
}

/// Calls `see` with the path and schema of every value; those of an object without fields of its own are one value.
fn walk(path: &str, schema: &Value, see: &mut impl FnMut(&str, &Value)) {
    let Some(fields) = schema["properties"].as_object() else { return see(path, schema) };
    assert_eq!(schema["additionalProperties"], false, "{path} takes what nobody knows");
    for (name, field) in fields.iter().filter(|(name, _)| *name != NOT_OURS) {
        assert!(
            field["description"].as_str().is_some_and(|text| !text.is_empty()),
            "{path}.{name}: no description"
        );
        walk(format!("{path}.{name}").trim_start_matches('.'), field, see);
    }
}

fn described() -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    walk("", &schema(), &mut |path, _| paths.extend([path.to_owned()]));
    assert!(paths.len() > 30, "{paths:?}");
    paths
}

/// The default of a value.
fn default(path: &str) -> Value {
    let values: Value = serde_yaml::from_str(&golden::read(&format!("{CHART}/values.yaml"))).unwrap();
    values
        .pointer(&format!("/{}", path.replace('.', "/")))
        .cloned()
        .unwrap_or_else(|| panic!("{path} has no default"))
}

/// Whether it is on in [`EVERYTHING`].
fn is_asked_for(path: &str) -> bool {
    EVERYTHING.contains(&format!("{path}=true").as_str())
}

/// A value that is allowed and is not the one of [`EVERYTHING`].
fn another(path: &str) -> Value {
    match path {
        "image.digest" | "originImage.digest" | "nats.image.digest" => {
            json!(format!("sha256:{}", "a".repeat(64)))
        }
        "image.pullPolicy" | "nats.image.pullPolicy" => json!("Never"),
        "watchNamespace" => json!("media"),
        "imagePullSecrets" => json!([{ "name": "registry" }]),
        "tolerations" | "nats.tolerations" => json!([{ "key": "media", "operator": "Exists" }]),
        "affinity" => json!({ "nodeAffinity": {} }),
        "networkPolicy.metricsFrom" | "nats.clientsFrom" => json!([{ "podSelector": {} }]),
        "networkPolicy.apiServerPorts" => json!([8443]),
        "monitoring.podMonitor.interval" => json!("7s"),
        "nats.storage.size" => json!("2Ti"),
        "nats.sync" => json!("Always"),
        "nats.spread" => json!("Preferred"),
        "resources.requests" | "resources.limits" | "nats.resources.requests" | "nats.resources.limits" => {
            json!({ "cpu": "77m" })
        }
        _ => match default(path) {
            Value::Bool(is_on) => json!(!is_on && !is_asked_for(path)),
            Value::Number(number) => json!(number.as_i64().unwrap() + 1),
            Value::String(text) => json!(format!("{text}x")),
            Value::Object(_) => json!({ "some": "thing" }),
            other => panic!("{path}: {other}"),
        },
    }
}

fn set(path: &str, value: &Value) -> String {
    format!("{path}={value}")
}

/// Row 73: every value that the schema describes has a default, and another value of it changes what is rendered.
#[test]
fn row_73_every_value_has_a_default_and_an_effect() {
    let default_render = render(&EVERYTHING);
    let mut idle = Vec::new();
    for path in described() {
        let value = set(&path, &another(&path));
        let arguments = [&EVERYTHING[..], &["--set-json", &value]].concat();
        if render(&arguments) == default_render {
            idle.push(path);
        }
    }
    assert_eq!(idle, Vec::<String>::new(), "values without an effect");
}

/// The other way round: what the templates read is described, and `values.yaml` sets nothing else.
#[test]
fn row_73_the_templates_use_no_value_that_the_schema_does_not_describe() {
    let described = described();
    let is_described = |path: &str| {
        described.iter().any(|value| {
            value == path || value.starts_with(&format!("{path}.")) || path.starts_with(&format!("{value}."))
        })
    };
    let mut used = BTreeSet::new();
    let folder = golden::root().join(CHART).join("templates");
    let mut files = vec![folder];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for rest in text.split(".Values.").skip(1) {
            let end = rest.find(|letter: char| letter != '.' && !letter.is_ascii_alphanumeric());
            used.insert(rest[..end.unwrap_or(rest.len())].trim_end_matches('.').to_owned());
        }
    }
    assert!(used.len() > 15, "{used:?}");
    let unknown: Vec<_> = used.iter().filter(|path| !is_described(path)).collect();
    assert_eq!(unknown, Vec::<&String>::new());
    let mut set = BTreeSet::new();
    let values: Value = serde_yaml::from_str(&golden::read(&format!("{CHART}/values.yaml"))).unwrap();
    leaves("", values.as_object().unwrap(), &described, &mut set);
    assert_eq!(set, described, "values.yaml and its schema");
}

fn leaves(
    path: &str,
    values: &Map<String, Value>,
    described: &BTreeSet<String>,
    found: &mut BTreeSet<String>,
) {
    for (name, value) in values {
        let path = format!("{path}.{name}").trim_start_matches('.').to_owned();
        match value.as_object().filter(|_| !described.contains(&path)) {
            Some(values) => leaves(&path, values, described, found),
            None => found.extend([path]),
        }
    }
}

/// A misspelt value and one of a wrong type are refused by name, wherever they are.
#[test]
fn row_73_what_is_misspelt_or_of_a_wrong_type_is_refused() {
    let mut objects = BTreeSet::new();
    for path in described() {
        let wrong = if default(&path).is_number() { json!("many") } else { json!(7) };
        let refusal = template(&["--set-json", &set(&path, &wrong)]).expect_err(&path);
        assert!(refusal.contains(&path.replace('.', "/")), "{path}: {refusal}");
        objects.insert(path.rsplit_once('.').map_or(String::new(), |(object, _)| format!("{object}.")));
    }
    for object in objects {
        let refusal = template(&["--set", &format!("{object}mispelt=1")]).expect_err(&object);
        assert!(refusal.contains("mispelt"), "{object}: {refusal}");
    }
}
