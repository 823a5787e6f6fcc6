//! The generated definition against the rules of the API (rows of `docs/conformance-operator.md`). What an API server makes of it is
//! tested in `tests/it/api`, and so is every bound and CEL rule.

use mediaorigin_crds::v1alpha1::MediaOriginSpec;
use mediaorigin_crds::{crd, names};
use serde_json::{Value, json};

fn schema() -> Value {
    crd::definition().unwrap().pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap().clone()
}

/// Calls `visit` with the path and the schema of everything under `schema`.
fn walk(path: &str, schema: &Value, visit: &mut dyn FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            walk(&format!("{path}{suffix}"), &schema[key], visit);
        }
    }
}

fn broken(rule: impl Fn(&str, &Value) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    walk("", &schema(), &mut |path, schema| {
        if rule(path, schema) {
            found.push(path.to_owned());
        }
    });
    found
}

#[test]
fn row_1_only_spec_and_status_beside_the_metadata() {
    let schema = schema();
    let keys: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["spec", "status"]);
}

#[test]
fn row_2_and_3_numbers_are_integers_of_known_width_and_exact() {
    assert_eq!(broken(|_, schema| schema["type"] == "number"), [""; 0]);
    let odd = |schema: &Value| !["int32", "int64"].contains(&schema["format"].as_str().unwrap_or_default());
    assert_eq!(broken(|_, schema| schema["type"] == "integer" && odd(schema)), [""; 0]);
    let wide = |schema: &Value| schema["maximum"].as_i64().is_none_or(|maximum| maximum > 1 << 53);
    assert_eq!(broken(|_, schema| schema["format"] == "int64" && wide(schema)), [""; 0]);
    let float = |value: &Value| value.is_f64();
    assert_eq!(broken(|_, schema| float(&schema["minimum"]) || float(&schema["maximum"])), [""; 0]);
}

