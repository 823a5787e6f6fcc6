//! Is a history of one path linearizable? For whoever tests an index: the simulator here, the tests on real servers, a probe.
//!
//! The search of Wing and Gong with the memory of Lowe: take any operation that may come next, undo it when it leads nowhere,
//! and never look twice at the same set of taken operations with the same value.

use std::collections::HashSet;
use std::str::FromStr;

use serde::Serialize;

/// What was done to a register. `None` is a register with nothing in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Did {
    /// Made this its value.
    Write(Option<u64>),
    /// Was told this value.
    Read(Option<u64>),
    /// Took away what was there, and was told whether there was something.
    Remove(bool),
}

/// One operation. The times only have an order; two moments are never the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Operation {
    /// When it began.
    pub began: u64,
    /// When it ended; `None` if its outcome is unknown: it may take effect at any time after its beginning, or never.
    pub ended: Option<u64>,
    /// What it did.
    pub did: Did,
}

/// `0-3 w1`: from 0 to 3 writes 1; `5-9 r-`: reads nothing; `4-? w2`: of unknown outcome; `1-2 d+`: takes away something.
impl FromStr for Operation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let told = |kind: &str, value| match kind {
            "w" => Some(Did::Write(value)),
            "r" => Some(Did::Read(value)),
            _ => None,
        };
        let parts = || {
            let (times, did) = text.trim().split_once(' ')?;
            let (began, ended) = times.split_once('-')?;
            let did = match (did.get(..1)?, did.get(1..)?) {
                ("d", was_there) => Did::Remove(was_there == "+"),
                (kind, "-") => told(kind, None)?,
                (kind, value) => told(kind, Some(value.parse().ok()?))?,
            };
            let ended = if ended == "?" { None } else { Some(ended.parse().ok()?) };
            Some(Self { began: began.parse().ok()?, ended, did })
        };
        parts().ok_or_else(|| format!("no operation: {text:?}"))
    }
}

/// Whether some order of the operations, in which each stands between its beginning and its end, explains them all. The
/// register begins empty.
pub fn is_linearizable(operations: &[Operation]) -> bool {
    let mut operations: Vec<Operation> = operations.to_vec();
    // A read of unknown outcome says nothing.
    operations.retain(|operation| operation.ended.is_some() || !matches!(operation.did, Did::Read(_)));
    operations.sort_by_key(|operation| operation.began);
    Search::new(&operations).run()
}

/// An operation was told what it cannot have been told here.
struct Misfit;

struct Search<'a> {
    operations: &'a [Operation],
    taken: Vec<u64>,
    known_left: usize,
    seen: HashSet<(Vec<u64>, Option<u64>)>,
}

impl<'a> Search<'a> {
    fn new(operations: &'a [Operation]) -> Self {
        let known_left = operations.iter().filter(|operation| operation.ended.is_some()).count();
        Self { operations, taken: vec![0; operations.len().div_ceil(64)], known_left, seen: HashSet::new() }
    }

    fn is_taken(&self, index: usize) -> bool {
        self.taken[index / 64] & (1 << (index % 64)) != 0
    }

    fn flip(&mut self, index: usize) {
        self.taken[index / 64] ^= 1 << (index % 64);
    }

    /// The operations that may come next: those that began before the first end of all that are left.
    fn candidates(&self) -> Vec<usize> {
        let left = || (0..self.operations.len()).filter(|index| !self.is_taken(*index));
        let first_end = left().filter_map(|index| self.operations[index].ended).min().unwrap_or(u64::MAX);
        left().take_while(|index| self.operations[*index].began < first_end).collect()
    }

    fn run(&mut self) -> bool {
        // The way so far: who was taken, the value before, and who may be tried in his place.
        let mut way: Vec<(usize, Option<u64>, Vec<usize>)> = Vec::new();
        let (mut value, mut candidates) = (None, self.candidates());
        loop {
            if self.known_left == 0 {
                return true;
            }
            match self.next(value, &mut candidates) {
                Some((index, after)) => {
                    way.push((index, value, candidates));
                    (value, candidates) = (after, self.candidates());
                }
                None => match way.pop() {
                    Some((index, before, rest)) => {
                        self.flip(index);
                        self.known_left += usize::from(self.operations[index].ended.is_some());
                        (value, candidates) = (before, rest);
                    }
                    None => return false,
                },
            }
        }
    }

