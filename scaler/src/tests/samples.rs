//! Counters, lead times, and which pods are asked.

#![expect(clippy::float_cmp, reason = "the numbers of these tests are exact")]

use std::time::Duration;

use jiff::SignedDuration;
use mediaorigin_crds::pod_load::PodLoad;

use crate::dimension::Dimension;
use crate::lead::LeadTimes;
use crate::rates;
use crate::sample::{Phase, PodSample, Reading, Scrape};
use crate::sampling::{Candidate, chosen, size};

use super::world::start;

fn reading(second: i64, egress_bytes: u64) -> Reading {
    let load = PodLoad {
        egress_bytes,
        requests: egress_bytes / 10,
        shed: egress_bytes / 100,
        cpu_seconds: egress_bytes as f64 / 1000.0,
        connections: 7,
        loop_lag_seconds: 0.0,
    };
    Reading { at: start() + SignedDuration::from_secs(second), load }
}

#[test]
fn rates_are_over_the_time_between_readings_and_never_negative() {
    let rate = |before: Option<Reading>, now: Reading| rates::between(before.as_ref(), &now, Some(start()));
    let two = rate(Some(reading(20, 1_000)), reading(22, 3_000)).unwrap();
    assert_eq!(Dimension::ALL.map(|d| two.loads[d]), [1_000.0, 100.0, 7.0, 1.0]);
    assert_eq!(two.shed, 10.0);
    // A process that began anew has counted 400 since, at least.
    let anew = rate(Some(reading(20, 1_000)), reading(22, 400)).unwrap();
    assert_eq!(Dimension::ALL.map(|d| anew.loads[d]), [200.0, 20.0, 7.0, 0.2]);
    // The first reading of a new pod is what it did since it is ready, and that of an old one is nothing.
    assert_eq!(rate(None, reading(4, 400)).unwrap().loads[Dimension::Egress], 100.0);
    assert_eq!(rate(None, reading(11, 400)), None);
    // Twice the same.
    assert_eq!(rate(Some(reading(20, 1_000)), reading(20, 1_000)), None);
}

fn pod(number: u32, lead_seconds: i64) -> PodSample {
    PodSample {
        id: number.to_string(),
        phase: Phase::Ready,
        created: start(),
        ready: Some(start() + SignedDuration::from_secs(lead_seconds)),
        scrape: Scrape::NotAsked,
    }
}

#[test]
fn the_lead_is_that_of_nineteen_of_twenty_pods_and_five_seconds_before_any() {
    let mut lead = LeadTimes::default();
    assert_eq!(lead.p95(), Duration::from_secs(5));
    let pods: Vec<PodSample> = (1..=20).map(|number| pod(number, number.into())).collect();
    lead.observe(&pods);
    lead.observe(&pods);
    assert_eq!(lead.p95(), Duration::from_millis(19_500));
    // What waited for a node is not taken for what will be; the latest 64 count.
    lead.observe(&(100..164).map(|number| pod(number, 600)).collect::<Vec<_>>());
    assert_eq!(lead.p95(), Duration::from_mins(1));
    lead.observe(&(200..264).map(|number| pod(number, 2)).collect::<Vec<_>>());
    assert_eq!(lead.p95(), Duration::from_millis(2_500));
}

#[test]
fn all_pods_up_to_64_are_asked_and_never_more_than_16_of_more() {
    assert_eq!([0, 1, 63, 64].map(size), [0, 1, 63, 64]);
    assert_eq!([65, 100, 1_000, 100_000].map(size), [13, 14, 16, 16]);
    let ids: Vec<String> = (0..100).map(|number| format!("pod-{number}")).collect();
    let mut pods: Vec<Candidate> =
        ids.iter().map(|id| Candidate { id, phase: Phase::Ready, ready: Some(start()) }).collect();
    pods[3].phase = Phase::Coming;
    let minute = |number: i64| start() + SignedDuration::from_secs(number * 60 + 90);
    let first = chosen(&pods, minute(0));
    assert_eq!(first.len(), 14);
    assert_eq!(first, chosen(&pods, minute(0) + SignedDuration::from_secs(29)));
    assert_ne!(first, chosen(&pods, minute(1)));
    // Young pods come last.
    for (place, pod) in pods.iter_mut().enumerate().filter(|(place, _)| *place >= 20) {
        pod.ready = Some(minute(1) - SignedDuration::from_secs(i64::try_from(place % 20).unwrap()));
    }
    assert!(chosen(&pods, minute(1)).iter().all(|place| *place < 20 && *place != 3));
}
