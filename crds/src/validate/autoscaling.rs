//! `spec.autoscaling`: bounds, times and loads.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{REPLICAS_MAX, check_count, check_range, is_label, is_object_name};
use crate::autoscaling::{Autoscaling, Bounds, Event, Load, MEGABIT, MissingData, Mode, Schedule};
use crate::problem::Problem;
use crate::v1alpha1::{
    AutoscalingModeSpec, AutoscalingSpec, EventSpec, ExpectedPeakSpec, MissingDataPolicySpec,
    MissingDataSpec, ScheduleSpec, TargetsSpec,
};

/// Schedules, and events, at most.
const TIMES_MAX: usize = 32;
/// Seconds that one of them lasts.
const DURATION_RANGE: (i32, i32) = (60, 604_800);

/// What a pod has, whatever the load is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pod {
    /// Thousandths of a core: the limit, or the request where there is none.
    pub(super) milli_cpu: Option<u32>,
    /// Connections that it takes.
    pub(super) connections: u32,
}

/// The autoscaling of a spec; what is wrong with it, and what does not fit it, is added to `problems`.
pub(super) fn autoscaling(
    spec: Option<&AutoscalingSpec>,
    has_coordination: bool,
    pod: Pod,
    problems: &mut Vec<Problem>,
) -> Autoscaling {
    let absent = AutoscalingSpec::default();
    let spec = spec.unwrap_or(&absent);
    let mode = match spec.mode {
        AutoscalingModeSpec::Disabled => Mode::Disabled,
        AutoscalingModeSpec::Internal => Mode::Internal,
        AutoscalingModeSpec::External => Mode::External,
    };
    let bounds = bounds(spec, has_coordination, problems);
    let mut number = |field: &str, value: i32, min: i32, max: i32| {
        check_range(&format!("spec.autoscaling.{field}"), value, min, max, problems)
    };
    let utilization = number("utilizationPercent", spec.utilization_percent, 10, 100);
    let stabilization =
        number("scaleDown.stabilizationSeconds", spec.scale_down.stabilization_seconds, 0, 3_600);
    number("headroom.replicas", spec.headroom.replicas, 0, 100);
    let down = number("scaleDown.percentPerMinute", spec.scale_down.percent_per_minute, 1, 100);
    let class = &spec.headroom.priority_class_name;
    if !is_object_name(class) {
        let message = format!("\"{class}\" is not the name of a PriorityClass");
        problems.push(Problem::new("spec.autoscaling.headroom.priorityClassName", message));
    }
    let cpu = pod.milli_cpu.map(|milli| f64::from(milli) / 1000.0);
    Autoscaling {
        mode,
        bounds,
        targets: targets(&spec.targets, cpu, problems),
        given: Load { connections: Some(f64::from(pod.connections)), cpu_seconds: cpu, ..Load::default() },
        utilization: f64::from(utilization) / 100.0,
        stabilization: Duration::from_secs(stabilization.into()),
        down_per_minute: f64::from(down) / 100.0,
        missing_data: missing_data(&spec.missing_data, problems),
        schedules: schedules(spec, problems),
        events: events(spec, problems),
    }
}

fn bounds(spec: &AutoscalingSpec, has_coordination: bool, problems: &mut Vec<Problem>) -> Bounds {
    let min = check_range("spec.autoscaling.minReplicas", spec.min_replicas, 1, REPLICAS_MAX, problems);
    let field = "spec.autoscaling.maxReplicas";
    let Some(max) = spec.max_replicas else {
        if spec.mode == AutoscalingModeSpec::Internal {
            problems.push(Problem::new(field, "mode Internal needs a bound: write maxReplicas"));
        }
        return Bounds::new(min, min).unwrap_or(Bounds::ONE);
    };
    let max = check_range(field, max, 1, REPLICAS_MAX, problems);
    if spec.mode == AutoscalingModeSpec::Internal && max > 1 && !has_coordination {
        let message = "more than one pod needs spec.coordination, by which they are one origin: set it, or use maxReplicas 1";
        problems.push(Problem::new(field, message));
    }
    Bounds::new(min, max).unwrap_or_else(|| {
        let message = format!("{max} is less than minReplicas, {min}: write at least as many");
        problems.push(Problem::new(field, message));
        Bounds::ONE
    })
}

fn targets(spec: &TargetsSpec, cpu: Option<f64>, problems: &mut Vec<Problem>) -> Load {
    let mut number = |field: &str, value: Option<i32>, max: i32| {
        let value = value?;
        Some(f64::from(check_range(&format!("spec.autoscaling.targets.{field}"), value, 1, max, problems)))
    };
    let percent = number("cpuPercent", spec.cpu_percent, 1_000);
    Load {
        egress_bytes: number("egressMegabitsPerSecond", spec.egress_megabits_per_second, 1_000_000)
            .map(|megabits| megabits * MEGABIT),
        requests: number("requestsPerSecond", spec.requests_per_second, 10_000_000),
        connections: number("connections", spec.connections, 100_000),
        cpu_seconds: percent.and_then(|percent| Some(percent / 100.0 * cpu?)),
    }
}

fn missing_data(spec: &MissingDataSpec, problems: &mut Vec<Problem>) -> MissingData {
    let field = "spec.autoscaling.missingData.replicas";
    let replicas = spec.replicas.map(|replicas| check_range(field, replicas, 1, REPLICAS_MAX, problems));
    match (spec.policy, replicas) {
        (MissingDataPolicySpec::Hold, _) => MissingData::Hold,
        (MissingDataPolicySpec::Static, Some(replicas)) => MissingData::Static(replicas),
        (MissingDataPolicySpec::HoldIfHigher, Some(replicas)) => MissingData::HoldIfHigher(replicas),
        (_, None) => {
            let message = "Static and HoldIfHigher need a number of pods: write replicas, or policy Hold";
            problems.push(Problem::new(field, message));
            MissingData::Hold
        }
    }
}

