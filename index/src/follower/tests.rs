use super::*;
use crate::entry::{State, Uid};

fn message(seq: u64, path: &str, uid: u128) -> Message {
    let entry = Entry { path: path.into(), uid: Uid(uid), stamp: 0, state: State::Tombstone };
    Message { seq, time: seq * 10, what: What::Entry(Key::of(path), Content::Entry(Arc::new(entry))) }
}

fn uid(follower: &Follower, path: &str) -> Option<u128> {
    Some(follower.slot(Key::of(path))?.entry()?.uid.0)
}

#[test]
fn messages_are_taken_in_their_order_and_once() {
    let mut follower = Follower::default();
    assert_eq!(follower.apply(&message(1, "a", 1)), Applied::Next);
    assert_eq!(follower.apply(&message(2, "a", 2)), Applied::Next);
    assert_eq!(follower.apply(&message(1, "a", 1)), Applied::Old);
    assert_eq!(follower.apply(&message(2, "a", 2)), Applied::Old);
    assert_eq!(uid(&follower, "a"), Some(2));
    assert_eq!(follower.slot(Key::of("a")).unwrap().seq, 2);
    assert_eq!(follower.position(), Position { last: 2, holes: 0 });
}

#[test]
fn a_hole_is_counted_and_passed() {
    let mut follower = Follower::default();
    follower.apply(&message(1, "a", 1));
    assert_eq!(follower.apply(&message(4, "b", 4)), Applied::BehindHole);
    assert_eq!(follower.apply(&message(5, "a", 5)), Applied::Next);
    assert_eq!(follower.apply(&message(3, "c", 3)), Applied::Old);
    assert_eq!(uid(&follower, "c"), None);
    assert_eq!(follower.position(), Position { last: 5, holes: 1 });
}

/// The first message that a new pod is given need not be the first that ever was.
#[test]
fn a_log_that_begins_late_begins_with_a_hole() {
    let mut follower = Follower::default();
    assert_eq!(follower.apply(&message(7, "a", 1)), Applied::BehindHole);
}

#[test]
fn another_message_at_a_known_place_is_noticed() {
    let mut follower = Follower::default();
    follower.apply(&message(1, "a", 1));
    follower.apply(&message(3, "a", 3));
    let other = |seq| Message { time: 5, ..message(seq, "a", 9) };
    assert_eq!(follower.apply(&other(3)), Applied::Contradiction);
    assert_eq!(follower.apply(&other(1)), Applied::Contradiction);
    assert_eq!(follower.apply(&other(2)), Applied::Old, "nothing is known of that place");
    assert_eq!(uid(&follower, "a"), Some(3));
}

#[test]
fn the_trail_is_bounded() {
    let mut follower = Follower::default();
    for seq in 1..=2 * TRAIL_MESSAGES as u64 {
        follower.apply(&message(seq, "a", 1));
    }
    assert_eq!(follower.trail.len(), TRAIL_MESSAGES);
    assert_eq!(follower.len(), 1);
}

#[test]
fn what_is_cleared_has_another_number_of_holes() {
    let mut follower = Follower::default();
    follower.apply(&message(1, "a", 1));
    follower.clear();
    assert!(follower.is_empty());
    assert_eq!(follower.position(), Position { last: 0, holes: 1 });
}

fn mark(seq: u64, path: &str) -> Message {
    Message { seq, time: seq, what: What::Entry(Key::of(path), Content::Expired) }
}

#[test]
fn what_the_table_needs_goes_with_what_is_in_it() {
    let mut follower = Follower::default();
    follower.apply(&message(1, "a", 1));
    let one = follower.memory_bytes();
    follower.apply(&message(2, "a", 2));
    assert_eq!(follower.memory_bytes(), one);
    follower.apply(&message(3, &"b".repeat(1_000), 3));
    assert_eq!(follower.memory_bytes(), 2 * one + 999);
    follower.apply(&mark(4, &"b".repeat(1_000)));
    assert!((one..2 * one).contains(&follower.memory_bytes()));
    follower.drop_mark(Key::of(&"b".repeat(1_000)), 4);
    assert_eq!((follower.memory_bytes(), follower.len()), (one, 1));
}

#[test]
fn only_the_mark_that_is_the_latest_message_is_dropped() {
    let mut follower = Follower::default();
    follower.apply(&mark(1, "a"));
    follower.drop_mark(Key::of("a"), 7);
    assert_eq!(follower.slot(Key::of("a")).unwrap().content, Content::Expired);
    follower.apply(&message(2, "a", 2));
    follower.drop_mark(Key::of("a"), 1);
    follower.drop_mark(Key::of("a"), 2);
    assert_eq!(uid(&follower, "a"), Some(2));
}

#[test]
fn a_table_that_was_large_gives_memory_back() {
    let mut follower = Follower::default();
    let path = |number: u64| number.to_string();
    for number in 0..20_000 {
        follower.apply(&mark(number + 1, &path(number)));
    }
    let large = follower.table.capacity();
    for number in 0..19_000 {
        follower.drop_mark(Key::of(&path(number)), number + 1);
    }
    assert!(
        follower.len() == 1_000 && follower.table.capacity() < large / 2,
        "{}",
        follower.table.capacity()
    );
}
