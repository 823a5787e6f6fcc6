#![cfg(test)]

use super::*;
use crate::register::is_linearizable;

fn run(seed: u64, variant: Variant, time: Duration) -> Run {
    World::new(seed, variant, time).run()
}

fn is_right(seed: u64, variant: Variant, time: Duration) -> bool {
    run(seed, variant, time).histories.iter().all(|history| is_linearizable(history))
}

fn seeds() -> u64 {
    std::env::var("MEDIAORIGIN_SIMULATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000)
}

const TIME: Duration = Duration::from_secs(3);

#[test]
fn every_simulated_history_is_linearizable() {
    let mut operations = 0;
    for seed in 0..seeds() {
        let Run { histories, misordered } = run(seed, Variant::Right, TIME);
        assert_eq!(misordered, 0, "seed {seed}: the order is not that of the ranks");
        operations += histories.iter().map(Vec::len).sum::<usize>();
        for history in &histories {
            assert!(is_linearizable(history), "seed {seed}");
        }
    }
    println!("{operations} operations in {} runs", seeds());
    assert!(operations as u64 > seeds() * 100, "only {operations} operations");
}

/// How many of `count` seeds show that a variant is wrong.
fn refuted(variant: Variant, count: u64) -> u64 {
    let refuted = (0..count).filter(|seed| !is_right(*seed, variant, TIME)).count() as u64;
    println!("{variant:?}: {refuted} of {count} seeds show it");
    refuted
}

#[test]
fn reads_from_local_memory_are_noticed() {
    assert!(refuted(Variant::LocalRead, 5) > 0);
}

/// F1.
#[test]
fn f1_barriers_without_the_hole_rule_are_noticed() {
    assert!(refuted(Variant::NoHoleRule, 100) > 0);
}

#[test]
fn a_fence_without_a_barrier_is_noticed() {
    assert!(refuted(Variant::LocalFence, 50) > 0);
}

/// F2, F3.
#[test]
fn f2_commits_that_rely_on_their_id_are_noticed() {
    assert!(refuted(Variant::NoExpectation, 50) > 0);
}

/// Whether, within `count` seeds, the log and the stamps disagree about who came last.
fn is_misordered(variant: Variant, count: u64) -> bool {
    let misordered: usize = (0..count).map(|seed| run(seed, variant, TIME).misordered).sum();
    println!("{variant:?}: {misordered} times in {count} runs");
    misordered > 0
}

#[test]
fn commits_without_the_stamp_rule_are_noticed() {
    assert!(is_misordered(Variant::AlwaysSuperseded, 5));
    assert!(is_misordered(Variant::AlwaysBehind, 5));
}
