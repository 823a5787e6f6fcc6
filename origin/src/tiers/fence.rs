//! What a tier remembers of versions that are gone: up to which sequence nothing may come any more under a path.
//!
//! A put that was on its way when its path was deleted would otherwise bring the object back. Such a put can only come from
//! this process, so a fence lives in memory; and it comes within the time that a queue or a retry takes, so the number of
//! fences is bounded: the oldest goes first.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

/// Paths that a tier remembers at least.
pub const FENCES_MAX: usize = 65_536;

/// The latest deletes by path. Paths are kept as 128-bit keyed hashes: what this costs does not depend on their length.
#[derive(Debug)]
pub struct Fence {
    keys: [RandomState; 2],
    through: HashMap<[u64; 2], u64>,
    order: VecDeque<([u64; 2], u64)>,
    max: usize,
}

impl Fence {
    /// Remembers `max` changes.
    pub fn new(max: usize) -> Self {
        let keys = [RandomState::new(), RandomState::new()];
        Self { keys, through: HashMap::new(), order: VecDeque::new(), max }
    }

    /// From now on nothing with a sequence up to `through` comes under `path`.
    pub fn raise(&mut self, path: &str, through: u64) {
        let key = self.key(path);
        if self.through.get(&key).is_some_and(|known| *known >= through) {
            return;
        }
        self.through.insert(key, through);
        self.order.push_back((key, through));
        while self.order.len() > self.max {
            let Some((key, through)) = self.order.pop_front() else { return };
            if self.through.get(&key) == Some(&through) {
                self.through.remove(&key);
            }
        }
    }

    /// Whether a version with this sequence comes too late.
    pub fn bars(&self, path: &str, sequence: u64) -> bool {
        self.through(path).is_some_and(|through| sequence <= through)
    }

    /// Up to which sequence nothing comes, if that is remembered.
    pub fn through(&self, path: &str) -> Option<u64> {
        if self.through.is_empty() {
            return None;
        }
        self.through.get(&self.key(path)).copied()
    }

    /// What it occupies, estimated.
    pub fn bytes(&self) -> usize {
        self.order.capacity() * size_of::<([u64; 2], u64)>()
            + self.through.capacity() * (size_of::<([u64; 2], u64)>() + 1)
    }

    fn key(&self, path: &str) -> [u64; 2] {
        [self.keys[0].hash_one(path), self.keys[1].hash_one(path)]
    }
}

#[cfg(test)]
mod tests {
    use super::Fence;

    #[test]
    fn a_fence_bars_what_is_older_than_the_last_delete() {
        let mut fence = Fence::new(10);
        assert!(!fence.bars("a", 0));
        fence.raise("a", 5);
        fence.raise("a", 3);
        let barred: Vec<bool> = [0, 5, 6].iter().map(|sequence| fence.bars("a", *sequence)).collect();
        assert_eq!(barred, [true, true, false]);
        assert!(!fence.bars("b", 5));
    }

    #[test]
    fn the_oldest_fence_goes_first_and_a_raised_one_counts_as_new() {
        let mut fence = Fence::new(2);
        fence.raise("a", 1);
        fence.raise("b", 1);
        fence.raise("a", 2);
        assert!(fence.bars("a", 2) && fence.bars("b", 1));
        fence.raise("c", 1);
        assert!(fence.bars("a", 2) && !fence.bars("b", 1) && fence.bars("c", 1));
    }
}
