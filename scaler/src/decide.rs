//! The decision: how many pods there are to be, and why.
//!
//! Up at once, to what the dimension needs that needs most, counted for when new pods will serve. Down one after the other, to the most
//! that was needed within the window. What the Deployment is asked for already counts, whether it is there yet or not: nothing is
//! ordered twice.

use std::time::Duration;

use jiff::Timestamp;
use mediaorigin_crds::autoscaling::{Autoscaling, MissingData, Mode};

use crate::demand::Demand;
use crate::dimension::Dimension;
use crate::explain;
use crate::floors::{self, Floor};
use crate::history::History;
use crate::rates::seconds;
use crate::reason::Reason;

/// So much more than the pods can do must be needed before there is one more.
const TOLERANCE: f64 = 0.05;
/// The load is not known for so long: what `missingData` says.
const MISSING_SECONDS: f64 = 60.0;
/// Rates of before this are no rates of now.
const KNOWN_SECONDS: f64 = 2.5;

/// How many pods there are to be, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What the Deployment is to be asked for.
    pub replicas: u32,
    /// What there would be without `maxReplicas`, the window and the rate.
    pub wanted: u32,
    /// Why.
    pub reason: Reason,
    /// The dimension that needs most pods; `None` where the load is not known.
    pub binding: Option<Input>,
    /// Every dimension of which it is known what a pod can carry.
    pub inputs: Vec<Input>,
    /// How long pods take until they serve.
    pub lead: Duration,
    /// The schedule or event that holds the number up.
    pub floor: Option<String>,
    /// The formula with its numbers, or why there is none: one line.
    pub explanation: String,
    /// For [`History::decided`]: what the load needs, in pods.
    pub needed: Option<f64>,
}

/// A dimension of the load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Input {
    /// Which one.
    pub dimension: Dimension,
    /// How much there is, and how it grows.
    pub demand: Demand,
    /// What a pod can carry.
    pub capacity: f64,
    /// Pods that are needed, counted for more.
    pub needed: f64,
    /// Pods that are needed, counted for fewer.
    pub needed_at_most: f64,
}

/// How many pods there are to be at `now`.
pub fn decide(history: &History, spec: &Autoscaling, spec_replicas: u32, now: Timestamp) -> Decision {
    let lead = history.lead();
    let fixed = |reason| Decision {
        replicas: spec_replicas,
        wanted: spec_replicas,
        reason,
        binding: None,
        inputs: Vec::new(),
        lead,
        floor: None,
        explanation: explain::fixed(spec_replicas, reason),
        needed: None,
    };
    match spec.mode {
        Mode::Disabled => return fixed(Reason::Disabled),
        Mode::External => return fixed(Reason::External),
        Mode::Internal if spec_replicas == 0 => return fixed(Reason::Stopped),
        Mode::Internal => {}
    }
    let floor = floors::highest(history, spec, spec_replicas, now);
    let asked = history.pods().asked;
    let is_known = history.known().is_some_and(|known| seconds(known, now) < KNOWN_SECONDS);
    if !is_known {
        return without_data(history, spec, floor, now);
    }
    let inputs: Vec<Input> =
        Dimension::ALL.into_iter().filter_map(|d| input(history, spec, d, now)).collect();
    let binding = inputs.iter().copied().max_by(|a, b| a.needed.total_cmp(&b.needed));
    let needed = binding.map_or(0.0, |binding| binding.needed);
    let up = wanted(needed, asked);
    let at_most = inputs.iter().map(|input| input.needed_at_most).fold(0.0, f64::max);
    let wanted = up.max(floor.replicas);
    let (target, reason) = if wanted >= asked {
        (wanted, if floor.replicas > up { floor.reason } else { Reason::Demand })
    } else {
        down(history, spec, at_most, &floor, now)
    };
    let replicas = spec.bounds.clamp(target);
    let reason = if target > spec.bounds.max() { Reason::AtMax } else { reason };
    let floor_name = floor.name.filter(|_| matches!(reason, Reason::Schedule | Reason::Event));
    let explanation =
        explain::line(binding.as_ref(), spec, lead, wanted, replicas, reason, floor_name.as_deref());
    Decision {
        replicas,
        wanted,
        reason,
        binding,
        inputs,
        lead,
        floor: floor_name,
        explanation,
        needed: Some(at_most),
    }
}

/// The next whole number.
pub(crate) fn whole(pods: f64) -> u32 {
    // Far more than there may be, and never as much as to wrap around.
    let pods = pods.ceil().clamp(0.0, 1e6);
    (0..=20).rev().fold(0, |number, bit| {
        let larger = number | 1 << bit;
        if f64::from(larger) <= pods { larger } else { number }
    })
}

/// Pods for a need: as many as there are where it is within the tolerance.
fn wanted(needed: f64, asked: u32) -> u32 {
    let (least, asked_exact) = (whole(needed), f64::from(asked));
    if least > asked && needed <= asked_exact * (1.0 + TOLERANCE) { asked } else { least }
}

fn input(history: &History, spec: &Autoscaling, dimension: Dimension, now: Timestamp) -> Option<Input> {
    let capacity = history.capacity().of(spec, dimension)?;
    let (up, down) = history.demand(now, dimension, capacity);
    let planned = capacity * spec.utilization;
    let lead = history.lead().as_secs_f64();
    let needed = up.after(lead) / planned;
    Some(Input {
        dimension,
        demand: up,
        capacity,
        needed,
        needed_at_most: needed.max(down.after(lead) / planned),
    })
}

/// Fewer pods: what there is to be now.
fn down(history: &History, spec: &Autoscaling, at_most: f64, floor: &Floor, now: Timestamp) -> (u32, Reason) {
    let pods = history.pods();
    let Some(within) = history.needed_within(spec.stabilization, now) else {
        return (pods.asked, Reason::Starting);
    };
    let target = whole(within.max(at_most)).max(floor.replicas);
    if target >= pods.asked {
        let reason = if floor.replicas >= pods.asked { floor.reason } else { Reason::ScalingDown };
        return (pods.asked, reason);
    }
    let (taken, before) = history.taken_within_a_minute(now);
    let allowed = (f64::from(before) * spec.down_per_minute).floor().max(1.0);
    // Nobody is leaving, and nobody will whom nobody told yet.
    let is_quiet = pods.leaving == 0 && pods.ready + pods.coming <= pods.asked;
    let is_free = is_quiet && f64::from(taken) < allowed;
    (if is_free { pods.asked - 1 } else { pods.asked }, Reason::ScalingDown)
}

/// What there is to be while too few pods say what they carry: no fewer than there are, but where the specification says so.
fn without_data(history: &History, spec: &Autoscaling, floor: Floor, now: Timestamp) -> Decision {
    let asked = history.pods().asked;
    let since = history.known().unwrap_or(history.started());
    let is_long = seconds(since, now) >= MISSING_SECONDS;
    let by_policy = match spec.missing_data {
        MissingData::Static(replicas) if is_long => replicas,
        MissingData::HoldIfHigher(replicas) if is_long => asked.max(replicas),
        _ => asked,
    };
    let wanted = by_policy.max(floor.replicas);
    let replicas = spec.bounds.clamp(wanted);
    let reason = if history.known().is_none() && !is_long { Reason::Starting } else { Reason::DataMissing };
    let explanation = explain::without_data(history.pods(), replicas);
    Decision {
        replicas,
        wanted,
        reason,
        binding: None,
        inputs: Vec::new(),
        lead: history.lead(),
        floor: floor.name.filter(|_| floor.replicas >= by_policy),
        explanation,
        needed: None,
    }
}
