//! What a pod can carry is learned at the knee.

use mediaorigin_crds::autoscaling::Load;

use crate::capacity::Capacity;
use crate::dimension::{Dimension, Loads};

use super::world::spec;

fn loads(requests: f64, connections: f64) -> Loads {
    let mut loads = Loads::default();
    loads[Dimension::Requests] = requests;
    loads[Dimension::Connections] = connections;
    loads
}

/// So many seconds of a load with a lag in milliseconds.
fn watch(capacity: &mut Capacity, seconds: u32, requests: f64, connections: f64, lag: f64) {
    for _ in 0..seconds {
        capacity.observe("pod", loads(requests, connections), lag / 1000.0);
    }
}

#[test]
fn nothing_is_learned_before_a_pod_was_late_for_three_seconds() {
    let mut capacity = Capacity::new(Load::default());
    watch(&mut capacity, 60, 900.0, 50.0, 1.0);
    watch(&mut capacity, 2, 2_000.0, 50.0, 200.0);
    watch(&mut capacity, 1, 900.0, 50.0, 1.0);
    watch(&mut capacity, 60, 950.0, 50.0, 30.0);
    assert_eq!(capacity.learned(), Load::default());
    watch(&mut capacity, 3, 1_000.0, 20.0, 80.0);
    // Its connections were far from what was carried before: they are not why it was late.
    let learned = Load { requests: Some(1_000.0), ..Load::default() };
    assert_eq!(capacity.learned(), learned);
}

#[test]
fn what_was_carried_in_time_is_more_than_what_was_learned() {
    let mut capacity = Capacity::new(Load { requests: Some(1_000.0), ..Load::default() });
    watch(&mut capacity, 10, 1_400.0, 0.0, 2.0);
    assert_eq!(capacity.learned().requests, Some(1_400.0));
    // A pod that is late with much less has become slower.
    watch(&mut capacity, 3, 600.0, 0.0, 90.0);
    assert_eq!(capacity.learned().requests, Some(600.0));
}

#[test]
fn the_specification_comes_first_then_what_was_learned_then_what_is_given() {
    let configured = spec("maxReplicas: 9, targets: {requestsPerSecond: 700}");
    let mut capacity = Capacity::new(Load::default());
    assert_eq!(
        Dimension::ALL.map(|d| capacity.of(&configured, d)),
        [None, Some(700.0), Some(1_000.0), Some(1.0)]
    );
    watch(&mut capacity, 3, 300.0, 400.0, 90.0);
    assert_eq!(
        Dimension::ALL.map(|d| capacity.of(&configured, d)),
        [None, Some(700.0), Some(400.0), Some(1.0)]
    );
}
