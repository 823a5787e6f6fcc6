//! A decision as one line: the formula with its numbers.

use std::fmt::Write;
use std::time::Duration;

use mediaorigin_crds::autoscaling::Autoscaling;

use crate::decide::Input;
use crate::history::Pods;
use crate::reason::Reason;

/// A rise of less than this share of the level.
const UNSEEN: f64 = 0.001;

/// `egress (812 + 4.1×40) / (120×0.7) = 11.6 → 12`: level, lead seconds × slope, capacity × utilization. What comes after it says why there
/// are not as many.
pub(crate) fn line(
    binding: Option<&Input>,
    spec: &Autoscaling,
    lead: Duration,
    wanted: u32,
    replicas: u32,
    reason: Reason,
    floor: Option<&str>,
) -> String {
    let mut line = match binding {
        Some(input) => formula(input, spec.utilization, lead),
        None => "no dimension has a target, and none was learned".to_owned(),
    };
    let behind = match (reason, floor) {
        (Reason::Schedule, Some(name)) => format!(", schedule {name} → {replicas}"),
        (Reason::Event, Some(name)) => format!(", event {name} → {replicas}"),
        (Reason::Floor, _) => format!(", at least {replicas} → {replicas}"),
        (Reason::AtMax, _) => format!(" → {wanted}, at most {replicas} → {replicas}"),
        (Reason::ScalingDown, _) => format!(" → {wanted}, on the way down → {replicas}"),
        (Reason::Starting, _) => format!(" → {wanted}, not watched for long enough → {replicas}"),
        _ => format!(" → {replicas}"),
    };
    // Writing to a String cannot fail.
    let _ = write!(line, "{behind}");
    line
}

fn formula(input: &Input, utilization: f64, lead: Duration) -> String {
    let scale = input.dimension.per_readable();
    let (level, slope) = (input.demand.level / scale, input.demand.slope / scale);
    let rise = input.demand.slope * lead.as_secs_f64();
    // What would not be seen in the result is left out.
    let demand = if rise <= input.demand.level * UNSEEN {
        number(level)
    } else if input.demand.after(lead.as_secs_f64()) < input.demand.level + rise {
        format!("(4×{})", number(level))
    } else {
        format!("({} + {}×{})", number(level), number(lead.as_secs_f64()), number(slope))
    };
    let (name, capacity) = (input.dimension.as_str(), number(input.capacity / scale));
    format!("{name} {demand} / ({capacity}×{}) = {}", number(utilization), number(input.needed))
}

/// Three digits that count, and all of those before the point.
fn number(value: f64) -> String {
    let decimals = if value.abs() >= 100.0 {
        0
    } else if value.abs() >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Where the load decides nothing.
pub(crate) fn fixed(replicas: u32, reason: Reason) -> String {
    match reason {
        Reason::Stopped => "spec.replicas is 0 → 0".to_owned(),
        _ => format!("spec.replicas → {replicas}"),
    }
}

/// Where the load is not known.
pub(crate) fn without_data(pods: Pods, replicas: u32) -> String {
    let Pods { answered, silent, .. } = pods;
    format!(
        "{answered} of {} pods say what they carry, {} are asked for → {replicas}",
        answered + silent,
        pods.asked
    )
}
