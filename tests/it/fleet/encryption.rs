//! What pods fetch from each other, by TLS: nobody on the way reads it, and a fleet comes to it by a rolling restart.

use mediaorigin_tests::folder::Folder;
use mediaorigin_tests::nats::{NatsCluster, Setup};
use mediaorigin_tests::peer::{Peer, Piece};

use super::pods::{Fleet, Pod, SMALL, wait_until};

/// Only the memory of pods has bodies: whatever another pod serves came over a peer port.
const IN_MEMORY: &str = "[{name: all, match: {paths: [\"**\"]}, durability: Memory}]";
const WORDS: &[u8] = b"what nobody else may read ";

fn nats(password: &str) -> NatsCluster {
    let user = Some(("origin".to_owned(), password.to_owned()));
    NatsCluster::start_with(Setup { has_links: true, user, ..Setup::default() }).unwrap()
}

/// One pod has an upload, complete and while it grows, and the other serves it; whether the words were seen on the way.
fn is_seen(fleet: &Fleet, holder: usize, folder: &str) -> bool {
    let (reader, link) = (1 - holder, &fleet.peers[holder].1);
    link.watch(WORDS);
    let body = WORDS.repeat(20_000);
    let target = format!("/{folder}/{holder}/whole.m4s");
    fleet.put(holder, &target, &body);
    assert!(fleet.get(reader, &target).body == body, "{target}");

    let target = format!("/{folder}/{holder}/growing.m4s");
    let chunked = [("Transfer-Encoding".to_owned(), "chunked".to_owned())];
    let mut writer = Peer::connect(fleet.pod(holder).media).unwrap();
    writer.send_head("PUT", &target, &chunked).unwrap();
    writer.send_chunk(WORDS).unwrap();
    let mut reading = Peer::follow(fleet.pod(reader).media, &target).unwrap();
    assert_eq!(reading.read_exact(WORDS.len()).unwrap(), WORDS);
    writer.send_chunk(WORDS).unwrap();
    assert_eq!(reading.read_exact(WORDS.len()).unwrap(), WORDS);
    writer.send_chunk(b"").unwrap();
    assert_eq!(writer.read_head().unwrap().status, 201);
    assert_eq!(reading.read_rest().unwrap(), (Vec::new(), Piece::End));
    link.has_carried()
}

/// Also while pods of both settings are there.
#[test]
fn a_fleet_is_rolled_to_tls_and_nobody_reads_on_the_way() {
    let mut fleet = Fleet::start_over(nats("a password of some length"), (2, SMALL), IN_MEMORY, false, None);
    assert!(is_seen(&fleet, 0, "plain"), "what passes is looked at");
    fleet.is_encrypted = true;
    fleet.replace(1);
    assert!(is_seen(&fleet, 0, "half"), "the one that is asked decides");
    assert!(!is_seen(&fleet, 1, "half"));
    fleet.replace(0);
    assert!(!is_seen(&fleet, 0, "all") && !is_seen(&fleet, 1, "all"));
    // And back.
    fleet.is_encrypted = false;
    fleet.replace(0);
    assert!(is_seen(&fleet, 0, "back") && !is_seen(&fleet, 1, "back"));
}

#[test]
fn a_short_password_makes_no_key() {
    let nats = nats("short");
    let credentials = Folder::new("credentials").unwrap();
    credentials.write("username", "origin").unwrap();
    credentials.write("password", "short").unwrap();
    let pod = Pod::alone_encrypted(&nats.urls(), credentials.path().to_owned());
    let wanted = "TLS between pods needs a password of NATS with 16 characters at least, of which their key is made, and this one is shorter";
    wait_until(wanted, || match pod.readiness() {
        Err(reason) if reason.contains(wanted) => Ok(()),
        other => Err(format!("{other:?}")),
    });
}
