//! The operator's program against a real API server with the real Deployment controller, as the user that its chart makes, with the
//! chart's roles. There is no kubelet: the test writes the status of pods. Rows are those of `docs/conformance-operator.md`.

use std::process::Command;
use std::time::{Duration, Instant};

use mediaorigin_crds::{crd, names};
use mediaorigin_tests::apiserver::{ApiServer, MEDIA_ORIGINS, origin};
use serde_json::{Value, json};

use super::world::{USER, World, condition, deployment, world};

/// Row 22, 39, 40: the status counts the pods that exist, names them by a selector, and speaks of the generation that was seen.
#[test]
fn the_status_counts_what_is_there() {
    let world = world();
    world.create("counted", &json!({}));
    let status = |world: &World| world.origin("counted")["status"].clone();
    world.until("the pod that exists is counted, and is not ready", |world| {
        let status = status(world);
        status["replicas"] == 1 && status["readyReplicas"] == 0 && world.pods("counted").len() == 1
    });
    world.run_pod("counted");
    world.until("it is ready", |world| status(world)["readyReplicas"] == 1);
    let scale = world.get(&format!("{MEDIA_ORIGINS}/counted/scale"));
    assert_eq!(scale["status"]["replicas"], 1);
    let selector = scale["status"]["selector"].as_str().unwrap();
    let named = world.server.kubectl_ok(&["get", "pods", "-o", "name", "-l", selector], "").unwrap();
    assert_eq!(named.lines().count(), 1, "{selector}: {named}");
    // Desired and observed differ while the Deployment controller has not acted: the old pod is still counted.
    world.edit("counted", &json!({ "spec": { "replicas": 0 } }));
    world.until("no pod is left", |world| world.pods("counted").is_empty() && status(world)["replicas"] == 0);
    world.until("the generation is seen", |world| {
        let origin = world.origin("counted");
        let conditions = origin["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let generation = &origin["metadata"]["generation"];
        *generation == 2
            && origin["status"]["observedGeneration"] == *generation
            && conditions.iter().all(|condition| condition["observedGeneration"] == *generation)
    });
}

/// Row 41, 42: the operator owns the status of an origin and nothing else of it, and its children by server-side apply under one name.
#[test]
fn managed_fields_say_who_writes_what() {
    let world = world();
    world.serve("owned", &json!({ "memory": { "limit": "512Mi" } }));
    let managers =
        |object: &Value| -> Vec<Value> { object["metadata"]["managedFields"].as_array().unwrap().clone() };
    let origin = world.origin("owned");
    assert_eq!(origin["metadata"]["generation"], 1);
    let mine: Vec<_> =
        managers(&origin).into_iter().filter(|entry| entry["manager"] == names::MANAGER).collect();
    assert!(!mine.is_empty());
    for entry in mine {
        assert_eq!(
            (&entry["subresource"], &entry["operation"]),
            (&json!("status"), &json!("Apply")),
            "{entry}"
        );
        let fields: Vec<_> = entry["fieldsV1"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(fields, ["f:status"]);
    }
    for path in [
        deployment("owned"),
        "/api/v1/namespaces/default/services/owned".to_owned(),
        "/api/v1/namespaces/default/configmaps/owned".to_owned(),
        "/api/v1/namespaces/default/serviceaccounts/owned".to_owned(),
    ] {
        let child = world.get(&path);
        let mine: Vec<_> =
            managers(&child).into_iter().filter(|entry| entry["operation"] == "Apply").collect();
        assert_eq!(mine.len(), 1, "{child}");
        assert_eq!(mine[0]["manager"], names::MANAGER);
        assert!(
            child["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"].is_null()
        );
        assert_eq!(child["metadata"]["ownerReferences"][0]["name"], "owned");
    }
}

/// Row 57, 58, 59: with the chart's roles nothing is forbidden, and events are written.
#[test]
fn the_roles_of_the_chart_are_enough() {
    let world = world();
    world.serve("allowed", &json!({}));
    world.create("allowed-disk", &json!({ "disk": { "size": "1Gi", "storageClassName": "none" } }));
    let claim = "/api/v1/namespaces/default/persistentvolumeclaims/allowed-disk";
    world.until("the claim is made", |world| world.client().get(claim).unwrap().code == 200);
    let code = |event: &Value| event["responseStatus"]["code"].as_u64().unwrap_or_default();
    let mine: Vec<Value> =
        world.server.audit().unwrap().into_iter().filter(|event| event["user"]["username"] == USER).collect();
    let forbidden: Vec<_> = mine.iter().filter(|event| code(event) == 403).collect();
    assert!(forbidden.is_empty(), "{forbidden:?}");
    let event = |event: &Value| {
        event["verb"] == "create" && event["objectRef"]["resource"] == "events" && code(event) == 201
    };
    assert!(mine.iter().any(event));
}

/// Row 27, 43, 44: what users add to a child stays; what leaves the spec leaves the child; and a condition that stays as it was keeps
/// the time of its last transition.
#[test]
fn edits_of_others_stay_and_fields_that_go_are_gone() {
    let world = world();
    world.serve(
        "edited",
        &json!({ "cpu": { "limit": "2" }, "podTemplate": { "labels": { "team": "media" } } }),
    );
    let accepted = condition(&world.origin("edited"), "Accepted");
    let theirs = json!({ "metadata": { "labels": { "theirs": "yes" }, "annotations": { "example.com/theirs": "yes" } } });
    world.client().merge(&deployment("edited"), &theirs).unwrap().success().unwrap();
    let limit = |world: &World| {
        world.get(&deployment("edited"))["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
            .clone()
    };
    assert_eq!(limit(&world)["cpu"], "2");
    world.edit("edited", &json!({ "spec": { "cpu": { "limit": null }, "podTemplate": { "labels": null } } }));
    world.until("the limit is gone", |world| limit(world)["cpu"].is_null());
    let child = world.get(&deployment("edited"));
    assert!(limit(&world)["memory"].is_string());
    assert!(child["spec"]["template"]["metadata"]["labels"]["team"].is_null());
    assert_eq!(child["metadata"]["labels"]["theirs"], "yes");
    assert_eq!(child["metadata"]["annotations"]["example.com/theirs"], "yes");
    world.until("the edit is seen", |world| world.origin("edited")["status"]["observedGeneration"] == 2);
    let after = condition(&world.origin("edited"), "Accepted");
    assert_eq!(after["observedGeneration"], 2);
    assert_eq!(after["lastTransitionTime"], accepted["lastTransitionTime"]);
}

/// Row 45: a paused origin has a status, and nothing is made or changed for it until it is active again.
#[test]
fn a_paused_origin_is_reported_and_not_touched() {
    let world = world();
    world.create("paused", &json!({ "reconciliation": "Paused" }));
    world.until("it is reported", |world| world.origin("paused")["status"]["observedGeneration"] == 1);
    assert_eq!(world.client().get(&deployment("paused")).unwrap().code, 404);
    world.edit("paused", &json!({ "spec": { "reconciliation": "Active" } }));
    world.until("it is carried out", |world| world.client().get(&deployment("paused")).unwrap().code == 200);
}

/// Row 29, 30: where nothing has changed nothing is written, however often the operator looks.
#[test]
fn reconciles_in_vain_write_nothing() {
    let world = world();
    world.serve("idle", &json!({}));
    world.reconcile_in_vain("idle", 1);
    let (before, stored) =
        (world.writes("idle"), world.origin("idle")["metadata"]["resourceVersion"].clone());
    world.reconcile_in_vain("idle", 5);
    assert_eq!(world.writes("idle")[before.len()..], [""; 0]);
    assert_eq!(world.origin("idle")["metadata"]["resourceVersion"], stored);
    assert!(
        before.iter().any(|write| write.contains("deployments/idle")),
        "the log was not read: {before:?}"
    );
}

/// Row 29, 30 over the five minutes that they ask for; `make soak` runs it.
#[test]
#[ignore = "takes five minutes"]
fn five_idle_minutes_write_nothing() {
    let world = world();
    world.serve("quiet", &json!({}));
    world.reconcile_in_vain("quiet", 1);
    let before = world.writes("quiet");
    let end = Instant::now() + Duration::from_mins(5);
    while Instant::now() < end {
        assert_eq!(world.writes("quiet")[before.len()..], [""; 0]);
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Row 61: without an operator an origin is deleted at once, and its children go with it.
#[test]
fn deletion_needs_no_operator() {
    let mut world = World::start();
    world.serve("deleted", &json!({}));
    world.operator = None;
    assert!(world.origin("deleted")["metadata"]["finalizers"].is_null());
    let path = format!("{MEDIA_ORIGINS}/deleted");
    world.client().delete(&path).unwrap().success().unwrap();
    assert_eq!(world.client().get(&path).unwrap().code, 404);
    world.until("the children are gone", |world| {
        world.client().get(&deployment("deleted")).unwrap().code == 404
    });
}

/// Row 65: an origin that was stored under another definition and cannot be read blinds nobody.
#[test]
fn an_origin_that_cannot_be_read_blinds_nobody() {
    let server = ApiServer::start().unwrap();
    let mut other = crd::definition().unwrap();
    let anything = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let version = &mut other["spec"]["versions"][0];
    version["schema"]["openAPIV3Schema"] =
        json!({ "type": "object", "properties": { "spec": anything, "status": anything } });
    version.as_object_mut().unwrap().remove("selectableFields");
    server.define(&other).unwrap();
    // A word that is not known, and a shape of which the API server itself says that it cannot be written to any more.
    for (name, spec) in [
        ("odd", json!({ "replicas": 1, "cdnProfile": "Other" })),
        ("broken", json!({ "replicas": 1, "memory": 3 })),
    ] {
        server.client().create(MEDIA_ORIGINS, &origin(name, &spec)).unwrap().success().unwrap();
    }
    server.define(&crd::definition().unwrap()).unwrap();
    let mut world = World::around(server);
    world.start_operator();
    world.create("good", &json!({}));
    world.until("the good one is accepted", |world| {
        condition(&world.origin("good"), "Accepted")["status"] == "True"
    });
    world.until("the odd one is told what is wrong", |world| {
        let accepted = condition(&world.origin("odd"), "Accepted");
        accepted["status"] == "False"
            && accepted["message"].as_str().is_some_and(|text| text.contains("cdnProfile"))
    });
}

/// Row 64: an API server that is silent, and one that starts again, stop the operator no longer than that lasts.
#[test]
fn the_operator_outlives_its_api_server() {
    let mut world = World::start();
    world.serve("before", &json!({}));
    let signal = |world: &World, signal: &str| {
        let process = world.server.process().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
    };
    world.create("silent", &json!({}));
    signal(&world, "-STOP");
    let begin = Instant::now();
    // What was under way runs into its deadline; the program lives, and says so to its probes.
    while begin.elapsed() < Duration::from_secs(15) {
        assert_eq!(world.running().probe("/livez"), 200);
        std::thread::sleep(Duration::from_millis(500));
    }
    signal(&world, "-CONT");
    world.until("the origin of then is reconciled", |world| {
        !world.origin("silent")["status"]["conditions"].is_null()
    });
    world.server.stop();
    world.server.resume().unwrap();
    world.create("after", &json!({}));
    world.until("the origin of afterwards is reconciled", |world| {
        condition(&world.origin("after"), "Accepted")["status"] == "True"
    });
    world.edit("before", &json!({ "spec": { "limits": { "connections": 500 } } }));
    world.until("edits are seen", |world| world.origin("before")["status"]["observedGeneration"] == 2);
}
