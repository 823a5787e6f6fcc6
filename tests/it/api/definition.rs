//! The definition as an API server serves it. Rows are those of `docs/conformance-operator.md`.

use mediaorigin_crds::v1alpha1::MediaOriginSpec;
use mediaorigin_crds::{crd, names};
use mediaorigin_tests::apiserver::{ApiServer, MEDIA_ORIGINS, origin};
use serde_json::{Value, json};

use super::{bounds, shared};

const DEFINITION: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/mediaorigins.mediaorigin.io";

fn path(name: &str) -> String {
    format!("{MEDIA_ORIGINS}/{name}")
}

/// Creates, and gives back what is stored.
fn stored(server: &ApiServer, name: &str, spec: &Value) -> Value {
    server.client().create(MEDIA_ORIGINS, &origin(name, spec)).unwrap().success().unwrap()
}

/// Row 10, 11, 32: what is not written is read back with its default, and so is a null; the status says that nobody has looked.
#[test]
fn defaults_are_read_back() {
    let server = shared();
    let mut bare = origin("defaults", &json!({}));
    bare.as_object_mut().unwrap().remove("spec");
    let answer = server.client().create(MEDIA_ORIGINS, &bare).unwrap().success().unwrap();
    assert_eq!(answer["spec"], serde_json::to_value(MediaOriginSpec::default()).unwrap());
    assert_eq!(answer["status"], json!({ "observedGeneration": -1 }));
    let nulls = json!({ "memory": null, "replicas": null, "access": { "cors": null }, "podTemplate": { "image": null } });
    let answer = stored(&server, "nulls", &nulls);
    assert_eq!(answer["spec"], serde_json::to_value(MediaOriginSpec::default()).unwrap());
}

/// Row 14: nothing else has its short name or its category.
#[test]
fn the_short_name_and_the_category_are_its_own() {
    let server = shared();
    let (mut resources, mut short) = (0, Vec::new());
    let mut lists = vec!["/api/v1".to_owned()];
    let groups = server.client().get("/apis").unwrap().success().unwrap();
    for group in groups["groups"].as_array().unwrap() {
        lists.push(format!("/apis/{}", group["preferredVersion"]["groupVersion"].as_str().unwrap()));
    }
    for list in lists {
        let list = server.client().get(&list).unwrap().success().unwrap();
        for resource in list["resources"].as_array().unwrap() {
            resources += 1;
            let has = |key: &str, word: &str| {
                resource[key].as_array().is_some_and(|words| words.contains(&json!(word)))
            };
            if has("shortNames", "mo") || has("categories", "streaming") || resource["name"] == "mo" {
                short.push(resource["name"].as_str().unwrap().to_owned());
            }
        }
    }
    assert!(resources > 50, "{resources}");
    assert_eq!(short, ["mediaorigins"]);
    stored(&server, "categories", &json!({}));
    for word in ["mo", "streaming", "mediaorigins"] {
        let printed = server.kubectl_ok(&["get", word, "categories", "--no-headers"], "");
        // A category takes no name.
        let printed = printed.or_else(|_| server.kubectl_ok(&["get", word, "--no-headers"], ""));
        assert!(printed.unwrap().contains("categories"), "{word}");
    }
}

/// Row 16: kubectl refuses a field that does not exist, and names it; who asks for less strictness is warned, and it is not stored.
#[test]
fn a_typo_is_refused_or_warned_of_and_never_stored() {
    let server = shared();
    let typo = origin("typo", &json!({ "memory": { "limt": "2Gi" } })).to_string();
    let refused = server.kubectl(&["apply", "--validate=strict", "-f", "-"], &typo).unwrap();
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && errors.contains("spec.memory.limt"), "{errors}");
    let warned = server.kubectl(&["apply", "--validate=warn", "-f", "-"], &typo).unwrap();
    let warnings = String::from_utf8_lossy(&warned.stderr).into_owned();
    assert!(warned.status.success() && warnings.contains("unknown field \"spec.memory.limt\""), "{warnings}");
    let stored = server.client().get(&path("typo")).unwrap().success().unwrap();
    assert_eq!(stored["spec"]["memory"], json!({ "limit": "1Gi", "resize": "InPlaceOrReplace" }));
}

/// Row 17: `kubectl explain` has words for every field.
#[test]
fn kubectl_explains_every_field() {
    let server = shared();
    let all = server.kubectl_ok(&["explain", "mediaorigin", "--recursive"], "").unwrap();
    for field in ["tierPolicies", "keepSeconds", "clientCASecretRef", "lastTransitionTime"] {
        assert!(all.contains(field), "{field} in {all}");
    }
    let fields = [
        ("mediaorigin", "in-memory origin"),
        ("mediaorigin.spec.memory.limit", "Memory limit and request of a pod"),
        ("mediaorigin.spec.tierPolicies", "Rules that say how objects are kept"),
        ("mediaorigin.status.conditions.reason", "One word for programs"),
    ];
    for (field, words) in fields {
        let text = server.kubectl_ok(&["explain", field], "").unwrap();
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(words) && !text.contains("<empty>"), "{field}: {text}");
    }
}

