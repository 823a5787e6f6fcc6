//! How a pod does in its fleet, for `/-/status` and metrics.

use std::sync::atomic::Ordering;

use mediaorigin_index::Health;
use serde::Serialize;

use super::Fleet;
use super::log::report::LogReport;
use super::warm::Warmed;

/// The index, all partitions together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Where other pods fetch what this one holds.
    pub address: String,
    /// The zone that it is in; absent where that is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub zone: String,
    /// Whether it answers for what is there.
    pub ready: bool,
    /// Seconds since the index last proved to be up to date; absent before it ever did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<f64>,
    /// Pods that are there to stay, this one among them; 0 as long as it is not known.
    pub pods: u64,
    /// Paths that it knows, deleted ones too.
    pub paths: u64,
    /// What this pod needs in memory for them, estimated, in bytes.
    pub memory_bytes: u64,
    /// Entries that this pod took out, because nobody needs to find them in the index.
    pub forgotten: u64,
    /// Requests that wait for it.
    pub waiting: u64,
    /// Barriers sent since the start.
    pub barriers: u64,
    /// Changes made since the start.
    pub committed: u64,
    /// Changes that gave way to a later one.
    pub superseded: u64,
    /// Changes whose end is not known.
    pub unknown: u64,
    /// Changes that were given up before anything was sent.
    pub abandoned: u64,
    /// Attempts that found that somebody had come first.
    pub conflicts: u64,
    /// Connections to NATS that were lost.
    pub disconnects: u64,
    /// Uploads that were acknowledged because another pod held them too.
    pub eager_uploads: u64,
    /// Reads that were answered without the index.
    pub eager_reads: u64,
    /// Reads that were shown what had been there when the index last answered.
    pub stale_reads: u64,
    /// Versions, or parts of them, that other pods were asked for.
    pub fetches: u64,
    /// Those of them that brought nothing, or ended early.
    pub fetches_failed: u64,
    /// Bytes from other pods.
    pub fetched_bytes: u64,
    /// Bytes to other pods.
    pub given_bytes: u64,
    /// Pieces fetched from below memory because another pod of the zone asked for them.
    pub filled: u64,
    /// What was brought here of the live edge before this pod was ready; absent before that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmed: Option<WarmedReport>,
    /// The write-ahead log of bodies.
    pub log: LogReport,
}

/// What was brought here of the live edge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WarmedReport {
    /// Bytes that came.
    pub bytes: u64,
    /// Versions that came, and uploads to other pods that are followed.
    pub versions: u64,
    /// Versions that did not come in time.
    pub missed: u64,
    /// How long it took.
    pub seconds: f64,
}

impl WarmedReport {
    fn of(warmed: &Warmed) -> Self {
        let Warmed { bytes, versions, missed, time } = *warmed;
        Self { bytes, versions, missed, seconds: time.as_secs_f64() }
    }
}

impl Report {
    /// How it does now.
    pub(super) fn of(fleet: &Fleet, warmed: Option<&Warmed>) -> Self {
        let (peers, (eager_uploads, eager_reads)) = (fleet.counters.counts(), fleet.eager.counts());
        let start = Self {
            address: fleet.address().to_owned(),
            zone: fleet.open.zone().to_owned(),
            ready: true,
            pods: fleet.open.pods() as u64,
            eager_uploads,
            eager_reads,
            stale_reads: fleet.stale_reads.load(Ordering::Relaxed),
            fetches: peers.fetches,
            fetches_failed: peers.failed + peers.broken,
            fetched_bytes: peers.received,
            given_bytes: peers.sent,
            filled: peers.filled,
            warmed: warmed.map(WarmedReport::of),
            log: LogReport::of(&fleet.log),
            ..Self::default()
        };
        fleet.health().iter().fold(start, Self::with)
    }

    fn with(self, health: &Health) -> Self {
        let counts = health.counts;
        let age = health.age.map(|age| age.as_secs_f64());
        Self {
            ready: self.ready && health.is_ready,
            age_seconds: [self.age_seconds, age].into_iter().flatten().reduce(f64::max),
            paths: self.paths + health.keys as u64,
            memory_bytes: self.memory_bytes + health.memory_bytes as u64,
            forgotten: self.forgotten + counts.forgotten,
            waiting: self.waiting + health.waiters as u64,
            barriers: self.barriers + health.barriers.sent,
            committed: self.committed + counts.committed,
            superseded: self.superseded + counts.superseded,
            unknown: self.unknown + counts.unknown,
            abandoned: self.abandoned + counts.abandoned,
            conflicts: self.conflicts + counts.conflicts,
            disconnects: self.disconnects + counts.disconnected,
            ..self
        }
    }
}
