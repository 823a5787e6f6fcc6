//! What a put and a delete do about what is there: decisions without I/O.

use std::cmp::Ordering;
use std::sync::Arc;

use super::fields::Content;
use crate::tiers::Record;

/// What is there, with the name that the store has for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct There {
    pub(super) content: Content,
    pub(super) state: State,
}

/// The state of a key that a write is conditional on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) etag: Arc<str>,
    pub(super) version: Option<String>,
    pub(super) likeness: Likeness,
}

impl State {
    /// Whether a body that begins in this state may go on in the other. The `ETag` alone does not tell: a server may compare
    /// it a moment before it opens the object.
    pub(super) fn has_bytes_of(&self, other: &Self) -> bool {
        self.etag == other.etag && self.likeness == other.likeness
    }
}

/// What is known of bytes, to tell whether others may have the same `ETag`: at most stores it is a hash of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// No others are the same.
    Unlike,
    /// So many, of somebody else.
    Size(u64),
    /// Of ours.
    Exact { size: u64, checksum: u64 },
}

impl Likeness {
    /// Whether these may be the same bytes.
    pub(super) fn may_be(self, other: Self) -> bool {
        match (self, other) {
            (Self::Unlike, _) | (_, Self::Unlike) => false,
            (Self::Exact { .. }, Self::Exact { .. }) => self == other,
            (
                Self::Exact { size, .. } | Self::Size(size),
                Self::Exact { size: other, .. } | Self::Size(other),
            ) => size == other,
        }
    }
}

impl Content {
    /// What is known of its bytes.
    pub(super) fn likeness(&self) -> Likeness {
        match self {
            Self::Deleted { .. } => Likeness::Unlike,
            Self::Version { record, checksum: None } => Likeness::Size(record.size),
            Self::Version { record, checksum: Some(checksum) } => {
                Likeness::Exact { size: record.size, checksum: *checksum }
            }
        }
    }
}

/// What a put does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PutStep {
    /// It is there already, as this state.
    Stored(State),
    Superseded,
    /// Write, if the key is still in this state; none means absent.
    Write(Option<State>),
}

/// What a delete does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DeleteStep {
    /// Nothing: it is absent, or marked so.
    Nothing,
    /// Nothing: what is there is newer.
    Newer,
    /// Take it away.
    Remove,
}

/// For a version of ours, whose sequence is above 0. Two origins may give one sequence to two versions: then the one with
/// the higher uid is the newer, whichever comes first.
pub(super) fn put(there: Option<&There>, mine: &Record) -> PutStep {
    let Some(There { content, state }) = there else { return PutStep::Write(None) };
    match content {
        Content::Deleted { through } if *through >= mine.sequence => PutStep::Superseded,
        Content::Version { record, .. } => {
            match (record.sequence, record.uid).cmp(&(mine.sequence, mine.uid)) {
                Ordering::Greater => PutStep::Superseded,
                Ordering::Equal => PutStep::Stored(state.clone()),
                Ordering::Less => PutStep::Write(Some(state.clone())),
            }
        }
        Content::Deleted { .. } => PutStep::Write(Some(state.clone())),
    }
}

/// For everything up to `through`.
pub(super) fn delete(there: Option<&There>, through: u64) -> DeleteStep {
    match there {
        None | Some(There { content: Content::Deleted { .. }, .. }) => DeleteStep::Nothing,
        Some(There { content: Content::Version { record, .. }, .. }) if record.sequence > through => {
            DeleteStep::Newer
        }
        Some(_) => DeleteStep::Remove,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::blob::Uid;
    use crate::tiers::contract;

    const BYTES: Likeness = Likeness::Exact { size: 3, checksum: 1 };

    fn state(etag: &str, likeness: Likeness) -> State {
        State { etag: Arc::from(etag), version: None, likeness }
    }

    fn version(sequence: u64, uid: u128) -> Arc<Record> {
        Arc::new(Record { uid: Uid(uid), ..Record::clone(&contract::record("a", sequence, 3)) })
    }

    fn there(sequence: u64, uid: u128) -> There {
        let content = Content::Version { record: version(sequence, uid), checksum: Some(1) };
        There { content, state: state("x", BYTES) }
    }

    #[test]
    fn of_two_versions_one_is_newer_also_when_two_origins_gave_them_one_sequence() {
        let state = || state("x", BYTES);
        let cases = [
            ((5, 1), PutStep::Stored(state())),
            ((4, 9), PutStep::Superseded),
            ((6, 0), PutStep::Write(Some(state()))),
            ((5, 0), PutStep::Superseded),
            ((5, 2), PutStep::Write(Some(state()))),
        ];
        for ((sequence, uid), expected) in cases {
            assert_eq!(put(Some(&there(5, 1)), &version(sequence, uid)), expected, "{sequence} {uid}");
        }
    }

    #[test]
    fn a_body_goes_on_in_the_same_bytes_only() {
        let other = Likeness::Exact { size: 3, checksum: 2 };
        let before = state("x", BYTES);
        assert!(before.has_bytes_of(&State { version: Some("2".to_owned()), ..state("x", BYTES) }));
        for now in [state("y", BYTES), state("x", other), state("x", Likeness::Size(3))] {
            assert!(!before.has_bytes_of(&now), "{now:?}");
        }
    }
}