/// Row 18: one version, which is stored and served; were it deprecated, every client would be told.
#[test]
fn a_deprecated_version_would_warn() {
    let server = ApiServer::with_definition().unwrap();
    let definition = server.client().get(DEFINITION).unwrap().success().unwrap();
    assert_eq!(definition["status"]["storedVersions"], json!([names::VERSION]));
    let mut deprecated = crd::definition().unwrap();
    deprecated["spec"]["versions"][0]["deprecated"] = json!(true);
    deprecated["spec"]["versions"][0]["deprecationWarning"] = json!("write v2");
    server.define(&deprecated).unwrap();
    server
        .client()
        .wait_until(|client| {
            let answer = client.dry_run(MEDIA_ORIGINS, &origin("old", &json!({})))?;
            assert_eq!(answer.code, 201);
            Ok(answer.warnings.iter().any(|text| text.contains("write v2")))
        })
        .unwrap();
}

/// Row 19: what is stopped, who may read and which CDN are asked for by field.
#[test]
fn origins_are_found_by_field() {
    let server = shared();
    let read = json!({ "read": "Authenticated", "write": { "secretRef": { "name": "a" } } });
    let (a, b) = (json!({ "replicas": 0, "cdnProfile": "Akamai" }), json!({ "access": read }));
    for (name, spec) in [("fields-a", a), ("fields-b", b)] {
        let mut origin = origin(name, &spec);
        origin["metadata"]["labels"] = json!({ "test": "fields" });
        server.client().create(MEDIA_ORIGINS, &origin).unwrap().success().unwrap();
    }
    for (selector, expected) in [
        ("spec.replicas=0", "fields-a"),
        ("spec.cdnProfile=Akamai", "fields-a"),
        ("spec.access.read=Authenticated", "fields-b"),
    ] {
        let line = ["get", "mo", "-o", "name", "-l", "test=fields", "--field-selector", selector];
        let printed = server.kubectl_ok(&line, "").unwrap();
        assert_eq!(printed, format!("mediaorigin.mediaorigin.io/{expected}\n"), "{selector}");
    }
}

/// Row 20: what was stored before a rule existed can still be edited elsewhere and have a status; only the field itself must get right.
#[test]
fn rules_that_are_new_let_old_objects_live() {
    fn without_rules(value: &mut Value) {
        if let Value::Object(fields) = value {
            fields.retain(|key, _| !["x-kubernetes-validations", "pattern"].contains(&key.as_str()));
            fields.values_mut().for_each(without_rules);
        }
        if let Value::Array(entries) = value {
            entries.iter_mut().for_each(without_rules);
        }
    }
    let server = ApiServer::start().unwrap();
    let mut older = crd::definition().unwrap();
    without_rules(&mut older);
    server.define(&older).unwrap();
    let odd = json!({ "service": { "nodePort": 30080 }, "memory": { "limit": "much" } });
    stored(&server, "old", &odd);
    server.define(&crd::definition().unwrap()).unwrap();
    let client = server.client();
    client.wait_until(|client| Ok(client.dry_run(MEDIA_ORIGINS, &origin("new", &odd))?.code == 422)).unwrap();
    let edit = |body: Value| client.merge(&path("old"), &body).unwrap();
    edit(json!({ "metadata": { "labels": { "a": "b" } } })).success().unwrap();
    edit(json!({ "spec": { "limits": { "uploadIdleSeconds": 30 } } })).success().unwrap();
    let status = json!({ "status": { "observedGeneration": 2 } });
    client.merge(&format!("{}/status", path("old")), &status).unwrap().success().unwrap();
    let refused = edit(json!({ "spec": { "memory": { "limit": "more" } } }));
    assert_eq!(refused.code, 422, "{refused:?}");
    edit(json!({ "spec": { "memory": { "limit": "2Gi" }, "service": { "nodePort": null } } }))
        .success()
        .unwrap();
}

