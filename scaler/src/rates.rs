//! Counters of a pod as rates. A counter that went back is that of a new process: what it has counted since is what there was.

use jiff::Timestamp;
use mediaorigin_crds::pod_load::PodLoad;

use crate::dimension::{Dimension, Loads};
use crate::sample::Reading;

/// A pod that serves for so long and has no earlier reading is new to us, not to its clients: what it counted before is no rate.
const NEW_SECONDS: f64 = 10.0;
/// Two readings this close say nothing.
const APART_MIN_SECONDS: f64 = 0.2;

/// What a pod did since its last reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Per second, but for connections.
    pub loads: Loads,
    /// Requests shed in a second.
    pub shed: f64,
}

/// The rates between two readings; `before` none for a pod that was not read yet, which became ready at `ready`.
pub fn between(before: Option<&Reading>, reading: &Reading, ready: Option<Timestamp>) -> Option<Rates> {
    let Some(before) = before else { return first(reading, ready) };
    let seconds = seconds(before.at, reading.at);
    if seconds < APART_MIN_SECONDS {
        return None;
    }
    let (load, before) = (&reading.load, &before.load);
    let is_new_process = load.egress_bytes < before.egress_bytes
        || load.requests < before.requests
        || load.shed < before.shed
        || load.cpu_seconds < before.cpu_seconds;
    let zero = PodLoad::default();
    Some(rates(if is_new_process { &zero } else { before }, load, seconds))
}

fn first(reading: &Reading, ready: Option<Timestamp>) -> Option<Rates> {
    let seconds = ready.map(|ready| seconds(ready, reading.at)).filter(|seconds| *seconds < NEW_SECONDS)?;
    Some(rates(&PodLoad::default(), &reading.load, seconds.max(1.0)))
}

fn rates(before: &PodLoad, load: &PodLoad, seconds: f64) -> Rates {
    let rate = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
    let loads = Loads::by(|dimension| match dimension {
        Dimension::Egress => rate(before.egress_bytes, load.egress_bytes),
        Dimension::Requests => rate(before.requests, load.requests),
        Dimension::Connections => load.connections as f64,
        Dimension::Cpu => (load.cpu_seconds - before.cpu_seconds).max(0.0) / seconds,
    });
    Rates { loads, shed: rate(before.shed, load.shed) }
}

/// From one time to another; negative where the second is earlier.
pub(crate) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}
