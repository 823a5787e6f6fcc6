//! What was learned of a pod, as `status.scaling.learned` keeps it over a restart of the operator.

use mediaorigin_crds::autoscaling::{Load, MEGABIT};
use mediaorigin_crds::v1alpha1::TargetsSpec;

/// As it is written; CPU in percent of what is `given` with a pod. Nothing where nothing was learned.
pub(super) fn targets(learned: &Load, given: &Load) -> Option<TargetsSpec> {
    let percent = |cpu: f64| given.cpu_seconds.filter(|given| *given > 0.0).map(|given| cpu / given * 100.0);
    let targets = TargetsSpec {
        egress_megabits_per_second: learned.egress_bytes.map(|bytes| whole(bytes / MEGABIT, 1_000_000)),
        requests_per_second: learned.requests.map(|requests| whole(requests, 10_000_000)),
        connections: learned.connections.map(|connections| whole(connections, 100_000)),
        cpu_percent: learned.cpu_seconds.and_then(percent).map(|percent| whole(percent, 1_000)),
    };
    (targets != TargetsSpec::default()).then_some(targets)
}

/// As it is counted with.
pub(super) fn load(targets: &TargetsSpec, given: &Load) -> Load {
    Load {
        egress_bytes: targets.egress_megabits_per_second.map(|megabits| f64::from(megabits) * MEGABIT),
        requests: targets.requests_per_second.map(f64::from),
        connections: targets.connections.map(f64::from),
        cpu_seconds: targets
            .cpu_percent
            .zip(given.cpu_seconds)
            .map(|(percent, given)| f64::from(percent) / 100.0 * given),
    }
}

/// A whole number within what the schema admits.
fn whole(value: f64, max: i32) -> i32 {
    let value = value.round().clamp(1.0, f64::from(max));
    // Within the bounds of the type: the schema's are narrower.
    #[expect(clippy::cast_possible_truncation, reason = "clamped")]
    let value = value as i32;
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let given = Load { cpu_seconds: Some(0.5), ..Load::default() };
        let learned = Load {
            egress_bytes: Some(100e6),
            requests: Some(0.2),
            connections: None,
            cpu_seconds: Some(0.45),
        };
        let written = targets(&learned, &given).unwrap();
        assert_eq!((written.egress_megabits_per_second, written.requests_per_second), (Some(800), Some(1)));
        assert_eq!((written.connections, written.cpu_percent), (None, Some(90)));
        let read = load(&written, &given);
        assert_eq!((read.egress_bytes, read.cpu_seconds), (Some(100e6), Some(0.45)));
        assert_eq!(targets(&Load::default(), &given), None);
    }
}
