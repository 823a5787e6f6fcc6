//! Configuration, and a whole origin in this process. Behaviour on the wire is in the scenario scripts.

mod slow_readers;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use mediaorigin_crds::load as contract;
use mediaorigin_crds::policy::Durability;

use crate::clock::Clock;
use crate::config::{Change, Live, Way};
use crate::{Options, Running, drain, start, start_blocking};

fn document(generation: u32, extra: &str, object_bytes_max: u64) -> String {
    format!(
        "apiVersion: mediaorigin.io/v1alpha1
kind: OriginConfig
metadata: {{name: live, uid: u1, generation: {generation}}}
cold: {{connectionsMax: 100, mediaPort: 8080, adminPort: 8081{extra}}}
hot: {{memoryLimitBytes: 268435456, objectBytesMax: {object_bytes_max}, uploadIdleSeconds: 60}}
"
    )
}

#[test]
fn a_new_configuration_is_served_whole_or_not_at_all() {
    let live = Live::new(contract::parse(&document(2, "", 1000)).unwrap());
    let served = || (live.hot().metadata.generation, live.hot().policies.limits().object_bytes_max);
    assert_eq!(live.update(&document(3, "", 2000), Way::File), Change::Swapped);
    assert_eq!((served(), live.report().refused.len()), ((3, 2000), 0));

    assert_eq!(live.update(&document(4, ", bogus: 1", 3000), Way::File), Change::Refused);
    assert_eq!((served(), live.report().refused), ((3, 2000), vec!["cold.bogus: unknown field".to_owned()]));

    for way in [Way::File, Way::Push] {
        assert_eq!(live.update(&document(2, "", 4000), way), Change::Older { served: 3 });
        assert_eq!(served(), (3, 2000), "an older generation never replaces a newer one");
    }
    assert_eq!(live.report().refused.len(), 1, "what is passed over changes no report");
    assert_eq!(live.update(&document(9, "", 4000).replace("u1", "u2"), Way::Push), Change::Foreign);
    assert_eq!(served(), (3, 2000), "nobody pushes what belongs to another origin");

    assert_eq!(live.update(&document(5, ", publisherDir: /x", 5000), Way::Push), Change::Swapped);
    assert_eq!(live.update(&document(5, ", publisherDir: /x", 5000), Way::File), Change::Same);
    assert_eq!((served(), live.report().needs_restart), ((5, 5000), vec!["publisherDir"]));
    assert!(live.report().refused.is_empty());
}

/// What a rule promises is compiled with the tiers that this process has: one that comes with a restart is refused until then.
#[test]
fn a_new_rule_promises_no_tier_that_the_process_does_not_have() {
    let live = Live::new(contract::parse(&document(1, "", 1000)).unwrap());
    let durability = || live.hot().policies.treat("a").policy.durability();
    let disk = ", disk: {dir: /x, sizeBytes: 1000, isPersistent: true}";
    assert_eq!(live.update(&document(2, disk, 2000), Way::File), Change::Swapped);
    assert_eq!((durability(), live.report().needs_restart), (Durability::Memory, vec!["disk"]));

    let rules = "tierPolicies: [{name: a, match: {paths: [a]}, durability: Disk}]";
    let text = document(3, disk, 3000).replace("hot: {", &format!("hot: {{{rules}, "));
    assert_eq!(live.update(&text, Way::File), Change::Refused);
    assert_eq!((live.hot().metadata.generation, durability()), (2, Durability::Memory));
    assert!(live.report().refused[0].starts_with("hot.tierPolicies[0].durability: Disk needs"));
}

fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn put(running: &Running, path: &str, body: &str) -> String {
    let length = body.len();
    let head =
        format!("PUT {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    exchange(running.media_addr, &format!("{head}{body}"))
}

fn get(address: SocketAddr, path: &str) -> String {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
}

#[test]
fn two_origins_in_one_process_know_nothing_of_each_other() {
    let begin = || start_blocking(contract::built_in().unwrap(), Options::default()).unwrap();
    let (one, two) = (begin(), begin());
    assert!(put(&one, "/live/a.ts", "abc").starts_with("HTTP/1.1 201 "));
    assert!(get(one.media_addr, "/live/a.ts").ends_with("\r\n\r\nabc"));
    assert!(get(two.media_addr, "/live/a.ts").starts_with("HTTP/1.1 404 "));
    let metrics = get(one.admin_addr, "/metrics");
    let line =
        "mediaorigin_requests_total{method=\"PUT\",class=\"segment\",outcome=\"created\",status=\"201\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    assert!(get(one.admin_addr, "/readyz").starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn expiry_follows_the_clock_that_the_origin_was_given() {
    let text = "
apiVersion: mediaorigin.io/v1alpha1
kind: MediaOrigin
metadata: {name: live}
spec:
  tierPolicies: [{name: short, match: {paths: [\"live/**\"]}, memory: {keepSeconds: 1}, expireSeconds: 10}]
";
    let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_hours(400_000));
    let options = Options { clock, ..Options::default() };
    let running = start(contract::parse(text).unwrap(), options).await.unwrap();
    assert!(put(&running, "/live/a.ts", "abc").starts_with("HTTP/1.1 201 "));
    running.clock().advance(Duration::from_secs(9));
    assert!(get(running.media_addr, "/live/a.ts").starts_with("HTTP/1.1 200 "));
    running.clock().advance(Duration::from_secs(1));
    assert!(get(running.media_addr, "/live/a.ts").contains("detail=expired"));
    running.sweep();
    assert_eq!(running.origin().memory.counts().used, 0);
    running.stop().await;
}

#[tokio::test]
async fn a_draining_origin_takes_uploads_and_is_ready() {
    let running = start(contract::built_in().unwrap(), Options::default()).await.unwrap();
    running.drain(drain::Limits { min: Duration::ZERO, max: Duration::from_secs(5) }).await;
    assert!(put(&running, "/live/a.ts", "abc").starts_with("HTTP/1.1 201 "));
    assert!(get(running.admin_addr, "/readyz").starts_with("HTTP/1.1 200 "));
    assert!(get(running.admin_addr, "/-/status").contains("\"draining\":true"));
    let address = running.media_addr;
    running.finish().await;
    assert!(TcpStream::connect(address).is_err());
}
