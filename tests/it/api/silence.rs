//! Pods whose node says nothing any more: real origins at the addresses of pods, one of which stands still or is not there; the test is the
//! kubelet.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use mediaorigin_tests::folder::Folder;
use mediaorigin_tests::peer;
use mediaorigin_tests::process::Process;
use serde_json::{Value, json};

use super::running::{LEASE, Operator};
use super::world::{USER, World, condition, world};
use crate::program::built;

/// Of loopback, as each pod has an address and all have one admin port.
const ADDRESSES: [&str; 3] = ["127.77.6.1", "127.77.6.2", "127.77.6.3"];
const NAMES: [&str; 3] = ["one", "two", "three"];
/// At the last one no kernel answers.
const ADDRESSES_OF_WHICH_ONE_IS_DEAD: [&str; 3] = ["127.77.7.1", "127.77.7.2", "127.77.7.3"];
const ADDRESSES_SEEN_BY_TWO: [&str; 3] = ["127.77.8.1", "127.77.8.2", "127.77.8.3"];

fn origin(name: &'static str, address: &str, folder: &Folder) -> Process {
    let listen = |port: u16| format!("{address}:{port}");
    let arguments = ["serve", "--workers", "1", "--listen", &listen(8080), "--admin-listen", &listen(8081)];
    let arguments = arguments.map(str::to_owned);
    let program = built("mediaorigin-origin", "mediaorigin");
    let mut origin = Process::start(name, &program, &arguments, folder.path()).unwrap();
    let admin = listen(8081).parse().unwrap();
    origin.wait_until(Duration::from_mins(1), || peer::fetch(admin, "GET", "/livez").is_ok()).unwrap();
    origin
}

fn status_of(pod: &str) -> String {
    format!("/api/v1/namespaces/default/pods/{pod}/status")
}

/// What Kubernetes says of whether a pod serves.
fn ready(world: &World, pod: &str) -> Value {
    let pod = world.get(&format!("/api/v1/namespaces/default/pods/{pod}"));
    condition(&pod, "Ready")
}

/// Says what a kubelet would that finds the pod well.
fn say_ready(world: &World, pod: &str) {
    let change = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True", "reason": null, "message": null }] } });
    let output = world
        .server
        .kubectl(
            &["patch", "pod", pod, "--subresource=status", "--type=strategic", "-p", &change.to_string()],
            "",
        )
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// How often the operator has written the status of a pod.
fn words(world: &World, pod: &str) -> usize {
    let is_word = |event: &&Value| {
        let object = &event["objectRef"];
        event["user"]["username"] == USER
            && (&object["resource"], &object["subresource"], &object["name"])
                == (&json!("pods"), &json!("status"), &json!(pod))
    };
    world.server.audit().unwrap().iter().filter(is_word).count()
}

/// Waits until an operator has looked so often at a pod that answers, or at one that does not.
fn looks(world: &World, operator: &Operator, result: &str, count: u64) {
    let name = format!("mediaorigin_operator_pod_looks_total{{result=\"{result}\"}}");
    let before = operator.metric(&name);
    world.until("the operator looks", |_| operator.metric(&name) >= before + count);
}

/// The pods of an origin of this name, at these addresses.
fn pods(world: &World, name: &str, addresses: [&str; 3]) -> Vec<String> {
    let nats = json!({ "url": "nats://nats.store:4222" });
    world.serve_by(3, name, &json!({ "replicas": 3, "coordination": { "nats": nats } }));
    let pods = world.pods(name);
    let pods = pods.iter().map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned());
    let pods: Vec<String> = pods.collect();
    for (pod, address) in pods.iter().zip(addresses) {
        let change = json!({ "status": { "podIP": address, "podIPs": [{ "ip": address }] } });
        world.client().merge(&status_of(pod), &change).unwrap().success().unwrap();
    }
    pods
}

/// An address at which every new connection is met with silence, as at one of a node without power: somebody listens there who accepts
/// nobody, and his queue is full.
struct Dead {
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Dead {
    fn at(address: &str) -> Self {
        let address: SocketAddr = format!("{address}:8081").parse().unwrap();
        let listener = TcpListener::bind(address).unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(250)).ok();
        Self { _listener: listener, _waiting: std::iter::from_fn(connect).collect() }
    }
}

/// A pod at whose address nothing is, not even a kernel, is taken out for that; those that answer stay.
#[test]
fn a_pod_whose_node_is_gone_is_taken_out_of_the_service() {
    let (world, folder) = (world(), Folder::new("gone").unwrap());
    let addresses = ADDRESSES_OF_WHICH_ONE_IS_DEAD;
    let _dead = Dead::at(addresses[2]);
    let there = NAMES.into_iter().zip(addresses).take(2);
    let _origins: Vec<Process> = there.map(|(name, address)| origin(name, address, &folder)).collect();
    let pods = pods(&world, "gone", addresses);
    world.until("it is taken out", |world| ready(world, &pods[2])["status"] == "False");
    let told = ready(&world, &pods[2]);
    assert_eq!(told["reason"], "Unreachable");
    assert!(told["message"].as_str().unwrap().starts_with("nothing at its address answers"), "{told}");
    assert_eq!(pods[..2].iter().map(|pod| words(&world, pod)).sum::<usize>(), 0, "those that answer stay");
}

