//! What the disk tier counts for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use super::index::Totals;

/// Counters that only go up.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    pub(super) evicted: AtomicU64,
    pub(super) swept: AtomicU64,
    pub(super) corrupt: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) group_max: AtomicU64,
}

/// A disk tier at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Versions.
    pub files: u64,
    /// What their files occupy, in bytes.
    pub bytes: u64,
    /// Versions that may go.
    pub cache_files: u64,
    /// What their files occupy, in bytes.
    pub cache_bytes: u64,
    /// Bytes set aside for writes that go on.
    pub reserved_bytes: u64,
    /// Damaged files that were kept for inspection.
    pub quarantined_files: u64,
    /// Their bytes.
    pub quarantined_bytes: u64,
    /// Files that were found damaged since the start.
    pub corrupt: u64,
    /// Versions that went for want of space since the start.
    pub evicted: u64,
    /// Versions whose time was over since the start.
    pub swept: u64,
    /// Calls that found no place in the queue in time, since the start.
    pub refused: u64,
    /// Syncs of a folder since the start.
    pub syncs: u64,
    /// Changes that waited for them; divided by the syncs it is the mean size of a group.
    pub commits: u64,
    /// Most changes that one sync served.
    pub group_max: u64,
    /// What the index occupies in memory, estimated, in bytes.
    pub index_bytes: u64,
}

impl Tallies {
    pub(super) fn synced(&self, group: usize) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.commits.fetch_add(group as u64, Ordering::Relaxed);
        self.group_max.fetch_max(group as u64, Ordering::Relaxed);
    }

    pub(super) fn counts(&self, totals: &Totals, quarantined: (u64, u64)) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            files: totals.files,
            bytes: totals.bytes,
            cache_files: totals.cache_files,
            cache_bytes: totals.cache_bytes,
            reserved_bytes: totals.reserved_bytes,
            quarantined_files: quarantined.0,
            quarantined_bytes: quarantined.1,
            corrupt: read(&self.corrupt),
            evicted: read(&self.evicted),
            swept: read(&self.swept),
            refused: read(&self.refused),
            syncs: read(&self.syncs),
            commits: read(&self.commits),
            group_max: read(&self.group_max),
            index_bytes: totals.index_bytes,
        }
    }
}
