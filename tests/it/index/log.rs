//! The log itself: how it is made, what is noticed of it, and what a pod says of itself.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mediaorigin_index::entry::{BODY_BYTES_MAX, State};
use mediaorigin_index::key::{Key, Layout, Scope};
use mediaorigin_index::{ConnectError, Index, Outcome};
use mediaorigin_tests::links::Link;
use serde_json::{Value, json};

use super::fleet::{Fleet, entry, wait_until};

const PATH: &str = "live/a/index.m3u8";
const PATIENCE: Duration = Duration::from_mins(1);
const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";

fn put(fleet: &Fleet, index: &Arc<Index>, uid: u64) -> Outcome {
    let entry = entry(PATH, uid, State::Live);
    fleet.runtime.block_on(index.commit(&entry, None, PATIENCE, || true))
}

fn strict(fleet: &Fleet, index: &Arc<Index>) -> Option<u64> {
    let found = fleet.runtime.block_on(index.strict_get(PATH, PATIENCE)).unwrap();
    found.map(|entry| u64::try_from(entry.uid.0).unwrap())
}

fn config_of(fleet: &Fleet, stream: &str) -> Value {
    let mut client = fleet.cluster.any_client().unwrap();
    client.api(&format!("STREAM.INFO.{stream}"), &Value::Null).unwrap()["config"].clone()
}

/// All of it on one cluster, which takes seconds to start.
#[test]
fn the_log_is_made_kept_and_watched() {
    let mut fleet = Fleet::start("live");
    the_stream_is_made_once_and_never_smaller(&fleet);
    the_stream_of_an_older_version_is_brought_up_to_date(&fleet);
    what_one_pod_commits_all_read(&fleet);
    a_condition_is_decided_by_the_log(&fleet);
    what_is_forgotten_is_as_if_it_had_never_been(&fleet);
    f2_forgotten_ids_store_nothing_again(&mut fleet);
    f7_another_log_in_its_place_is_noticed(&mut fleet);
    f7_a_longer_log_is_noticed_by_a_pod_that_was_away(&mut fleet);
    a_pod_that_is_cut_off_says_so(&fleet);
}

fn the_stream_is_made_once_and_never_smaller(fleet: &Fleet) {
    let made = config_of(fleet, &fleet.stream());
    for (name, value) in [
        ("num_replicas", json!(3)),
        ("max_msgs_per_subject", json!(1)),
        ("storage", json!("file")),
        ("allow_direct", json!(true)),
        ("allow_msg_ttl", json!(true)),
        ("duplicate_window", json!(120_000_000_000_u64)),
        ("republish", json!({"src": "mo.idx.live.0.>", "dest": "mo.idxr.live.0.>"})),
    ] {
        assert_eq!(made[name], value, "{name}");
    }
    drop(fleet.connect(0, |config| config.replicas = 1));
    assert_eq!(config_of(fleet, &fleet.stream()), made);
    let hours = |hours| Some(Duration::from_hours(hours));
    drop(fleet.connect(0, |config| config.age_max = hours(6)));
    let aged = config_of(fleet, &fleet.stream());
    assert_eq!((&aged["max_age"], &aged["allow_msg_ttl"]), (&json!(0), &json!(true)), "it was for ever");
}

/// What the servers did not know how to forget, they learn.
fn the_stream_of_an_older_version_is_brought_up_to_date(fleet: &Fleet) {
    const OLDER: &str = "MO_IDX_older_0";
    const NEWER: [&str; 4] = ["allow_msg_ttl", "subject_delete_marker_ttl", "max_age", "metadata"];
    let of_another_scope = config_of(fleet, &fleet.stream()).to_string().replace("live", "older");
    let mut older: Value = serde_json::from_str(&of_another_scope).unwrap();
    older.as_object_mut().unwrap().retain(|name, _| !NEWER.contains(&name.as_str()));
    let mut client = fleet.cluster.any_client().unwrap();
    let created = client.api(&format!("STREAM.CREATE.{OLDER}"), &older).unwrap();
    let created = &created["config"];
    assert_eq!((&created["name"], &created["allow_msg_ttl"]), (&json!(OLDER), &json!(false)));
    drop(fleet.connect(0, |config| config.scope = Scope::new("older").unwrap()));
    assert_eq!(config_of(fleet, OLDER)["allow_msg_ttl"], json!(true));
}

