//! The operator's program against a real API server with the real Deployment controller, as the user that its chart makes, with the
//! chart's roles. There is no kubelet: the test writes the status of pods. Rows are those of `docs/conformance-operator.md`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use mediaorigin_crds::{crd, names};
use mediaorigin_tests::apiserver::{ApiServer, Client, MEDIA_ORIGINS, Process, origin, tool};
use mediaorigin_tests::peer;
use mediaorigin_tests::program::free;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::program::built;

/// The operator's user, as the audit log calls it.
const USER: &str = "system:serviceaccount:default:mediaorigin-operator";

/// An API server with controllers and an operator, each of which ends with it.
struct World {
    operator: Option<Process>,
    admin: SocketAddr,
    kubeconfig: PathBuf,
    server: ApiServer,
}

impl World {
    fn start() -> Self {
        let mut server = ApiServer::start().unwrap();
        server.define(&crd::definition().unwrap()).unwrap();
        server.start_controllers().unwrap();
        let mut world = Self::around(server);
        world.start_operator();
        world
    }

    /// The operator's user on a server; the operator does not run yet.
    fn around(server: ApiServer) -> Self {
        install_roles(&server);
        let token = server.kubectl_ok(&["create", "token", "mediaorigin-operator"], "").unwrap();
        let kubeconfig = server.kubeconfig_of("operator", server.address(), Some(token.trim())).unwrap();
        Self { operator: None, admin: free().unwrap(), kubeconfig, server }
    }

    fn start_operator(&mut self) {
        let program = built("mediaorigin-operator", "mediaorigin-operator");
        let admin = self.admin;
        let arguments = ["run", "--origin-image", "mediaorigin:test", "--admin-address", &admin.to_string()];
        let kubeconfig = self.kubeconfig.display().to_string();
        let environment = [("KUBECONFIG", kubeconfig.as_str())];
        let arguments = arguments.map(str::to_owned);
        let folder = self.server.folder();
        let mut operator =
            Process::start_with("operator", &program, &arguments, &environment, folder).unwrap();
        let ready = || peer::fetch(admin, "GET", "/readyz").is_ok_and(|answer| answer.head.status == 200);
        operator.wait_until(Duration::from_mins(1), ready).unwrap();
        self.operator = Some(operator);
    }

    fn client(&self) -> &Client {
        self.server.client()
    }

    fn create(&self, name: &str, spec: &Value) {
        self.client().create(MEDIA_ORIGINS, &origin(name, spec)).unwrap().success().unwrap();
    }

    fn get(&self, path: &str) -> Value {
        self.client().get(path).unwrap().success().unwrap()
    }

    fn origin(&self, name: &str) -> Value {
        self.get(&format!("{MEDIA_ORIGINS}/{name}"))
    }

    fn edit(&self, name: &str, change: &Value) {
        self.client().merge(&format!("{MEDIA_ORIGINS}/{name}"), change).unwrap().success().unwrap();
    }

    #[track_caller]
    fn until(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        if self.client().wait_until(|_| Ok(condition(self))).is_err() {
            let log = self.operator.as_ref().map(|operator| operator.output().unwrap()).unwrap_or_default();
            panic!("{what}: in vain; the operator's log:\n{log}");
        }
    }

    fn pods(&self, name: &str) -> Vec<Value> {
        let selector = format!("app.kubernetes.io%2Finstance%3D{name}");
        let list = self.get(&format!("/api/v1/namespaces/default/pods?labelSelector={selector}"));
        list["items"].as_array().unwrap().clone()
    }

    /// Does for the pod of an origin what a kubelet would: it runs and is ready.
    fn run_pod(&self, name: &str) {
        self.until("the Deployment controller makes a pod", |world| world.pods(name).len() == 1);
        let pod = self.pods(name)[0]["metadata"]["name"].as_str().unwrap().to_owned();
        let condition = |kind: &str| json!({ "type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" });
        let container = json!({
            "name": "origin", "image": "mediaorigin:test", "imageID": "a", "ready": true, "restartCount": 0, "started": true,
            "state": { "running": { "startedAt": "2026-01-01T00:00:00Z" } },
        });
        let status = json!({ "status": {
            "phase": "Running", "conditions": [condition("Ready"), condition("ContainersReady"), condition("PodScheduled")],
            "containerStatuses": [container],
        } });
        let path = format!("/api/v1/namespaces/default/pods/{pod}/status");
        self.client().merge(&path, &status).unwrap().success().unwrap();
    }

