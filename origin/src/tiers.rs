//! The tiers below memory: what each keeps of a version, and the one contract that all of them fulfil.
//!
//! ```text
//! memory ─miss→ disk ─miss→ objectStore        one walker, in `store`
//! ```
//!
//! A tier knows nothing of HTTP, of policies and of the other tiers. What it promises is written at [`Tier`] and proven
//! by one suite for every tier and its twin in memory (`tiers::contract`).

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use crate::clock::Now;
use crate::memory::blob::Uid;
use crate::memory::object::Meta;

#[cfg(test)]
pub(crate) mod contract;
pub mod disk;
pub mod fence;
mod find;
mod known;
mod listing;
pub mod local;
mod locks;
pub mod object_store;
pub mod open;
pub mod outbound;
pub mod pieces;
pub mod report;
pub mod tend;
#[cfg(test)]
pub(crate) mod twin;
pub mod walker;
mod wish;

/// What a tier keeps of a version beside its bytes: enough to answer for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The path, decoded, without a leading slash.
    pub path: Arc<str>,
    /// Its name; its quoted form is the strong `ETag`.
    pub uid: Uid,
    /// Its headers.
    pub meta: Meta,
    /// Its bytes.
    pub size: u64,
    /// Its place in the order of the versions of its path: the higher one is newer, across restarts too. 0 for an object
    /// that somebody else put there.
    pub sequence: u64,
    /// `Last-Modified`.
    pub modified: SystemTime,
    /// From when on it is gone.
    pub expires_at: Option<SystemTime>,
}

impl Record {
    /// Whether it is gone at `now`.
    pub fn is_expired(&self, now: Now) -> bool {
        self.expires_at.is_some_and(|at| at <= now.wall)
    }

    /// The same for a tier that keeps it until `until` at most.
    #[must_use]
    pub fn until(self: &Arc<Self>, until: Option<SystemTime>) -> Arc<Self> {
        match until {
            Some(until) if self.expires_at.is_none_or(|at| until < at) => {
                Arc::new(Self { expires_at: Some(until), ..Self::clone(self) })
            }
            _ => Arc::clone(self),
        }
    }

    /// The strong `ETag`, with its quotes.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.uid)
    }
}

/// A tier, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TierName {
    /// This pod's memory.
    Memory,
    /// Other pods' memory.
    Peer,
    /// Files of this pod.
    Disk,
    /// A bucket.
    ObjectStore,
    /// What the pods of a fleet agree on.
    Index,
    /// Bodies on the servers of a fleet.
    Log,
}

impl TierName {
    /// The word in metrics, logs and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Peer => "peer",
            Self::Disk => "disk",
            Self::ObjectStore => "objectStore",
            Self::Index => "index",
            Self::Log => "log",
        }
    }
}

/// What became of a [`Tier::put`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The version is there, with the durability of the tier.
    Stored,
    /// A version with a higher sequence is there, or a delete reached further than this one; nothing changed.
    Superseded,
}

/// What became of a [`Tier::delete`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A version was there and is gone.
    Gone,
    /// None was there.
    Nothing,
    /// The version that is there has a higher sequence; it stays.
    Newer,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// An object.
    Object(Arc<Record>),
    /// A folder: the whole path up to and with its `/`.
    Folder(String),
}

/// Bytes of a version, in order.
pub type Bytestream = BoxStream<'static, Result<Bytes, TierError>>;

/// Where the bytes of a version can be read.
pub trait Source: Send + Sync + fmt::Debug {
    /// Which one it is.
    fn name(&self) -> TierName;

    /// The bytes in `range` (within the version's size) of exactly this version: after a replacement either its own bytes
    /// or an error, never a mix. A corrupt byte is an error before or instead of it, and the stream of a whole version is
    /// checked as a whole.
    fn read<'a>(
        &'a self,
        record: &'a Arc<Record>,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<Bytestream, TierError>>;
}

/// What a tier below memory does. All of it may be called from many tasks at once; a dropped future may leave a call done
/// or not done, never half done.
pub trait Tier: Source {
    /// Keeps a version whose bytes are `body` in order, in place of any older one of its path.
    ///
    /// When it returns `Stored`, the version survives the end of this process at any later moment. An older version never
    /// replaces a newer one, whatever is retried or arrives late. The same version may be put again; of two versions with
    /// one sequence the later call stays. After a [`Self::delete`] through its sequence a version comes too late, also when
    /// its put begins only then: `Superseded` (see [`fence::Fence`]).
    fn put<'a>(&'a self, record: &'a Arc<Record>, body: &'a [Bytes])
    -> BoxFuture<'a, Result<Put, TierError>>;

    /// The version under `path`, expired or not.
    fn find<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<Arc<Record>>, TierError>>;

    /// Takes away whatever is there under `path` with a sequence up to `through`. When it returns, that is gone for good:
    /// neither a crash nor a late retry brings it back. That holds for `Nothing` too.
    fn delete<'a>(&'a self, path: &'a str, through: u64) -> BoxFuture<'a, Result<Removed, TierError>>;

    /// Up to `limit` names directly in `folder` (empty, or ending in `/`) that follow `after` in the order of bytes. Names
    /// are whole paths, those of folders end in their `/`; `after` is empty, the last name of the page before, or any other
    /// text. Expired versions are listed. Fewer than `limit` mean that there are no more.
    fn list<'a>(
        &'a self,
        folder: &'a str,
        after: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Listed>, TierError>>;
}

/// Why a tier could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{tier}: cannot {attempt}: {source}", tier = tier.as_str())]
pub struct TierError {
    /// The tier.
    pub tier: TierName,
    /// What was attempted, with the name of the thing: "write live/a.ts".
    pub attempt: String,
    /// Whose fault it is.
    pub kind: ErrorKind,
    /// The cause.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// What a caller does about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The tier does not answer, or too slowly: later it may.
    Unavailable,
    /// The tier refuses us: somebody must act (credentials, rights, no such bucket, a read-only disk).
    Denied,
    /// There is no space left.
    Full,
    /// The version is not there any more; another one may be.
    Gone,
    /// The bytes are not what was stored.
    Corrupt,
}

/// The latest error, for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// When it was.
    pub at: SystemTime,
    /// Whose fault it is.
    pub kind: ErrorKind,
    /// What the tier said.
    pub text: String,
}

impl TierError {
    /// What could not be done, and why.
    pub fn new(
        tier: TierName,
        attempt: impl Into<String>,
        kind: ErrorKind,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { tier, attempt: attempt.into(), kind, source: source.into() }
    }
}

impl Listed {
    /// The name by which it is sorted and paged.
    pub fn name(&self) -> &str {
        match self {
            Self::Object(record) => &record.path,
            Self::Folder(name) => name,
        }
    }
}

impl ErrorKind {
    /// The word in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Denied => "denied",
            Self::Full => "full",
            Self::Gone => "gone",
            Self::Corrupt => "corrupt",
        }
    }
}
