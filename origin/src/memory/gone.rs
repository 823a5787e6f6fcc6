//! The names of what expired lately: whoever asks for it is told that it is gone, not that it never was.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

/// Names that are remembered; the oldest is forgotten first and is a 404 again. Hours of a live channel. About 1 MiB.
pub const NAMES_MAX: usize = 16 * 1024;

/// The names of what expired lately, as keyed hashes: two names share one by chance only, once in 2^50 names.
#[derive(Debug, Default)]
pub struct Gone {
    hasher: RandomState,
    names: Mutex<Names>,
}

#[derive(Debug, Default)]
struct Names {
    /// Whether each name is still gone, or has come back.
    known: HashMap<u64, bool>,
    order: VecDeque<u64>,
}

impl Gone {
    /// What lay under `path` has expired.
    pub fn add(&self, path: &str) {
        let name = self.hasher.hash_one(path);
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.order.len() == NAMES_MAX
            && let Some(oldest) = names.order.pop_front()
        {
            names.known.remove(&oldest);
        }
        let Names { known, order } = &mut *names;
        if known.insert(name, true).is_none() {
            order.push_back(name);
        }
    }

    /// Something lies under `path` again.
    pub fn remove(&self, path: &str) {
        let name = self.hasher.hash_one(path);
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(is_gone) = names.known.get_mut(&name) {
            *is_gone = false;
        }
    }

    /// Whether what lay under `path` has expired.
    pub fn has(&self, path: &str) -> bool {
        let name = self.hasher.hash_one(path);
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.known.get(&name).is_some_and(|is_gone| *is_gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_name_is_forgotten_first_and_a_name_can_come_back() {
        let gone = Gone::default();
        for number in 0..NAMES_MAX {
            gone.add(&format!("seg{number}.ts"));
        }
        assert!(gone.has("seg0.ts") && gone.has("seg16383.ts") && !gone.has("seg16384.ts"));
        gone.remove("seg5.ts");
        assert!(!gone.has("seg5.ts"));
        gone.add("seg5.ts");
        assert!(gone.has("seg5.ts"));
        gone.add("seg16384.ts");
        assert!(!gone.has("seg0.ts") && gone.has("seg1.ts") && gone.has("seg16384.ts"));
    }
}
