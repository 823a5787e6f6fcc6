//! The minimal histories that broke the obvious design, and each way in which messages reach a pod.

use std::sync::Arc;

use super::*;
use crate::entry::{Entry, State, Uid, Version};
use crate::follower::Content;

const PATH: &str = "live/a/index.m3u8";

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn put(seq: u64, uid: u128) -> Message {
    let state = State::Live(Version::default());
    let entry = Entry { path: PATH.into(), uid: Uid(uid), stamp: 0, state };
    Message { seq, time: seq, what: What::Entry(Key::of(PATH), Content::Entry(Arc::new(entry))) }
}

fn barrier(seq: u64, stamp: Stamp) -> Message {
    Message { seq, time: seq, what: What::Barrier(Some(stamp)) }
}

fn current(replica: &Replica) -> Option<(u64, u128)> {
    let slot = replica.follower().slot(Key::of(PATH))?;
    Some((slot.seq, slot.entry()?.uid.0))
}

/// Fetches everything that `log` holds from where the replica is.
fn fetch(replica: &mut Replica, log: &[Message], now: Duration) {
    let fetch = replica.poll(now).fetch.expect("a fetch is due");
    let mut previous = 0;
    for message in log.iter().filter(|message| message.seq >= fetch.from) {
        replica.fetched(fetch.number, previous, message, now);
        previous = message.seq;
    }
    replica.fetch_ended(fetch.number, previous, 0, now);
}

/// A pod that has applied 1: K = v0 and waits for nothing.
fn lagging() -> Replica {
    let mut replica = Replica::new(7, Duration::ZERO);
    fetch(&mut replica, &[put(1, 0)], ms(1));
    replica.barriers.clear(ms(1));
    assert_eq!(current(&replica), Some((1, 0)));
    replica
}

/// F1, a GET: v1 is acknowledged at 2, the GET's barrier stands at 3, v2 at 4 makes the servers delete 2.
#[test]
fn f1_a_get_is_not_answered_across_a_hole() {
    let mut replica = lagging();
    let ticket = replica.join();
    let stamp = replica.poll(ms(2)).barrier.unwrap();
    // The control: without the hole rule this is where v0 is answered.
    let mut without = replica.clone();
    without.barriers.ignores_holes = true;
    fetch_after_gap(&mut without, &[barrier(3, stamp)], ms(30));
    assert!(without.barriers().is_done(ticket) && current(&without) == Some((1, 0)));
    // The follower is given what is left of the log so far: 3, behind the hole at 2.
    fetch_after_gap(&mut replica, &[barrier(3, stamp)], ms(30));
    assert_eq!(current(&replica), Some((1, 0)), "this is what must not be answered");
    assert!(!replica.barriers().is_done(ticket));
    // The next barrier is sent at once, and behind it stands everything that the hole was about.
    let again = replica.poll(ms(31)).barrier.expect("another barrier");
    replica.live(1, put(4, 2), ms(32));
    assert!(!replica.barriers().is_done(ticket));
    replica.live(1, barrier(5, again), ms(33));
    assert!(replica.barriers().is_done(ticket));
    assert_eq!(current(&replica), Some((4, 2)));
}

/// The live message 3 comes first, and is fetched together with what lies before it.
fn fetch_after_gap(replica: &mut Replica, log: &[Message], now: Duration) {
    replica.live(replica.session(), log[log.len() - 1].clone(), now);
    fetch(replica, log, now);
}

/// F1, the fence of a PUT: what it takes for the last place must not be older than what was acknowledged before it began, or
/// the PUT would be "superseded" by that: a lost update.
#[test]
fn f1_a_fence_is_not_taken_across_a_hole() {
    let mut replica = lagging();
    let ticket = replica.join();
    let stamp = replica.poll(ms(2)).barrier.unwrap();
    replica.acked(stamp.counter, 3, ms(3)).unwrap();
    // Acknowledged and not seen: fetched after 20 ms, across the hole at 2.
    let mut without = replica.clone();
    without.barriers.ignores_holes = true;
    fetch(&mut without, &[barrier(3, stamp)], ms(23));
    assert!(without.barriers().is_done(ticket), "the control");
    fetch(&mut replica, &[barrier(3, stamp)], ms(23));
    assert_eq!(current(&replica), Some((1, 0)));
    assert!(!replica.barriers().is_done(ticket), "a fence with place 1 would be too old");
    let again = replica.poll(ms(24)).barrier.unwrap();
    replica.live(1, put(4, 2), ms(25));
    replica.live(1, barrier(5, again), ms(25));
    assert!(replica.barriers().is_done(ticket));
    assert_eq!(current(&replica).unwrap().0, 4);
}

