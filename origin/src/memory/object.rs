//! What lies under a path: a version (bytes and headers), and the object that a complete version becomes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use mediaorigin_crds::policy::Class;

use super::blob::{Blob, Read, Uid};
use super::budget::{Permit, Release};
use super::chunk;
use super::derived::Derived;
use crate::pace::{self, Pace};
use crate::pressure::{Claim, Held};
use crate::tiers::Record;

/// What a version costs beside its path, headers and bytes: its places in the index and the queues.
/// Measured in the evictable part, where a version has most places (objects of one byte, resident size per object).
pub const OBJECT_COST: u64 = 1_408;
/// What a version costs at most, with the longest path and headers.
pub const COST_MAX: u64 = 8 * 1_024;

/// The headers that came with the upload, and what the rules made of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Meta {
    /// `Content-Type` of answers.
    pub content_type: String,
    /// `Content-Encoding` of answers.
    pub content_encoding: Option<String>,
    /// `Cache-Control` that came with the upload.
    pub cache_control: Option<String>,
    /// What it is.
    pub class: Class,
}

/// When the first byte of a version arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// Its place in the order of versions: a version that started later is newer.
    pub sequence: u64,
    /// `Last-Modified`.
    pub modified: SystemTime,
}

/// One version of what lies under a path: growing or complete.
#[derive(Debug)]
pub struct Version {
    /// The path, decoded, without a leading slash.
    pub path: Arc<str>,
    /// Its name.
    pub uid: Uid,
    /// Its headers.
    pub meta: Meta,
    /// Its bytes.
    pub blob: Blob,
    /// Whether it may be read before it is complete.
    pub early: bool,
    /// What is made of it on first use.
    pub derived: Derived,
    pub(super) started: OnceLock<Started>,
    /// Whether it is in the live window. What is complete and is not could be evicted, or is gone from the index already,
    /// but for its readers.
    pub(super) kept: AtomicBool,
    pub(super) _cost: Permit,
}

/// A committed version and how long it stays.
#[derive(Debug)]
pub struct Object {
    /// What it serves.
    pub version: Arc<Version>,
    /// Names it among the objects of this memory. Its sequence does not: two pods may give the same one to two paths.
    pub(super) id: u64,
    /// Its place in the order of versions; that of `version`, or of a later upload of the same bytes.
    pub(super) sequence: u64,
    /// Until when it is not evicted.
    pub(super) pinned_until: Duration,
    /// From when on it is gone.
    pub(super) expires_at: Option<Duration>,
    pub(super) size: u64,
    /// Whether it must be read again before it may push out others.
    pub(super) on_probation: bool,
}

impl Meta {
    /// What a version with these headers costs without its bytes.
    pub fn cost(&self, path: &str) -> u64 {
        let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let texts = self.content_type.len()
            + optional(&self.content_encoding)
            + optional(&self.cache_control)
            + path.len();
        OBJECT_COST + texts as u64
    }
}

impl Version {
    /// When its first byte arrived, if one has.
    pub fn started(&self) -> Option<Started> {
        self.started.get().copied()
    }

    /// How often it changes, where it is a complete manifest.
    pub fn pace(&self) -> Pace {
        let Some(length) = self.blob.length().filter(|_| self.meta.class == Class::Manifest) else {
            return Pace::default();
        };
        *self.derived.pace.get_or_init(|| {
            let head = self.blob.copy(0, pace::HEAD_BYTES);
            let tail = self.blob.copy(length.saturating_sub(pace::TAIL_BYTES), length);
            pace::pace(&head, &tail)
        })
    }

    /// Whether it is in the live window: kept for its own sake, and not merely because somebody reads it.
    pub fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Relaxed)
    }

    /// What a lower tier keeps of it; `None` before its first byte. `sequence` may be that of a later upload of the same
    /// bytes.
    pub fn record(&self, size: u64, sequence: u64, expires_at: Option<SystemTime>) -> Option<Record> {
        let modified = self.started()?.modified;
        let (path, meta) = (Arc::clone(&self.path), self.meta.clone());
        Some(Record { path, uid: self.uid, meta, size, sequence, modified, expires_at })
    }

    /// The strong `ETag`, with its quotes.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.uid)
    }
}

impl Object {
    /// Whether it is gone at `now`, swept or not.
    pub fn is_expired(&self, now: Duration) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Whether an answer is being read from it: evicting it would free nothing.
    pub(super) fn has_readers(&self) -> bool {
        Arc::strong_count(&self.version) > 1
    }
}

/// Follows a version from one offset to another.
#[derive(Debug)]
pub struct Reader {
    version: Arc<Version>,
    position: u64,
    end: u64,
    ticket: Option<u64>,
    _release: Release,
}

/// What a reader keeps in memory.
#[derive(Debug)]
pub struct Kept(Weak<Version>);

impl Held for Kept {
    fn claim(&self) -> Option<Claim> {
        let version = self.0.upgrade().filter(|version| !version.is_kept())?;
        let order = version.started().map_or(u64::MAX, |started| started.sequence);
        let bytes = chunk::cost_of_length(version.blob.length()?);
        Some(Claim { order, bytes })
    }
}

impl Reader {
    /// Reads `version` from `position`, not further than `end`; `u64::MAX` follows it to its end.
    pub fn new(version: Arc<Version>, position: u64, end: u64) -> Self {
        let release = version.blob.budget().release();
        Self { version, position, end, ticket: None, _release: release }
    }

    /// What it keeps in memory until it is dropped.
    pub fn kept(&self) -> Kept {
        Kept(Arc::downgrade(&self.version))
    }

    /// The next bytes, as soon as there are any.
    pub fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Read> {
        let read = self.version.blob.poll_read(cx, self.position, self.end, &mut self.ticket);
        if let Poll::Ready(Read::Bytes(bytes)) = &read {
            self.position += bytes.len() as u64;
        }
        read
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.version.blob.leave(self.ticket);
    }
}
