//! What is decided in which situation.

use crate::reason::Reason;

use super::world::{World, fifty, spec};

#[test]
fn a_step_is_answered_in_its_second_and_nothing_is_ordered_twice() {
    let mut world = World::new(fifty(""), 4);
    // 4 × 100 × 0.7 = 280.
    let quiet = world.seconds(400, 270.0);
    assert_eq!((quiet.replicas, quiet.reason), (4, Reason::Demand), "{quiet:?}");
    let step = world.second(810.0);
    assert_eq!(step.explanation, "egress 810 / (100×0.7) = 11.6 → 12");
    assert_eq!((step.replicas, step.reason), (12, Reason::Demand));
    for _ in 0..60 {
        assert_eq!(world.second(810.0).replicas, 12);
    }
}

#[test]
fn a_ramp_is_answered_for_when_the_pods_will_serve() {
    let mut world = World::new(fifty(""), 4);
    world.ready_after = 4;
    world.seconds(400, 270.0);
    let mut last = world.second(270.0);
    for second in 1..=10 {
        last = world.second(270.0 + 30.0 * f64::from(second));
    }
    // Leads of the pods that were there: 4.5 s with the rounding of the API server's times.
    assert_eq!(last.explanation, "egress (570 + 4.5×30) / (100×0.7) = 10.1 → 10");
}

#[test]
fn pods_are_taken_away_one_by_one_after_the_window_and_by_the_rate() {
    let mut world = World::new(fifty("scaleDown: {stabilizationSeconds: 60, percentPerMinute: 50}"), 2);
    world.seconds(100, 100.0);
    world.seconds(10, 1_000.0);
    assert_eq!(world.asked, 15);
    let mut asked = Vec::new();
    for _ in 0..240 {
        asked.push(world.second(100.0).replicas);
    }
    assert_eq!(asked[58], 15, "before the window is over");
    assert!(asked.windows(2).all(|pair| pair[0] - pair[1] <= 1), "{asked:?}");
    // Half of 15 within a minute.
    assert_eq!((asked[118], *asked.last().unwrap()), (8, 2), "{asked:?}");
    let last = world.second(100.0);
    assert_eq!(
        (last.reason, last.explanation.as_str()),
        (Reason::Demand, "egress 100 / (100×0.7) = 1.43 → 2")
    );
}

#[test]
fn nothing_is_taken_away_while_a_pod_is_leaving() {
    use crate::sample::Phase;
    let mut world = World::new(fifty("scaleDown: {stabilizationSeconds: 0}"), 5);
    world.spec_replicas = 5;
    world.seconds(5, 200.0);
    world.spec_replicas = 1;
    let mut samples = world.samples();
    samples[0].phase = Phase::Leaving;
    assert_eq!(world.decided(&samples).replicas, 5);
    samples[0].phase = Phase::Ready;
    // One was taken away a moment ago, and does not know it yet.
    world.asked = 4;
    assert_eq!(world.decided(&samples).replicas, 4);
    world.asked = 5;
    let decision = world.decided(&samples);
    assert_eq!((decision.replicas, decision.reason), (4, Reason::ScalingDown), "{decision:?}");
}

#[test]
fn a_restart_shrinks_nothing_before_a_window_is_full() {
    let mut world = World::new(fifty(""), 20);
    for second in 0..299 {
        let decision = world.second(100.0);
        let reason = if second == 0 { Reason::Starting } else { decision.reason };
        assert_eq!((decision.replicas, reason), (20, Reason::Starting), "{decision:?}");
    }
    assert_eq!(world.second(100.0).replicas, 19);
    world.restart();
    assert_eq!(world.seconds(299, 100.0).replicas, 19);
    // It may become more at once.
    world.restart();
    assert_eq!(world.seconds(3, 1_900.0).replicas, 28);
}

#[test]
fn the_floors_are_spec_replicas_and_min_and_the_ceiling_is_told() {
    let mut world = World::new(fifty("minReplicas: 3"), 3);
    let decision = world.seconds(310, 10.0);
    assert_eq!((decision.replicas, decision.reason), (3, Reason::Floor), "{decision:?}");
    world.spec_replicas = 6;
    let decision = world.second(10.0);
    assert_eq!((decision.replicas, decision.reason), (6, Reason::Floor));
    assert_eq!(decision.explanation, "egress 10 / (100×0.7) = 0.14, at least 6 → 6");
    let decision = world.seconds(3, 9_000.0);
    assert_eq!(
        (decision.replicas, decision.wanted, decision.reason),
        (50, 129, Reason::AtMax),
        "{decision:?}"
    );
    assert_eq!(decision.explanation, "egress 9000 / (100×0.7) = 129 → 129, at most 50 → 50");
    world.spec_replicas = 0;
    let decision = world.second(9_000.0);
    assert_eq!((decision.replicas, decision.reason), (0, Reason::Stopped));
}

#[test]
fn other_modes_follow_spec_replicas() {
    for (mode, reason) in [("Disabled", Reason::Disabled), ("External", Reason::External)] {
        let mut world = World::new(spec(&format!("mode: {mode}, maxReplicas: 5")), 4);
        world.spec_replicas = 8;
        let decision = world.seconds(3, 9_000.0);
        assert_eq!((decision.replicas, decision.reason), (8, reason));
    }
}

#[test]
fn without_data_nothing_changes_but_what_the_policy_says_after_a_minute() {
    for (policy, expected) in [
        ("", 10),
        ("missingData: {policy: Static, replicas: 4}", 4),
        ("missingData: {policy: HoldIfHigher, replicas: 4}", 10),
        ("missingData: {policy: HoldIfHigher, replicas: 14}", 14),
    ] {
        let mut world = World::new(fifty(policy), 10);
        world.seconds(310, 690.0);
        // Six of ten do not answer.
        world.silent = |place| place >= 4;
        let decision = world.seconds(59, 1.0);
        assert_eq!((decision.replicas, decision.reason), (10, Reason::DataMissing), "{policy}: {decision:?}");
        assert_eq!(decision.explanation, "4 of 10 pods say what they carry, 10 are asked for → 10");
        assert_eq!(world.seconds(10, 1.0).replicas, expected, "{policy}");
    }
}

#[test]
fn a_silent_pod_carries_as_much_as_the_busiest_and_as_much_as_it_can() {
    let mut world = World::new(fifty("scaleDown: {stabilizationSeconds: 0}"), 10);
    world.seconds(20, 690.0);
    world.silent = |place| place >= 6;
    // Upwards: each carries 69 of 690 as the others do.
    assert_eq!(world.seconds(3, 690.0).replicas, 10);
    // Downwards: 6 × 60 + 4 × 100 = 760 of which the others know 360.
    let decision = world.seconds(20, 600.0);
    assert_eq!(decision.replicas, 10, "{decision:?}");
    world.silent = |_| false;
    assert_eq!(world.seconds(20, 600.0).replicas, 9);
}
