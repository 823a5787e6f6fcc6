//! The admin port of a whole origin, over a socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use mediaorigin_crds::load;
use serde_json::Value;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::log::Filter;
use crate::{Options, start_blocking};

/// Bounds failures only.
const PATIENCE: Duration = Duration::from_secs(20);

fn ask(admin: SocketAddr, request: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(admin).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let head =
        format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn events(admin: SocketAddr) -> Vec<Value> {
    let report: Value = serde_json::from_str(&ask(admin, "GET /-/events", "").1).unwrap();
    report["events"].as_array().unwrap().clone()
}

#[test]
fn probes_may_use_head() {
    let running = start_blocking(load::built_in().unwrap(), Options::default()).unwrap();
    for path in ["/livez", "/readyz", "/metrics", "/-/status", "/-/events", "/-/streams"] {
        assert_eq!(ask(running.admin_addr, &format!("HEAD {path}"), ""), (200, String::new()), "{path}");
        assert_eq!(ask(running.admin_addr, &format!("GET {path}"), "").0, 200, "{path}");
        assert_eq!(ask(running.admin_addr, &format!("POST {path}"), "").0, 405, "{path}");
    }
    assert_eq!(ask(running.admin_addr, "GET /-/nothing", "").0, 404);
}

#[test]
fn the_log_level_is_changed_while_the_origin_runs() {
    let (layer, handle) = reload::Layer::<_, Registry>::new(EnvFilter::new("info"));
    let log_filter = Some(Filter::new(handle.clone(), "info"));
    let running =
        start_blocking(load::built_in().unwrap(), Options { log_filter, ..Options::default() }).unwrap();
    let admin = running.admin_addr;
    assert_eq!(ask(admin, "GET /-/log-level", ""), (200, "info\n".to_owned()));
    let wanted = "warn,mediaorigin_origin=debug";
    assert_eq!(ask(admin, "PUT /-/log-level", wanted), (200, format!("{wanted}\n")));
    let in_force = handle.with_current(ToString::to_string).unwrap();
    assert!(in_force.contains("mediaorigin_origin=debug") && in_force.contains("warn"), "{in_force}");
    for (body, status) in [("loud", 400), ("trace", 400), ("", 400), (&*"x".repeat(2_000), 413)] {
        assert_eq!(ask(admin, "PUT /-/log-level", body).0, status, "{body}");
    }
    assert_eq!(ask(admin, "GET /-/log-level", "").1, format!("{wanted}\n"));
    let events = events(admin);
    assert_eq!((events.len(), events[0]["kind"].as_str()), (1, Some("logLevel")));
    drop(layer);
}

#[test]
fn a_process_that_does_not_own_its_log_says_so() {
    let running = start_blocking(load::built_in().unwrap(), Options::default()).unwrap();
    assert_eq!(ask(running.admin_addr, "PUT /-/log-level", "debug").0, 404);
}

#[test]
fn it_is_told_once_that_all_connections_are_taken() {
    let text = "
apiVersion: mediaorigin.io/v1alpha1
kind: MediaOrigin
metadata: {name: small}
spec: {limits: {connections: 16}}
";
    let running = start_blocking(load::parse(text).unwrap(), Options::default()).unwrap();
    let connections: Vec<_> = (0..24).map(|_| TcpStream::connect(running.media_addr).unwrap()).collect();
    let deadline = Instant::now() + PATIENCE;
    while events(running.admin_addr).is_empty() {
        assert!(Instant::now() < deadline, "nobody noticed");
        std::thread::yield_now();
    }
    let events = events(running.admin_addr);
    assert_eq!(events[0]["reason"], "16 of 16 (spec.limits.connections) are open");
    let metrics = ask(running.admin_addr, "GET /metrics", "").1;
    assert!(metrics.contains("\nmediaorigin_connections_full_total 1\n"), "{metrics}");
    assert!(metrics.contains("\nmediaorigin_connections_max 16\n"), "{metrics}");
    drop(connections);
}

fn configuration(uid: &str, generation: i64, more: &str) -> String {
    format!(
        "apiVersion: mediaorigin.io/v1alpha1\nkind: OriginConfig\nmetadata: {{name: live, uid: {uid}, generation: {generation}}}\n\
         cold: {{connectionsMax: 100, mediaPort: 8080, adminPort: 8081}}\n\
         hot: {{memoryLimitBytes: 268435456, objectBytesMax: 100000, uploadIdleSeconds: 60{more}}}\n"
    )
}

/// An origin whose configuration may be pushed by whoever has `token`, once `file` holds it.
fn pushable(file: &std::path::Path) -> crate::Running {
    let options = Options { admin_token_file: Some(file.to_owned()), ..Options::default() };
    start_blocking(load::parse(&configuration("u1", 2, "")).unwrap(), options).unwrap()
}

#[test]
fn a_pushed_configuration_is_served_at_once_and_never_replaces_a_newer_one() {
    let file = std::env::temp_dir().join(format!("mediaorigin-token-{}", std::process::id()));
    std::fs::write(&file, "0123456789abcdef\n").unwrap();
    let running = pushable(&file);
    let admin = running.admin_addr;
    let put = "PUT /-/config HTTP/1.1\r\nAuthorization: Bearer 0123456789abcdef\r\nX-Rest:";
    let push = |text: &str| {
        let (status, body) = ask(admin, put, text);
        (status, serde_json::from_str::<Value>(&body).unwrap())
    };
    let cors = ", cors: []";
    let (status, body) = push(&configuration("u1", 3, cors));
    assert_eq!((status, &body["generation"]), (200, &Value::from(3)));
    assert_eq!(push(&configuration("u1", 3, cors)).0, 200, "twice is as once");
    let served = || serde_json::from_str::<Value>(&ask(admin, "GET /-/status", "").1).unwrap();
    assert_eq!(served()["generation"], 3);

    let (status, body) = push(&configuration("u1", 2, ""));
    assert_eq!((status, &body["generation"]), (409, &Value::from(3)));
    assert_eq!(body["refused"][0], "metadata.generation: 3 is newer, and served");
    let (status, body) = push(&configuration("u2", 9, ""));
    assert_eq!((status, &body["refused"][0]), (409, &Value::from("metadata.uid: another origin is served")));
    let (status, body) = push(&configuration("u1", 4, ", bogus: 1"));
    assert_eq!((status, &body["refused"][0]), (422, &Value::from("hot.bogus: unknown field")));
    assert_eq!(push(&"x".repeat(1 << 20)).0, 422);
    assert_eq!(ask(admin, put, &"x".repeat((1 << 20) + 1)).0, 413);
    assert_eq!(served()["generation"], 3);
    let told: Vec<Value> = events(admin).iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(told, ["configChanged", "configRefused", "configRefused"]);
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn nobody_pushes_a_configuration_without_the_token() {
    let file = std::env::temp_dir().join(format!("mediaorigin-no-token-{}", std::process::id()));
    let running = pushable(&file);
    let admin = running.admin_addr;
    let text = configuration("u1", 3, "");
    let push = |shown: &str| {
        let head = format!("PUT /-/config HTTP/1.1\r\nAuthorization: {shown}\r\nX-Rest:");
        ask(admin, &head, &text).0
    };
    assert_eq!(push("Bearer "), 401, "no file is no token");
    std::fs::write(&file, "").unwrap();
    assert_eq!(push("Bearer "), 401, "an empty file opens no door");
    std::fs::write(&file, "0123456789abcdef").unwrap();
    for shown in ["", "Bearer", "Bearer 0123456789abcdeg", "Bearer 0123456789abcde", "Basic 0123456789abcdef"]
    {
        assert_eq!(push(shown), 401, "{shown}");
    }
    assert_eq!(push("Bearer 0123456789abcdef"), 200);
    std::fs::write(&file, "fedcba9876543210").unwrap();
    assert_eq!(push("Bearer 0123456789abcdef"), 401, "a replaced token is over at once");
    std::fs::remove_file(&file).unwrap();

    let without = start_blocking(load::built_in().unwrap(), Options::default()).unwrap();
    let head = "PUT /-/config HTTP/1.1\r\nAuthorization: Bearer 0123456789abcdef\r\nX-Rest:";
    assert_eq!(ask(without.admin_addr, head, &text).0, 404);
}
