//! The generated definition against the rules of the API (row numbers as in the operator's conventions).

use kube_cel::validate as validate_cel;
use mediaorigin_crds::v1alpha1::MediaOriginSpec;
use mediaorigin_crds::{crd, names, validate};
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
    let unit = |path: &str| path.ends_with("Seconds");
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
    let expected =
        ["Ready", "Reason", "Replicas", "Desired", "Memory", "Objects", "Endpoint", "Message", "Age"];
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

/// What a CEL rule of the schema says about an origin, and what `validate` says: the same.
#[test]
fn every_cel_rule_accepts_and_rejects_as_validate_does() {
    let mut cases = vec![
        ("self <= 1", json!({ "replicas": 0 }), true),
        ("self <= 1", json!({ "replicas": 1 }), true),
        ("self <= 1", json!({ "replicas": 2 }), false),
        ("'128Mi'", json!({ "memory": { "limit": "128Mi" } }), true),
        ("'128Mi'", json!({ "memory": { "limit": "2Gi" } }), true),
        ("'128Mi'", json!({ "memory": { "limit": "1.5G" } }), true),
        ("'128Mi'", json!({ "memory": { "limit": "127Mi" } }), false),
        ("'128Mi'", json!({ "memory": { "limit": "100" } }), false),
        ("'64Ki'", json!({ "limits": { "objectSize": "64Ki" } }), true),
        ("'64Ki'", json!({ "limits": { "objectSize": "63Ki" } }), false),
        ("'4Gi'", json!({ "memory": { "limit": "8Gi" }, "limits": { "objectSize": "4Gi" } }), true),
        ("'4Gi'", json!({ "memory": { "limit": "8Gi" }, "limits": { "objectSize": "4097Mi" } }), false),
        ("startsWith('/')", paths("live/**"), true),
        ("startsWith('/')", paths("/live/**"), false),
        ("contains('//')", paths("live/*/a.m3u8"), true),
        ("contains('//')", paths("live//a.m3u8"), false),
        ("contains('//')", paths("live/../a.m3u8"), false),
        ("self.nodePort", json!({ "service": { "type": "NodePort", "nodePort": 30080 } }), true),
        ("self.nodePort", json!({ "service": { "type": "LoadBalancer", "nodePort": 30080 } }), true),
        ("self.nodePort", json!({ "service": { "type": "ClusterIP" } }), true),
        ("self.nodePort", json!({ "service": { "type": "ClusterIP", "nodePort": 30080 } }), false),
        ("self.nodePort", json!({ "service": { "nodePort": 30080 } }), false),
        ("has(self.write)", json!({ "access": { "read": "Public" } }), true),
        (
            "has(self.write)",
            json!({ "access": { "read": "SignedUrls", "write": { "secretRef": { "name": "a" } } } }),
            true,
        ),
        ("has(self.write)", json!({ "access": { "read": "Authenticated" } }), false),
    ];
    cases.extend(tier_cases());
    for (rule, spec, accepted) in &cases {
        check_case("live", rule, spec, *accepted);
    }
    let empty = json!({});
    check_case(&"a".repeat(52), "self.metadata.name", &empty, true);
    check_case(&"a".repeat(53), "self.metadata.name", &empty, false);
    let covered = |rule: &str| {
        let named =
            |accepted| cases.iter().any(|(part, _, verdict)| rule.contains(part) && *verdict == accepted);
        let elsewhere = ["self.metadata.name", "!self.url.startsWith('file:')"];
        elsewhere.iter().any(|part| rule.contains(part)) || (named(true) && named(false))
    };
    let mut uncovered = Vec::new();
    walk("", &schema(), &mut |_, schema| {
        let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
        uncovered.extend(
            rules.filter_map(|rule| rule["rule"].as_str()).filter(|rule| !covered(rule)).map(str::to_owned),
        );
    });
    assert_eq!(uncovered, [""; 0], "rules without a case");
}

fn paths(path: &str) -> Value {
    json!({ "tierPolicies": [{ "name": "a", "match": { "paths": [path] } }] })
}

