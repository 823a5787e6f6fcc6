//! A viewer of a live stream.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use mediaorigin_tests::peer;

/// How often a player looks at its playlist, and how long it waits before it asks for the same again.
const POLL: Duration = Duration::from_millis(250);

/// What a player keeps ready: three segments, as `tests/sample/push` makes them. Who looks at a longer pause has played all of it.
pub(crate) const BUFFER: Duration = Duration::from_secs(3 * 2);

/// What a viewer saw.
#[derive(Debug, Default)]
pub(crate) struct Viewing {
    /// The segments that the playlist has named.
    pub(crate) segments: BTreeSet<String>,
    /// What was not answered, however often it was asked for.
    pub(crate) failures: Vec<String>,
    /// When requests were not answered as they should have been, and were made again.
    pub(crate) retries: Vec<Instant>,
    /// Requests, without those that were made again.
    pub(crate) gets: usize,
    /// When he began, and when a playlist brought something new.
    advances: Vec<Instant>,
}

impl Viewing {
    /// Follows `playlist` until `is_over`, as players do, on a connection per request; asks up to `retries` times again.
    pub(crate) fn of(origin: SocketAddr, playlist: &str, retries: usize, is_over: &AtomicBool) -> Self {
        let mut viewing = Self { advances: vec![Instant::now()], ..Self::default() };
        let folder = playlist.rsplit_once('/').map_or("", |(folder, _)| folder);
        while !is_over.load(Ordering::Relaxed) {
            let text = viewing.get(origin, playlist, retries).unwrap_or_default();
            let names = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
            for path in names.map(|name| format!("{folder}/{name}")).collect::<Vec<_>>() {
                if viewing.segments.insert(path.clone()) {
                    viewing.advances.push(Instant::now());
                    viewing.get(origin, &path, retries);
                }
            }
            thread::sleep(POLL);
        }
        viewing
    }

    /// The longest time between two playlists that brought something new.
    pub(crate) fn pause(&self) -> Duration {
        longest(&self.advances)
    }

    /// The same as it was at a moment.
    pub(crate) fn pause_until(&self, moment: Instant) -> Duration {
        let until = self.advances.iter().copied().filter(|advance| *advance < moment);
        longest(&until.chain([moment]).collect::<Vec<_>>())
    }

    fn get(&mut self, origin: SocketAddr, path: &str, retries: usize) -> Option<String> {
        self.gets += 1;
        for attempt in 0..=retries {
            match fetch(origin, path) {
                Ok(text) => return Some(text),
                Err(error) if attempt == retries => self.failures.push(format!("{path}: {error:#}")),
                Err(_) => {
                    self.retries.push(Instant::now());
                    thread::sleep(POLL);
                }
            }
        }
        None
    }
}

fn longest(advances: &[Instant]) -> Duration {
    advances.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

fn fetch(origin: SocketAddr, path: &str) -> Result<String> {
    let answer = peer::fetch(origin, "GET", path)?;
    ensure!(answer.head.status == 200, "{}", answer.head.status);
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}
