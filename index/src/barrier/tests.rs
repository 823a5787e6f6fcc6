use super::*;

const NOW: Duration = Duration::from_secs(100);

fn at(last: u64, holes: u64) -> Position {
    Position { last, holes }
}

fn barriers() -> Barriers {
    Barriers::new(7, NOW)
}

fn ms(milliseconds: u64) -> Duration {
    NOW + Duration::from_millis(milliseconds)
}

#[test]
fn one_serves_all_who_asked_before_it_and_nobody_who_asked_later() {
    let mut barriers = barriers();
    let (first, second) = (barriers.join(), barriers.join());
    let stamp = barriers.send(NOW, at(4, 0)).unwrap();
    let late = barriers.join();
    assert_eq!(barriers.send(NOW, at(4, 0)), None, "one is in flight");
    barriers.passed(at(5, 0), Some(stamp), ms(1));
    assert!(barriers.is_done(first) && barriers.is_done(second) && !barriers.is_done(late));
    let stamp = barriers.send(ms(1), at(5, 0)).unwrap();
    barriers.passed(at(6, 0), Some(stamp), ms(2));
    assert!(barriers.is_done(late));
}

/// The hole rule, as by itself.
#[test]
fn one_reached_across_a_hole_serves_nobody_and_is_followed_by_another() {
    let mut barriers = barriers();
    let ticket = barriers.join();
    let stamp = barriers.send(NOW, at(1, 0)).unwrap();
    barriers.passed(at(3, 1), Some(stamp), ms(1));
    assert!(!barriers.is_done(ticket));
    let stamp = barriers.send(ms(1), at(3, 1)).expect("at once");
    barriers.passed(at(5, 1), Some(stamp), ms(2));
    assert!(barriers.is_done(ticket));
    let Counts { sent, valid, invalid, resent, .. } = barriers.counts();
    assert_eq!((sent, valid, invalid, resent), (2, 1, 1, 0));
}

#[test]
fn an_acknowledgement_counts_once_its_place_is_reached() {
    let mut barriers = barriers();
    let ticket = barriers.join();
    let stamp = barriers.send(NOW, at(4, 0)).unwrap();
    barriers.acked(stamp.counter, 6, at(5, 0), ms(1)).unwrap();
    assert!(!barriers.is_done(ticket));
    assert_eq!(barriers.overdue(Duration::from_millis(20), ms(20)), None);
    assert_eq!(barriers.overdue(Duration::from_millis(20), ms(21)), Some(6));
    barriers.passed(at(6, 0), None, ms(30));
    assert!(barriers.is_done(ticket));
}

/// F1 again, by the other way to complete one: "its place is applied" has the same flaw as "it was seen".
#[test]
fn an_acknowledgement_across_a_hole_serves_nobody() {
    let mut barriers = barriers();
    let ticket = barriers.join();
    let stamp = barriers.send(NOW, at(1, 0)).unwrap();
    barriers.acked(stamp.counter, 3, at(4, 1), ms(1)).unwrap();
    assert!(!barriers.is_done(ticket));
}

#[test]
fn one_of_a_former_life_of_this_pod_is_not_ours() {
    let mut barriers = barriers();
    let ticket = barriers.join();
    let stamp = barriers.send(NOW, at(4, 0)).unwrap();
    barriers.passed(at(5, 0), Some(Stamp { nonce: 8, ..stamp }), ms(1));
    assert!(!barriers.is_done(ticket));
}

#[test]
fn a_lost_one_is_sent_again_under_another_number_and_its_zombie_is_nothing() {
    let mut barriers = barriers();
    let ticket = barriers.join();
    let lost = barriers.send(NOW, at(4, 0)).unwrap();
    assert_eq!(barriers.send(ms(499), at(4, 0)), None);
    let again = barriers.send(ms(500), at(4, 0)).unwrap();
    assert_ne!(lost, again);
    barriers.passed(at(5, 0), Some(again), ms(501));
    assert!(barriers.is_done(ticket));
    let late = barriers.join();
    barriers.passed(at(6, 0), Some(lost), ms(502));
    assert!(!barriers.is_done(late));
}

#[test]
fn on_a_new_connection_one_is_sent_at_once() {
    let mut barriers = barriers();
    barriers.join();
    barriers.send(NOW, at(4, 0)).unwrap();
    assert_eq!(barriers.send(ms(10), at(4, 0)), None);
    barriers.hurry();
    assert!(barriers.send(ms(10), at(4, 0)).is_some());
    assert_eq!(barriers.send(ms(11), at(4, 0)), None);
}

/// The slow one comes back first: it is as good as the one sent after it, for those who asked before it.
#[test]
fn the_one_sent_first_serves_those_who_asked_before_it() {
    let mut barriers = barriers();
    let first = barriers.join();
    let slow = barriers.send(NOW, at(4, 0)).unwrap();
    let second = barriers.join();
    barriers.send(ms(500), at(4, 0)).unwrap();
    barriers.passed(at(5, 0), Some(slow), ms(501));
    assert!(barriers.is_done(first) && !barriers.is_done(second));
}

