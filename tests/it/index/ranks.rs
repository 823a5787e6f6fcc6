//! Who wins when changes overlap: the one with the higher stamp, in whatever order they reach the log.

use std::sync::Arc;
use std::time::Duration;

use mediaorigin_index::entry::{Entry, State, Version};
use mediaorigin_index::{Fence, Outcome};

use super::fleet::{Fleet, entry};

const PATIENCE: Duration = Duration::from_mins(1);

/// Of versions of one path; no uid is used twice in a log.
const UIDS: u64 = 100;

/// A live entry with a stamp.
fn stamped(path: &str, uid: u64, stamp: u64) -> Entry {
    Entry { stamp, ..entry(path, of_path(path, uid), State::Live) }
}

fn tombstone(path: &str, uid: u64, stamp: u64) -> Entry {
    Entry { stamp, ..entry(path, of_path(path, uid), |_: Version| State::Tombstone) }
}

/// The uid of a version of `live/a/NUMBER…`.
fn of_path(path: &str, uid: u64) -> u64 {
    u64::from(path.as_bytes()[7]) * UIDS + uid
}

/// Which version of its path it is.
fn number(there: Option<Arc<Entry>>) -> Option<u64> {
    there.map(|entry| u64::try_from(entry.uid.0).unwrap() % UIDS)
}

impl Fleet {
    fn fence(&self, pod: usize, path: &str) -> Fence {
        self.runtime.block_on(self.pod(pod).fence(path, PATIENCE)).unwrap()
    }

    fn commit_after(&self, pod: usize, fence: Fence, entry: &Entry) -> Outcome {
        self.runtime.block_on(self.pod(pod).commit_after(fence, entry, None, PATIENCE, || true))
    }

    fn adopt(&self, pod: usize, entry: &Entry) -> Option<u64> {
        number(self.runtime.block_on(self.pod(pod).adopt(entry, None, PATIENCE)).unwrap())
    }

    fn read(&self, pod: usize, path: &str) -> Option<u64> {
        number(self.runtime.block_on(self.pod(pod).strict_get(path, PATIENCE)).unwrap())
    }
}

fn place(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Committed { seq, .. } => *seq,
        other => panic!("{other:?}"),
    }
}

/// All of it on one cluster, which takes seconds to start.
#[test]
fn ranks_decide_between_changes_that_overlap() {
    let fleet = Fleet::start("live");
    a_stamp_is_above_that_of_the_fence(&fleet);
    what_is_higher_goes_on_behind_what_is_lower(&fleet);
    what_is_lower_is_superseded(&fleet);
    a_deletion_removes_what_is_lower(&fleet);
    a_condition_is_decided_again_behind_what_is_lower(&fleet);
    what_nobody_committed_is_adopted(&fleet);
    many_overlap_and_the_highest_stays(&fleet);
}

fn a_stamp_is_above_that_of_the_fence(fleet: &Fleet) {
    let path = "live/a/1.m3u8";
    assert_eq!((fleet.fence(0, path).stamp(), fleet.fence(0, path).entry()), (0, Ok(None)));
    place(&fleet.commit_after(0, fleet.fence(0, path), &stamped(path, 1, 100)));
    let fence = fleet.fence(1, path);
    assert_eq!((fence.stamp(), fence.stamp_after(7), fence.stamp_after(500)), (100, 101, 500));
    assert_eq!(number(fence.entry().unwrap()), Some(1));
    let refused = fleet.commit_after(1, fence.clone(), &stamped(path, 2, 100));
    assert_eq!(refused, Outcome::Failed("the stamp 100 is not above 100, that of the fence".to_owned()));
    let refused = fleet.commit_after(1, fence, &stamped("live/a/other", 2, 200));
    assert_eq!(refused, Outcome::Failed("the fence is one of another path".to_owned()));
    // Without a fence it is raised.
    let (index, old) = (fleet.pod(2), stamped(path, 3, 5));
    place(&fleet.runtime.block_on(index.commit(&old, None, PATIENCE, || true)));
    assert_eq!((fleet.fence(0, path).stamp(), fleet.read(0, path)), (101, Some(3)));
}

/// The first attempt is refused, and the second has the same id: it must not be answered as a duplicate of what was never stored.
fn what_is_higher_goes_on_behind_what_is_lower(fleet: &Fleet) {
    let path = "live/a/2.m3u8";
    let (lower, higher) = (fleet.fence(1, path), fleet.fence(0, path));
    let conflicts = || fleet.pod(0).health()[0].counts.conflicts;
    let first = place(&fleet.commit_after(1, lower, &stamped(path, 9, 100)));
    let before = conflicts();
    let second = place(&fleet.commit_after(0, higher, &stamped(path, 2, 200)));
    assert!(second > first && conflicts() > before, "{first} {second}");
    assert_eq!(fleet.read(2, path), Some(2));
}

