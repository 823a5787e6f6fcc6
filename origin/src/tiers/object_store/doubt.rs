//! Which writes may still take effect: what was sent to the store and not answered.
//!
//! A request that we gave up may lie in a queue and be carried out later. Each write is conditional, so it does no harm
//! unless its condition is met again:
//!
//! ```text
//! create     waits for the key to be absent      → a delete leaves a marker, until it cannot come any more
//! replace    waits for an ETag (S3: the MD5)     → the same bytes are not written again until then
//! delete     waits for nothing                   → the key takes no version until then
//! ```
//!
//! A write that could not be remembered is not sent, so nothing is ever forgotten.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::decide::Likeness;
use crate::memory::blob::Uid;

/// Unanswered writes of one key at most.
const PER_KEY_MAX: usize = 32;

/// What a write does, as far as its condition goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Write {
    Create,
    Replace {
        /// The `ETag` that it waits for.
        etag: Arc<str>,
        /// The bytes that have it.
        likeness: Likeness,
        /// What it would put there.
        uid: Option<Uid>,
        /// The place of that in the order of versions.
        sequence: u64,
    },
    Delete,
}

#[derive(Debug)]
struct Pending {
    id: u64,
    write: Write,
    /// Until when it may take effect; none while it is on its way.
    until: Option<Duration>,
}

#[derive(Debug, Default)]
struct State {
    keys: HashMap<Arc<str>, Vec<Pending>>,
    count: usize,
    ids: u64,
}

/// Every write that is on its way or in doubt.
#[derive(Debug)]
pub(super) struct Doubts {
    state: Mutex<State>,
    max: usize,
    window: Duration,
    /// What the process before this one sent is in doubt, until then.
    all_until: Duration,
}

/// A write that was noted; settle it when its answer is known.
#[derive(Clone, Debug)]
pub(super) struct Ticket {
    key: Arc<str>,
    id: u64,
}

impl Doubts {
    pub(super) fn new(max: usize, window: Duration, now: Duration) -> Self {
        Self { state: Mutex::default(), max, window, all_until: now + window }
    }

    /// Notes a write before it is sent; none when there is no room for it.
    pub(super) fn begin(&self, key: &str, write: Write) -> Option<Ticket> {
        let mut state = self.lock();
        let State { keys, count, ids } = &mut *state;
        if *count >= self.max {
            return None;
        }
        let key = keys.get_key_value(key).map_or_else(|| Arc::from(key), |(key, _)| Arc::clone(key));
        let pending = keys.entry(Arc::clone(&key)).or_default();
        if pending.len() >= PER_KEY_MAX {
            return None;
        }
        *ids += 1;
        *count += 1;
        pending.push(Pending { id: *ids, write, until: None });
        Some(Ticket { key, id: *ids })
    }

    /// The store answered: it was done or not, and will not be later.
    pub(super) fn settle(&self, ticket: &Ticket) {
        let mut state = self.lock();
        let Some(pending) = state.keys.get_mut(&ticket.key) else { return };
        let before = pending.len();
        pending.retain(|pending| pending.id != ticket.id);
        let gone = before - pending.len();
        if pending.is_empty() {
            state.keys.remove(&ticket.key);
        }
        state.count -= gone;
    }

    /// No answer came, or nobody waits for it any more.
    pub(super) fn abandon(&self, ticket: &Ticket, now: Duration) {
        let mut state = self.lock();
        let pending = state.keys.get_mut(&ticket.key).into_iter().flatten();
        for pending in pending.filter(|pending| pending.id == ticket.id) {
            pending.until = Some(now + self.window);
        }
    }

    /// Whether something may be created under the key when it is absent.
    pub(super) fn awaits_absence(&self, key: &str, now: Duration) -> bool {
        now < self.all_until || self.any(key, now, |write| *write == Write::Create)
    }

    /// Whether another version may take the place of this one.
    pub(super) fn awaits(&self, key: &str, current: &str, mine: (Option<Uid>, u64), now: Duration) -> bool {
        self.any(key, now, |write| match write {
            Write::Replace { etag, uid, sequence, .. } => **etag == *current && (*uid, *sequence) != mine,
            Write::Create | Write::Delete => false,
        })
    }

    /// Whether another version may take the place of one with these bytes.
    pub(super) fn awaits_like(
        &self,
        key: &str,
        bytes: Likeness,
        mine: (Option<Uid>, u64),
        now: Duration,
    ) -> bool {
        self.any(key, now, |write| match write {
            Write::Replace { likeness, uid, sequence, .. } => {
                likeness.may_be(bytes) && (*uid, *sequence) != mine
            }
            Write::Create | Write::Delete => false,
        })
    }

