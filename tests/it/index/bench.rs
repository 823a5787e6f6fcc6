//! What the index costs on three real servers of this machine; printed, for docs/benchmarks.md (`make bench`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mediaorigin_index::entry::{State, Uid};
use mediaorigin_index::wal::Label;
use mediaorigin_index::{Index, Outcome, Wal};
use mediaorigin_tests::bench::percentile;
use tokio::task::JoinSet;

use super::fleet::{Fleet, entry};

const PATIENCE: Duration = Duration::from_mins(1);
/// Measurements of each kind, over all writers.
const TIMES: u64 = 2_000;
/// Versions of 1 MB in the log.
const VERSIONS: u64 = 200;
/// Writers that fill the index: as many as its replay is worth waiting for.
const FILLERS: u64 = 64;

/// Milliseconds at 50 and 99 of a hundred.
fn percentiles(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    let at = |share: usize| percentile(&times, share).unwrap().as_secs_f64() * 1e3;
    (at(50), at(99))
}

/// Runs `once` so often from so many tasks at a time; how long each took.
fn measure<F>(fleet: &Fleet, writers: u64, times: u64, once: impl Fn(u64) -> F) -> Vec<Duration>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let steps: Vec<_> = (0..times / writers).map(|step| once(writer * times + step)).collect();
        tasks.spawn_on(
            async move {
                let mut took = Vec::new();
                for step in steps {
                    let began = Instant::now();
                    step.await;
                    took.push(began.elapsed());
                }
                took
            },
            fleet.runtime.handle(),
        );
    }
    fleet.runtime.block_on(tasks.join_all()).concat()
}

async fn commit(index: Arc<Index>, name: String, uid: u64) {
    let entry = entry(&name, uid, State::Live);
    let outcome = index.commit(&entry, None, PATIENCE, || true).await;
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
}

/// Commits and barriers of 1, 4 and 16 writers, and what a read costs that waits for a barrier against one that does not.
#[test]
#[ignore = "a bench"]
fn commits_and_barriers() {
    let fleet = Fleet::start("bench");
    println!("| | 1 at a time | 4 | 16 |\n|---|---|---|---|");
    let row = |what: &str, once: &dyn Fn(u64) -> Vec<Duration>| {
        let cells = [1, 4, 16].map(|writers| {
            let (half, most) = percentiles(once(writers));
            format!(" {half:.2} / {most:.2} ms |")
        });
        println!("| {what} |{}", cells.concat());
    };
    row("commit, p50 / p99", &|writers| {
        measure(&fleet, writers, TIMES, |uid| {
            commit(fleet.pod(0), format!("live/{writers}/seg{uid}.m4s"), uid + 1)
        })
    });
    row("strict read (a barrier), p50 / p99", &|writers| {
        measure(&fleet, writers, TIMES, |_| {
            let index = fleet.pod(1);
            async move {
                index.strict_get("live/1/seg1.m4s", PATIENCE).await.unwrap().unwrap();
            }
        })
    });
    row("read of what this pod knows, p50 / p99", &|writers| {
        measure(&fleet, writers, TIMES, |_| {
            let index = fleet.pod(1);
            async move {
                index.get("live/1/seg1.m4s").unwrap().unwrap();
            }
        })
    });
}

/// Versions of 1 MB into the log, one after the other and eight at a time.
#[test]
#[ignore = "a bench"]
fn the_write_ahead_log() {
    let fleet = Fleet::start("bench");
    let wal = fleet.runtime.block_on(Wal::connect(&fleet.config(0))).unwrap();
    let body = Bytes::from(vec![7; 1 << 20]);
    for writers in [1, 8] {
        let began = Instant::now();
        let took = measure(&fleet, writers, VERSIONS, |number| {
            let (wal, body) = (wal.clone(), body.clone());
            async move {
                let label = Label { path: "live/a.m4s".into(), stamp: 1 };
                let uid = Uid(u128::from(number) + (u128::from(writers) << 64));
                let mut writer = wal.writer(uid, label, PATIENCE);
                writer.write(body).await.unwrap();
                writer.finish().await.unwrap();
                wal.forget(uid, PATIENCE).await.unwrap();
            }
        });
        let (half, most) = percentiles(took);
        let rate = VERSIONS as f64 / began.elapsed().as_secs_f64();
        println!(
            "write-ahead log, {writers} at a time: {rate:.0} MiB/s, 1 MiB in {half:.1} / {most:.1} ms (p50 / p99), forgotten too"
        );
    }
}

/// How long a pod needs to read a log of 100,000 entries, and one of a million, and how much memory they are.
#[test]
#[ignore = "a bench"]
fn replay() {
    let fleet = Fleet::start("bench");
    let mut filled = 0;
    for count in [100_000, 1_000_000] {
        let began = Instant::now();
        let more = count - filled;
        measure(&fleet, FILLERS, more, |number| {
            let (writer, step) = (number / more, number % more);
            let name = format!("live/channel-{}/1080p/segment-{step:08}.m4s", writer % 100);
            commit(fleet.pod((writer % 3) as usize), format!("{name}-{filled}"), number + 1)
        });
        filled += more / FILLERS * FILLERS;
        let fill = began.elapsed();
        let before = resident();
        let began = Instant::now();
        let index = fleet.connect(0, |_| {});
        let took = began.elapsed();
        let mut entries = 0;
        index.for_each(|_| entries += 1);
        let bytes = resident().saturating_sub(before) / entries.max(1);
        println!("{entries} entries: committed in {fill:.0?}, read in {took:.2?}, {bytes} bytes each");
    }
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap() * 4096
}