fn what_is_lower_is_superseded(fleet: &Fleet) {
    let path = "live/a/3.m3u8";
    let (lower, higher) = (fleet.fence(1, path), fleet.fence(0, path));
    place(&fleet.commit_after(0, higher, &stamped(path, 2, 200)));
    assert_eq!(fleet.commit_after(1, lower, &stamped(path, 9, 100)), Outcome::Superseded);
    assert_eq!(fleet.read(2, path), Some(2));
    // Of two at the same microsecond the uid decides.
    let (lower, higher) = (fleet.fence(1, path), fleet.fence(0, path));
    place(&fleet.commit_after(1, lower, &stamped(path, 3, 300)));
    place(&fleet.commit_after(0, higher, &stamped(path, 4, 300)));
    assert_eq!(fleet.read(2, path), Some(4));
}

fn a_deletion_removes_what_is_lower(fleet: &Fleet) {
    let path = "live/a/4.m3u8";
    place(&fleet.commit_after(0, fleet.fence(0, path), &stamped(path, 1, 100)));
    let (lower, higher) = (fleet.fence(1, path), fleet.fence(0, path));
    place(&fleet.commit_after(1, lower, &stamped(path, 2, 200)));
    place(&fleet.commit_after(0, higher, &tombstone(path, 3, 300)));
    assert_eq!((fleet.read(2, path), fleet.fence(2, path).stamp()), (None, 300));
    // What overlapped with the deletion and is older than it does not come back.
    assert_eq!(fleet.adopt(1, &stamped(path, 2, 200)), None);
    assert_eq!(fleet.read(2, path), None);
}

fn a_condition_is_decided_again_behind_what_is_lower(fleet: &Fleet) {
    let path = "live/a/5.m3u8";
    let commit = |fence: Fence, entry: &Entry, is_new: bool| {
        let index = fleet.pod(0);
        let condition: mediaorigin_index::Condition = Box::new(move |there| there.is_none() == is_new);
        fleet.runtime.block_on(index.commit_after(fence, entry, Some(condition), PATIENCE, || true))
    };
    let (lower, higher) = (fleet.fence(1, path), fleet.fence(0, path));
    place(&fleet.commit_after(1, lower, &stamped(path, 1, 100)));
    assert_eq!(commit(higher, &stamped(path, 2, 200), true), Outcome::Refused);
    let (lower, higher) = (fleet.fence(1, path), fleet.fence(0, path));
    place(&fleet.commit_after(1, lower, &stamped(path, 3, 300)));
    place(&commit(higher, &stamped(path, 4, 400), false));
    // Behind what is higher it cannot go, although the condition holds.
    let (lower, higher) = (fleet.fence(0, path), fleet.fence(1, path));
    place(&fleet.commit_after(1, higher, &stamped(path, 6, 600)));
    assert_eq!(commit(lower, &stamped(path, 5, 500), false), Outcome::Abandoned);
    assert_eq!(fleet.read(2, path), Some(6));
}

fn what_nobody_committed_is_adopted(fleet: &Fleet) {
    let path = "live/a/6.m3u8";
    let mine = stamped(path, 2, 200);
    let writer = fleet.fence(0, path);
    // Its writer is not dead after all, and finds it done.
    assert_eq!(fleet.adopt(1, &mine), Some(2));
    assert_eq!(fleet.adopt(2, &mine), Some(2));
    let stamp_of = |pod: usize| fleet.fence(pod, path).stamp();
    let before = stamp_of(1);
    place(&fleet.commit_after(0, writer, &mine));
    assert_eq!((before, stamp_of(2), fleet.read(0, path)), (200, 200, Some(2)));
    assert_eq!(fleet.adopt(1, &stamped(path, 1, 100)), Some(2), "what is there is newer");
    let mut large = stamped(path, 3, 300);
    if let State::Live(version) = &mut large.state {
        version.body = Some(vec![0; mediaorigin_index::entry::BODY_BYTES_MAX + 1].into());
    }
    let refused = fleet.runtime.block_on(fleet.pod(1).adopt(&large, None, PATIENCE)).unwrap_err();
    assert!(matches!(refused, mediaorigin_index::ReadError::Refused(_)), "{refused}");
}

fn many_overlap_and_the_highest_stays(fleet: &Fleet) {
    let path = "live/a/7.m3u8";
    // Stamps in another order than that in which they begin.
    let entries: Vec<_> = (1..=24).map(|uid: u64| Arc::new(stamped(path, uid, 1 + uid * 7 % 25))).collect();
    let fences: Vec<_> = (0..24).map(|number| fleet.fence(number % 3, path)).collect();
    let commit = |(number, (entry, fence)): (usize, (&Arc<Entry>, Fence))| {
        let (index, entry) = (fleet.pod(number % 3), Arc::clone(entry));
        fleet.runtime.spawn(async move { index.commit_after(fence, &entry, None, PATIENCE, || true).await })
    };
    let all: Vec<_> = entries.iter().zip(fences).enumerate().map(commit).collect();
    for outcome in fleet.runtime.block_on(futures_util::future::join_all(all)) {
        let outcome = outcome.unwrap();
        assert!(matches!(outcome, Outcome::Committed { .. } | Outcome::Superseded), "{outcome:?}");
    }
    let highest = entries.iter().max_by_key(|entry| entry.rank()).cloned();
    assert_eq!(fleet.read(0, path), number(highest));
}