/// A pod that stands still while Kubernetes calls it ready is taken out of the Service and the origin says so. The kubelet has
/// the last word: where it says again that the pod is well, the operator leaves it alone until it has answered.
#[test]
fn a_pod_that_answers_nobody_is_taken_out_of_the_service() {
    let (world, folder) = (world(), Folder::new("silence").unwrap());
    let origins: Vec<Process> =
        NAMES.into_iter().zip(ADDRESSES).map(|(name, address)| origin(name, address, &folder)).collect();
    let pods = pods(&world, "silent", ADDRESSES);
    let silent = &pods[2][..];

    origins[2].signal("STOP").unwrap();
    world.until("it is taken out", |world| ready(world, silent)["status"] == "False");
    assert_eq!(ready(&world, silent)["reason"], "Unreachable");
    world.until("the origin says so", |world| world.origin("silent")["status"]["readyReplicas"] == 2);
    assert_eq!(pods[..2].iter().map(|pod| words(&world, pod)).sum::<usize>(), 0, "those that answer stay");

    say_ready(&world, silent);
    world.reconcile_in_vain("silent", 2);
    // More than would take it out.
    looks(&world, world.running(), "Failed", 5);
    assert_eq!((&ready(&world, silent)["status"], words(&world, silent)), (&json!("True"), 1));

    origins[2].signal("CONT").unwrap();
    // Each look asks three of them.
    looks(&world, world.running(), "Ok", 9);
    origins[2].signal("STOP").unwrap();
    world.until("it is taken out again", |world| ready(world, silent)["status"] == "False");
    assert_eq!(words(&world, silent), 2);

    // Most are silent: the operator may be the one that is cut off.
    origins[2].signal("CONT").unwrap();
    say_ready(&world, silent);
    looks(&world, world.running(), "Ok", 9);
    for origin in &origins[1..] {
        origin.signal("STOP").unwrap();
    }
    looks(&world, world.running(), "Failed", 10);
    assert_eq!(pods.iter().map(|pod| words(&world, pod)).sum::<usize>(), 2);
    for origin in &origins[1..] {
        origin.signal("CONT").unwrap();
    }
}

/// An operator that waits for its turn looks too: the one that acts may be on the node that stands still. Two of them do no more to a pod
/// than one.
#[test]
fn an_operator_that_does_not_act_takes_a_silent_pod_out_too() {
    let (mut world, folder) = (World::start(), Folder::new("turn").unwrap());
    let addresses = ADDRESSES_SEEN_BY_TWO;
    let origins: Vec<Process> =
        NAMES.into_iter().zip(addresses).map(|(name, address)| origin(name, address, &folder)).collect();
    let pods = pods(&world, "watched", addresses);
    let silent = &pods[2][..];

    // Somebody else has the lease, and keeps it for longer than this lasts.
    hold_lease(&world);
    let further = ["--lease", LEASE, "--identity", "waiting"];
    let waiting = Operator::start("waiting", &world.kubeconfig, &further, world.server.folder()).ready();
    looks(&world, &waiting, "Ok", 9);
    origins[2].signal("STOP").unwrap();
    world.until("it is taken out", |world| ready(world, silent)["status"] == "False");
    looks(&world, &waiting, "Failed", 4);
    looks(&world, world.running(), "Failed", 4);
    let before = words(&world, silent);
    say_ready(&world, silent);
    looks(&world, &waiting, "Failed", 5);
    looks(&world, world.running(), "Failed", 5);
    assert_eq!((&ready(&world, silent)["status"], words(&world, silent)), (&json!("True"), before));

    world.operator = None;
    origins[2].signal("CONT").unwrap();
    looks(&world, &waiting, "Ok", 9);
    origins[2].signal("STOP").unwrap();
    world.until("it is taken out again", |world| ready(world, silent)["status"] == "False");
    assert_eq!(words(&world, silent), before + 1);
    assert!(!waiting.leads());
    origins[2].signal("CONT").unwrap();
}

/// Writes the operators' lease as a holder would that nobody else is.
fn hold_lease(world: &World) {
    let (namespace, name) = LEASE.split_once('/').unwrap();
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": { "name": name, "namespace": namespace },
        "spec": { "holderIdentity": "somebody", "leaseDurationSeconds": 300 },
    });
    world.server.kubectl_ok(&["create", "-f", "-"], &lease.to_string()).unwrap();
}
