use super::*;
use crate::entry::Uid;

const MINE: Rank = Rank { stamp: 50, uid: Uid(100) };
const DEADLINE: Duration = Duration::from_secs(5);
const NOTHING: Seen = Seen { seq: 0, rank: None, is_live: false, is_expired: false, verdict: Verdict::Go };

/// Something that is older.
fn seen(seq: u64, uid: u128) -> Seen {
    ranked(seq, 10, uid)
}

/// Something that is newer.
fn newer(seq: u64, uid: u128) -> Seen {
    ranked(seq, 90, uid)
}

fn ranked(seq: u64, stamp: u64, uid: u128) -> Seen {
    Seen { seq, rank: Some(Rank { stamp, uid: Uid(uid) }), is_live: true, ..NOTHING }
}

fn at(milliseconds: u64) -> Interest {
    Interest { now: Duration::from_millis(milliseconds), is_client_here: true }
}

fn gone(milliseconds: u64) -> Interest {
    Interest { is_client_here: false, ..at(milliseconds) }
}

fn put() -> Commit {
    Commit::new(Kind::Put, MINE, false, DEADLINE)
}

fn conflict(commit: &mut Commit) {
    assert_eq!(commit.answered(Answer::Conflict, at(2)), Ok(Step::Fence));
}

#[test]
fn every_attempt_names_the_last_place_the_first_put_too() {
    for (seen, expected) in [(NOTHING, 0), (seen(9, 1), 9), (Seen { is_live: false, ..seen(11, 1) }, 11)] {
        let mut commit = put();
        assert_eq!(commit.start(), Step::Fence);
        assert_eq!(commit.fenced(seen, at(1)), Ok(Step::Publish { expected }));
        assert_eq!(commit.answered(Answer::TimedOut, at(1_001)), Ok(Step::Publish { expected }));
        let outcome = commit.answered(Answer::Stored { seq: 12, duplicate: true }, at(1_002));
        assert_eq!(outcome, Err(Outcome::Committed { seq: 12, replaced: seen.is_live }));
    }
}

#[test]
fn a_conflict_is_decided_behind_a_barrier() {
    let unreadable = Seen { seq: 12, is_live: true, ..NOTHING };
    let cases = [
        (ranked(12, 50, 100), Err(Outcome::Committed { seq: 12, replaced: true })),
        (seen(9, 1), Ok(Step::Pause(PAUSE))),
        (newer(12, 2), Err(Outcome::Superseded)),
        (Seen { is_live: false, ..newer(12, 2) }, Err(Outcome::Superseded)),
        (ranked(12, 50, 101), Err(Outcome::Superseded)),
        (ranked(12, 50, 99), Ok(Step::Publish { expected: 12 })),
        (seen(12, 200), Ok(Step::Publish { expected: 12 })),
        (Seen { is_live: false, ..seen(12, 2) }, Ok(Step::Publish { expected: 12 })),
        (unreadable, Err(Outcome::Superseded)),
        // Its mark: what was there at the fence is gone because of its age.
        (Seen { seq: 12, is_expired: true, ..NOTHING }, Ok(Step::Publish { expected: 12 })),
    ];
    for (later, expected) in cases {
        let mut commit = put();
        commit.fenced(seen(9, 1), at(1)).unwrap();
        conflict(&mut commit);
        assert_eq!(commit.fenced(later, at(3)), expected, "{later:?}");
    }
}

/// F2, the half of it that a commit decides: the servers forgot the id and refused the place; ours was there and was
/// replaced. That is a success which changes nothing.
#[test]
fn f2_a_retry_of_what_was_replaced_meanwhile_writes_nothing() {
    let mut commit = put();
    assert_eq!(commit.fenced(NOTHING, at(1)), Ok(Step::Publish { expected: 0 }));
    assert_eq!(commit.answered(Answer::TimedOut, at(1_001)), Ok(Step::Publish { expected: 0 }));
    conflict(&mut commit);
    assert_eq!(commit.fenced(newer(2, 2), at(1_003)), Err(Outcome::Superseded));
}

