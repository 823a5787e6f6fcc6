//! One writer of a path at a time: locks by the hash of the path.

use std::hash::{BuildHasher, RandomState};

use tokio::sync::{Mutex, MutexGuard};

/// Locks. Two paths that share one wait for each other, which is rare and only slow.
const LOCKS: usize = 1_024;

/// The locks of all paths.
#[derive(Debug)]
pub(super) struct Locks {
    hasher: RandomState,
    locks: Box<[Mutex<()>]>,
}

impl Locks {
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::new(), locks: (0..LOCKS).map(|_| Mutex::default()).collect() }
    }

    /// Waits for the turn of a writer of `path`.
    pub(super) async fn turn(&self, path: &str) -> MutexGuard<'_, ()> {
        // The remainder of a constant count fits any usize.
        let index = usize::try_from(self.hasher.hash_one(path) % LOCKS as u64).unwrap_or(0);
        self.locks[index].lock().await
    }
}
