//! Links that are cut and silenced: between a client and a server, and between servers.

use std::thread;
use std::time::{Duration, Instant};

use mediaorigin_tests::links::{Link, Way};
use mediaorigin_tests::nats::{Client, NatsCluster, PATIENCE, Setup};
use serde_json::json;

use super::{store_elsewhere, with_stream};

const SOON: Duration = Duration::from_secs(1);

/// Waits until a message is there: any replica may answer, and one that follows may be a moment behind.
#[track_caller]
fn arrives(client: &mut Client, subject: &str, payload: &[u8]) {
    let deadline = Instant::now() + PATIENCE;
    while client.last("INDEX", subject).unwrap().payload != payload {
        assert!(Instant::now() < deadline, "{subject} does not arrive");
        thread::sleep(Duration::from_millis(20));
    }
}

fn linked() -> Setup {
    Setup { has_links: true, ..Setup::default() }
}

/// Between a client and its server: silence holds what is sent and delivers it later, one way too; a cut ends connections and new ones.
#[test]
fn a_clients_link_is_silenced_in_one_way_or_both_and_cut() {
    let (cluster, _) = with_stream(Setup::default(), 3);
    let link = Link::start(cluster.addresses()[0]).unwrap();
    let mut far = Client::connect(link.address()).unwrap();
    let mut near = cluster.client(0).unwrap();
    assert_eq!(far.store("index.11", &[], b"open").unwrap(), 11);

    // The answer is held: the message is there, and its sender does not know.
    link.silence_way(Way::ToClient);
    far.publish("index.12", "held", &[], b"one way").unwrap();
    far.set_patience(SOON);
    assert!(far.store("index.13", &[], b"one way").is_err());
    arrives(&mut near, "index.12", b"one way");
    arrives(&mut near, "index.13", b"one way");

    // Now the request is held too, and comes when nobody waits for it any more.
    link.silence();
    assert!(far.store("index.14", &[], b"both ways").is_err());
    assert_eq!(near.last("INDEX", "index.14").unwrap().status(), Some("404"));
    assert!(Client::connect_as(link.address(), None, SOON).is_err(), "a silent server greets nobody");
    link.restore();
    far.set_patience(Duration::from_secs(20));
    assert_eq!(far.store("index.15", &[], b"open").unwrap(), 15);
    arrives(&mut near, "index.14", b"both ways");

    link.cut();
    assert!(far.store("index.16", &[], b"cut").is_err());
    assert!(Client::connect(link.address()).is_err());
    link.restore();
    let mut again = Client::connect(link.address()).unwrap();
    link.reset();
    assert!(again.store("index.16", &[], b"reset").is_err());
    assert_eq!(Client::connect(link.address()).unwrap().store("index.17", &[], b"open").unwrap(), 16);
}

/// A leader whose links do something to it is replaced by the other side, takes nothing meanwhile, and follows when it is back.
fn is_replaced_while(setup: Setup, act: impl Fn(&Link)) {
    let (mut cluster, leader) = with_stream(setup, 3);
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    for link in others.iter().flat_map(|other| cluster.links(leader, *other)) {
        act(link);
    }
    assert_eq!(store_elsewhere(&mut cluster, leader, "index.11"), 11);
    // No way leads round the links: it has no route left, and cannot do anything alone.
    cluster.wait_until("a server without routes", |cluster| Ok(has_no_routes(cluster, leader))).unwrap();
    let mut alone = cluster.hasty_client(leader).unwrap();
    assert!(alone.store("index.12", &[], b"by a minority").is_err());

    for link in others.iter().flat_map(|other| cluster.links(leader, *other)) {
        link.restore();
    }
    cluster.wait_healthy(leader).unwrap();
    let caught_up = |cluster: &NatsCluster| Ok((cluster.messages_on(leader, "INDEX")? >= 11).then_some(()));
    cluster.wait_until("what it missed", caught_up).unwrap();
    let mut client = cluster.client(leader).unwrap();
    let kept = client.last("INDEX", "index.11").unwrap();
    assert_eq!((kept.payload.as_slice(), kept.header("Nats-Sequence")), (&b"later"[..], Some("11")));
    let info = client.api("STREAM.INFO.INDEX", &json!({})).unwrap();
    assert_eq!(info["cluster"]["replicas"].as_array().map(Vec::len), Some(2), "{info}");
}

fn has_no_routes(cluster: &NatsCluster, index: usize) -> Option<()> {
    let routes = cluster.monitor(index, "/routez").ok()?;
    (routes["num_routes"] == 0).then_some(())
}

#[test]
fn a_leader_that_is_cut_off_is_replaced_and_follows_when_it_is_back() {
    is_replaced_while(linked(), Link::cut);
}

#[test]
fn a_leader_from_which_nothing_comes_and_to_which_nothing_goes_is_replaced() {
    is_replaced_while(linked(), Link::silence);
}
