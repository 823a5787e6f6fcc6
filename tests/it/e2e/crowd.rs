//! Viewers who ask for a segment at a rate that can be changed, each time on a connection of their own: kube-proxy spreads connections.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mediaorigin_tests::bench::percentile;
use mediaorigin_tests::peer;

use super::eventually;

/// Threads: so many requests are under way at most.
const THREADS: u32 = 16;
/// Requests that may be late are not made up for: a rate that the machine cannot reach is simply lower.
const LATE_MAX: Duration = Duration::from_millis(500);

/// A crowd; it goes with this value.
pub(crate) struct Crowd {
    rate: Arc<AtomicU32>,
    is_over: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    threads: Vec<JoinHandle<()>>,
}

/// What the crowd saw since it was asked last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) failures: Vec<String>,
    /// 503 because there was too much to do.
    pub(crate) shed: usize,
    times: Vec<Duration>,
}

impl Crowd {
    /// Asks for `path` so many times a second.
    pub(crate) fn gather(origin: SocketAddr, path: &str, per_second: u32) -> Self {
        let (rate, is_over) = (Arc::new(AtomicU32::new(per_second)), Arc::new(AtomicBool::new(false)));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let threads = (0..THREADS).map(|_| {
            let (rate, is_over, seen) = (Arc::clone(&rate), Arc::clone(&is_over), Arc::clone(&seen));
            let path = path.to_owned();
            thread::spawn(move || {
                let mut next = Instant::now();
                while !is_over.load(Ordering::Relaxed) {
                    let pause = Duration::from_secs(1) * THREADS / rate.load(Ordering::Relaxed);
                    next = (next + pause).max(Instant::now().checked_sub(LATE_MAX).unwrap_or(next));
                    thread::sleep(next.saturating_duration_since(Instant::now()));
                    ask(origin, &path, &seen);
                }
            })
        });
        let threads = threads.collect();
        Self { rate, is_over, seen, threads }
    }

    /// Another rate.
    pub(crate) fn ask_at(&self, per_second: u32) {
        self.rate.store(per_second, Ordering::Relaxed);
    }

    /// Waits for so many answers since [`Self::seen`] was called last.
    pub(crate) fn wait_for(&self, answers: usize) {
        eventually(&format!("{answers} answers"), 60, || {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).times.len() >= answers
        });
    }

    /// What was seen since this was called last.
    pub(crate) fn seen(&self) -> Seen {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Seen {
    /// In one line: requests, failures, and the time of the slowest of a hundred.
    pub(crate) fn line(&self) -> String {
        let mut times = self.times.clone();
        times.sort_unstable();
        let most = percentile(&times, 99).unwrap_or_default();
        let (count, failed, shed) = (times.len(), self.failures.len(), self.shed);
        format!("{count} requests, {failed} failed, {shed} shed, p99 {most:.0?}")
    }
}

fn ask(origin: SocketAddr, path: &str, seen: &Mutex<Seen>) {
    let began = Instant::now();
    let answer = peer::fetch(origin, "GET", path);
    let time = began.elapsed();
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.times.push(time);
    match answer {
        Ok(answer) if answer.head.status == 200 => {}
        Ok(answer) if answer.head.status == 503 => seen.shed += 1,
        Ok(answer) => seen.failures.push(format!("{}", answer.head.status)),
        Err(error) => seen.failures.push(format!("{error:#}")),
    }
}