    /// Whether whatever lies under the key may be deleted.
    pub(super) fn awaits_deletion(&self, key: &str, now: Duration) -> bool {
        self.any(key, now, |write| *write == Write::Delete)
    }

    /// Whether anything may still happen under the key.
    pub(super) fn is_open(&self, key: &str, now: Duration) -> bool {
        now < self.all_until || self.any(key, now, |_| true)
    }

    /// Forgets what cannot take effect any more.
    pub(super) fn sweep(&self, now: Duration) {
        let mut state = self.lock();
        let State { keys, count, .. } = &mut *state;
        keys.retain(|_, pending| {
            pending.retain(|pending| pending.until.is_none_or(|until| now < until));
            !pending.is_empty()
        });
        *count = keys.values().map(Vec::len).sum();
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.lock().count
    }

    fn any(&self, key: &str, now: Duration, is: impl Fn(&Write) -> bool) -> bool {
        let state = self.lock();
        let mut pending = state.keys.get(key).into_iter().flatten();
        pending.any(|pending| pending.until.is_none_or(|until| now < until) && is(&pending.write))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Doubts, Likeness, Write};
    use crate::memory::blob::Uid;

    const SECOND: Duration = Duration::from_secs(1);

    fn replace(etag: &str, sequence: u64) -> Write {
        let likeness = Likeness::Exact { size: 9, checksum: 1 };
        Write::Replace { etag: Arc::from(etag), likeness, uid: Some(Uid(7)), sequence }
    }

    #[test]
    fn everything_is_in_doubt_after_a_start() {
        let doubts = Doubts::new(9, 60 * SECOND, 5 * SECOND);
        assert!(doubts.awaits_absence("a", 64 * SECOND));
        assert!(!doubts.awaits_absence("a", 65 * SECOND));
    }

    #[test]
    fn a_write_is_in_doubt_until_its_answer_or_the_end_of_its_time() {
        let doubts = Doubts::new(9, 60 * SECOND, Duration::ZERO);
        let now = 100 * SECOND;
        let first = doubts.begin("a", Write::Create).unwrap();
        assert!(doubts.awaits_absence("a", now) && !doubts.awaits_absence("b", now));
        doubts.abandon(&first, now);
        assert!(doubts.awaits_absence("a", now + 59 * SECOND));
        assert!(!doubts.awaits_absence("a", now + 60 * SECOND));
        doubts.settle(&first);
        assert!(!doubts.awaits_absence("a", now));
        assert_eq!(doubts.count(), 0);
    }

    #[test]
    fn a_replacement_threatens_the_version_with_its_etag_unless_it_is_that_version() {
        let doubts = Doubts::new(9, 60 * SECOND, Duration::ZERO);
        doubts.begin("a", replace("x", 2)).unwrap();
        assert!(doubts.awaits("a", "x", (Some(Uid(7)), 3), SECOND));
        assert!(!doubts.awaits("a", "x", (Some(Uid(7)), 2), SECOND));
        assert!(!doubts.awaits("a", "y", (Some(Uid(7)), 3), SECOND));
        let cases = [
            (Likeness::Exact { size: 9, checksum: 1 }, true),
            (Likeness::Exact { size: 9, checksum: 2 }, false),
            (Likeness::Size(9), true),
            (Likeness::Size(8), false),
            (Likeness::Unlike, false),
        ];
        for (bytes, expected) in cases {
            assert_eq!(doubts.awaits_like("a", bytes, (Some(Uid(7)), 3), SECOND), expected, "{bytes:?}");
            assert!(!doubts.awaits_like("a", bytes, (Some(Uid(7)), 2), SECOND));
        }
    }

    #[test]
    fn what_cannot_be_remembered_is_refused_until_there_is_room() {
        let doubts = Doubts::new(2, 60 * SECOND, Duration::ZERO);
        let first = doubts.begin("a", Write::Delete).unwrap();
        doubts.begin("b", Write::Create).unwrap();
        assert!(doubts.begin("c", Write::Create).is_none());
        doubts.abandon(&first, Duration::ZERO);
        doubts.sweep(59 * SECOND);
        assert!(doubts.begin("c", Write::Create).is_none());
        doubts.sweep(60 * SECOND);
        assert!(doubts.begin("c", Write::Create).is_some());
        assert!(!doubts.awaits_deletion("a", 60 * SECOND));
    }
}
