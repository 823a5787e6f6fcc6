//! The checker of histories tells good ones from bad ones: a checker that accepts everything would prove anything.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use mediaorigin_index::register::{Did, Operation};
use mediaorigin_tests::porcupine::{judged, not_linearizable};

/// Operations as text, each behind its path: `a 0-3 w1, b 5-9 r-`.
fn history(text: &str) -> Vec<(String, Operation)> {
    let operation = |line: &str| {
        let (path, operation) = line.trim().split_once(' ').unwrap();
        (path.to_owned(), operation.parse().unwrap())
    };
    text.split(',').map(operation).collect()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(not_linearizable(&history(text)).unwrap(), expected, "{text}");
}

#[test]
fn good_and_bad_histories_are_told_apart() {
    check("a 0-1 r-", &[]);
    check("a 0-1 w1, a 2-3 r1", &[]);
    check("a 0-1 w1, a 2-3 r-", &["a"]);
    check("a 0-1 w1, a 2-3 w2, a 4-5 r1", &["a"]);
    // At the same time: in either order, but in one.
    check("a 0-5 w1, a 1-4 w2, a 6-7 r1", &[]);
    check("a 0-5 w1, a 1-4 w2, a 6-7 r1, a 8-9 r2", &["a"]);
    // Nobody knows: at any time after it began, or never, and not before.
    check("a 0-1 w1, a 2-? w2, a 3-4 r1, a 5-6 r2", &[]);
    check("a 0-1 w1, a 2-? w2, a 3-4 r1", &[]);
    check("a 0-1 w1, a 2-? w2, a 3-4 r2, a 5-6 r1", &["a"]);
    check("a 0-1 w1, a 2-3 r2, a 4-? w2", &["a"]);
    check("a 0-? r7", &[]);
    // Deletes know whether they took something.
    check("a 0-1 w1, a 2-3 d+, a 4-5 r-", &[]);
    check("a 0-1 w1, a 2-3 d+, a 4-5 r1", &["a"]);
    check("a 0-1 w1, a 2-3 d-", &["a"]);
    check("a 0-1 d+", &["a"]);
    // Each path by itself.
    check("b 0-1 w1, a 2-3 r-, b 2-3 r-, a 4-5 w5, a 6-7 r5", &["b"]);
}

/// What nobody knows the outcome of makes a history long to judge, and not impossible: a good one and a bad one are told apart behind
/// sixty lost deletions and uploads.
#[test]
fn many_operations_of_unknown_outcome_are_judged() {
    let lost = |number: u64| format!("a {0}-? w-, a {1}-? w{1}", 10 * number, 10 * number + 1);
    let round = |number: u64| {
        let (began, ended, read) = (10 * number + 2, 10 * number + 4, 10 * number + 6);
        format!("a {began}-{ended} w{began}, a {read}-{} r{began}", read + 1)
    };
    let lines: Vec<_> = (0..60).flat_map(|number| [lost(number), round(number)]).collect();
    let good = lines.join(", ");
    check(&format!("{good}, a 1000-1001 r-, a 1002-1003 r-"), &[]);
    check(&format!("{good}, a 1000-1001 r-, a 1002-1003 r592"), &["a"]);
    // As many deletions as there are explain as many absences, each behind a value; not one more.
    let absences = |from: u64, count: u64| {
        let one = |number: u64| {
            let time = from + 10 * number;
            format!("a {time}-{} w{time}, a {}-{} r-", time + 1, time + 2, time + 3)
        };
        (0..count).map(one).collect::<Vec<_>>().join(", ")
    };
    check(&format!("{good}, {}", absences(2_000, 60)), &[]);
    check(&format!("{good}, {}", absences(2_000, 61)), &["a"]);
}

/// Threads on a real register; then one read of theirs as of a register that shows an old value.
#[test]
fn a_long_history_of_threads_is_good_and_one_stale_read_in_it_is_bad() {
    let (clock, register) = (AtomicU64::new(0), Mutex::new(None));
    let now = || clock.fetch_add(1, Ordering::SeqCst);
    let of_thread = |number: u64| {
        let mut operations = Vec::new();
        for turn in 0..500 {
            let began = now();
            let did = if turn % 3 == 0 {
                let value = Some(number * 1_000 + turn);
                *register.lock().unwrap() = value;
                Did::Write(value)
            } else {
                Did::Read(*register.lock().unwrap())
            };
            operations.push(("/live/a".to_owned(), Operation { began, ended: Some(now()), did }));
        }
        operations
    };
    let mut history: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|number| scope.spawn(move || of_thread(number))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(not_linearizable(&history).unwrap(), Vec::<String>::new());

    let first = history.iter().find_map(|(_, operation)| match operation.did {
        Did::Write(value) => Some(value),
        _ => None,
    });
    let last = history.iter_mut().filter(|(_, operation)| matches!(operation.did, Did::Read(_)));
    last.max_by_key(|(_, operation)| operation.began).unwrap().1.did = Did::Read(first.unwrap());
    assert_eq!(not_linearizable(&history).unwrap(), ["/live/a"]);
}

#[test]
fn what_is_no_history_is_refused() {
    for (text, complaint) in [
        (r#"{"path": "a", "began": 1, "ended": 2}"#, "did nothing"),
        (r#"{"path": "a", "began": 1, "ended": 2, "did": {"Wrote": 1}}"#, "Wrote"),
        (r#"{"path": "a", "began": 2, "ended": 1, "did": {"Write": 1}}"#, "ended before it began"),
        (r#"{"path": "a", "began": 1, "endet": 2, "did": {"Write": 1}}"#, "endet"),
        ("{", "EOF"),
    ] {
        let refusal = judged(text.as_bytes()).unwrap_err().to_string();
        assert!(refusal.contains(complaint), "{text}: {refusal}");
    }
}
