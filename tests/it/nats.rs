//! The harness of NATS servers proves itself: what the tests of a fleet rely on is true of real servers.

mod links;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mediaorigin_tests::nats::{
    Client, NatsCluster, PATIENCE, SERVERS, Setup, Written, compacted, store_until,
};
use serde_json::{Value, json};

/// A cluster with a stream of so many replicas that holds ten messages; the stream's leader.
fn with_stream(setup: Setup, replicas: u8) -> (NatsCluster, usize) {
    let mut cluster = NatsCluster::start_with(setup).unwrap();
    cluster.make_stream("INDEX", "index.>", replicas, &Value::Null).unwrap();
    let mut client = cluster.client(0).unwrap();
    let leader = cluster.wait_stream_leader("INDEX").unwrap();
    for number in 1..=10 {
        assert_eq!(client.store(&format!("index.{number}"), &[], b"value").unwrap(), number);
    }
    (cluster, leader)
}

/// Stores a message by a server that is not `but`, as soon as the stream takes one; its sequence.
fn store_elsewhere(cluster: &mut NatsCluster, but: usize, subject: &str) -> u64 {
    let other = (but + 1) % 3;
    cluster
        .wait_until("a stream that takes messages", |cluster| {
            // With the last sequence, so that an attempt without an answer is not stored twice.
            let headers = [("Nats-Expected-Last-Subject-Sequence", "0")];
            let mut client = cluster.hasty_client(other)?;
            match client.store(subject, &headers, b"later") {
                Err(error) if error.to_string().starts_with("10071 ") => {
                    let stored = client.last("INDEX", subject)?;
                    Ok(Some(stored.header("Nats-Sequence").unwrap().parse().unwrap()))
                }
                answer => answer.map(Some),
            }
        })
        .unwrap()
}

/// A stream on three servers goes on after the hard end of its leader, and with one replica it does not.
#[test]
fn a_stream_of_three_survives_the_kill_of_its_leader_and_one_of_one_does_not() {
    let (mut cluster, leader) = with_stream(Setup::default(), 3);
    let mut client = cluster.client((leader + 1) % 3).unwrap();
    client.create_stream("ALONE", "alone.>", 1, &Value::Null).unwrap();
    let alone = cluster.wait_stream_leader("ALONE").unwrap();

    cluster.kill(leader);
    assert_eq!(store_elsewhere(&mut cluster, leader, "index.11"), 11);
    let next = cluster.wait_stream_leader("INDEX").unwrap();
    assert_ne!(next, leader);
    let kept = cluster.client(next).unwrap().last("INDEX", "index.7").unwrap();
    assert_eq!((kept.payload.as_slice(), kept.header("Nats-Sequence")), (&b"value"[..], Some("7")));

    // It comes back with what it missed.
    cluster.restart(leader).unwrap();
    cluster.wait_healthy(leader).unwrap();
    wait_messages(&mut cluster, leader, 11);

    // The control: a stream on one server is away with it.
    cluster.kill(alone);
    let mut client = cluster.client((alone + 1) % 3).unwrap();
    client.set_patience(Duration::from_secs(3));
    assert!(client.store("alone.1", &[], b"lost").is_err());
}

/// A server without its disk gets everything from the others, and what it got is enough when they are gone in turn.
#[test]
fn a_lost_disk_comes_back_from_the_others() {
    let (mut cluster, leader) = with_stream(Setup::default(), 3);
    let lost = (leader + 1) % 3;
    cluster.kill(lost);
    cluster.restart_without_disk(lost).unwrap();
    cluster.wait_healthy(lost).unwrap();
    wait_messages(&mut cluster, lost, 10);
    // Now it is one of the two that make the quorum.
    cluster.kill(leader);
    assert_eq!(store_elsewhere(&mut cluster, leader, "index.11"), 11);
    assert_eq!(cluster.client(lost).unwrap().last("INDEX", "index.3").unwrap().payload, b"value");
}

/// A leader that gets no turn is replaced, and follows when it goes on.
#[test]
fn a_stopped_leader_is_replaced_and_follows_when_it_goes_on() {
    let (mut cluster, leader) = with_stream(Setup::default(), 3);
    cluster.stop(leader).unwrap();
    assert_eq!(store_elsewhere(&mut cluster, leader, "index.11"), 11);
    cluster.resume(leader).unwrap();
    cluster.wait_healthy(leader).unwrap();
    wait_messages(&mut cluster, leader, 11);
}

/// A lame duck hands over what it leads before it ends, and ends by itself; a terminated one ends too.
#[test]
fn a_lame_duck_hands_over_and_ends_by_itself() {
    let (mut cluster, leader) = with_stream(Setup::default(), 3);
    cluster.lame_duck(leader).unwrap();
    assert_eq!(store_elsewhere(&mut cluster, leader, "index.11"), 11);
    cluster.wait_end(leader).unwrap();
    assert!(cluster.log(leader).unwrap().contains("Entering lame duck mode"));
    cluster.restart(leader).unwrap();
    cluster.wait_healthy(leader).unwrap();
    let meta = cluster.wait_meta_leader().unwrap();
    cluster.terminate(meta).unwrap();
    assert_ne!(cluster.wait_meta_leader().unwrap(), meta);
}

