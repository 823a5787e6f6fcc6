//! Candidates under a clock of the test's own.

use super::*;

fn stored(before: Option<&Lease>, me: &str, version: &str) -> Lease {
    let mut lease = held(before, "operator", me, Timestamp::UNIX_EPOCH);
    lease.metadata.resource_version = Some(version.to_owned());
    lease
}

/// Row 60: who does not hold it waits while the record changes, and takes it when it has not for its whole duration.
#[test]
fn a_silent_holder_is_followed_after_the_duration_on_the_own_clock() {
    let (mut watchman, start) = (Watchman::default(), Instant::now());
    let first = stored(None, "a", "1");
    assert_eq!(watchman.decide(None, "b", start), Step::Create);
    assert_eq!(watchman.decide(Some(&first), "b", start), Step::Wait);
    assert_eq!(watchman.decide(Some(&first), "b", start + DURATION), Step::Wait);
    let second = stored(Some(&first), "a", "2");
    let renewed = start + DURATION + PERIOD;
    assert_eq!(watchman.decide(Some(&second), "b", renewed), Step::Wait);
    assert_eq!(watchman.decide(Some(&second), "b", renewed + DURATION), Step::Wait);
    let late = renewed + DURATION + Duration::from_millis(1);
    assert_eq!(watchman.decide(Some(&second), "b", late), Step::Take);
    assert_eq!(watchman.decide(Some(&second), "a", late), Step::Renew);
}

#[test]
fn a_released_lease_is_taken_at_once() {
    let lease = released(stored(None, "a", "1"), Timestamp::UNIX_EPOCH);
    assert_eq!(lease.spec.as_ref().unwrap().holder_identity, None);
    assert_eq!(Watchman::default().decide(Some(&lease), "b", Instant::now()), Step::Take);
}

#[test]
fn the_record_says_since_when_and_how_often_the_holder_changed() {
    let later = Timestamp::from_second(10).unwrap();
    let (first, latest) = (stored(None, "a", "1"), Timestamp::from_second(20).unwrap());
    let renewed = held(Some(&first), "operator", "a", later);
    let spec = renewed.spec.clone().unwrap();
    assert_eq!(
        (spec.acquire_time, spec.lease_transitions),
        (Some(MicroTime(Timestamp::UNIX_EPOCH)), Some(0))
    );
    assert_eq!(spec.renew_time, Some(MicroTime(later)));
    let taken = held(Some(&renewed), "operator", "b", latest).spec.unwrap();
    assert_eq!((taken.acquire_time, taken.lease_transitions), (Some(MicroTime(latest)), Some(1)));
    assert_eq!(renewed.metadata.resource_version.as_deref(), Some("1"), "a write must say what it has read");
}

/// Nonsense in a record that somebody edited by hand neither lets everybody in nor keeps everybody out for ever.
#[test]
fn a_record_with_a_strange_duration_is_bounded() {
    for (seconds, expected) in [(None, DURATION), (Some(-1), DURATION), (Some(i32::MAX), DURATION_MAX)] {
        let spec = LeaseSpec { lease_duration_seconds: seconds, ..LeaseSpec::default() };
        assert_eq!(patience(&spec), expected);
    }
}

/// A holder gives up before anybody else may begin, a call that hangs included.
#[test]
fn the_deadlines_leave_no_overlap() {
    assert!(RENEW_DEADLINE + PERIOD < DURATION);
}
