//! Which paths held something until lately: the difference between "never was" (404) and "is over" (410).

use std::collections::{HashMap, VecDeque};

/// Paths that are remembered at most; the oldest is forgotten first. 48 bytes each at the most, paid by the base term of
/// the budget.
const PATHS_MAX: usize = 32 * 1024;

/// Why something is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Its time was over.
    Expired,
    /// It had to make room, and no other tier has it.
    Evicted,
}

/// A bounded memory of paths, by their hash: two paths with the same 64 bits are not worth the bytes.
#[derive(Debug, Default)]
pub(super) struct Gone {
    reasons: HashMap<u64, (Reason, u64)>,
    order: VecDeque<(u64, u64)>,
    tickets: u64,
}

impl Gone {
    /// Remembers a path.
    pub(super) fn insert(&mut self, path: u64, reason: Reason) {
        self.tickets += 1;
        self.reasons.insert(path, (reason, self.tickets));
        self.order.push_back((path, self.tickets));
        while self.order.len() > PATHS_MAX {
            let Some((oldest, ticket)) = self.order.pop_front() else { break };
            if self.reasons.get(&oldest).is_some_and(|(_, latest)| *latest == ticket) {
                self.reasons.remove(&oldest);
            }
        }
    }

    /// Forgets a path: it holds something again, or was deleted.
    pub(super) fn remove(&mut self, path: u64) {
        self.reasons.remove(&path);
    }

    /// Why a path is empty, if that is known.
    pub(super) fn reason(&self, path: u64) -> Option<Reason> {
        self.reasons.get(&path).map(|(reason, _)| *reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first_and_nothing_grows() {
        let mut gone = Gone::default();
        for path in 0..PATHS_MAX as u64 {
            gone.insert(path, Reason::Expired);
        }
        gone.insert(0, Reason::Evicted);
        gone.insert(PATHS_MAX as u64, Reason::Expired);
        assert_eq!((gone.reason(0), gone.reason(1)), (Some(Reason::Evicted), None));
        gone.remove(0);
        assert_eq!(gone.reason(0), None);
        for _ in 0..3 * PATHS_MAX {
            gone.insert(7, Reason::Expired);
        }
        assert!(gone.order.len() <= PATHS_MAX && gone.reasons.len() <= PATHS_MAX);
    }
}
