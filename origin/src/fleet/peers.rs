//! What pods fetch from each other: versions by their names, complete or growing, over a port of their own.
//!
//! ```text
//! what is wanted here and is elsewhere ─┬ complete: tiers::pieces ─→ tier ─┐
//!                                       └ growing:  growing ───────────────┴ client ─HTTP/1.1→ server ─→ memory there
//! ```
//!
//! A pod answers from its memory only, and only for the version that is named: nothing is looked up, and nothing is fetched for
//! somebody else, so no question goes round in circles. Which pod to ask is said by others; what they say may be wrong, and then
//! the next one is asked. How it is spoken to, plainly or by TLS, its address says.

pub mod address;
pub mod client;
pub mod growing;
pub mod ring;
pub mod server;
#[cfg(test)]
mod tests;
pub mod tier;
mod tls;
pub mod wire;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::sign::CertifiedKey;

use crate::digest::Digest;

/// What pods of one fleet have in common, by which they know each other. Never printed.
#[derive(Clone)]
pub struct Keys {
    /// Whoever asks shows it.
    token: String,
    /// Whoever is asked by TLS shows it.
    pair: Arc<CertifiedKey>,
}

impl Keys {
    /// Those of the fleet `scope`, whose pods have `password` in common.
    pub fn of(password: &[u8], scope: &str) -> Result<Self, rustls::Error> {
        let token = Digest::keyed(password, format!("mediaorigin peer {scope}").as_bytes()).to_string();
        Ok(Self { token, pair: tls::pair(password, scope)? })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Keys(…)")
    }
}

/// What went over peer ports, in both directions.
#[derive(Debug, Default)]
pub struct Counters {
    fetches: AtomicU64,
    failed: AtomicU64,
    broken: AtomicU64,
    received: AtomicU64,
    answers: AtomicU64,
    filled: AtomicU64,
    refused: AtomicU64,
    sent: AtomicU64,
}

/// The same at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Versions, or parts of them, that other pods were asked for.
    pub fetches: u64,
    /// Those of them that brought no byte: not held, busy, not reached.
    pub failed: u64,
    /// Those of them that ended before their last byte.
    pub broken: u64,
    /// Bytes from other pods.
    pub received: u64,
    /// Answers with bytes to other pods.
    pub answers: u64,
    /// Those of them for which a piece was fetched, or followed, that was not here.
    pub filled: u64,
    /// Questions of other pods that were turned away because there were too many.
    pub refused: u64,
    /// Bytes to other pods.
    pub sent: u64,
}

impl Counters {
    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            fetches: of(&self.fetches),
            failed: of(&self.failed),
            broken: of(&self.broken),
            received: of(&self.received),
            answers: of(&self.answers),
            filled: of(&self.filled),
            refused: of(&self.refused),
            sent: of(&self.sent),
        }
    }
}

fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}
