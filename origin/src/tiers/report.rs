//! How the tiers below memory do, for `/-/status` and metrics.

use serde::Serialize;

use super::LastError;
use super::open::Opened;

/// All of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The disk, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskReport>,
    /// The object store, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_store: Option<ObjectStoreReport>,
    /// Copies that nobody waits for.
    pub copies: Copies,
}

/// The disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskReport {
    /// Versions.
    pub files: u64,
    /// What they occupy, in bytes.
    pub bytes: u64,
    /// What they may occupy, in bytes.
    pub limit: u64,
    /// Memory of the index in bytes, estimated.
    pub index_bytes: u64,
    /// What its entries may need, in bytes.
    pub index_limit: u64,
    /// Files found damaged since the start; they are set aside.
    pub corrupt: u64,
    /// Versions that left for want of space since the start.
    pub evicted: u64,
    /// What it could not do last.
    #[serde(flatten)]
    pub failure: FailureReport,
    /// Syncs of a folder since the start.
    pub syncs: u64,
}

/// The object store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStoreReport {
    /// Whether it honours conditional writes: `Honoured`, `Ignored` (it is only read), `Unknown` (not answered yet).
    pub conditional_writes: String,
    /// What it could not do last.
    #[serde(flatten)]
    pub failure: FailureReport,
    /// Requests under way.
    pub in_flight: u64,
    /// Bytes read since the start.
    pub read_bytes: u64,
    /// Bytes written since the start.
    pub written_bytes: u64,
    /// Requests repeated since the start.
    pub retries: u64,
    /// Requests doubled since the start.
    pub hedges: u64,
}

/// What a tier could not do last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureReport {
    /// What it said last when it could not do something; empty when nothing was wrong so far.
    pub last_error: String,
    /// Whose fault it was: `Unavailable`, `Denied`, `Full`, `Gone` or `Corrupt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error_kind: Option<String>,
    /// Seconds since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error_age_seconds: Option<u64>,
}

/// Copies that nobody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Copies {
    /// That are owed.
    pub owed: u64,
    /// Made since the start.
    pub done: u64,
    /// Attempts that failed since the start.
    pub failed: u64,
    /// Given up for want of room since the start.
    pub given_up: u64,
}

impl FailureReport {
    pub(crate) fn of(last: Option<&LastError>) -> Self {
        Self {
            last_error: last.map(|error| error.text.clone()).unwrap_or_default(),
            last_error_kind: last.map(|error| format!("{:?}", error.kind)),
            last_error_age_seconds: last.map(|error| error.at.elapsed().map_or(0, |age| age.as_secs())),
        }
    }
}

impl Report {
    /// How they do now.
    pub fn of(opened: &Opened) -> Self {
        let copies = opened.tiers.copies();
        Self {
            disk: opened.disk.as_ref().map(|disk| {
                let counts = disk.counts();
                DiskReport {
                    files: counts.files,
                    bytes: counts.bytes,
                    limit: opened.disk_bytes_max,
                    index_bytes: counts.index_bytes,
                    index_limit: disk.index_bytes_max(),
                    corrupt: counts.corrupt,
                    evicted: counts.evicted,
                    failure: FailureReport::of(disk.last_error().as_ref()),
                    syncs: counts.syncs,
                }
            }),
            object_store: opened.object_store.as_ref().map(|store| {
                let (health, counters) = (store.health(), store.counters());
                ObjectStoreReport {
                    conditional_writes: format!("{:?}", health.conditions),
                    failure: FailureReport::of(health.last_error.as_ref()),
                    in_flight: (health.reads + health.writes) as u64,
                    read_bytes: counters.bytes_read(),
                    written_bytes: counters.bytes_written(),
                    retries: counters.retries(),
                    hedges: counters.hedges(),
                }
            }),
            copies: Copies {
                owed: copies.owed as u64,
                done: copies.done,
                failed: copies.failed,
                given_up: copies.given_up,
            },
        }
    }
}
