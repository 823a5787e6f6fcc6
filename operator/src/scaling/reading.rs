//! What a pod answers to `/-/load`.

use jiff::Timestamp;
use mediaorigin_crds::pod_load::PodLoad;
use mediaorigin_scaler::Reading;

/// Reads the answer that came `at` this time.
pub(super) fn read(body: &[u8], at: Timestamp) -> Option<Reading> {
    let PodLoad { egress_bytes, requests, shed, cpu_seconds, connections, loop_lag_seconds } =
        serde_json::from_slice(body).ok()?;
    Some(Reading { at, egress_bytes, requests, shed, cpu_seconds, connections, loop_lag_seconds })
}