/// F7: a log that was deleted or restored.
#[test]
fn f7_a_place_that_was_already_passed_is_an_alarm() {
    let mut barriers = barriers();
    let ticket = barriers.join();
    let stamp = barriers.send(NOW, at(40, 0)).unwrap();
    let alarm = barriers.acked(stamp.counter, 3, at(40, 0), ms(1));
    assert_eq!(alarm, Err(Regression { given: 3, applied: 40 }));
    assert!(!barriers.is_done(ticket), "without the alarm: 3 <= 40, so it would count");
    barriers.clear(ms(1));
    let stamp = barriers.send(ms(1), at(0, 1)).unwrap();
    barriers.passed(at(4, 1), Some(stamp), ms(2));
    assert!(barriers.is_done(ticket), "whoever waited goes on waiting");
}

#[test]
fn an_idle_pod_sends_one_now_and_then() {
    let mut barriers = barriers();
    let stamp = barriers.send(NOW, at(0, 0)).expect("the first one, before anybody asks");
    barriers.passed(at(1, 0), Some(stamp), ms(1));
    assert_eq!(barriers.send(ms(500), at(1, 0)), None);
    assert!(barriers.send(ms(501), at(1, 0)).is_some());
}

#[test]
fn four_lost_ones_ask_for_a_new_connection() {
    let mut barriers = barriers();
    for number in 0..=LOST_MAX {
        assert_eq!(barriers.concern(ms(u64::from(number) * 500)), Concern::None);
        barriers.send(ms(u64::from(number) * 500), at(0, 0)).unwrap();
    }
    assert_eq!(barriers.concern(ms(2_000)), Concern::Reconnect);
    assert_eq!(barriers.concern(ms(2_000)), Concern::None);
}

#[test]
fn the_watchdog_barks_after_ten_seconds_without_a_valid_one() {
    let mut barriers = barriers();
    let stamp = barriers.send(NOW, at(0, 0)).unwrap();
    barriers.passed(at(1, 0), Some(stamp), ms(5_000));
    assert_eq!(barriers.concern(ms(14_999)), Concern::None);
    // One that is reached across a hole does not feed it.
    let stamp = barriers.send(ms(14_999), at(1, 0)).unwrap();
    barriers.passed(at(3, 1), Some(stamp), ms(14_999));
    assert_eq!(barriers.concern(ms(15_000)), Concern::Stalled);
    assert_eq!(barriers.concern(ms(15_001)), Concern::None, "once");
    assert_eq!(barriers.concern(ms(25_000)), Concern::Stalled);
}

#[test]
fn what_is_remembered_of_lost_ones_is_bounded() {
    let mut barriers = barriers();
    let ticket = barriers.join();
    let mut last = None;
    for number in 0..100 {
        last = barriers.send(ms(number * 500), at(0, 0));
    }
    assert_eq!(barriers.sent.len(), SENT_MAX);
    barriers.passed(at(200, 0), last, ms(50_000));
    assert!(barriers.is_done(ticket));
}

/// A pod that starts reads a long log: barriers lie behind all of it, and are nearer with each message.
#[test]
fn what_the_servers_have_is_not_lost_while_the_pod_comes_nearer() {
    let mut barriers = barriers();
    let ticket = barriers.join();
    let mut place = 1_000;
    for half in 0..60 {
        let now = ms(half * 500);
        let stamp = barriers.send(now, at(half, 0)).unwrap();
        assert_eq!(barriers.concern(now), Concern::None, "after {half} halves of a second");
        place += 1;
        barriers.acked(stamp.counter, place, at(half, 0), now).unwrap();
    }
    assert!(!barriers.is_done(ticket));
    // It stands still from here on.
    for half in 60..65 {
        assert_eq!(barriers.concern(ms(half * 500)), Concern::None);
        let stamp = barriers.send(ms(half * 500), at(60, 0)).unwrap();
        place += 1;
        barriers.acked(stamp.counter, place, at(60, 0), ms(half * 500)).unwrap();
    }
    assert_eq!(barriers.concern(ms(32_000)), Concern::Reconnect);
    barriers.passed(at(place, 0), None, ms(32_001));
    assert!(barriers.is_done(ticket));
}

/// Nobody has them, although messages of others come: the way to the servers is broken.
#[test]
fn what_the_servers_do_not_have_is_lost_however_much_comes() {
    let mut barriers = barriers();
    for half in 0..=u64::from(LOST_MAX) {
        assert_eq!(barriers.concern(ms(half * 500)), Concern::None);
        barriers.send(ms(half * 500), at(half, 0)).unwrap();
    }
    assert_eq!(barriers.concern(ms(2_000)), Concern::Reconnect);
}
