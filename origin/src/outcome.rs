//! What became of a request: one enum feeds the `Cache-Status` header, the metric label and the log line.

use crate::memory::gone::Reason;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Served a complete object.
    Hit,
    /// Served a complete object from another pod.
    Peer,
    /// Served a complete object from the disk.
    Disk,
    /// Served a complete object from the object store.
    ObjectStore,
    /// Served an object that is being written.
    Growing,
    /// The client's copy is current.
    NotModified,
    /// No such object.
    Missing,
    /// The object's time is over.
    Expired,
    /// The object had to make room, and no other tier has it.
    Evicted,
    /// An upload was open, but its first byte did not come in time.
    Announced,
    /// The range lies behind the object's end.
    Unsatisfiable,
    /// A condition of the request does not hold.
    ConditionFailed,
    /// Stored under a path that held nothing.
    Created,
    /// Stored in place of an older version.
    Replaced,
    /// The same bytes were there already.
    Unchanged,
    /// A version that started later is already there.
    Superseded,
    /// Held by two pods, while the index of the fleet does not answer.
    Held,
    /// An upload without a byte: nothing was stored.
    Empty,
    /// A folder, which needs nothing.
    Folder,
    /// Deleted.
    Deleted,
    /// The names in a folder.
    Listed,
    /// Answered what a page or a client may do.
    Options,
    /// No rule allows this page.
    OriginRefused,
    /// The request makes no sense.
    Malformed,
    /// The method is not supported.
    MethodRefused,
    /// No credentials, where they are needed.
    Unauthenticated,
    /// Wrong credentials.
    Forbidden,
    /// The origin cannot read the publisher's credentials.
    CredentialsUnreadable,
    /// Larger than the limit.
    TooLarge,
    /// A tier below memory does not do what the request needs.
    TierUnavailable,
    /// What is not in memory has to wait for what is live.
    Shed,
    /// All memory is held by what must be kept.
    Full,
    /// The upload was silent for too long.
    Stalled,
    /// The upload ended before its end, or went on behind it.
    Broken,
    /// The upload is not what its digest says.
    DigestMismatch,
    /// The client was gone before there was an answer.
    Vanished,
}

impl From<Reason> for Outcome {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Expired => Self::Expired,
            Reason::Evicted => Self::Evicted,
        }
    }
}

impl Outcome {
    /// The word in headers, metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Peer => "peer",
            Self::Disk => "disk",
            Self::ObjectStore => "object-store",
            Self::Growing => "growing",
            Self::NotModified => "not-modified",
            Self::Missing => "missing",
            Self::Expired => "expired",
            Self::Evicted => "evicted",
            Self::Announced => "announced",
            Self::Unsatisfiable => "unsatisfiable",
            Self::ConditionFailed => "condition-failed",
            Self::Created => "created",
            Self::Replaced => "replaced",
            Self::Unchanged => "unchanged",
            Self::Superseded => "superseded",
            Self::Held => "held",
            Self::Empty => "empty",
            Self::Folder => "folder",
            Self::Deleted => "deleted",
            Self::Listed => "listed",
            Self::Options => "options",
            Self::OriginRefused => "origin-refused",
            Self::Malformed => "malformed",
            Self::MethodRefused => "method-refused",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::CredentialsUnreadable => "credentials-unreadable",
            Self::TooLarge => "too-large",
            Self::TierUnavailable => "tier-unavailable",
            Self::Shed => "shed",
            Self::Full => "full",
            Self::Stalled => "stalled",
            Self::Broken => "broken",
            Self::DigestMismatch => "digest-mismatch",
            Self::Vanished => "vanished",
        }
    }

    /// The value of `Cache-Status` (RFC 9211), for what is an answer to a reader.
    pub const fn cache_status(self) -> Option<&'static str> {
        Some(match self {
            Self::Hit => "mediaorigin; hit",
            Self::Peer => "mediaorigin; hit; detail=peer",
            Self::Disk => "mediaorigin; hit; detail=disk",
            Self::ObjectStore => "mediaorigin; fwd=miss; detail=object-store",
            Self::Growing => "mediaorigin; hit; detail=growing",
            Self::NotModified => "mediaorigin; hit; detail=not-modified",
            Self::Unsatisfiable => "mediaorigin; hit; detail=unsatisfiable",
            Self::ConditionFailed => "mediaorigin; hit; detail=condition-failed",
            Self::Missing => "mediaorigin; fwd=miss; detail=missing",
            Self::Expired => "mediaorigin; fwd=miss; detail=expired",
            Self::Evicted => "mediaorigin; fwd=miss; detail=evicted",
            Self::Announced => "mediaorigin; fwd=miss; detail=announced",
            _ => return None,
        })
    }

    /// Whether an upload was turned away or lost: encoders do not say so themselves. A challenge is not: an encoder with
    /// credentials gets one for every connection.
    pub const fn lost_upload(self) -> bool {
        matches!(
            self,
            Self::Malformed
                | Self::Forbidden
                | Self::CredentialsUnreadable
                | Self::ConditionFailed
                | Self::TooLarge
                | Self::Full
                | Self::TierUnavailable
                | Self::Stalled
                | Self::Broken
                | Self::DigestMismatch
                | Self::Vanished
        )
    }
}