    /// Takes the next candidate that fits and leads to something new.
    fn next(&mut self, value: Option<u64>, candidates: &mut Vec<usize>) -> Option<(usize, Option<u64>)> {
        while let Some(index) = candidates.pop() {
            let operation = self.operations[index];
            let Ok(after) = step(operation, value) else { continue };
            self.flip(index);
            if self.seen.insert((self.taken.clone(), after)) {
                self.known_left -= usize::from(operation.ended.is_some());
                return Some((index, after));
            }
            self.flip(index);
        }
        None
    }
}

/// The value after an operation, unless it was told something else than the value before.
fn step(operation: Operation, value: Option<u64>) -> Result<Option<u64>, Misfit> {
    match operation.did {
        Did::Write(written) => Ok(written),
        Did::Read(read) if read == value => Ok(value),
        Did::Remove(was_there) if was_there == value.is_some() || operation.ended.is_none() => Ok(None),
        Did::Read(_) | Did::Remove(_) => Err(Misfit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(text: &str) -> Vec<Operation> {
        text.split(',').map(|operation| operation.parse().unwrap()).collect()
    }

    #[test]
    fn histories_are_told_apart() {
        for (text, expected) in [
            ("0-1 r-", true),
            ("0-1 w1, 2-3 r1", true),
            ("0-1 w1, 2-3 r-", false),
            ("0-1 w1, 2-3 w2, 4-5 r1", false),
            // At the same time: either order.
            ("0-5 w1, 1-4 w2, 6-7 r1", true),
            ("0-5 w1, 1-4 w2, 6-7 r2", true),
            // But one order for all.
            ("0-5 w1, 1-4 w2, 6-7 r2, 8-9 r1", false),
            // Both readers are in the middle of the write; the second began after the first ended.
            ("0-9 w1, 1-2 r1, 3-4 r-", false),
            ("0-9 w1, 1-2 r-, 3-4 r1", true),
            // Of unknown outcome: now, later, never.
            ("0-? w1, 2-3 r-, 4-5 r1", true),
            ("0-? w1, 2-3 r1, 4-5 r-", false),
            ("0-1 w1, 2-? w2, 3-4 r1, 5-6 w3, 7-8 r2", true),
            ("0-1 w1, 2-? w2, 3-4 r1, 5-6 r1", true),
            ("2-? w2, 0-1 r2", false),
            // Deletions.
            ("0-1 w1, 2-3 d+, 4-5 r-", true),
            ("0-1 w1, 2-3 d+, 4-5 r1", false),
            ("0-1 d+", false),
            ("0-1 d-", true),
            ("0-1 w1, 2-3 d-", false),
            ("0-1 w1, 2-? d+, 3-4 r-, 5-6 r-", true),
            ("0-1 w1, 2-? d+, 3-4 r-, 5-6 r1", false),
            ("0-1 w1, 2-9 d-, 3-4 d+", true),
        ] {
            assert_eq!(is_linearizable(&history(text)), expected, "{text}");
        }
    }

    #[test]
    fn a_long_history_takes_no_long_time() {
        let mut operations = Vec::new();
        for number in 0..2_000u64 {
            // Three writers at once, and a reader of the last one.
            for writer in 0..3 {
                let (began, ended) = (number * 100 + writer, Some(number * 100 + 50 - writer));
                operations.push(Operation { began, ended, did: Did::Write(Some(number * 3 + writer)) });
            }
            let (began, ended) = (number * 100 + 60, Some(number * 100 + 70));
            operations.push(Operation { began, ended, did: Did::Read(Some(number * 3 + number % 3)) });
        }
        assert!(is_linearizable(&operations));
        let stale = Did::Read(Some(0));
        operations.push(Operation { began: 199_980, ended: Some(199_981), did: stale });
        assert!(!is_linearizable(&operations));
    }
}
