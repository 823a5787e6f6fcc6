//! What a pod answers to `/-/load`.

use jiff::Timestamp;
use mediaorigin_scaler::Reading;
use serde::Deserialize;

/// As the pod writes it (docs/http.md).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Load {
    egress_bytes: u64,
    requests: u64,
    shed: u64,
    cpu_seconds: f64,
    connections: u64,
    loop_lag_seconds: f64,
}

/// Reads the answer that came `at` this time.
pub(super) fn read(body: &[u8], at: Timestamp) -> Option<Reading> {
    let Load { egress_bytes, requests, shed, cpu_seconds, connections, loop_lag_seconds } =
        serde_json::from_slice(body).ok()?;
    Some(Reading { at, egress_bytes, requests, shed, cpu_seconds, connections, loop_lag_seconds })
}
