//! What a put and a delete do about what is there: decisions without I/O.

use std::sync::Arc;

use super::fields::Content;
use crate::tiers::Record;

/// What is there, with the name that the store has for it.
#[derive(Clone, Debug)]
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
    Remove(State),
}

/// For a version of ours, whose sequence is above 0.
pub(super) fn put(there: Option<&There>, mine: &Record) -> PutStep {
    let Some(There { content, state }) = there else { return PutStep::Write(None) };
    match content {
        Content::Deleted { through } if *through >= mine.sequence => PutStep::Superseded,
        Content::Version { record, .. } if record.sequence > mine.sequence => PutStep::Superseded,
        Content::Version { record, .. } if record.sequence == mine.sequence && record.uid == mine.uid => {
            PutStep::Stored(state.clone())
        }
        Content::Version { .. } | Content::Deleted { .. } => PutStep::Write(Some(state.clone())),
    }
}

/// For everything up to `through`.
pub(super) fn delete(there: Option<&There>, through: u64) -> DeleteStep {
    match there {
        None | Some(There { content: Content::Deleted { .. }, .. }) => DeleteStep::Nothing,
        Some(There { content: Content::Version { record, .. }, .. }) if record.sequence > through => {
            DeleteStep::Newer
        }
        Some(There { state, .. }) => DeleteStep::Remove(state.clone()),
    }
}
