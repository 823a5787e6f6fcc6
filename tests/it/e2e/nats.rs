//! The chart's NATS on a cluster: it becomes ready with credentials that the operator made, and a stream takes messages while its servers
//! are restarted one after the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use mediaorigin_tests::nats::{Client, Written, store_until};
use serde_json::{Value, json};

use super::cluster::{Cluster, SYSTEM};
use super::{NATS_PORT, eventually, media, shape};

const SECRET: &str = "mediaorigin-nats-auth";
/// One attempt to store a message.
const ATTEMPT: Duration = Duration::from_secs(2);
/// More than the hardest end of a stream's leader costs; a roll by lame ducks is far below.
const STALL_MAX: Duration = Duration::from_secs(30);

/// A way in from this machine, beside the chart's own Services.
fn node_port() -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: e2e-nats}}
spec:
  type: NodePort
  selector: {{app.kubernetes.io/name: mediaorigin-nats, app.kubernetes.io/instance: mediaorigin}}
  ports: [{{port: 4222, targetPort: client, nodePort: {NATS_PORT}}}]
"
    )
}

fn user() -> (String, String) {
    let value = |key: &str| Cluster::get().secret(SYSTEM, SECRET, key);
    (value("username"), value("password"))
}

fn connect(user: &(String, String)) -> anyhow::Result<Client> {
    Client::connect_as(media(NATS_PORT), Some(user), ATTEMPT)
}

/// The servers, and the origins that use them, of which nothing stays when this value goes: also where a test has failed, as their ports
/// and their load would fail those behind it.
#[must_use]
pub(crate) struct Installed {
    namespaces: &'static [&'static str],
}

impl Drop for Installed {
    fn drop(&mut self) {
        let removed = remove(self.namespaces);
        // A panic within a panic would end the whole run.
        if thread::panicking() {
            eprintln!("removed: {removed:?}");
        } else {
            removed.unwrap();
        }
    }
}

/// Installs the servers and a way in to them, where there are none, for the origins of `namespaces`, which are made anew.
pub(crate) fn install(namespaces: &'static [&'static str]) -> Installed {
    let installed = Installed { namespaces };
    let cluster = Cluster::get();
    if !shape::is_fleet() {
        wipe(cluster).unwrap();
        cluster.install_with(&values());
    }
    cluster.kubectl(&format!("rollout status statefulset/mediaorigin-nats -n {SYSTEM} --timeout=300s"));
    cluster.apply(SYSTEM, &node_port());
    for namespace in namespaces {
        cluster.namespace(namespace);
    }
    installed
}

/// Whatever is left of them: a log knows objects that are gone.
pub(crate) fn wipe(cluster: &Cluster) -> Result<(), String> {
    let selector = "app.kubernetes.io/name=mediaorigin-nats";
    cluster.kubectl_tried(&format!("delete -n {SYSTEM} statefulset -l {selector} --ignore-not-found"))?;
    cluster
        .kubectl_tried(&format!("delete -n {SYSTEM} persistentvolumeclaim -l {selector} --timeout=120s"))?;
    Ok(())
}

/// The chart's values with which it has the servers.
pub(crate) fn values() -> String {
    let image = Cluster::image("nats-server");
    let (repository, tag) = image.split_once(':').unwrap();
    let size = shape::STORAGE;
    format!(
        "--set nats.enabled=true,nats.image.repository={repository},nats.storage.size={size},nats.spread=Preferred,nats.resources.requests.cpu=50m,nats.resources.requests.memory=64Mi \
         --set-string nats.image.tag={tag}"
    )
}

/// The pod of the server that leads the log of the fleets.
pub(crate) fn leader() -> String {
    let mut client = connect(&user()).unwrap();
    let of = json!({ "subject": "mo.idx.>" });
    let names = client.api("STREAM.NAMES", &of).unwrap();
    let name = names["streams"][0].as_str().unwrap_or_else(|| panic!("no log: {names}"));
    let info = client.api(&format!("STREAM.INFO.{name}"), &Value::Null).unwrap();
    info["cluster"]["leader"].as_str().unwrap_or_else(|| panic!("no leader: {info}")).to_owned()
}

fn remove(namespaces: &[&str]) -> Result<(), String> {
    let cluster = Cluster::get();
    for namespace in namespaces {
        cluster.kubectl_tried(&format!("delete -n {namespace} mediaorigin --all --timeout=60s"))?;
        cluster.kubectl_tried(&format!("delete namespace {namespace} --ignore-not-found --wait=false"))?;
    }
    if shape::is_fleet() {
        return Ok(());
    }
    cluster.install_tried("")?;
    let left = format!("delete -n {SYSTEM} service/e2e-nats secret/{SECRET} --ignore-not-found");
    cluster.kubectl_tried(&left)?;
    wipe(cluster)
}

/// They are restarted one after the other while a client stores: it is refused nothing for long, and everything that was acknowledged is
/// there.
pub(crate) fn roll_under_a_client_that_stores() {
    let cluster = Cluster::get();
    let user = user();
    assert!(user.1.len() > 40, "a short password");
    eventually("a stream of three is made", 60, || {
        let made =
            connect(&user).and_then(|mut client| client.create_stream("E2E", "e2e.>", 3, &Value::Null));
        made.is_ok()
    });
    assert!(
        Client::connect_as(media(NATS_PORT), None, ATTEMPT).is_err(),
        "a client without credentials got in"
    );

    let is_over = AtomicBool::new(false);
    let Written { stored, longest } = thread::scope(|scope| {
        let client = scope.spawn(|| store_until(&is_over, &[media(NATS_PORT)], Some(&user), "e2e"));
        cluster.kubectl(&format!("rollout restart statefulset/mediaorigin-nats -n {SYSTEM}"));
        let rolled = cluster
            .attempt(&format!("rollout status statefulset/mediaorigin-nats -n {SYSTEM} --timeout=600s"));
        is_over.store(true, Ordering::Relaxed);
        let written = client.join().unwrap().unwrap();
        assert!(rolled, "the servers were not restarted in time\n{}", cluster.describe());
        written
    });
    println!("a roll of three NATS servers: {stored} messages stored, the longest wait for one {longest:?}");
    assert!(stored > 100 && longest < STALL_MAX, "{stored} messages, longest wait {longest:?}");
    let mut client = connect(&user).unwrap();
    let info = client.api("STREAM.INFO.E2E", &Value::Null).unwrap();
    assert_eq!(info["state"]["messages"], stored, "{info}");
    client.api("STREAM.DELETE.E2E", &Value::Null).unwrap();
}
