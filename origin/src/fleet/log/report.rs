//! How the write-ahead log does, for `/-/status` and metrics.

use std::sync::atomic::Ordering;

use serde::Serialize;

use super::{Log, lock};
use crate::tiers::report::FailureReport;

/// The write-ahead log of bodies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogReport {
    /// Whether it is open; one that no rule needs is not.
    pub open: bool,
    /// Messages in it, of all pods.
    pub messages: u64,
    /// What they take, in bytes.
    pub bytes: u64,
    /// What they may take, in bytes.
    pub limit: u64,
    /// Versions whose writers were gone, and that this pod brought to the object store.
    pub swept: u64,
    /// Versions that this pod took out of it, because the object store had them or nobody needed them any more.
    pub forgotten: u64,
    /// Uploads that were refused because it could not take them.
    pub refused: u64,
    /// What it could not do last.
    #[serde(flatten)]
    pub failure: FailureReport,
}

impl LogReport {
    /// How it does now.
    pub(in crate::fleet) fn of(log: &Log) -> Self {
        let (held, failure) = (*lock(&log.held), lock(&log.failure).clone());
        Self {
            open: log.is_open(),
            messages: held.messages,
            bytes: held.bytes,
            limit: held.bytes_max,
            swept: log.tally.swept.load(Ordering::Relaxed),
            forgotten: log.tally.forgotten.load(Ordering::Relaxed),
            refused: log.tally.refused.load(Ordering::Relaxed),
            failure: FailureReport::of(failure.as_ref()),
        }
    }
}
