//! Every history of PUT, GET and DELETE through all pods is linearizable per path, under faults of servers, links and pods. The
//! checker is shown to notice two designs that are wrong.
//!
//! Short in `make test`, long in `make soak`: `MEDIAORIGIN_SOAK_SECONDS`. The seed is printed and taken from
//! `MEDIAORIGIN_SEED`.

use std::time::Duration;

use fastrand::Rng;
use mediaorigin_index::register::{Operation, is_linearizable};
use mediaorigin_tests::nats::PATIENCE;

use super::faults::Fault;
use super::fleet::{Fleet, wait_until};
use super::workload::{Variant, Workload};

/// What the short form does: each kind of fault once, but those that take long.
const SHORT: [Fault; 10] = [
    Fault::Reset,
    Fault::CutPod,
    Fault::KillFollower,
    Fault::SilencePod,
    Fault::ReplacePod,
    Fault::KillLeader,
    Fault::DeafenPod,
    Fault::StopFollower,
    Fault::SlowDisk,
    Fault::Terminate,
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Plays faults, each while clients go on; afterwards all pods must do so again.
fn play(fleet: &mut Fleet, workload: &Workload, fault: Fault, chance: &mut Rng) {
    workload.next_round();
    go_on(workload, 20);
    workload.take_gap();
    fault.happen(fleet, chance);
    go_on(workload, 20);
    println!("{fault:?}: longest time without a success {:?}", workload.take_gap());
}

/// Waits until every pod has had `more` successes.
fn go_on(workload: &Workload, more: u64) {
    let before = workload.alive();
    wait_until("all pods to go on", || {
        let now = workload.alive();
        let goes_on = now.iter().zip(before).all(|(now, before)| now.successes >= before.successes + more);
        goes_on.then_some(()).ok_or_else(|| format!("{now:?}"))
    });
}

fn check(histories: &[(String, Vec<Operation>)], seed: u64) -> usize {
    for (path, history) in histories {
        assert!(is_linearizable(history), "seed {seed}: {path} is not linearizable: {history:#?}");
    }
    histories.iter().map(|(_, history)| history.len()).sum()
}

/// One run: a fleet, its clients, and faults until `more` says no.
fn run(seed: u64, mut next: impl FnMut(usize, &mut Rng, Duration) -> Option<Fault>) -> usize {
    println!("MEDIAORIGIN_SEED={seed}");
    let mut chance = Rng::with_seed(seed);
    let mut fleet = Fleet::start("live");
    let workload = Workload::start(&fleet, Variant::Right, seed);
    let mut count = 0;
    while let Some(fault) = next(count, &mut chance, workload.elapsed()) {
        play(&mut fleet, &workload, fault, &mut chance);
        count += 1;
    }
    go_on(&workload, 20);
    let healths: Vec<_> = (0..3).map(|pod| fleet.pod(pod).health()).collect();
    let operations = check(&workload.finish(&fleet), seed);
    println!("{count} faults, {operations} operations: {healths:?}");
    operations
}

#[test]
fn histories_under_faults_are_linearizable() {
    let seed = number("MEDIAORIGIN_SEED").unwrap_or_else(|| fastrand::u64(..));
    let operations = run(seed, |count, _, _| SHORT.get(count).copied());
    assert!(operations > 1_000, "only {operations} operations");
}

/// For `make soak`: any fault, again and again; a new fleet every minute.
#[test]
#[ignore = "for make soak"]
fn soak_histories_under_faults_are_linearizable() {
    let seconds = number("MEDIAORIGIN_SOAK_SECONDS").unwrap_or(60);
    let first = number("MEDIAORIGIN_SEED").unwrap_or_else(|| fastrand::u64(..));
    let begin = std::time::Instant::now();
    let is_over = || begin.elapsed() > Duration::from_secs(seconds);
    for seed in first.. {
        run(seed, |_, chance, elapsed| {
            let goes_on = elapsed < Duration::from_mins(1) && !is_over();
            goes_on.then(|| Fault::ALL[chance.usize(..Fault::ALL.len())])
        });
        if is_over() {
            break;
        }
    }
}

/// Whether clients that do it wrongly are noticed, within some rounds.
fn is_noticed(fleet: &Fleet, variant: Variant) -> bool {
    let workload = Workload::start(fleet, variant, 7);
    let deadline = std::time::Instant::now() + PATIENCE;
    for _ in 0..10 {
        workload.next_round();
        go_on(&workload, 100);
        assert!(std::time::Instant::now() < deadline, "too slow");
    }
    workload.finish(fleet).iter().any(|(_, history)| !is_linearizable(history))
}

/// The control: on the same servers, with no fault at all.
#[test]
fn reads_from_memory_and_old_fences_are_noticed() {
    let fleet = Fleet::start("live");
    assert!(!is_noticed(&fleet, Variant::Right));
    let fleet = Fleet::start("other");
    assert!(is_noticed(&fleet, Variant::LocalRead));
    let fleet = Fleet::start("third");
    assert!(is_noticed(&fleet, Variant::OldFence));
}