/// A barrier that was superseded itself: counted in a later one, never waited for.
#[test]
fn a_barrier_that_another_one_overwrote_is_replaced() {
    let mut replica = lagging();
    let ticket = replica.join();
    let first = replica.poll(ms(2)).barrier.unwrap();
    let second = replica.poll(ms(502)).barrier.unwrap();
    assert_ne!(first.counter, second.counter);
    replica.live(1, barrier(2, second), ms(503));
    assert!(replica.barriers().is_done(ticket));
}

#[test]
fn a_gap_between_live_messages_is_fetched_and_is_no_hole() {
    let mut replica = lagging();
    replica.live(1, put(3, 3), ms(2));
    assert_eq!((current(&replica), replica.waiting()), (Some((1, 0)), 1));
    let holes = replica.follower().position().holes;
    // Place 2 is a barrier of somebody else that was never published again.
    let other = barrier(2, Stamp { nonce: 9, counter: 1 });
    let now = ms(3);
    let Todo { fetch, .. } = replica.poll(now);
    let number = fetch.unwrap().number;
    replica.fetched(number, 0, &other, now);
    assert_eq!(current(&replica), Some((3, 3)), "what waited follows at once");
    replica.fetched(number, 2, &put(3, 3), now);
    replica.fetch_ended(number, 3, 0, now);
    assert_eq!(replica.follower().position(), Position { last: 3, holes });
    assert_eq!(replica.poll(ms(4)).fetch, None);
}

/// Otherwise a message that was lost on the way would look like one that is gone for good, and would be missed for ever.
#[test]
fn a_fetch_with_a_message_lost_on_the_way_is_made_again() {
    let mut replica = Replica::new(7, Duration::ZERO);
    let fetch = replica.poll(ms(1)).fetch.unwrap();
    replica.fetched(fetch.number, 0, &put(1, 1), ms(1));
    // 2 was lost: 3 says that it follows 2.
    replica.fetched(fetch.number, 2, &put(3, 3), ms(1));
    assert_eq!(replica.follower().position(), Position { last: 1, holes: 0 });
    let again = replica.poll(ms(1)).fetch.unwrap();
    assert_eq!(again.from, 2);
    replica.fetched(fetch.number, 3, &put(4, 4), ms(2));
    assert_eq!(replica.follower().position().last, 1, "what the first one still brings is a stranger's");
    // The end was lost: the chain says so too.
    replica.fetched(again.number, 0, &put(2, 2), ms(2));
    replica.fetch_ended(again.number, 3, 0, ms(2));
    assert_eq!(replica.poll(ms(2)).fetch.unwrap().from, 3);
    assert_eq!(replica.counts().broken, 2);
}

#[test]
fn a_fetch_from_a_server_that_is_behind_is_made_again_later() {
    let mut replica = lagging();
    replica.live(1, put(3, 3), ms(2));
    let fetch = replica.poll(ms(2)).fetch.unwrap();
    replica.fetch_ended(fetch.number, 0, 0, ms(2));
    let todo = replica.poll(ms(2));
    assert_eq!((todo.fetch, todo.wake_at), (None, ms(22)));
    let fetch = replica.poll(ms(22)).fetch.unwrap();
    replica.fetch_failed(fetch.number, ms(22));
    assert_eq!(replica.poll(ms(61)).fetch, None, "twice as long");
    assert!(replica.poll(ms(62)).fetch.is_some());
    assert!(replica.poll(ms(1_061)).fetch.is_none(), "one at a time");
    assert!(replica.poll(ms(1_062)).fetch.is_some(), "nothing came for a second");
    assert!(replica.poll(ms(3_061)).fetch.is_none(), "twice as long");
    let fetch = replica.poll(ms(3_062)).fetch.expect("nothing came for two seconds");
    replica.live(1, put(5, 5), ms(3_062));
    replica.fetched(fetch.number, 0, &put(3, 3), ms(4_000));
    assert!(replica.poll(ms(4_999)).fetch.is_none(), "one at a time");
    assert!(replica.poll(ms(5_000)).fetch.is_some(), "nothing more came for a second");
}

