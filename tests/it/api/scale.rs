//! Many origins on nodes that do not exist: how long until all are settled, what the operator asks of its API server meanwhile and
//! afterwards, and what memory it has. `docs/operator-scale.md` has the numbers.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use mediaorigin_crds::crd;
use mediaorigin_tests::apiserver::ApiServer;
use mediaorigin_tests::kwok::Nodes;
use serde_json::{Value, json};

use super::running::{LEASE, Operator};
use super::world::{USER, World};

/// Nothing is asked for so long: the last look at an origin that was just made has been then.
const QUIET: Duration = Duration::from_secs(20);

/// What a run may come to.
struct Bounds {
    origins: usize,
    settled: Duration,
    /// How long the steady state is watched.
    steady: Duration,
    resident_mib: u64,
}

/// What the operator asked for, by what: `get deployments`.
type Calls = BTreeMap<String, usize>;

/// The calls of the operator so far but for watches and its lease, which never end.
fn calls(world: &World) -> Calls {
    let log = BufReader::new(File::open(world.server.folder().join("audit.log")).unwrap());
    let mut calls = Calls::new();
    // Of many origins it is long: a line at a time, and only those of the operator. The last one may still be on its way.
    let of_operator = log.lines().map_while(Result::ok).filter(|line| line.contains(USER));
    for event in of_operator.filter_map(|line| serde_json::from_str::<Value>(&line).ok()) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (verb, object) = (text(&event["verb"]), &event["objectRef"]);
        let (resource, subresource) = (text(&object["resource"]), text(&object["subresource"]));
        let is_ours = event["user"]["username"] == USER && verb != "watch" && resource != "leases";
        if is_ours {
            let what = format!("{verb} {resource} {subresource}");
            *calls.entry(what.trim_end().to_owned()).or_default() += 1;
        }
    }
    calls
}

fn sum(calls: &Calls) -> usize {
    calls.values().sum()
}

/// Waits until the operator asks for nothing any more; what it asked for until then.
fn quiet(world: &World) -> Calls {
    let end = Instant::now() + Duration::from_mins(5);
    let mut before = calls(world);
    let mut since = Instant::now();
    while since.elapsed() < QUIET {
        assert!(Instant::now() < end, "it never rests: {before:?}");
        std::thread::sleep(Duration::from_secs(2));
        let now = calls(world);
        if now != before {
            (before, since) = (now, Instant::now());
        }
    }
    before
}

fn run(bounds: &Bounds) {
    let Bounds { origins, .. } = *bounds;
    let mut server = ApiServer::start().unwrap();
    server.define(&crd::definition().unwrap()).unwrap();
    server.start_controllers().unwrap();
    let _nodes = Nodes::start(&server, 1 + origins / 500).unwrap();
    let world = World::around(server);
    let further = ["--lease", LEASE, "--identity", "one"];
    let operator = Operator::start("operator", &world.kubeconfig, &further, world.server.folder()).ready();
    world.until("it acts", |_| operator.leads());
    let at_rest = operator.resident_bytes();

    let begin = Instant::now();
    for number in 0..origins {
        world.create(&format!("origin-{number}"), &json!({}));
    }
    let made = begin.elapsed();
    let ready = || operator.metric("mediaorigin_operator_origins{state=\"Ready\"}");
    while ready() < origins as u64 {
        let log = operator.log();
        assert!(begin.elapsed() < bounds.settled, "{} of {origins} are ready:\n{}", ready(), log);
        std::thread::sleep(Duration::from_millis(500));
    }
    let settled = begin.elapsed();
    let asked = quiet(&world);
    let resident = operator.resident_bytes();
    let reconciles = operator.metric("mediaorigin_operator_reconciles_total");

    std::thread::sleep(bounds.steady);
    let afterwards = calls(&world);
    let (per_origin, mib) = (sum(&asked) as f64 / origins as f64, |bytes: u64| bytes >> 20);
    println!("{origins} origins: made in {made:.1?}, all ready after {settled:.1?}");
    println!("memory: {} MiB without origins, {} MiB with them", mib(at_rest), mib(resident));
    println!("{:.1} reconciles and {per_origin:.1} calls each:", reconciles as f64 / origins as f64);
    for (what, count) in &asked {
        println!("  {:5.2} {what}", *count as f64 / origins as f64);
    }
    println!("{} calls in {:?} afterwards", sum(&afterwards) - sum(&asked), bounds.steady);

    assert_eq!(afterwards, asked, "nothing happens, and it asks");
    assert!(mib(resident) < bounds.resident_mib, "{} MiB", mib(resident));
    assert!(per_origin < CALLS_MAX, "{per_origin} calls for each origin");
    assert_eq!(operator.metric("mediaorigin_operator_event_errors_total"), 0);
}

/// Calls for an origin from nothing to a pod that serves, at most.
const CALLS_MAX: f64 = 200.0;

/// Row 29, 30, 66 with more than one origin: they settle, and then nothing is asked for.
#[test]
fn forty_origins_settle_and_are_left_alone() {
    let (settled, steady) = (Duration::from_mins(4), Duration::from_secs(10));
    run(&Bounds { origins: 40, settled, steady, resident_mib: 100 });
}

/// The same for as many as a large installation has; `make soak` runs it.
#[test]
#[ignore = "takes ten minutes"]
fn five_hundred_origins_settle_and_are_left_alone() {
    let (settled, steady) = (Duration::from_mins(20), Duration::from_mins(1));
    run(&Bounds { origins: 500, settled, steady, resident_mib: 200 });
}
