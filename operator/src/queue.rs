//! Origins that something has happened to and whose reconcile has not begun: how many, and how long they waited. kube's own queue
//! does not tell.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::agents::Key;
use crate::backoff::ENTRIES_MAX;

/// Who waits, and since when.
#[derive(Debug, Default)]
pub struct Queue(Mutex<HashMap<Key, Instant>>);

impl Queue {
    /// Something has happened to an origin; if it waits already, it waits since then.
    pub fn enter(&self, key: Key, now: Instant) {
        self.with(|waiting| {
            if waiting.len() < ENTRIES_MAX || waiting.contains_key(&key) {
                waiting.entry(key).or_insert(now);
            }
        });
    }

    /// Its reconcile begins, or it is gone; how long it has waited. One that is looked at again by the clock has not.
    pub fn leave(&self, key: &Key, now: Instant) -> Option<Duration> {
        self.with(|waiting| Some(now.saturating_duration_since(waiting.remove(key)?)))
    }

    /// Another operator acts: nobody waits for this one.
    pub fn clear(&self) {
        self.with(HashMap::clear);
    }

    /// How many wait.
    pub fn depth(&self) -> usize {
        self.with(|waiting| waiting.len())
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<Key, Instant>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_waits_from_the_first_thing_that_happens_until_it_is_looked_at() {
        let (queue, start) = (Queue::default(), Instant::now());
        let (live, vod) = (("media".to_owned(), "live".to_owned()), ("media".to_owned(), "vod".to_owned()));
        let second = Duration::from_secs(1);
        queue.enter(live.clone(), start);
        queue.enter(live.clone(), start + second);
        queue.enter(vod.clone(), start + second);
        assert_eq!(queue.depth(), 2);
        assert_eq!(queue.leave(&live, start + 3 * second), Some(3 * second));
        assert_eq!(queue.leave(&live, start + 3 * second), None);
        assert_eq!(queue.depth(), 1);
        queue.clear();
        assert_eq!(queue.depth(), 0);
    }

    #[test]
    fn the_memory_is_bounded() {
        let (queue, now) = (Queue::default(), Instant::now());
        for number in 0..ENTRIES_MAX + 5 {
            queue.enter(("media".to_owned(), number.to_string()), now);
        }
        assert_eq!(queue.depth(), ENTRIES_MAX);
    }
}