fn what_one_pod_commits_all_read(fleet: &Fleet) {
    let mut watched = fleet.pod(2).watch(0).unwrap();
    assert!(matches!(put(fleet, &fleet.pod(0), 1), Outcome::Committed { replaced: false, .. }));
    for pod in 0..3 {
        assert_eq!(strict(fleet, &fleet.pod(pod)), Some(1));
    }
    assert!(matches!(put(fleet, &fleet.pod(1), 2), Outcome::Committed { replaced: true, .. }));
    for uid in [1, 2] {
        let change = fleet.runtime.block_on(watched.recv()).unwrap();
        assert_eq!(change.slot.entry().unwrap().uid.0, uid);
    }
    // A pod that comes later knows it before it is ready.
    let late = fleet.connect(0, |_| {});
    assert_eq!(late.get(PATH).unwrap().unwrap().uid.0, 2);
    let tombstone = entry(PATH, 3, |_| State::Tombstone);
    let delete =
        |index: &Arc<Index>| fleet.runtime.block_on(index.commit(&tombstone, None, PATIENCE, || true));
    assert!(matches!(delete(&late), Outcome::Committed { replaced: true, .. }));
    assert_eq!(strict(fleet, &fleet.pod(1)), None);
    assert_eq!(delete(&fleet.pod(1)), Outcome::Nothing);
    let mut large = entry(PATH, 4, State::Live);
    if let State::Live(version) = &mut large.state {
        version.body = Some(vec![0; BODY_BYTES_MAX + 1].into());
    }
    let refused = fleet.runtime.block_on(late.commit(&large, None, PATIENCE, || true));
    assert_eq!(refused, Outcome::Failed("the body of an entry is 65537, more than 65536".to_owned()));
}

fn a_condition_is_decided_by_the_log(fleet: &Fleet) {
    let entry = |uid| entry("live/b/index.m3u8", uid, State::Live);
    let if_none = |uid: u64, pod: usize| {
        let index = fleet.pod(pod);
        let entry = entry(uid);
        fleet.runtime.spawn(async move {
            index.commit(&entry, Some(Box::new(|there| there.is_none())), PATIENCE, || true).await
        })
    };
    let both: Vec<_> =
        (0..6).map(|number| if_none(100 + number, usize::try_from(number).unwrap() % 3)).collect();
    let outcomes = fleet.runtime.block_on(futures_util::future::join_all(both));
    let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    let committed = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Committed { .. })).count();
    let refused = outcomes.iter().filter(|outcome| **outcome == Outcome::Refused).count();
    assert_eq!((committed, refused), (1, 5), "{outcomes:?}");
}

