//! Fewest pods by the calendar: schedules and events.

use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Span, Timestamp, civil};
use mediaorigin_crds::autoscaling::{Autoscaling, Cron, Event, Schedule};

use crate::capacity::Capacity;
use crate::dimension::{self, Dimension};
use crate::history::History;
use crate::reason::Reason;

/// A floor begins this much before its time, so that its pods serve when it comes; more where pods take more.
const EARLY: SignedDuration = SignedDuration::from_mins(1);

/// Fewest pods, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Floor {
    /// Fewest pods.
    pub replicas: u32,
    /// Name of the schedule or event; `None` for `spec.replicas` and `minReplicas`.
    pub name: Option<String>,
    /// `Floor`, `Schedule` or `Event`.
    pub reason: Reason,
}

/// The highest floor at `now`.
pub fn highest(history: &History, spec: &Autoscaling, spec_replicas: u32, now: Timestamp) -> Floor {
    let lead = SignedDuration::try_from(history.lead()).unwrap_or(EARLY);
    // A time that cannot be counted is beyond every calendar.
    let ahead = now.checked_add(EARLY.max(lead + lead)).unwrap_or(now);
    let base = Floor { replicas: spec_replicas.max(spec.bounds.min()), name: None, reason: Reason::Floor };
    let schedules = spec.schedules.iter().filter(|schedule| is_on(schedule, now, ahead)).map(|schedule| {
        Floor { replicas: schedule.min_replicas, name: Some(schedule.name.clone()), reason: Reason::Schedule }
    });
    let events = spec.events.iter().filter(|event| lasts(event.start, event.duration, now, ahead));
    let events = events.map(|event| Floor {
        replicas: event.min_replicas.max(peak(event, spec, history.capacity())),
        name: Some(event.name.clone()),
        reason: Reason::Event,
    });
    let named = schedules.chain(events);
    named.fold(base, |highest, floor| if floor.replicas > highest.replicas { floor } else { highest })
}

/// Whether a schedule is on at `now`, or will be at `ahead`.
pub fn is_on(schedule: &Schedule, now: Timestamp, ahead: Timestamp) -> bool {
    latest(&schedule.cron, &schedule.time_zone, schedule.duration, ahead)
        .is_some_and(|start| lasts(start, schedule.duration, now, ahead))
}

fn lasts(start: Timestamp, duration: std::time::Duration, now: Timestamp, ahead: Timestamp) -> bool {
    let end = SignedDuration::try_from(duration).ok().and_then(|duration| start.checked_add(duration).ok());
    start <= ahead && end.is_some_and(|end| now < end)
}

/// The latest beginning at or before `at`, of those that are less than `duration` and a day before it.
///
/// Times of a day come in the order of their instants, also where clocks change: a time that is skipped is the end of the gap, one that
/// comes twice is the first of the two.
pub fn latest(
    cron: &Cron,
    zone: &TimeZone,
    duration: std::time::Duration,
    at: Timestamp,
) -> Option<Timestamp> {
    let days = duration.as_secs().div_ceil(86_400) + 1;
    let mut date = zone.to_datetime(at).date();
    for _ in 0..=days {
        if cron.is_on(date) {
            let starts = cron.times_backwards().filter_map(|time| instant(zone, date.to_datetime(time)));
            if let Some(start) = starts.into_iter().find(|start| *start <= at) {
                return Some(start);
            }
        }
        date = date.checked_sub(Span::new().days(1)).ok()?;
    }
    None
}

/// A time on the clock of a zone.
fn instant(zone: &TimeZone, time: civil::DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(time);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { .. } => {
            let before = ambiguous.earlier().ok()?;
            zone.following(before).next().map(|transition| transition.timestamp())
        }
        _ => ambiguous.compatible().ok(),
    }
}

/// Pods for the load that an event is expected to bring, as far as it is known what a pod can carry.
fn peak(event: &Event, spec: &Autoscaling, capacity: &Capacity) -> u32 {
    let needed = Dimension::ALL.iter().filter_map(|dimension| {
        let peak = dimension::of(&event.peak, *dimension)?;
        Some(peak / (capacity.of(spec, *dimension)? * spec.utilization))
    });
    crate::decide::whole(needed.fold(0.0, f64::max))
}
