//! Schedules and events, also where clocks change.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use mediaorigin_crds::autoscaling::Load;

use crate::decide::decide;
use crate::floors::latest;
use crate::history::History;
use crate::reason::Reason;

use super::world::spec;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Every beginning of `cron` between two times, a minute after the other.
fn starts(cron: &str, zone: &str, from: &str, to: &str) -> Vec<String> {
    let (cron, zone) = (cron.parse().unwrap(), TimeZone::get(zone).unwrap());
    let mut found: Vec<Timestamp> = Vec::new();
    let mut now = time(from);
    while now <= time(to) {
        found.extend(latest(&cron, &zone, Duration::from_mins(1), now).filter(|start| *start >= time(from)));
        now += SignedDuration::from_mins(1);
    }
    found.dedup();
    found.iter().map(|start| start.to_zoned(zone.clone()).strftime("%d %H:%M %Z").to_string()).collect()
}

#[test]
fn a_beginning_in_the_hour_that_is_skipped_is_at_its_end() {
    // Paris, 29 March 2026: 02:00 is 03:00.
    let paris = |cron| starts(cron, "Europe/Paris", "2026-03-28T00:00:00Z", "2026-03-30T12:00:00Z");
    assert_eq!(paris("30 2 * * *"), ["28 02:30 CET", "29 03:00 CEST", "30 02:30 CEST"]);
    assert_eq!(paris("0 2 * * SUN"), ["29 03:00 CEST"]);
    assert_eq!(paris("0 3 * * SUN"), ["29 03:00 CEST"]);
    assert_eq!(paris("59 1 * * SUN"), ["29 01:59 CET"]);
    // New York, 8 March.
    assert_eq!(
        starts("15 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", "2026-03-09T12:00:00Z"),
        ["08 03:00 EDT", "09 02:15 EDT"]
    );
    // Lord Howe skips half an hour: 4 October, 02:00 is 02:30.
    assert_eq!(
        starts("10,40 2 * * *", "Australia/Lord_Howe", "2026-10-03T14:00:00Z", "2026-10-03T17:00:00Z"),
        ["04 02:30 +11", "04 02:40 +11"]
    );
}

#[test]
fn a_beginning_in_the_hour_that_comes_twice_is_in_the_first_only() {
    // Paris, 25 October 2026: 03:00 is 02:00 again.
    let paris = |cron| starts(cron, "Europe/Paris", "2026-10-24T20:00:00Z", "2026-10-26T03:00:00Z");
    assert_eq!(paris("30 2 * * *"), ["25 02:30 CEST", "26 02:30 CET"]);
    assert_eq!(paris("0 3 * * *"), ["25 03:00 CET", "26 03:00 CET"]);
    assert_eq!(
        paris("*/30 1-3 25 * *"),
        ["25 01:00 CEST", "25 01:30 CEST", "25 02:00 CEST", "25 02:30 CEST", "25 03:00 CET", "25 03:30 CET"]
    );
}

/// Fewest pods and why, at each of the times.
fn floors(autoscaling: &str, times: &[&str]) -> Vec<(u32, Reason)> {
    let spec = spec(autoscaling);
    let at = |text: &&str| {
        let mut history = History::new(time(text), Load::default());
        history.observe(time(text), 1, &[]);
        let decision = decide(&history, &spec, 1, time(text));
        (decision.replicas, decision.floor.map_or(Reason::Floor, |_| Reason::Schedule))
    };
    times.iter().map(at).collect()
}

/// A schedule lasts as long as it says whatever the clocks do in the middle of it, and begins a minute early.
#[test]
fn a_schedule_holds_its_pods_from_a_minute_before_to_its_end_across_a_change_of_clocks() {
    let night = "maxReplicas: 20, schedules: [{name: night, cron: '0 1 * * *', timeZone: Europe/Paris, durationSeconds: 10800, \
                 minReplicas: 12}]";
    let (on, off) = ((12, Reason::Schedule), (1, Reason::Floor));
    // 01:00 CET is 00:00 UTC, and three hours later it is 05:00 CEST.
    let spring =
        ["2026-03-28T23:58:59Z", "2026-03-28T23:59:00Z", "2026-03-29T02:59:59Z", "2026-03-29T03:00:00Z"];
    assert_eq!(floors(night, &spring), [off, on, on, off]);
    // 01:00 CEST is 23:00 UTC, and three hours later it is 03:00 CET.
    let autumn =
        ["2026-10-24T22:58:59Z", "2026-10-24T22:59:00Z", "2026-10-25T01:59:59Z", "2026-10-25T02:00:00Z"];
    assert_eq!(floors(night, &autumn), [off, on, on, off]);
}

#[test]
fn a_week_long_schedule_and_one_of_every_minute_hold() {
    let week = "maxReplicas: 20, schedules: [{name: cup, cron: '0 12 1 6 *', durationSeconds: 604800, minReplicas: 5}]";
    let times =
        ["2026-06-01T11:58:59Z", "2026-06-01T11:59:00Z", "2026-06-08T11:59:59Z", "2026-06-08T12:00:00Z"];
    let (on, off) = ((5, Reason::Schedule), (1, Reason::Floor));
    assert_eq!(floors(week, &times), [off, on, on, off]);
    let always =
        "maxReplicas: 20, schedules: [{name: all, cron: '* * * * *', durationSeconds: 60, minReplicas: 5}]";
    assert_eq!(floors(always, &times), [on, on, on, on]);
}

#[test]
fn an_event_holds_what_its_peak_needs() {
    let event = "maxReplicas: 20, targets: {egressMegabitsPerSecond: 100}, events: [{name: final, start: '2026-07-19T21:00:00+02:00', \
                 durationSeconds: 3600, minReplicas: 3, expectedPeak: {egressMegabitsPerSecond: 700}}]";
    let times =
        ["2026-07-19T18:58:59Z", "2026-07-19T18:59:00Z", "2026-07-19T19:59:59Z", "2026-07-19T20:00:00Z"];
    let (on, off) = ((10, Reason::Schedule), (1, Reason::Floor));
    assert_eq!(floors(event, &times), [off, on, on, off]);
}