/// An entry that no pod needs to find leaves a mark, and the mark leaves nothing: on the servers after its time, on pods after twice that.
fn what_is_forgotten_is_as_if_it_had_never_been(fleet: &Fleet) {
    const FORGOTTEN: &str = "live/c/index.m3u8";
    let subject = Layout::new(Scope::new("live").unwrap(), 0).entry(Key::of(FORGOTTEN));
    let brief = fleet.connect(0, |config| config.mark = Duration::from_secs(1));
    let put = |pod: &Arc<Index>, uid| {
        let entry = entry(FORGOTTEN, uid, State::Live);
        assert!(matches!(
            fleet.runtime.block_on(pod.commit(&entry, None, PATIENCE, || true)),
            Outcome::Committed { replaced: false, .. }
        ));
        fleet.runtime.block_on(brief.strict_get(FORGOTTEN, PATIENCE)).unwrap().unwrap()
    };
    let keys = brief.health()[0].keys;
    let memory = brief.memory_bytes();
    let there = put(&fleet.pod(1), 201);
    assert!(!fleet.runtime.block_on(brief.forget(&entry(FORGOTTEN, 202, State::Live))), "that is not there");
    assert!(fleet.runtime.block_on(brief.forget(&there)));
    assert!(!fleet.runtime.block_on(brief.forget(&there)), "it is not there any more");
    for pod in 0..3 {
        let fence = fleet.runtime.block_on(fleet.pod(pod).fence(FORGOTTEN, PATIENCE)).unwrap();
        assert!(fence.stamp() == 0 && fence.entry().unwrap().is_none(), "{fence:?}");
    }
    assert_eq!(fleet.pod(1).health()[0].keys, keys + 1, "the mark");
    // It is replaced like any message, and does not take its successor along when its time is over.
    let there = put(&fleet.pod(2), 203);
    assert!(fleet.runtime.block_on(brief.forget(&there)));
    wait_until("the mark to be dropped by the pod", || {
        let left = brief.health()[0].keys;
        (left == keys).then_some(()).ok_or_else(|| format!("{left} keys"))
    });
    assert_eq!(brief.memory_bytes(), memory);
    wait_until("the mark to be dropped by the servers", || {
        match fleet.cluster.any_client().unwrap().last(&fleet.stream(), &subject) {
            Ok(message) if message.status() == Some("404") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    // A pod that still knows the mark names a place that the servers do not know any more.
    let conflicts = fleet.pod(1).health()[0].counts.conflicts;
    put(&fleet.pod(1), 204);
    assert_eq!(fleet.pod(1).health()[0].counts.conflicts, conflicts + 1);
}

/// F2: the servers know no id of a message that another one replaced, once they have started again. A retry that names the
/// last place stores nothing then; one that does not brings the old version back, which is shown first.
fn f2_forgotten_ids_store_nothing_again(fleet: &mut Fleet) {
    let subject = format!("mo.idx.live.0.e.{}", "f2".repeat(16));
    let send = |fleet: &mut Fleet, headers: &[(&str, &str)]| {
        let subject = subject.clone();
        fleet.cluster.wait_until("the log to take messages", |cluster| {
            match cluster.any_client()?.store(&subject, headers, b"") {
                Ok(seq) => Ok(Some(Some(seq))),
                Err(error) if error.to_string().contains("10071") => Ok(Some(None)),
                Err(error) => Err(error),
            }
        })
    };
    let first = send(fleet, &[("Nats-Msg-Id", "old"), (EXPECTED, "0")]).unwrap().unwrap();
    let known = send(fleet, &[("Nats-Msg-Id", "old"), (EXPECTED, "0")]).unwrap();
    assert_eq!(known, Some(first), "the servers know the id");
    let second = send(fleet, &[("Nats-Msg-Id", "new"), (EXPECTED, &first.to_string())]).unwrap().unwrap();
    for server in 0..3 {
        fleet.cluster.kill(server);
    }
    for server in 0..3 {
        fleet.cluster.restart(server).unwrap();
    }
    let stream = fleet.stream();
    fleet.cluster.wait_stream_leader(&stream).unwrap();
    let again = send(fleet, &[("Nats-Msg-Id", "old"), (EXPECTED, "0")]).unwrap();
    assert!(again.is_none_or(|seq| seq == first), "{again:?} behind {second}");
    let last = fleet.cluster.any_client().unwrap().last(&stream, &subject).unwrap();
    assert_eq!(last.header("Nats-Sequence"), Some(second.to_string().as_str()));
}

/// F7: a log that was deleted and made again answers barriers at full speed, and holds nothing of what pods remember.
fn f7_another_log_in_its_place_is_noticed(fleet: &mut Fleet) {
    assert!(matches!(put(fleet, &fleet.pod(0), 10), Outcome::Committed { .. }));
    assert_eq!(strict(fleet, &fleet.pod(1)), Some(10));
    let pods = [0, 1, 2].map(|pod| fleet.pod(pod));
    replace_log(fleet, &pods);
    for index in &pods {
        assert_eq!(strict(fleet, index), None);
    }
    assert!(matches!(put(fleet, &fleet.pod(0), 11), Outcome::Committed { replaced: false, .. }));
    assert_eq!(strict(fleet, &fleet.pod(2)), Some(11));
}

/// Puts an empty log in place of the one that `pods` follow, and waits until they have noticed.
fn replace_log(fleet: &mut Fleet, pods: &[Arc<Index>]) {
    let alarms = |index: &Arc<Index>| index.health()[0].replica.regressions;
    let before: Vec<u64> = pods.iter().map(alarms).collect();
    let (config, stream) = (config_of(fleet, &fleet.stream()), fleet.stream());
    let mut ask = |what: &str, body: &Value| {
        let request = format!("STREAM.{what}.{stream}");
        // Servers that are choosing a leader answer nothing.
        let asked = fleet.cluster.wait_until(&request, |cluster| {
            let mut client = cluster.any_client()?;
            client.set_patience(Duration::from_secs(5));
            match client.api(&request, body) {
                Err(error) if error.to_string().starts_with("10059 ") => Ok(Some(())),
                answer => answer.map(|_| Some(())),
            }
        });
        asked.unwrap();
    };
    ask("DELETE", &Value::Null);
    ask("CREATE", &config);
    for (index, before) in pods.iter().zip(before) {
        wait_until("another log to be noticed", || {
            let is_noticed = alarms(index) > before && index.is_ready();
            is_noticed.then_some(()).ok_or_else(|| format!("{:?}", index.health()))
        });
    }
}

/// F7, when the other log is longer than the old one before a pod is back: nothing in its messages tells. Nobody is answered
/// before it was asked when the stream was created.
fn f7_a_longer_log_is_noticed_by_a_pod_that_was_away(fleet: &mut Fleet) {
    let away = fleet.pod(0);
    fleet.links[0].iter().for_each(Link::cut);
    let last = away.health()[0].last;
    let others = [fleet.pod(1), fleet.pod(2)];
    replace_log(fleet, &others);
    assert!(matches!(put(fleet, &fleet.pod(1), 20), Outcome::Committed { replaced: false, .. }));
    while fleet.pod(1).health()[0].last < last + 10 {
        let other = entry("live/b/index.m3u8", fastrand::u64(..), State::Live);
        fleet.runtime.block_on(fleet.pod(1).commit(&other, None, PATIENCE, || true));
    }
    assert_eq!(away.get(PATH).unwrap().unwrap().uid.0, 11);
    fleet.links[0].iter().for_each(Link::restore);
    assert_eq!(strict(fleet, &away), Some(20));
    assert!(matches!(put(fleet, &away, 21), Outcome::Committed { replaced: true, .. }));
}

fn a_pod_that_is_cut_off_says_so(fleet: &Fleet) {
    let index = fleet.pod(0);
    fleet.links[0].iter().for_each(Link::cut);
    wait_until("a pod to say that it is cut off", || {
        (!index.is_ready()).then_some(()).ok_or_else(|| format!("{:?}", index.health()))
    });
    assert!(fleet.pod(1).is_ready());
    let short = Duration::from_millis(300);
    let entry = entry(PATH, 12, State::Live);
    let outcome = fleet.runtime.block_on(index.commit(&entry, None, short, || true));
    assert_eq!(outcome, Outcome::Abandoned, "nothing was sent");
    assert!(fleet.runtime.block_on(index.strict_get(PATH, short)).is_err());
    assert_eq!(index.get(PATH).unwrap().unwrap().uid.0, 21, "what it knows it still tells");
    fleet.links[0].iter().for_each(Link::restore);
    wait_until("a pod to be back", || {
        index.is_ready().then_some(()).ok_or_else(|| format!("{:?}", index.health()))
    });
    assert_eq!(strict(fleet, &index), Some(21));
}

/// A server of Debian's own package is too old; what it says first is all that is looked at.
#[test]
fn an_old_server_is_refused_by_its_version() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let info = json!({"server_id": "old", "server_name": "old-0", "version": "2.9.10", "headers": true,
            "host": "127.0.0.1", "port": address.port(), "max_payload": 1_048_576, "proto": 1});
        (&stream).write_all(format!("INFO {info}\r\n").as_bytes()).unwrap();
        for line in BufReader::new(&stream).lines().map_while(Result::ok) {
            if line == "PING" {
                (&stream).write_all(b"PONG\r\n").unwrap();
            }
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let scope = Scope::new("live").unwrap();
    let config = mediaorigin_index::Config::new(vec![format!("nats://{address}")], scope, "pod-0", 1);
    let error = runtime.block_on(Index::connect(&config)).unwrap_err();
    assert!(matches!(error, ConnectError::Version { .. }), "{error:?}");
    let expected = "NATS server old-0 is version 2.9.10: the index needs 2.14 or newer";
    assert_eq!(error.to_string(), expected);
}
