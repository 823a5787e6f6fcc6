//! The program in a group of processes with a memory limit of its own, as the container of a pod is one: which number counts,
//! and who is told.

use std::net::SocketAddr;
use std::path::Path;

use mediaorigin_origin::limit;
use mediaorigin_tests::peer::fetch;
use serde_json::{Value, json};

use crate::program::{Group, Program};

const MIB: u64 = 1 << 20;

fn get(admin: SocketAddr, target: &str) -> Value {
    serde_json::from_slice(&fetch(admin, "GET", target).unwrap().body).unwrap()
}

/// What the status says of the limit: the number in force, where it comes from, what is configured.
fn limits(status: &Value) -> [Value; 3] {
    ["limit", "limitSource", "configuredLimit"].map(|field| status["memory"][field].clone())
}

#[test]
fn the_limit_of_the_container_counts_where_it_is_lower_and_is_told() {
    let Some(group) = Group::new(200 * MIB) else {
        // Not root, or groups that are not ours: what is left is that the machine's own files can be read.
        println!("no group can be made here; this process may use {:?}", limit::of_cgroup(Path::new("/")));
        return;
    };
    let mut origin = Program::start(Some(group), &["--memory-limit", "1Gi"]);
    let [_, admin] = origin.ports();
    let status = get(admin, "/-/status");
    assert_eq!(limits(&status), [json!(200 * MIB), json!("cgroup"), json!(1024 * MIB)]);
    let memory = &status["memory"];
    let terms = ["objects", "base", "connections", "slack"].map(|term| memory[term].as_u64().unwrap());
    assert_eq!(terms.iter().sum::<u64>(), 200 * MIB);
    let events = get(admin, "/-/events");
    let event = &events["events"][0];
    assert_eq!((event["kind"].as_str(), events["latest"].as_u64()), (Some("memoryLimit"), Some(1)));
    let reason = event["reason"].as_str().unwrap();
    assert!(reason.contains("200Mi") && reason.contains("1Gi"), "{reason}");
}

#[test]
fn the_flag_counts_where_the_container_may_use_more() {
    // The test itself may run in a small container.
    let own = limit::of_cgroup(Path::new("/"));
    assert!(own.is_none_or(|limit| limit.get() > 400 * MIB), "this test needs more than 400 MiB");
    let mut origin = Program::start(Group::new(1024 * MIB), &["--memory-limit", "300Mi"]);
    let [_, admin] = origin.ports();
    let status = get(admin, "/-/status");
    assert_eq!(limits(&status), [json!(300 * MIB), json!("flag"), json!(300 * MIB)]);
    assert_eq!(get(admin, "/-/events")["latest"], json!(0));
}

#[test]
fn a_limit_that_is_too_small_for_what_is_fixed_is_refused_with_its_name() {
    let refusal = Program::start(None, &["--memory-limit", "64Mi"]).refusal();
    assert!(refusal.contains("a memory limit of 64Mi leaves 0 MiB"), "{refusal}");
    assert!(refusal.contains("raise --memory-limit to at least 124Mi"), "{refusal}");
    let refusal = Program::start(None, &["--memory-limit", "lots"]).refusal();
    assert!(refusal.contains("\"lots\" is not a quantity of bytes"), "{refusal}");
    if let Some(group) = Group::new(64 * MIB) {
        let refusal = Program::start(Some(group), &[]).refusal();
        assert!(
            refusal.contains("raise the memory limit of the container (its cgroup) to at least"),
            "{refusal}"
        );
    }
}