/// Whoever replaced ours would be above it: what is below says that no attempt was stored, so the outcome is known again.
#[test]
fn what_is_there_with_a_lower_rank_says_that_no_attempt_was_stored() {
    let mut commit = Commit::new(Kind::Put, MINE, true, DEADLINE);
    commit.fenced(NOTHING, at(1)).unwrap();
    commit.answered(Answer::TimedOut, at(1_001)).unwrap();
    conflict(&mut commit);
    let refused = Seen { verdict: Verdict::Refuse, ..seen(2, 2) };
    assert_eq!(commit.clone().fenced(refused, at(1_003)), Err(Outcome::Refused));
    assert_eq!(commit.clone().fenced(seen(2, 2), at(5_000)), Err(Outcome::Abandoned));
    assert_eq!(commit.fenced(seen(2, 2), at(1_003)), Ok(Step::Publish { expected: 2 }));
    // And again, behind another one; then somebody newer comes.
    conflict(&mut commit);
    assert_eq!(commit.fenced(seen(5, 3), at(1_005)), Ok(Step::Publish { expected: 5 }));
    conflict(&mut commit);
    let refused = Seen { verdict: Verdict::Refuse, ..newer(7, 4) };
    assert_eq!(commit.fenced(refused, at(1_007)), Err(Outcome::Refused));
}

/// The mark of what expired may be the mark of ours.
#[test]
fn nobody_knows_what_expired_when_an_attempt_may_have_been_stored() {
    let mut commit = put();
    commit.fenced(NOTHING, at(1)).unwrap();
    commit.answered(Answer::TimedOut, at(1_001)).unwrap();
    conflict(&mut commit);
    let mark = Seen { seq: 12, is_expired: true, ..NOTHING };
    assert_eq!(commit.fenced(mark, at(1_003)), Err(Outcome::Unknown));
}

#[test]
fn nothing_is_published_behind_what_was_there_before_with_a_higher_rank() {
    for there in [newer(9, 1), ranked(9, 50, 100), ranked(9, 50, 101)] {
        assert!(matches!(put().fenced(there, at(1)), Err(Outcome::Failed(_))), "{there:?}");
    }
    assert_eq!(put().fenced(ranked(9, 50, 99), at(1)), Ok(Step::Publish { expected: 9 }));
}

#[test]
fn a_deletion_goes_on_behind_what_has_a_lower_rank() {
    let mut commit = Commit::new(Kind::Delete, MINE, false, DEADLINE);
    commit.fenced(seen(9, 1), at(1)).unwrap();
    conflict(&mut commit);
    let tombstone = Seen { is_live: false, ..seen(12, 2) };
    assert_eq!(commit.clone().fenced(tombstone, at(3)), Err(Outcome::Nothing));
    assert_eq!(commit.clone().fenced(newer(12, 2), at(3)), Err(Outcome::Superseded));
    assert_eq!(commit.fenced(seen(12, 2), at(3)), Ok(Step::Publish { expected: 12 }));
}

#[test]
fn what_passes_is_tried_again_until_the_deadline() {
    for answer in [Answer::InProcess, Answer::NoLeader, Answer::NotSent, Answer::Unavailable(String::new())] {
        let mut commit = put();
        commit.fenced(seen(9, 1), at(1)).unwrap();
        let Ok(Step::Pause(time)) = commit.answered(answer.clone(), at(2)) else { panic!("{answer:?}") };
        assert!(time > Duration::ZERO && time < Duration::from_millis(100));
        assert_eq!(commit.paused(at(80)), Ok(Step::Publish { expected: 9 }));
        let end = if answer == Answer::NotSent { Outcome::Abandoned } else { Outcome::Unknown };
        assert_eq!(commit.answered(answer, at(4_999)), Err(end));
    }
}

/// F3: the client library reports a time-out and sends the message seconds later.
#[test]
fn f3_after_a_time_out_nobody_says_that_nothing_happened() {
    let mut commit = put();
    commit.fenced(seen(9, 1), at(1)).unwrap();
    assert_eq!(commit.answered(Answer::TimedOut, at(5_000)), Err(Outcome::Unknown));
    let mut commit = put();
    commit.fenced(seen(9, 1), at(1)).unwrap();
    commit.answered(Answer::TimedOut, at(1_001)).unwrap();
    let refused = commit.answered(Answer::Refused("too large".to_owned()), at(1_002));
    assert_eq!(refused, Err(Outcome::Unknown));
}

/// F8: what waited for its barrier through an election must not be published when its encoder has given up.
#[test]
fn f8_nothing_is_published_for_a_client_that_is_gone_or_behind_the_deadline() {
    assert_eq!(put().fenced(seen(9, 1), gone(1)), Err(Outcome::Abandoned));
    assert_eq!(put().fenced(seen(9, 1), at(5_000)), Err(Outcome::Abandoned));
    let mut commit = put();
    commit.fenced(seen(9, 1), at(1)).unwrap();
    assert_eq!(commit.answered(Answer::TimedOut, gone(1_001)), Err(Outcome::Unknown));
    let mut commit = put();
    commit.fenced(seen(9, 1), at(1)).unwrap();
    commit.answered(Answer::NoLeader, at(2)).unwrap();
    assert_eq!(commit.paused(gone(80)), Err(Outcome::Unknown));
}