    /// Creates an origin whose pod runs, and waits until it is Ready.
    #[track_caller]
    fn serve(&self, name: &str, spec: &Value) {
        self.create(name, spec);
        self.run_pod(name);
        self.until("it is Ready and nothing is under way", |world| {
            let origin = world.origin(name);
            condition(&origin, "Ready")["status"] == "True"
                && condition(&origin, "Reconciling")["status"] == "False"
        });
    }

    /// What the operator has written so far that is about an origin, its events and lease aside.
    fn writes(&self, name: &str) -> Vec<String> {
        let writes = ["create", "update", "patch", "delete"];
        let of = |event: &Value| {
            let (object, verb) = (&event["objectRef"], event["verb"].as_str().unwrap_or_default().to_owned());
            let object = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
            let is_its = object("name").starts_with(name) && object("resource") != "events";
            (event["user"]["username"] == USER && writes.contains(&verb.as_str()) && is_its).then(|| {
                format!("{verb} {}/{} {}", object("resource"), object("name"), object("subresource"))
            })
        };
        self.server.audit().unwrap().iter().filter_map(of).collect()
    }

    /// How many reconciles have ended.
    fn reconciles(&self) -> u64 {
        let answer = peer::fetch(self.admin, "GET", "/metrics").unwrap();
        let text = String::from_utf8(answer.body).unwrap();
        let lines = text.lines().filter(|line| line.starts_with("mediaorigin_operator_reconciles_total{"));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Makes the operator look at an origin `times` times, with nothing to do.
    fn reconcile_in_vain(&self, name: &str, times: u64) {
        for number in 0..times {
            let before = self.reconciles();
            let annotation = json!({ "metadata": { "annotations": { "test": number.to_string() } } });
            // A child's change wakes it too, and is not undone.
            let path = format!("/api/v1/namespaces/default/services/{name}");
            self.client().merge(&path, &annotation).unwrap().success().unwrap();
            self.until("the operator looks", |world| world.reconciles() > before);
        }
    }
}

/// One world for tests whose origins have names of their own. It ends with the last of those that use it.
fn world() -> Arc<World> {
    static SHARED: Mutex<Weak<World>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let world = Arc::new(World::start());
        *shared = Arc::downgrade(&world);
        world
    })
}

/// The chart's account and roles, and nothing else of it.
fn install_roles(server: &ApiServer) {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/mediaorigin-operator");
    let mut helm = Command::new(tool("helm").unwrap());
    let output = helm.args(["template", "mediaorigin", chart, "--namespace", "default"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let documents = serde_yaml::Deserializer::from_str(&text).map(|one| Value::deserialize(one).unwrap());
    let wanted = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];
    let roles: Vec<Value> =
        documents.filter(|document| wanted.iter().any(|kind| document["kind"] == *kind)).collect();
    assert!(roles.len() >= 3, "{text}");
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": roles });
    server.kubectl_ok(&["apply", "--server-side", "-f", "-"], &list.to_string()).unwrap();
}

fn condition(origin: &Value, kind: &str) -> Value {
    let conditions = origin["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default()
}

fn deployment(name: &str) -> String {
    format!("/apis/apps/v1/namespaces/default/deployments/{name}")
}

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
    let odd = origin("odd", &json!({ "replicas": 1, "memory": 3 }));
    server.client().create(MEDIA_ORIGINS, &odd).unwrap().success().unwrap();
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
            && accepted["message"].as_str().is_some_and(|text| text.contains("memory"))
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
        assert_eq!(peer::fetch(world.admin, "GET", "/livez").unwrap().head.status, 200);
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