#[test]
fn row_4_durations_are_integers_with_the_unit_in_the_name() {
    let about_time = |path: &str| {
        let name = path.rsplit('.').next().unwrap_or_default().to_lowercase();
        ["seconds", "timeout", "duration", "interval", "ttl", "idle"].iter().any(|word| name.ends_with(word))
    };
    let unit = |path: &str| path.ends_with("Seconds") || path.ends_with("Milliseconds");
    let wrong = broken(|path, schema| {
        path.starts_with(".spec") && about_time(path) && !(unit(path) && schema["type"] == "integer")
    });
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn row_5_sizes_are_quantities_with_a_pattern() {
    let paths = [
        "memory/properties/limit",
        "limits/properties/objectSize",
        "cpu/properties/request",
        "disk/properties/size",
    ];
    for path in paths {
        let schema = schema().pointer(&format!("/properties/spec/properties/{path}")).unwrap().clone();
        assert_eq!(schema["type"], "string", "{path}");
        assert!(schema["pattern"].is_string(), "{path}");
    }
}

#[test]
fn row_6_enum_values_start_with_a_capital_and_are_never_null() {
    let wrong = |value: &Value| {
        !value.as_str().is_some_and(|text| text.starts_with(|first: char| first.is_ascii_uppercase()))
    };
    assert_eq!(
        broken(|_, schema| schema["enum"].as_array().is_some_and(|all| all.iter().any(wrong))),
        [""; 0]
    );
}

#[test]
fn row_7_there_are_no_booleans() {
    assert_eq!(broken(|_, schema| schema["type"] == "boolean"), [""; 0]);
}

#[test]
fn row_8_lists_say_how_they_merge_and_maps_hold_strings_only() {
    assert_eq!(
        broken(|_, schema| schema["type"] == "array" && schema["x-kubernetes-list-type"].is_null()),
        [""; 0]
    );
    let keyed = |schema: &Value| schema["x-kubernetes-list-type"] == "map";
    let keys =
        |schema: &Value| schema["x-kubernetes-list-map-keys"].as_array().is_some_and(|keys| !keys.is_empty());
    assert_eq!(broken(|_, schema| keyed(schema) && !keys(schema)), [""; 0]);
    let map = |schema: &Value| schema["additionalProperties"].is_object();
    assert_eq!(
        broken(|_, schema| map(schema) && schema["additionalProperties"]["type"] != "string"),
        [""; 0]
    );
}

#[test]
fn row_9_everything_is_bounded() {
    let free = |schema: &Value| {
        schema["maxLength"].is_null() && schema["enum"].is_null() && schema["format"] != "date-time"
    };
    assert_eq!(broken(|_, schema| schema["type"] == "string" && free(schema)), [""; 0]);
    assert_eq!(broken(|_, schema| schema["type"] == "array" && schema["maxItems"].is_null()), [""; 0]);
    let map = |schema: &Value| schema["additionalProperties"].is_object();
    assert_eq!(broken(|_, schema| map(schema) && schema["maxProperties"].is_null()), [""; 0]);
    let open = |schema: &Value| schema["type"] == "integer" && schema["maximum"].is_null();
    assert_eq!(broken(|path, schema| path.starts_with(".spec") && open(schema)), [""; 0]);
}

#[test]
fn row_10_defaults_of_the_schema_are_those_of_the_types() {
    let schema = schema();
    // An absent spec is `{}` by its own default; the API server goes on into it, this evaluator does not.
    assert_eq!(schema.pointer("/properties/spec/default"), Some(&json!({})));
    let defaulted = kube_cel::apply_defaults(&schema, &json!({ "spec": {} }));
    let expected = serde_json::to_value(MediaOriginSpec::default()).unwrap();
    assert_eq!(defaulted["spec"], expected);
    let rule = json!({ "spec": { "tierPolicies": [{ "name": "a", "match": { "paths": ["a"] } }] } });
    let defaulted = kube_cel::apply_defaults(&schema, &rule);
    let typed: MediaOriginSpec = serde_json::from_value(rule["spec"].clone()).unwrap();
    assert_eq!(defaulted["spec"], serde_json::to_value(typed).unwrap());
}

#[test]
fn row_11_nothing_is_nullable() {
    assert_eq!(broken(|_, schema| !schema["nullable"].is_null()), [""; 0]);
}

#[test]
fn row_12_references_name_an_object_of_the_namespace() {
    let mut references = Vec::new();
    walk("", &schema(), &mut |path, schema| {
        if path.ends_with("Ref") || path.ends_with("imagePullSecrets[]") {
            let keys: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
            assert_eq!(keys, ["name"], "{path}");
            references.push(path.to_owned());
        }
    });
    assert!(references.len() >= 5, "{references:?}");
    assert_eq!(broken(|path, _| path.ends_with("secret") || path.ends_with("secretName")), [""; 0]);
}

#[test]
fn row_14_names_of_the_kind() {
    let definition = crd::definition().unwrap();
    assert_eq!(definition["spec"]["names"]["shortNames"], json!(["mo"]));
    assert_eq!(definition["spec"]["names"]["categories"], json!(["streaming"]));
    assert_eq!(definition["spec"]["scope"], "Namespaced");
    assert_eq!(definition["metadata"]["name"], format!("mediaorigins.{}", names::GROUP));
}

#[test]
fn row_16_nothing_unknown_is_preserved() {
    assert_eq!(broken(|_, schema| !schema["x-kubernetes-preserve-unknown-fields"].is_null()), [""; 0]);
}

#[test]
fn row_17_every_field_is_described() {
    let field = |path: &str| !path.ends_with(']') && !path.ends_with('}');
    let silent = |schema: &Value| schema["description"].as_str().is_none_or(str::is_empty);
    assert_eq!(broken(|path, schema| field(path) && silent(schema)), [""; 0]);
}

#[test]
fn row_21_and_25_conditions_are_a_keyed_list_of_three_values() {
    let conditions = schema().pointer("/properties/status/properties/conditions").unwrap().clone();
    assert_eq!(conditions["x-kubernetes-list-map-keys"], json!(["type"]));
    assert_eq!(conditions["items"]["properties"]["status"]["enum"], json!(["True", "False", "Unknown"]));
    assert_eq!(conditions["items"]["properties"]["reason"]["minLength"], 1);
}

#[test]
fn row_28_there_is_no_phase() {
    assert_eq!(broken(|path, _| path.to_lowercase().ends_with("phase")), [""; 0]);
}

#[test]
fn row_32_a_fresh_object_has_a_status_that_is_not_current() {
    assert_eq!(schema().pointer("/properties/status/default"), Some(&json!({ "observedGeneration": -1 })));
}

#[test]
fn row_35_the_definition_holds_nothing_that_an_api_server_would_drop() {
    fn check(path: &str, value: &Value) {
        assert!(!value.is_null(), "{path} is null");
        assert!(!value.is_f64(), "{path} is a float");
        match value {
            Value::Array(items) => {
                // A default may be an empty list; in the definition itself one would vanish.
                assert!(!items.is_empty() || path.contains("default"), "{path} is empty");
                items.iter().enumerate().for_each(|(index, item)| check(&format!("{path}[{index}]"), item));
            }
            Value::Object(fields) => {
                fields.iter().for_each(|(key, field)| check(&format!("{path}.{key}"), field));
            }
            _ => {}
        }
    }
    check("", &crd::definition().unwrap());
}

#[test]
fn row_37_columns_and_row_38_scale() {
    let definition = crd::definition().unwrap();
    let version = &definition["spec"]["versions"][0];
    let columns: Vec<&str> = version["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    let expected = [
        "Ready", "Reason", "Replicas", "Desired", "Memory", "Objects", "Healthy", "Endpoint", "Message",
        "Age",
    ];
    assert_eq!(columns, expected);
    let scale = json!({
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    });
    assert_eq!(version["subresources"], json!({ "scale": scale, "status": {} }));
    assert_eq!(schema().pointer("/properties/spec/properties/replicas/default"), Some(&json!(1)));
}

#[test]
fn the_definition_says_where_it_comes_from_and_is_yaml_of_the_same_document() {
    let text = crd::yaml().unwrap();
    assert!(text.starts_with("# Generated"));
    assert_eq!(serde_yaml::from_str::<Value>(&text).unwrap(), crd::definition().unwrap());
}

/// Copies of the definition that are kept in the repository, so that a review sees a change of it. `UPDATE=1` rewrites them.
#[test]
fn generated_files_are_fresh() {
    let text = crd::yaml().unwrap();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    for file in ["crds/mediaorigins.yaml", "charts/mediaorigin-operator/files/mediaorigins.yaml"] {
        let path = std::path::Path::new(root).join(file);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == text, "{file} is stale: run the tests again with UPDATE=1");
    }
}
