//! The operator's program behind a network that goes wrong: everything between it and the API server goes through a link of ours.

use std::time::{Duration, Instant};

use mediaorigin_crds::crd;
use mediaorigin_tests::apiserver::{ApiServer, MEDIA_ORIGINS};
use mediaorigin_tests::links::Link;
use serde_json::json;

use super::running::{LEASE, Operator};
use super::world::{World, condition, deployment};

/// Between two looks at something that has no barrier.
const LOOK: Duration = Duration::from_millis(200);

/// An API server with controllers and the link to it; no operator runs yet.
fn behind_a_link() -> (World, Link) {
    let mut server = ApiServer::start().unwrap();
    server.define(&crd::definition().unwrap()).unwrap();
    server.start_controllers().unwrap();
    let link = Link::start(server.address()).unwrap();
    let mut world = World::around(server);
    world.kubeconfig = world.kubeconfig_by("linked", link.address());
    (world, link)
}

fn is_accepted(world: &World, name: &str) -> bool {
    condition(&world.origin(name), "Accepted")["status"] == "True"
}

/// Does `each` every now and then for `time`.
fn during(time: Duration, mut each: impl FnMut()) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        each();
        std::thread::sleep(LOOK);
    }
}

/// Row 60, 63, 64: a leader whose API server is a black hole stops to act before another one begins, and waits for its turn when the
/// network is back; what is asked meanwhile is done.
#[test]
fn a_leader_in_the_dark_stops_before_another_begins() {
    let (world, link) = behind_a_link();
    let direct = world.kubeconfig_by("direct", world.server.address());
    let start = |name, kubeconfig| {
        let further = ["--lease", LEASE, "--identity", name];
        Operator::start(name, kubeconfig, &further, world.server.folder()).ready()
    };
    let first = start("first", &world.kubeconfig);
    world.until("the first one acts", |_| first.leads());
    let second = start("second", &direct);
    assert!(!second.leads());
    world.serve("before", &json!({}));

    link.silence();
    world.create("meanwhile", &json!({}));
    world.until("the other one acts", |_| {
        // Who stops is asked first: the other way round one could take over between the two questions.
        let leads = [first.leads(), second.leads()];
        assert_ne!(leads, [true, true], "two act");
        assert_eq!(first.probe("/livez"), 200, "a restart would help nobody");
        leads[1]
    });
    let done = first.metric("mediaorigin_operator_reconciles_total");
    world.until("what was asked is done", |world| is_accepted(world, "meanwhile"));
    assert_eq!(first.metric("mediaorigin_operator_reconciles_total"), done, "it acts without the lease");
    assert_eq!(first.probe("/readyz"), 200, "who waits for its turn is ready to take it");

    link.restore();
    during(Duration::from_secs(6), || assert_eq!([first.leads(), second.leads()], [false, true]));
    drop(second);
    world.create("after", &json!({}));
    world.until("the first one acts again", |world| first.leads() && is_accepted(world, "after"));
    world.until("it knows all", |_| first.metric("mediaorigin_operator_origins") == 3);
}

/// Row 63, 64: connections that deliver nothing any more without having ended, the watches among them, are given up and made anew; an
/// operator that starts in the dark lives, is not ready, and becomes so by itself.
#[test]
fn connections_that_died_silently_are_made_anew() {
    let (mut world, link) = behind_a_link();
    link.silence();
    let operator = Operator::start("operator", &world.kubeconfig, &[], world.server.folder());
    during(Duration::from_secs(12), || {
        assert_eq!([operator.probe("/livez"), operator.probe("/readyz")], [200, 503]);
    });
    link.restore();
    world.operator = Some(operator.ready());
    world.serve("before", &json!({}));

    link.lose();
    world.create("after", &json!({}));
    world.client().delete(&deployment("before")).unwrap().success().unwrap();
    // Watches last a minute and are given up five seconds later.
    let begin = Instant::now();
    let patience = Duration::from_mins(3);
    let is_seen =
        || is_accepted(&world, "after") && world.client().get(&deployment("before")).unwrap().code == 200;
    while !is_seen() {
        assert!(begin.elapsed() < patience, "in vain; the log:\n{}", world.running().log());
        assert_eq!([world.running().probe("/livez"), world.running().probe("/readyz")], [200, 200]);
        std::thread::sleep(LOOK);
    }
    println!("seen after {:?}", begin.elapsed());
}

/// Row 64: what happens while the operator is cut off and its API server starts again, so that every watch has expired, is seen when the
/// network is back; until then it tries now and then, not as fast as it can.
#[test]
fn what_happened_behind_a_cut_is_seen_after_a_restart() {
    let (mut world, link) = behind_a_link();
    world.start_operator();
    world.serve("kept", &json!({}));
    world.serve("gone", &json!({}));

    link.cut();
    let (before, begin) = (link.accepted(), Instant::now());
    world.create("made", &json!({}));
    world.client().delete(&deployment("kept")).unwrap().success().unwrap();
    world.client().delete(&format!("{MEDIA_ORIGINS}/gone")).unwrap().success().unwrap();
    world.edit("kept", &json!({ "spec": { "limits": { "connections": 500 } } }));
    world.server.stop();
    world.server.resume().unwrap();
    during(Duration::from_secs(20).saturating_sub(begin.elapsed()), || {
        assert_eq!(world.running().probe("/livez"), 200);
    });
    let tries = (link.accepted() - before) as f64 / begin.elapsed().as_secs_f64();
    println!("{tries:.1} connections a second while all are refused");
    assert!(tries < 20.0, "{tries} connections a second:\n{}", world.running().log());

    let errors = world.running().metric("mediaorigin_operator_watch_errors_total");
    assert!(errors > 0);
    link.restore();
    world.until("everything is seen", |world| {
        is_accepted(world, "made")
            && world.client().get(&deployment("kept")).unwrap().code == 200
            && world.origin("kept")["status"]["observedGeneration"] == 2
            && world.running().metric("mediaorigin_operator_origins") == 2
    });
}

/// Row 64: an API server that is slow, two seconds for each delivery, is waited for: what is asked is done, and nothing is given up.
#[test]
fn a_slow_api_server_is_waited_for() {
    let (mut world, link) = behind_a_link();
    world.start_operator();
    world.create("slow", &json!({}));
    let begin = Instant::now();
    // Everything that is on its way waits for the next gap.
    while !(is_accepted(&world, "slow") && world.client().get(&deployment("slow")).unwrap().code == 200) {
        assert!(begin.elapsed() < Duration::from_mins(2), "in vain; the log:\n{}", world.running().log());
        link.silence();
        std::thread::sleep(Duration::from_secs(2));
        link.restore();
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("done after {:?}", begin.elapsed());
    assert_eq!(world.running().metric("mediaorigin_operator_watch_errors_total"), 0);
}