/// Rules about tiers; a part of each rule that no other has.
fn tier_cases() -> Vec<(&'static str, Value, bool)> {
    let disk = json!({ "size": "1Gi", "storageClassName": "fast" });
    let cache = json!({ "size": "1Gi" });
    let store = json!({ "url": "s3://bucket/live" });
    let rule = |tiers: Value, rest: Value| {
        let (mut spec, mut rule) = (tiers, json!({ "name": "a", "match": { "paths": ["**"] } }));
        rule.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        spec["tierPolicies"] = json!([rule]);
        spec
    };
    let promise = |tiers: Value, durability: &str| rule(tiers, json!({ "durability": durability }));
    let keep =
        |tiers: Value, tier: &str, seconds: i32| rule(tiers, json!({ tier: { "keepSeconds": seconds } }));
    let url = |url: &str| json!({ "objectStore": { "url": url } });
    let (needs_class, needs_store) = ("p.durability != 'Disk'", "p.durability != 'Durable'");
    let (needs_disk, needs_bucket) = ("|| has(self.disk))", "|| has(self.objectStore))");
    let (zero_disk, zero_store) = ("p.disk.keepSeconds == 0", "p.objectStore.keepSeconds == 0");
    vec![
        ("'64Mi'", json!({ "disk": { "size": "64Mi" } }), true),
        ("'64Mi'", json!({ "disk": { "size": "63Mi" } }), false),
        (needs_class, promise(json!({ "disk": disk }), "Disk"), true),
        (needs_class, promise(json!({ "disk": cache }), "Disk"), false),
        (needs_class, promise(json!({ "objectStore": store }), "Disk"), false),
        (needs_store, promise(json!({ "objectStore": store }), "Durable"), true),
        (needs_store, promise(json!({ "disk": disk }), "Durable"), false),
        (needs_disk, keep(json!({ "disk": cache }), "disk", 0), true),
        (needs_disk, keep(json!({ "objectStore": store }), "disk", 5), false),
        (needs_bucket, keep(json!({ "disk": disk, "objectStore": store }), "objectStore", 0), true),
        (needs_bucket, keep(json!({ "disk": disk }), "objectStore", 5), false),
        (zero_disk, keep(json!({ "disk": cache, "objectStore": store }), "disk", 0), true),
        (zero_disk, keep(json!({ "disk": disk }), "disk", 1), true),
        (zero_disk, keep(json!({ "disk": disk }), "disk", 0), false),
        (zero_store, keep(json!({ "objectStore": store }), "objectStore", 1), true),
        (zero_store, keep(json!({ "objectStore": store }), "objectStore", 0), false),
        (
            zero_disk,
            rule(json!({ "disk": disk }), json!({ "durability": "Memory", "disk": { "keepSeconds": 0 } })),
            true,
        ),
        ("[^:]//", url("s3://bucket/a/b/"), true),
        ("[^:]//", url("s3://bucket/a..b/.c"), true),
        ("[^:]//", url("s3://bucket/a//b"), false),
        ("[^:]//", url("s3://bucket/../b"), false),
        ("[^:]//", url("s3://bucket/b/."), false),
        ("has(self.region)", json!({ "objectStore": { "url": "s3://b", "region": "eu-west-1" } }), true),
        ("has(self.region)", json!({ "objectStore": { "url": "gs://b", "region": "eu" } }), false),
    ]
}

/// A rule that `validate` cannot have: outside a cluster a folder is fine.
#[test]
fn no_bucket_is_a_folder_of_a_node() {
    let object = json!({
        "apiVersion": names::API_VERSION, "kind": names::KIND, "metadata": { "name": "live" },
        "spec": { "objectStore": { "url": "file:///srv/media" } },
    });
    let errors = validate_cel(&schema(), &object, None).unwrap_err().into_vec();
    let messages: Vec<_> = errors.iter().map(|error| error.message.as_str()).collect();
    assert!(matches!(messages[..], [message] if message.contains("one machine")), "{messages:?}");
}

fn check_case(name: &str, rule: &str, spec: &Value, accepted: bool) {
    let object = json!({
        "apiVersion": names::API_VERSION, "kind": names::KIND, "metadata": { "name": name }, "spec": spec,
    });
    let errors = validate_cel(&schema(), &object, None).err().map(kube_cel::ValidationErrors::into_vec);
    let errors = errors.unwrap_or_default();
    assert_eq!(errors.is_empty(), accepted, "{name} {spec}: {errors:?}");
    assert!(accepted || errors.iter().any(|error| error.rule.contains(rule)), "{spec}: {errors:?}");
    let typed: MediaOriginSpec = serde_json::from_value(spec.clone()).unwrap();
    let verdict = validate::validate(name, &typed);
    assert_eq!(verdict.is_ok(), accepted, "{name} {spec}: {verdict:?}");
}