/// While two servers are away nothing is taken; when they are back everything that was acknowledged is there.
#[test]
fn without_a_quorum_nothing_is_taken_and_nothing_is_lost() {
    let (mut cluster, leader) = with_stream(Setup::default(), 3);
    let followers = [(leader + 1) % 3, (leader + 2) % 3];
    for follower in followers {
        cluster.kill(follower);
    }
    assert!(cluster.hasty_client(leader).unwrap().store("index.11", &[], b"no quorum").is_err());
    for follower in followers {
        cluster.restart(follower).unwrap();
    }
    for follower in followers {
        cluster.wait_healthy(follower).unwrap();
    }
    cluster.wait_stream_leader("INDEX").unwrap();
    for number in 1..=10 {
        let kept = cluster.client(followers[0]).unwrap().last("INDEX", &format!("index.{number}")).unwrap();
        assert_eq!(kept.payload, b"value", "{number}");
    }
}

/// Every server ends as a lame duck and comes back, as a rollout does it, while a client stores: everything acknowledged is there once.
#[test]
fn a_roll_by_lame_ducks_goes_unnoticed_by_a_client_that_stores() {
    let (mut cluster, _) = with_stream(Setup::default(), 3);
    let (addresses, is_over) = (cluster.addresses(), AtomicBool::new(false));
    let Written { stored, longest } = thread::scope(|scope| {
        let client = scope.spawn(|| store_until(&is_over, &addresses, None, "index.roll"));
        let mut roll = || -> anyhow::Result<()> {
            for index in (0..SERVERS).rev() {
                cluster.lame_duck(index)?;
                cluster.wait_end(index)?;
                cluster.restart(index)?;
                cluster.wait_healthy(index)?;
            }
            Ok(())
        };
        let rolled = roll();
        is_over.store(true, Ordering::Relaxed);
        rolled.unwrap();
        client.join().unwrap().unwrap()
    });
    println!("a roll of three NATS servers: {stored} messages, the longest wait for one {longest:?}");
    let info = cluster.any_client().unwrap().api("STREAM.INFO.INDEX", &Value::Null).unwrap();
    assert_eq!(info["state"]["messages"], stored + 10, "{info}");
    assert!(longest < PATIENCE / 2, "{longest:?}");
}

/// The oldest line that an origin takes: one message per subject, on condition of the last one's sequence.
#[test]
fn the_older_line_of_the_server_compacts_and_compares() {
    let setup = Setup { line: Some("2.14"), syncs_always: true, ..Setup::default() };
    let mut cluster = NatsCluster::start_with(setup).unwrap();
    assert!(cluster.monitor(0, "/varz").unwrap()["version"].as_str().unwrap().starts_with("2.14."));
    let mut client = cluster.client(0).unwrap();
    client.create_stream("INDEX", "index.>", 3, &compacted()).unwrap();
    let expected = |sequence| [("Nats-Expected-Last-Subject-Sequence", sequence)];
    // Until this server knows which one takes them, nobody does.
    let first = cluster.wait_until("the stream to take messages", |_| {
        match client.store("index.a", &expected("0"), b"1") {
            Err(error) if error.to_string().contains("nobody answers") => Ok(None),
            stored => stored.map(Some),
        }
    });
    assert_eq!(first.unwrap(), 1);
    let refusal = client.store("index.a", &expected("0"), b"2").unwrap_err();
    assert!(refusal.to_string().starts_with("10071 "), "{refusal}");
    assert_eq!(client.store("index.a", &expected("1"), b"2").unwrap(), 2);
    let state = client.api("STREAM.INFO.INDEX", &Value::Null).unwrap();
    assert_eq!((&state["state"]["messages"], &state["state"]["first_seq"]), (&json!(1), &json!(2)));
}

/// A server with users answers nobody else.
#[test]
fn a_server_with_users_refuses_everybody_else() {
    let user = ("origin".to_owned(), "a secret of the tests".to_owned());
    let cluster = NatsCluster::start_with(Setup { user: Some(user), ..Setup::default() }).unwrap();
    let refusal = Client::connect(cluster.addresses()[0]).err().unwrap();
    assert!(format!("{refusal:#}").contains("Authorization Violation"), "{refusal:#}");
    cluster.client(0).unwrap();
}

fn wait_messages(cluster: &mut NatsCluster, server: usize, count: u64) {
    cluster
        .wait_until("the messages it missed", |cluster| {
            Ok((cluster.messages_on(server, "INDEX")? == count).then_some(()))
        })
        .unwrap();
}

/// A slow disk holds up what is to be on it before it is acknowledged, for as long as it is slow.
#[test]
fn a_slow_disk_holds_up_what_has_to_be_on_it() {
    const DELAY: Duration = Duration::from_millis(300);
    let (cluster, leader) = with_stream(Setup { syncs_always: true, ..Setup::default() }, 1);
    let mut client = cluster.client(leader).unwrap();
    let mut stored = |subject: &str| {
        let begin = Instant::now();
        client.store(subject, &[], b"value").unwrap();
        begin.elapsed()
    };
    let disk = cluster.slow_disk(leader, DELAY).unwrap();
    let slow = stored("index.slow");
    let calls = disk.end().unwrap();
    assert!(slow >= DELAY, "{slow:?}, {calls} calls");
    // Some of several are not held up, whatever else the machine does.
    let quick = (0..20).map(|number| stored(&format!("index.quick.{number}"))).min().unwrap();
    assert!(quick < DELAY, "{quick:?}");
}
