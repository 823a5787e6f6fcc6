use super::*;
use crate::entry::{State, Uid, Version};

fn fence(content: Option<Content>) -> Fence {
    Fence { key: Key::of("a"), slot: content.map(|content| Slot { seq: 7, content }) }
}

fn entry(state: State) -> Arc<Entry> {
    Arc::new(Entry { path: "a".into(), uid: Uid(1), stamp: 40, state })
}

#[test]
fn a_stamp_is_above_that_of_whatever_is_there() {
    let live = Content::Entry(entry(State::Live(Version::default())));
    let tombstone = Content::Entry(entry(State::Tombstone));
    let newer = Content::Unreadable { reason: "newer".into(), rank: Some(Rank { stamp: 40, uid: Uid(1) }) };
    for there in [live, tombstone, newer] {
        let fence = fence(Some(there));
        assert_eq!((fence.stamp(), fence.stamp_after(39), fence.stamp_after(42)), (40, 41, 42));
    }
    let broken = Content::Unreadable { reason: "broken".into(), rank: None };
    for there in [None, Some(Content::Expired), Some(broken)] {
        assert_eq!((fence(there.clone()).stamp(), fence(there).stamp_after(0)), (0, 1));
    }
}

#[test]
fn a_fence_tells_what_lives() {
    let live = entry(State::Live(Version::default()));
    assert_eq!(fence(Some(Content::Entry(Arc::clone(&live)))).entry(), Ok(Some(live)));
    for nothing in [None, Some(Content::Expired), Some(Content::Entry(entry(State::Tombstone)))] {
        assert_eq!(fence(nothing).entry(), Ok(None));
    }
    let newer = Content::Unreadable { reason: "newer".into(), rank: None };
    assert_eq!(fence(Some(newer)).entry(), Err(ReadError::Unreadable("newer".into())));
}
