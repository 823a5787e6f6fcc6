//! An API server, its controllers and the operator's program, as one thing that tests drive.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use mediaorigin_crds::crd;
use mediaorigin_tests::apiserver::{ApiServer, Client, MEDIA_ORIGINS, origin, tool};
use serde::Deserialize;
use serde_json::{Value, json};

use super::running::Operator;

/// The operator's user, as the audit log calls it.
pub(super) const USER: &str = "system:serviceaccount:default:mediaorigin-operator";

/// The NATS of the chart, of which the operator is told, and where its credentials would be.
pub(super) const NATS: [&str; 3] =
    ["nats://chart-nats.default.svc:4222", "default/chart-nats-auth", "default/chart-nats-tls"];

/// An API server with controllers and an operator, each of which ends with it.
pub(super) struct World {
    pub(super) operator: Option<Operator>,
    pub(super) kubeconfig: PathBuf,
    pub(super) server: ApiServer,
}

impl World {
    pub(super) fn start() -> Self {
        let mut server = ApiServer::start().unwrap();
        server.define(&crd::definition().unwrap()).unwrap();
        server.start_controllers().unwrap();
        let mut world = Self::around(server);
        world.start_operator();
        world
    }

    /// The operator's user on a server; the operator does not run yet.
    pub(super) fn around(server: ApiServer) -> Self {
        install_roles(&server);
        let mut world = Self { operator: None, kubeconfig: PathBuf::new(), server };
        world.kubeconfig = world.kubeconfig_by("operator", world.server.address());
        world
    }

    /// A kubeconfig of the operator's user that leads to the server by another address.
    pub(super) fn kubeconfig_by(&self, name: &str, address: SocketAddr) -> PathBuf {
        let token = self.server.kubectl_ok(&["create", "token", "mediaorigin-operator"], "").unwrap();
        self.server.kubeconfig_of(name, address, Some(token.trim())).unwrap()
    }

    pub(super) fn start_operator(&mut self) {
        let [url, credentials, authorities] = NATS;
        let nats = ["--nats-url", url, "--nats-credentials", credentials, "--nats-authorities", authorities];
        let operator = Operator::start("operator", &self.kubeconfig, &nats, self.server.folder());
        self.operator = Some(operator.ready());
    }

    /// The operator, which runs.
    pub(super) fn running(&self) -> &Operator {
        self.operator.as_ref().unwrap()
    }

    pub(super) fn client(&self) -> &Client {
        self.server.client()
    }

    pub(super) fn create(&self, name: &str, spec: &Value) {
        self.client().create(MEDIA_ORIGINS, &origin(name, spec)).unwrap().success().unwrap();
    }

    pub(super) fn get(&self, path: &str) -> Value {
        self.client().get(path).unwrap().success().unwrap()
    }

    pub(super) fn origin(&self, name: &str) -> Value {
        self.get(&format!("{MEDIA_ORIGINS}/{name}"))
    }

    pub(super) fn edit(&self, name: &str, change: &Value) {
        self.client().merge(&format!("{MEDIA_ORIGINS}/{name}"), change).unwrap().success().unwrap();
    }

    #[track_caller]
    pub(super) fn until(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        if self.client().wait_until(|_| Ok(condition(self))).is_err() {
            let log = self.operator.as_ref().map(Operator::log).unwrap_or_default();
            panic!("{what}: in vain; the operator's log:\n{log}");
        }
    }

    pub(super) fn pods(&self, name: &str) -> Vec<Value> {
        let selector = format!("app.kubernetes.io%2Finstance%3D{name}");
        let list = self.get(&format!("/api/v1/namespaces/default/pods?labelSelector={selector}"));
        list["items"].as_array().unwrap().clone()
    }

    /// Does for the pod of an origin what a kubelet would: it runs and is ready.
    pub(super) fn run_pod(&self, name: &str) {
        self.run_pods(name, 1);
    }

    /// The same for so many pods of an origin.
    pub(super) fn run_pods(&self, name: &str, count: usize) {
        self.until("the Deployment controller makes the pods", |world| world.pods(name).len() == count);
        for pod in self.pods(name) {
            self.start_pod(pod["metadata"]["name"].as_str().unwrap());
        }
    }

    fn start_pod(&self, pod: &str) {
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
    pub(super) fn serve(&self, name: &str, spec: &Value) {
        self.serve_by(1, name, spec);
    }

    /// The same with so many pods.
    #[track_caller]
    pub(super) fn serve_by(&self, pods: usize, name: &str, spec: &Value) {
        self.create(name, spec);
        self.run_pods(name, pods);
        self.until("it is Ready and nothing is under way", |world| {
            let origin = world.origin(name);
            condition(&origin, "Ready")["status"] == "True"
                && condition(&origin, "Reconciling")["status"] == "False"
        });
    }

    /// What the operator has written so far that is about an origin, its events and lease aside.
    pub(super) fn writes(&self, name: &str) -> Vec<String> {
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

    /// How often the operator has begun to look at an origin.
    fn looks(&self, namespace: &str, name: &str) -> usize {
        let is_look = |event: &&Value| {
            let object = &event["objectRef"];
            event["user"]["username"] == USER
                && event["verb"] == "get"
                && object["resource"] == "mediaorigins"
                && object["namespace"] == namespace
                && object["name"] == name
        };
        self.server.audit().unwrap().iter().filter(is_look).count()
    }

    /// Makes the operator look at an origin `times` times, with nothing to do; the look before the last has ended then.
    pub(super) fn reconcile_in_vain(&self, name: &str, times: u64) {
        self.reconcile_in_vain_in("default", name, times);
    }

    /// The same in another namespace.
    pub(super) fn reconcile_in_vain_in(&self, namespace: &str, name: &str, times: u64) {
        for _ in 0..times {
            let before = self.looks(namespace, name);
            // A child's change wakes it, and this one is not undone.
            let value = fastrand::u64(..).to_string();
            let annotation = json!({ "metadata": { "annotations": { "example.com/test": value } } });
            let path = format!("/api/v1/namespaces/{namespace}/services/{name}");
            self.client().merge(&path, &annotation).unwrap().success().unwrap();
            self.until("the operator looks", |world| world.looks(namespace, name) > before);
        }
    }
}

/// One world for tests whose origins have names of their own. It ends with the last of those that use it.
pub(super) fn world() -> Arc<World> {
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

pub(super) fn condition(origin: &Value, kind: &str) -> Value {
    let conditions = origin["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default()
}

pub(super) fn deployment(name: &str) -> String {
    format!("/apis/apps/v1/namespaces/default/deployments/{name}")
}
