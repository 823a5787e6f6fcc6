use mediaorigin_index::entry::{self as index, Version};

use super::*;

fn version(path: &str, stamp: u64, size: u64, pods: &[&str]) -> Arc<Entry> {
    let places = pods.iter().map(|pod| Place::Pod((*pod).to_owned())).collect();
    let state = State::Live(Version { size, places, ..Version::default() });
    Arc::new(Entry { path: path.into(), uid: index::Uid(stamp.into()), stamp, state })
}

fn paths(entries: &[Arc<Entry>]) -> Vec<&str> {
    entries.iter().map(|entry| &*entry.path).collect()
}

fn segments(folder: &str, stamps: std::ops::Range<u64>) -> Vec<Arc<Entry>> {
    stamps.map(|stamp| version(&format!("{folder}/seg{stamp}.m4s"), stamp, 10, &[])).collect()
}

#[test]
fn of_every_rendition_the_newest_come_first() {
    let recent = [segments("a", 0..3), segments("b", 10..12)].concat();
    let init = version("a/init.mp4", 1, 1, &[]);
    let chosen = choose(vec![init], recent, u64::MAX);
    assert_eq!(
        paths(&chosen),
        ["a/init.mp4", "b/seg11.m4s", "a/seg2.m4s", "b/seg10.m4s", "a/seg1.m4s", "a/seg0.m4s"]
    );
}

#[test]
fn of_each_rendition_a_few_and_in_all_no_more_than_there_is_room_for() {
    let many = u64::try_from(OF_EACH_RENDITION).unwrap() + 5;
    assert_eq!(choose(Vec::new(), segments("a", 0..many), u64::MAX).len(), OF_EACH_RENDITION);
    let recent = [segments("a", 0..3), vec![version("b/seg9.ts", 9, 1_000, &[])]].concat();
    // What is too large leaves its room to others.
    assert_eq!(paths(&choose(Vec::new(), recent, 25)), ["a/seg2.m4s", "a/seg1.m4s"]);
    let many: Vec<_> = (0..=VERSIONS_MAX).flat_map(|folder| segments(&folder.to_string(), 0..1)).collect();
    assert_eq!(choose(Vec::new(), many, u64::MAX).len(), VERSIONS_MAX);
}

#[test]
fn names_without_numbers_are_one_rendition_of_their_folder() {
    let recent: Vec<_> = (0..20).map(|stamp| version(&format!("a/{stamp}x.ts"), stamp, 1, &[])).collect();
    assert_eq!(choose(Vec::new(), recent, u64::MAX).len(), OF_EACH_RENDITION);
}

#[test]
fn those_who_hold_it_are_asked_first_and_nobody_who_was_not_heard() {
    let address = |number: u8| format!("10.0.0.{number}:8082");
    let others: Vec<_> = (1..9).map(address).collect();
    let entry = version("a/seg1.ts", 1, 10, &[&address(5), &address(200)]);
    let asked = asked(&entry, &others);
    assert_eq!(asked.len(), 1 + OTHERS_MAX);
    assert_eq!(asked[0].to_string(), address(5));
    assert!(asked.iter().all(|pod| others.contains(&pod.to_string())));
    assert!(asked[1..].iter().all(|pod| *pod != asked[0]));
}

#[test]
fn what_rides_in_the_index_is_over_or_is_empty_is_not_fetched() {
    let with = |change: fn(&mut Version)| {
        let mut inside = Version { size: 10, ..Version::default() };
        change(&mut inside);
        Entry { path: "a.ts".into(), uid: index::Uid(1), stamp: 1, state: State::Live(inside) }
    };
    assert!(is_outside(&with(|_| ()), 100));
    assert!(is_outside(&with(|version| version.expires_at = Some(101)), 100));
    assert!(!is_outside(&with(|version| version.expires_at = Some(100)), 100));
    assert!(!is_outside(&with(|version| version.body = Some("0123456789".into())), 100));
    assert!(!is_outside(&with(|version| version.size = 0), 100));
    let deleted = Entry { path: "a.ts".into(), uid: index::Uid(1), stamp: 1, state: State::Tombstone };
    assert!(!is_outside(&deleted, 100));
}
