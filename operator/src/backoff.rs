//! Pauses between attempts, per origin: they double with every failure, carry jitter and are forgotten on success.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);
/// Origins that are remembered at most; further ones start at the first pause every time.
pub const ENTRIES_MAX: usize = 10_000;

/// Failures in a row, by key.
#[derive(Debug)]
pub struct Backoff<K> {
    failures: Mutex<HashMap<K, u32>>,
}

impl<K> Default for Backoff<K> {
    fn default() -> Self {
        Self { failures: Mutex::default() }
    }
}

impl<K: Eq + Hash> Backoff<K> {
    /// Notes a failure and says how long to wait; `chance` from 0 to 1 spreads attempts over the second half of the pause.
    pub fn failed(&self, key: K, chance: f64) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let full = failures.len() >= ENTRIES_MAX && !failures.contains_key(&key);
        let count = if full { 0 } else { *failures.entry(key).and_modify(|count| *count += 1).or_default() };
        pause(count).mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }

    /// Forgets a key: it succeeded, or is gone.
    pub fn forget(&self, key: &K) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

fn pause(failures: u32) -> Duration {
    LONGEST.min(FIRST * 2_u32.pow(failures.min(16)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_success_starts_anew() {
        let backoff = Backoff::default();
        let pauses: Vec<u64> = (0..12).map(|_| backoff.failed("a", 1.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(backoff.failed("b", 0.0), Duration::from_millis(500));
        backoff.forget(&"a");
        assert_eq!(backoff.failed("a", 1.0), FIRST);
    }

    #[test]
    fn the_memory_is_bounded() {
        let backoff = Backoff::default();
        for key in 0..ENTRIES_MAX + 5 {
            backoff.failed(key, 1.0);
        }
        assert_eq!(backoff.failures.lock().unwrap().len(), ENTRIES_MAX);
        assert_eq!(backoff.failed(ENTRIES_MAX + 1, 1.0), FIRST);
        assert_eq!(backoff.failed(0, 1.0), FIRST * 2);
    }
}