#[test]
fn a_deletion_of_nothing_writes_nothing() {
    let mut commit = Commit::new(Kind::Delete, MINE, false, DEADLINE);
    assert_eq!(commit.clone().fenced(NOTHING, at(1)), Err(Outcome::Nothing));
    let tombstone = Seen { is_live: false, ..seen(3, 1) };
    assert_eq!(commit.clone().fenced(tombstone, at(1)), Err(Outcome::Nothing));
    assert_eq!(commit.fenced(seen(3, 1), at(1)), Ok(Step::Publish { expected: 3 }));
}

#[test]
fn a_condition_is_decided_at_the_fence_and_again_when_somebody_came_first() {
    let conditional = || Commit::new(Kind::Put, MINE, true, DEADLINE);
    let refused = Seen { verdict: Verdict::Refuse, ..seen(9, 1) };
    assert_eq!(conditional().fenced(refused, at(1)), Err(Outcome::Refused));

    let mut commit = conditional();
    commit.fenced(seen(9, 1), at(1)).unwrap();
    conflict(&mut commit);
    assert_eq!(
        commit.clone().fenced(Seen { verdict: Verdict::Refuse, ..seen(12, 2) }, at(3)),
        Err(Outcome::Refused)
    );
    assert_eq!(commit.fenced(seen(12, 2), at(3)), Ok(Step::Publish { expected: 12 }));

    // What may still be changed cannot be changed with this rank, and two who found nothing there are not both told that they made it.
    let mut commit = conditional();
    commit.fenced(seen(9, 1), at(1)).unwrap();
    conflict(&mut commit);
    assert_eq!(commit.clone().fenced(newer(12, 2), at(3)), Err(Outcome::Abandoned));
    let refused = Seen { verdict: Verdict::Refuse, ..newer(12, 2) };
    assert_eq!(commit.fenced(refused, at(3)), Err(Outcome::Refused));

    // Its own first attempt may have been the one that was replaced: 412 would be a lie.
    let mut commit = conditional();
    commit.fenced(seen(9, 1), at(1)).unwrap();
    commit.answered(Answer::TimedOut, at(1_001)).unwrap();
    conflict(&mut commit);
    assert_eq!(commit.clone().fenced(refused, at(1_003)), Err(Outcome::Unknown));
    assert_eq!(commit.fenced(newer(12, 2), at(1_003)), Err(Outcome::Unknown));
}

/// A manifest that was overtaken: what is there is a later state of it, although its rank is lower.
#[test]
fn a_change_gives_way_where_its_caller_says_so() {
    let ahead = Seen { verdict: Verdict::Yield, ..seen(12, 2) };
    assert_eq!(Commit::new(Kind::Put, MINE, false, DEADLINE).fenced(ahead, at(1)), Err(Outcome::Superseded));
    let mut commit = Commit::new(Kind::Put, MINE, false, DEADLINE);
    commit.fenced(seen(9, 1), at(1)).unwrap();
    conflict(&mut commit);
    assert_eq!(commit.fenced(ahead, at(3)), Err(Outcome::Superseded));
}

/// The mark that the servers leave for what expired expires too; nobody is told.
#[test]
fn what_expired_is_replaced_whether_its_mark_is_there_or_not() {
    let mark = Seen { seq: 9, is_expired: true, ..NOTHING };
    let mut commit = put();
    assert_eq!(commit.fenced(mark, at(1)), Ok(Step::Publish { expected: 9 }));
    for expected in [0, 9, 0] {
        conflict(&mut commit);
        assert_eq!(commit.fenced(mark, at(3)), Ok(Step::Pause(PAUSE)));
        assert_eq!(commit.paused(at(30)), Ok(Step::Publish { expected }));
    }
}

#[test]
fn what_the_servers_refuse_for_good_is_said() {
    let mut commit = put();
    commit.fenced(NOTHING, at(1)).unwrap();
    let refused = commit.answered(Answer::Refused("too large".to_owned()), at(2));
    assert_eq!(refused, Err(Outcome::Failed("too large".to_owned())));
}

#[test]
fn given_up_is_unknown_only_when_something_was_sent() {
    let mut commit = put();
    assert_eq!(commit.given_up(), Outcome::Abandoned);
    commit.fenced(NOTHING, at(1)).unwrap();
    conflict(&mut commit);
    assert_eq!(commit.given_up(), Outcome::Abandoned, "the one attempt was answered");
    commit.answered(Answer::TimedOut, at(3)).unwrap();
    assert_eq!(commit.given_up(), Outcome::Unknown);
}