fn schedules(spec: &AutoscalingSpec, problems: &mut Vec<Problem>) -> Vec<Schedule> {
    let at = "spec.autoscaling.schedules";
    check_names(at, spec.schedules.iter().map(|schedule| schedule.name.as_str()), problems);
    let each = spec.schedules.iter().enumerate();
    each.filter_map(|(index, schedule)| {
        let at = format!("{at}[{index}]");
        let replicas = floor(&at, schedule.min_replicas, spec.max_replicas, problems);
        schedule_of(&at, schedule, replicas, problems)
    })
    .collect()
}

fn schedule_of(
    at: &str,
    schedule: &ScheduleSpec,
    min_replicas: u32,
    problems: &mut Vec<Problem>,
) -> Option<Schedule> {
    let duration = duration(at, schedule.duration_seconds, problems);
    let cron = schedule.cron.parse();
    let cron = cron.map_err(|error: crate::autoscaling::CronError| {
        problems.push(Problem::new(format!("{at}.cron"), error.to_string()));
    });
    let time_zone = TimeZone::get(&schedule.time_zone).map_err(|_| {
        let message = format!("\"{}\" is not a time zone: write e.g. \"Europe/Paris\"", schedule.time_zone);
        problems.push(Problem::new(format!("{at}.timeZone"), message));
    });
    let name = schedule.name.clone();
    Some(Schedule { name, cron: cron.ok()?, time_zone: time_zone.ok()?, duration, min_replicas })
}

fn events(spec: &AutoscalingSpec, problems: &mut Vec<Problem>) -> Vec<Event> {
    let at = "spec.autoscaling.events";
    check_names(at, spec.events.iter().map(|event| event.name.as_str()), problems);
    let each = spec.events.iter().enumerate();
    each.filter_map(|(index, event)| {
        let at = format!("{at}[{index}]");
        let replicas = event.min_replicas.map(|replicas| floor(&at, replicas, spec.max_replicas, problems));
        if event.min_replicas.is_none() && event.expected_peak.is_none() {
            let message = "an event needs to say how much: write minReplicas or expectedPeak";
            problems.push(Problem::new(format!("{at}.minReplicas"), message));
        }
        event_of(&at, event, replicas.unwrap_or(0), problems)
    })
    .collect()
}

fn event_of(at: &str, event: &EventSpec, min_replicas: u32, problems: &mut Vec<Problem>) -> Option<Event> {
    let duration = duration(at, event.duration_seconds, problems);
    let peak = event.expected_peak.as_ref().map(|peak| peak_of(at, peak, problems)).unwrap_or_default();
    // In whole seconds, as the schema has it.
    let start = (event.start.len() <= 25).then(|| event.start.parse::<Timestamp>().ok()).flatten();
    let is_plain = event.start.as_bytes().get(10) == Some(&b'T') && !event.start.contains(['[', '.', ',']);
    let Some(start) = start.filter(|_| is_plain) else {
        let message = format!("\"{}\" is not a time: write e.g. \"2026-06-11T20:00:00+02:00\"", event.start);
        problems.push(Problem::new(format!("{at}.start"), message));
        return None;
    };
    Some(Event { name: event.name.clone(), start, duration, min_replicas, peak })
}

fn peak_of(at: &str, peak: &ExpectedPeakSpec, problems: &mut Vec<Problem>) -> Load {
    let mut number = |field: &str, value: Option<i32>, max: i32| {
        Some(f64::from(check_range(&format!("{at}.expectedPeak.{field}"), value?, 1, max, problems)))
    };
    let load = Load {
        egress_bytes: number("egressMegabitsPerSecond", peak.egress_megabits_per_second, 100_000_000)
            .map(|megabits| megabits * MEGABIT),
        requests: number("requestsPerSecond", peak.requests_per_second, 1_000_000_000),
        connections: number("connections", peak.connections, 10_000_000),
        cpu_seconds: None,
    };
    if load == Load::default() {
        let message =
            "an expected peak needs a load: write egressMegabitsPerSecond, requestsPerSecond or connections";
        problems.push(Problem::new(format!("{at}.expectedPeak"), message));
    }
    load
}

fn duration(at: &str, seconds: i32, problems: &mut Vec<Problem>) -> Duration {
    let (min, max) = DURATION_RANGE;
    Duration::from_secs(check_range(&format!("{at}.durationSeconds"), seconds, min, max, problems).into())
}

/// Pods of a time, which are within those that there may be.
fn floor(at: &str, replicas: i32, max: Option<i32>, problems: &mut Vec<Problem>) -> u32 {
    let field = format!("{at}.minReplicas");
    let checked = check_range(&field, replicas, 1, REPLICAS_MAX, problems);
    if let Some(max) = max.filter(|max| replicas > *max && replicas <= REPLICAS_MAX) {
        let message = format!("{replicas} is more than maxReplicas, {max}");
        problems.push(Problem::new(field, message));
    }
    checked
}

/// A list is not too long, its names are names, and none comes twice.
fn check_names<'a>(at: &str, names: impl Iterator<Item = &'a str>, problems: &mut Vec<Problem>) {
    let names: Vec<&str> = names.collect();
    check_count(at, names.len(), TIMES_MAX, problems);
    let mut seen = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        let message = if !is_label(name) || name.len() > 63 {
            format!("\"{name}\" is not a name: lower-case letters, digits and -")
        } else if seen.insert(name) {
            continue;
        } else {
            format!("\"{name}\" is used twice")
        };
        problems.push(Problem::new(format!("{at}[{index}].name"), message));
    }
}
