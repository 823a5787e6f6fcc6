//! How a pod's memory limit becomes the bytes of objects that it may hold.
//!
//! `objects = limit − base − connections × per_connection − index − slack`. The terms are published in `status.memory` and as metrics.

use crate::units::Bytes;

/// What the process needs before it holds a single object (code, allocator, runtime, index of an empty store), and what it may remember
/// of objects that are gone or only in the object store, which is bounded.
pub const BASE: Bytes = Bytes(32 * Bytes::MIB);
/// User memory of one connection plus its capped socket send queue.
pub const PER_CONNECTION: Bytes = Bytes(64 * Bytes::KIB);
/// What the disk tier's index needs for one file, its path of 60 bytes included. Counted in the allocator with 200,000 files: 178 to
/// 311 bytes without the path; least for a file that must stay and never expires, most for one that may go and is due some day,
/// in trees whose nodes are half empty because the names count up.
pub const PER_FILE: Bytes = Bytes(384);
/// No file occupies less than a block.
pub const FILE_MIN: u64 = 4 * Bytes::KIB;
/// Share of the limit that the disk tier's index may need, in percent: 70,000 files at 512Mi, 280,000 at 2Gi.
pub const INDEX_PERCENT: u64 = 5;
/// Share of the limit that stays free for the allocator's fragmentation, in percent. What else grows with the number of objects is
/// charged to the objects themselves, or bounded and part of [`BASE`].
pub const SLACK_PERCENT: u64 = 10;
/// Below this an origin holds no useful live window: a few segments of one rendition.
pub const OBJECTS_MIN: Bytes = Bytes(16 * Bytes::MIB);
/// The smallest memory limit that admission accepts.
pub const LIMIT_MIN: Bytes = Bytes(128 * Bytes::MIB);

/// The terms of one pod's budget; they add up to `limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The memory limit of the container.
    pub limit: Bytes,
    /// Fixed cost of the process.
    pub base: Bytes,
    /// All connections that the limits admit, together.
    pub connections: Bytes,
    /// What the index of the disk tier may need; nothing without one.
    pub index: Bytes,
    /// Head-room for fragmentation.
    pub slack: Bytes,
    /// What objects may use.
    pub objects: Bytes,
}

/// The budget does not leave [`OBJECTS_MIN`] for objects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a memory limit of {limit} leaves {left} MiB for objects after {connections} connections of 64Ki each; \
     raise {name} to at least {needed} or lower spec.limits.connections"
)]
pub struct TooSmall {
    limit: Bytes,
    left: i64,
    connections: u32,
    needed: Bytes,
    name: &'static str,
}

impl TooSmall {
    /// The same of a limit that is set elsewhere: `name` is what to raise.
    #[must_use]
    pub fn of(self, name: &'static str) -> Self {
        Self { name, ..self }
    }
}

impl Budget {
    /// Derives the terms, or says which limit would be enough. `disk` is what the files of a disk tier may occupy.
    pub fn derive(limit: Bytes, connections_max: u32, disk: Option<Bytes>) -> Result<Self, TooSmall> {
        let connections = Bytes(u64::from(connections_max) * PER_CONNECTION.0);
        let slack = Bytes(limit.0 / 100 * SLACK_PERCENT);
        // The smaller of what is affordable and what the smallest files would need.
        let index =
            disk.map_or(0, |disk| (limit.0 / 100 * INDEX_PERCENT).min(disk.0 / FILE_MIN * PER_FILE.0));
        let fixed = BASE.0 + connections.0;
        let objects = limit.0.saturating_sub(fixed + index + slack.0);
        if objects < OBJECTS_MIN.0 {
            return Err(TooSmall {
                limit,
                left: i64::try_from(objects / Bytes::MIB).unwrap_or(0),
                connections: connections_max,
                needed: smallest_limit(fixed, disk.is_some()),
                name: "spec.memory.limit",
            });
        }
        // Whole mebibytes: a number that people read.
        let objects = Bytes(objects / Bytes::MIB * Bytes::MIB);
        let slack = Bytes(limit.0 - fixed - index - objects.0);
        Ok(Self { limit, base: BASE, connections, index: Bytes(index), slack, objects })
    }
}

/// The smallest whole number of MiB whose budget is enough on top of `fixed` bytes.
fn smallest_limit(fixed: u64, has_disk: bool) -> Bytes {
    let shares = SLACK_PERCENT + if has_disk { INDEX_PERCENT } else { 0 };
    let bytes = (fixed + OBJECTS_MIN.0).div_ceil(100 - shares) * 100;
    Bytes((bytes.div_ceil(Bytes::MIB) + 1) * Bytes::MIB)
}
