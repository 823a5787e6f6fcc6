//! What a pod says that it carries, at `/-/load` of its admin port: written by the origin, read by the operator's scaler.

use serde::{Deserialize, Serialize};

/// The load of a pod. Counters begin with its process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodLoad {
    /// Bytes sent to clients.
    pub egress_bytes: u64,
    /// Requests answered, those that were shed not among them.
    pub requests: u64,
    /// Reads answered 503 because there is too much to do.
    pub shed: u64,
    /// CPU time used, in seconds.
    pub cpu_seconds: f64,
    /// Connections of clients.
    pub connections: u64,
    /// How far the worker that is furthest behind is, steadily.
    pub loop_lag_seconds: f64,
}
