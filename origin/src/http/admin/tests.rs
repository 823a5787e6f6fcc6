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
