//! What is forgotten, and what is kept.

use std::time::SystemTime;

use mediaorigin_crds::policy::Class;
use mediaorigin_index::entry::{self as index, State};

use super::*;
use crate::memory::object::Meta;

const NOW: u64 = 1_790_000_000_000_000;

fn entry(stamp: u64, state: State) -> Entry {
    Entry { path: "live/a.ts".into(), uid: index::Uid(7), stamp, state }
}

fn live(places: &[Place], body: Option<&'static [u8]>, expires_at: Option<u64>) -> State {
    let body = body.map(Into::into);
    State::Live(Version { places: places.to_vec(), body, expires_at, ..Version::default() })
}

fn pod(name: &str) -> Place {
    Place::Pod(name.to_owned())
}

#[test]
fn what_nobody_needs_has_been_there_for_long() {
    let gone: HashSet<String> = ["gone".to_owned()].into();
    let first = Look { settled: NOW, own: "own", gone: &gone, is_first: true, is_over: true };
    let small = Look { is_over: false, ..first };
    let other = Look { is_first: false, ..first };
    let stored = Place::ObjectStore("live/a.ts".to_owned());
    for (state, of_first, of_small, of_other) in [
        (State::Tombstone, Some(Why::Deleted), Some(Why::Deleted), None),
        (live(&[pod("own")], None, Some(NOW)), Some(Why::Expired), Some(Why::Expired), None),
        (
            live(&[pod("own")], None, Some(NOW + 1)),
            Some(Why::Evicted),
            Some(Why::Evicted),
            Some(Why::Evicted),
        ),
        (live(&[pod("gone")], None, None), Some(Why::Lost), Some(Why::Lost), None),
        (live(&[pod("gone"), pod("here")], None, None), None, None, None),
        (live(&[pod("own"), pod("here")], None, None), None, None, None),
        (live(&[pod("gone"), stored], None, None), Some(Why::Stored), None, None),
        (live(&[pod("gone"), Place::Log], None, None), Some(Why::Stored), None, None),
        (live(&[], Some(b"#EXTM3U"), None), Some(Why::Stored), None, None),
    ] {
        let old = entry(NOW, state.clone());
        let told = [&first, &small, &other].map(|look| why(&old, look));
        assert_eq!(told, [of_first, of_small, of_other], "{state:?}");
        assert_eq!(why(&entry(NOW + 1, state), &first), None);
    }
}

#[test]
fn what_the_object_store_has_decides() {
    let found = |uid: u128, sequence: u64, modified: u64| Record {
        path: "live/a.ts".into(),
        uid: Uid(uid),
        meta: Meta {
            content_type: "video/mp2t".to_owned(),
            content_encoding: None,
            cache_control: None,
            class: Class::Segment,
        },
        size: 1,
        sequence,
        modified: SystemTime::UNIX_EPOCH + Duration::from_micros(modified),
        expires_at: None,
    };
    let stored = live(&[Place::ObjectStore("live/a.ts".to_owned())], None, None);
    let inside = live(&[], Some(b"#EXTM3U"), None);
    let (same, older, foreign) = (found(7, 10, 10), found(6, 9, 9), found(0, 0, 11));
    for (state, why, found, expected) in [
        (&stored, Why::Stored, Some(&same), Verdict::Forget),
        (&stored, Why::Stored, Some(&older), Verdict::Keep),
        (&stored, Why::Stored, None, Verdict::Forget),
        (&inside, Why::Stored, Some(&same), Verdict::Forget),
        (&inside, Why::Stored, None, Verdict::Keep),
        (&State::Tombstone, Why::Deleted, None, Verdict::Forget),
        (&State::Tombstone, Why::Deleted, Some(&older), Verdict::Delete),
        // Somebody wrote it into the bucket after the deletion.
        (&State::Tombstone, Why::Deleted, Some(&foreign), Verdict::Keep),
        (&stored, Why::Expired, Some(&older), Verdict::Keep),
        (&stored, Why::Lost, None, Verdict::Forget),
    ] {
        assert_eq!(judge(&entry(10, state.clone()), why, found), expected, "{state:?} {why:?} {found:?}");
    }
}

#[test]
fn a_pod_that_comes_back_in_time_has_lost_nothing() {
    let (mut missing, start) = (Missing::default(), Instant::now());
    let named = || HashSet::from(["a".to_owned(), "b".to_owned()]);
    let here = HashSet::from(["b".to_owned()]);
    assert!(missing.since(named(), &here, start).is_empty());
    assert!(missing.since(named(), &here, start + LOST_AFTER - Duration::from_secs(1)).is_empty());
    let gone = missing.since(named(), &here, start + LOST_AFTER);
    assert_eq!(gone, HashSet::from(["a".to_owned()]));
    // It is heard, and silent again.
    missing.since(named(), &named(), start + LOST_AFTER);
    assert!(missing.since(named(), &here, start + LOST_AFTER * 2).is_empty());
    // Who looks no more has not seen that it was missing all the time.
    missing.since(HashSet::new(), &here, start + LOST_AFTER * 3);
    assert!(missing.since(named(), &here, start + LOST_AFTER * 4).is_empty());
}

/// What has to stay is no obstacle: the next look begins behind it, and when all was looked at, with the oldest again.
#[test]
fn the_oldest_are_looked_at_first_and_then_those_behind_them() {
    let count = ENTRIES_MAX as u64;
    let looks = [
        (None, 0..count),
        (Some(count - 1), count..2 * count),
        (Some(2 * count - 1), 2 * count..2 * count + 1),
    ];
    let mut behind = None;
    for (after, seen) in looks {
        assert_eq!(behind.map(|rank: Rank| rank.stamp), after);
        let mut oldest = Oldest::behind(behind);
        for stamp in (0..=2 * count).rev() {
            oldest.push(&Arc::new(entry(stamp, State::Tombstone)), Why::Deleted);
        }
        behind = oldest.next();
        let found = oldest.candidates.into_sorted_vec();
        assert!(found.iter().map(|found| found.entry.stamp).eq(seen));
    }
    assert_eq!(behind, None);
}
