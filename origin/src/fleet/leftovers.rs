//! Deletions that the index has and the object store has not yet: tried again until it has them. Nobody finds what they are about.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Paths at most: what does not fit stays in the object store.
const OWED_MAX: usize = 65_536;
/// Those that are tried in one go.
const AT_ONCE: usize = 256;

/// By path, through which stamp it is to be deleted.
#[derive(Debug, Default)]
pub(super) struct Leftovers(Mutex<BTreeMap<Arc<str>, u64>>);

impl Leftovers {
    /// The object store is owed the deletion of `path` through `stamp`.
    pub(super) fn owe(&self, path: &Arc<str>, stamp: u64) {
        let mut owed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if owed.len() >= OWED_MAX && !owed.contains_key(path) {
            tracing::warn!(%path, "too many deletions are owed: this one stays in the object store");
            return;
        }
        let owed = owed.entry(Arc::clone(path)).or_default();
        *owed = stamp.max(*owed);
    }

    /// Some of what is owed; what fails is owed again.
    pub(super) fn take(&self) -> Vec<(Arc<str>, u64)> {
        let mut owed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let some = std::iter::from_fn(|| owed.pop_first());
        some.take(AT_ONCE).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_deletion_of_a_path_is_owed_once() {
        let (leftovers, path) = (Leftovers::default(), Arc::from("a"));
        for stamp in [3, 5, 4] {
            leftovers.owe(&path, stamp);
        }
        assert_eq!(leftovers.take(), [(path, 5)]);
        assert_eq!(leftovers.take(), []);
        for number in 0..OWED_MAX + 9 {
            leftovers.owe(&Arc::from(number.to_string()), 1);
        }
        let taken = std::iter::from_fn(|| Some(leftovers.take().len()).filter(|count| *count > 0));
        assert_eq!(taken.sum::<usize>(), OWED_MAX);
    }
}