/// Row 21: two who write conditions do not write over each other.
#[test]
fn conditions_of_two_managers_stand_side_by_side() {
    let server = shared();
    stored(&server, "conditions", &json!({}));
    let path = format!("{}/status", path("conditions"));
    for kind in ["Ready", "Checked"] {
        let condition = json!({
            "type": kind, "status": "True", "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z",
            "reason": "Known", "message": "",
        });
        let body = json!({
            "apiVersion": names::API_VERSION, "kind": names::KIND, "metadata": { "name": "conditions" },
            "status": { "conditions": [condition] },
        });
        server.client().apply(&path, kind, &body).unwrap().success().unwrap();
    }
    let status = server.client().get(&path).unwrap().success().unwrap()["status"].clone();
    let kinds: Vec<_> =
        status["conditions"].as_array().unwrap().iter().map(|found| found["type"].clone()).collect();
    assert_eq!(kinds, ["Ready", "Checked"]);
}

/// What `read` has and `written` has not, or has otherwise.
fn added(at: &str, written: &Value, read: &Value, found: &mut Vec<String>) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            let missing = written.keys().filter(|key| !read.contains_key(*key));
            found.extend(missing.map(|key| format!("{at}.{key} is gone")));
            for (key, value) in read {
                match written.get(key) {
                    None => found.push(format!("{at}.{key}")),
                    Some(before) => added(&format!("{at}.{key}"), before, value, found),
                }
            }
        }
        (Value::Array(written), Value::Array(read)) if written.len() == read.len() => {
            for (index, (before, after)) in written.iter().zip(read).enumerate() {
                added(&format!("{at}[{index}]"), before, after, found);
            }
        }
        _ if written == read => {}
        _ => found.push(format!("{at}: {written} is now {read}")),
    }
}

/// Row 35: the definition is read back as it is written, so that nobody sees a difference that stays; and so is an origin with every
/// field, which is the same when it is applied again.
#[test]
fn what_is_applied_is_what_is_read_back() {
    let server = shared();
    let definition = crd::definition().unwrap();
    let read = server.client().get(DEFINITION).unwrap().success().unwrap();
    let mut found = Vec::new();
    added("spec", &definition["spec"], &read["spec"], &mut found);
    // Every API server sets these in every definition, and every tool knows it.
    assert_eq!(found, ["spec.conversion", "spec.names.listKind"]);
    let everything = origin("applied", &bounds::full()).to_string();
    let apply = ["apply", "--server-side", "-f", "-"];
    server.kubectl_ok(&apply, &everything).unwrap();
    let first = server.client().get(&path("applied")).unwrap().success().unwrap();
    let mut found = Vec::new();
    added("spec", &bounds::full(), &first["spec"], &mut found);
    assert_eq!(found, [""; 0]);
    server.kubectl_ok(&["diff", "--server-side", "-f", "-"], &everything).unwrap();
    // The first repetition may renew the list of managers, and nothing else; the next renews nothing at all.
    let again = || {
        server.kubectl_ok(&apply, &everything).unwrap();
        server.client().get(&path("applied")).unwrap().success().unwrap()
    };
    let (second, third) = (again(), again());
    assert_eq!(second["spec"], first["spec"]);
    assert_eq!(second["metadata"]["generation"], 1);
    assert_eq!(second, third);
}

/// Row 38: an origin that says nothing of replicas can be scaled.
#[test]
fn an_origin_without_replicas_has_a_scale() {
    let server = shared();
    stored(&server, "scale", &json!({}));
    let scale = format!("{}/scale", path("scale"));
    let read = server.client().get(&scale).unwrap().success().unwrap();
    assert_eq!(read["spec"], json!({ "replicas": 1 }));
    server.kubectl_ok(&["scale", "mediaorigin/scale", "--replicas=0"], "").unwrap();
    let stored = server.client().get(&path("scale")).unwrap().success().unwrap();
    assert_eq!(stored["spec"]["replicas"], 0);
    let refused = server.kubectl(&["scale", "mediaorigin/scale", "--replicas=2"], "").unwrap();
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(errors.contains("more than one pod needs spec.coordination"), "{errors}");
    let read =
        |server: &ApiServer| server.client().get(&path("scale")).unwrap().success().unwrap()["spec"].clone();
    assert_eq!(read(&server)["replicas"], 0);
    let fleet = json!({ "spec": { "coordination": { "nats": { "url": "nats://nats" } } } });
    server.client().merge(&path("scale"), &fleet).unwrap().success().unwrap();
    server.kubectl_ok(&["scale", "mediaorigin/scale", "--replicas=3"], "").unwrap();
    let nats = json!({ "url": "nats://nats", "copies": 3, "partitions": 1 });
    assert_eq!((&read(&server)["replicas"], &read(&server)["coordination"]["nats"]), (&json!(3), &nats));
    // A fleet is not made one pod by taking away what makes it one origin.
    let alone = json!({ "spec": { "coordination": null } });
    let refused = server.client().merge(&path("scale"), &alone).unwrap();
    assert!(refused.message().contains("more than one pod needs spec.coordination"), "{}", refused.message());
}