#[test]
fn a_new_connection_reads_to_the_end_of_the_log() {
    let mut replica = lagging();
    assert_eq!(replica.poll(ms(2)).fetch, None);
    replica.connected();
    let fetch = replica.poll(ms(2)).fetch.unwrap();
    replica.fetched(fetch.number, 0, &put(2, 2), ms(2));
    replica.fetch_ended(fetch.number, 2, 5, ms(2));
    let more = replica.poll(ms(2)).fetch.expect("there are five more");
    assert_eq!(more.from, 3);
}

#[test]
fn live_messages_twice_or_late_change_nothing() {
    let mut replica = lagging();
    replica.live(1, put(2, 2), ms(2));
    replica.live(1, put(2, 2), ms(2));
    replica.live(1, put(1, 0), ms(2));
    assert_eq!(current(&replica), Some((2, 2)));
    assert_eq!((replica.waiting(), replica.session()), (0, 1));
}

#[test]
fn what_waits_is_bounded_and_what_does_not_fit_is_fetched() {
    let mut replica = lagging();
    for seq in 3..=WAITING_MAX as u64 + 3 {
        replica.live(1, put(seq, 3), ms(2));
    }
    assert_eq!((replica.waiting(), replica.counts().overflowed), (WAITING_MAX, 1));
    let log: Vec<_> = (2..=WAITING_MAX as u64 + 3).map(|seq| put(seq, 3)).collect();
    fetch(&mut replica, &log, ms(3));
    assert_eq!(current(&replica).unwrap().0, WAITING_MAX as u64 + 3);
}

/// F7: the stream was deleted and made again; nothing but the place of a barrier says so.
#[test]
fn f7_another_log_is_noticed_by_the_place_of_a_barrier() {
    let mut replica = lagging();
    replica.live(1, put(2, 2), ms(2));
    let ticket = replica.join();
    let stamp = replica.poll(ms(3)).barrier.unwrap();
    let alarm = replica.acked(stamp.counter, 1, ms(4));
    assert_eq!(alarm, Err(Regression { given: 1, applied: 2 }));
    assert_eq!((current(&replica), replica.is_replayed(), replica.session()), (None, false, 2));
    assert!(!replica.barriers().is_done(ticket));
    replica.live(1, put(3, 3), ms(5));
    assert_eq!(replica.waiting(), 0, "what the old subscription still brings is of the old log");
    let todo = replica.poll(ms(5));
    assert_eq!(todo.fetch.unwrap().from, 1);
    let again = todo.barrier.unwrap();
    replica.fetched(todo.fetch.unwrap().number, 0, &barrier(1, again), ms(6));
    assert!(replica.barriers().is_done(ticket) && replica.is_replayed());
}

/// F7, when the other log is longer already: then the place of a barrier says nothing.
#[test]
fn f7_another_log_is_noticed_by_another_message_at_a_known_place() {
    let mut replica = lagging();
    replica.live(1, Message { time: 99, ..put(1, 9) }, ms(2));
    assert_eq!((current(&replica), replica.session()), (None, 2));
}

#[test]
fn changes_are_told_in_order() {
    let mut replica = lagging();
    assert_eq!(replica.take_changes().len(), 1);
    replica.live(1, put(2, 2), ms(2));
    replica.live(1, put(2, 2), ms(2));
    replica.live(1, put(3, 3), ms(2));
    let changes = replica.take_changes();
    assert_eq!(changes.iter().map(|change| change.slot.seq).collect::<Vec<_>>(), [2, 3]);
    assert!(replica.take_changes().is_empty());
}

#[test]
fn a_mark_is_dropped_when_the_servers_have_surely_dropped_it() {
    let mut replica = lagging();
    let mark = |seq| Message { seq, time: seq, what: What::Entry(Key::of(PATH), Content::Expired) };
    replica.live(replica.session(), mark(2), ms(50));
    let slot = |replica: &Replica| replica.follower().slot(Key::of(PATH)).map(|slot| slot.seq);
    replica.poll(MARK * 2);
    assert_eq!(slot(&replica), Some(2), "it was read later than at the beginning");
    let mut again = replica.clone();
    replica.poll(MARK * 2 + ms(50));
    assert_eq!(slot(&replica), None);
    // What came behind it stays.
    again.live(again.session(), put(3, 3), MARK);
    again.poll(MARK * 3);
    assert_eq!(current(&again), Some((3, 3)));
}
