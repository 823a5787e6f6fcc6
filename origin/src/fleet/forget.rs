//! What the index need not know any more: it has every path in the memory of every pod, and a stream makes new ones for as long as it
//! lasts.
//!
//! ```text
//! deleted ──────────────────────┐
//! expired ──────────────────────┤      the object store has this version, or nothing ─→ forgotten
//! held by pods that are gone ───┼─→ ?  it has an older version of what was deleted ───→ deleted there, looked at again
//! evicted by its only holder ───┤      it has another version ────────────────────────→ kept: the index hides it
//! in the object store, and the ─┘
//! index needs too much memory
//! ```
//!
//! A path that was forgotten is one that the index has never heard of, as those are that were in the object store before the fleet
//! was: whoever asks for it is answered from there. Nothing is forgotten that has not been there for two hours, which is longer than an
//! upload lasts, than the write-ahead log keeps bodies, than pods believe what they have seen in the object store, and than a version there
//! is taken for one whose writer is about to tell the index ([`super::read`]).
//!
//! The first pod looks after all of it, but for what it cannot know: what another one has evicted.

#[cfg(test)]
mod tests;

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use mediaorigin_crds::budget::INDEX_PERCENT;
use mediaorigin_index::entry::{Entry, Place, Rank, Version};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Fleet;
use super::seat::Seat;
use crate::memory::blob::Uid;
use crate::tiers::walker::Tiers;
use crate::tiers::{Record, TierError};
use crate::times::micros;

/// How often the index is looked through.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Nothing younger is forgotten, unless it is said.
pub(super) const SETTLED: Duration = Duration::from_hours(2);
/// How long a pod must be gone before what only it held is lost: it may come back from behind a broken link.
const LOST_AFTER: Duration = Duration::from_mins(15);
/// Entries that are looked at in one go: the oldest first, then those behind them.
const ENTRIES_MAX: usize = 4_096;
/// Of them at once.
const AT_ONCE: usize = 16;

/// Why nobody needs to find an entry in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// It is a deletion.
    Deleted,
    /// Its time is over.
    Expired,
    /// All pods that held it are gone.
    Lost,
    /// This pod alone held it, and may do so still.
    Evicted,
    /// The object store may have it, and the index needs too much memory.
    Stored,
}

/// What is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Keep,
    Forget,
    /// The object store has what was deleted.
    Delete,
}

/// What a pod sees as it looks through the index.
struct Look<'a> {
    /// Microseconds since 1970 up to which it was there for long.
    settled: u64,
    own: &'a str,
    /// Pods that have been gone for long.
    gone: &'a HashSet<String>,
    is_first: bool,
    /// Whether the index needs more memory than it should, and there is an object store.
    is_over: bool,
}

/// What one look leaves for the next.
#[derive(Default)]
struct Notes {
    missing: Missing,
    /// Up to where it has looked, where there was more.
    behind: Option<Rank>,
}

/// Since when pods that are named in entries have not been heard, without a pause.
#[derive(Default)]
struct Missing(HashMap<String, Instant>);

/// Runs until it is aborted, or until there is no memory limit any more.
pub(crate) async fn run(
    tiers: Arc<Tiers>,
    seat: Arc<Seat>,
    memory_limit: impl Fn() -> Option<u64> + Send + 'static,
) {
    let fleet = seat.when_ready().await;
    let mut ticks = interval(LOOK_EVERY.min(fleet.forget_after));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut notes = Notes::default();
    loop {
        ticks.tick().await;
        let Some(limit) = memory_limit() else { return };
        tiers.forget_entries(&fleet, &mut notes, limit / 100 * INDEX_PERCENT).await;
    }
}

impl Missing {
    /// Pods that have been gone for long, of those that are `named` and not `here`.
    fn since(&mut self, named: HashSet<String>, here: &HashSet<String>, now: Instant) -> HashSet<String> {
        let mut before = std::mem::take(&mut self.0);
        let away = named.into_iter().filter(|pod| !here.contains(pod));
        self.0 = away.map(|pod| (pod.clone(), before.remove(&pod).unwrap_or(now))).collect();
        let is_long = |since: Instant| now.saturating_duration_since(since) >= LOST_AFTER;
        self.0.iter().filter(|(_, since)| is_long(**since)).map(|(pod, _)| pod.clone()).collect()
    }
}

fn holders(version: &Version) -> impl Iterator<Item = &str> {
    version.places.iter().filter_map(|place| match place {
        Place::Pod(address) => Some(address.as_str()),
        _ => None,
    })
}

/// Whether its bytes were anywhere else than in the memory of pods.
fn was_kept(version: &Version) -> bool {
    version.body.is_some() || version.places.iter().any(|place| !matches!(place, Place::Pod(_)))
}

/// Why nobody may need to find `entry`.
fn why(entry: &Entry, look: &Look<'_>) -> Option<Why> {
    if entry.stamp > look.settled {
        return None;
    }
    let Some(version) = entry.version() else { return look.is_first.then_some(Why::Deleted) };
    if version.expires_at.is_some_and(|at| at <= look.settled) {
        return look.is_first.then_some(Why::Expired);
    }
    if was_kept(version) {
        return (look.is_first && look.is_over).then_some(Why::Stored);
    }
    if holders(version).eq([look.own]) {
        return Some(Why::Evicted);
    }
    let is_lost = holders(version).all(|pod| look.gone.contains(pod));
    (look.is_first && is_lost).then_some(Why::Lost)
}

/// What is done about `entry`, where the object store has `found` under its path.
fn judge(entry: &Entry, why: Why, found: Option<&Record>) -> Verdict {
    let was_stored = || {
        let places = entry.version().map_or(&[][..], |version| &version.places);
        places.iter().any(|place| matches!(place, Place::ObjectStore(_)))
    };
    match found {
        Some(record) if record.uid == Uid(entry.uid.0) => Verdict::Forget,
        Some(record)
            if why == Why::Deleted && micros(record.modified).max(record.sequence) <= entry.stamp =>
        {
            Verdict::Delete
        }
        Some(_) => Verdict::Keep,
        // What rides in its entry only would be lost. What was in the object store has been taken away there.
        None if why == Why::Stored && !was_stored() => Verdict::Keep,
        None => Verdict::Forget,
    }
}

/// An entry that may be forgotten; the oldest is the least.
struct Candidate {
    entry: Arc<Entry>,
    why: Why,
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.entry.rank() == other.entry.rank()
    }
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.entry.rank().cmp(&other.entry.rank())
    }
}

/// The oldest of those that come behind a place.
struct Oldest {
    behind: Option<Rank>,
    candidates: BinaryHeap<Candidate>,
}

impl Oldest {
    fn behind(behind: Option<Rank>) -> Self {
        Self { behind, candidates: BinaryHeap::new() }
    }

    fn push(&mut self, entry: &Arc<Entry>, why: Why) {
        if self.behind.is_some_and(|behind| entry.rank() <= behind) {
            return;
        }
        if self.candidates.len() >= ENTRIES_MAX {
            if self.candidates.peek().is_none_or(|newest| newest.entry.rank() <= entry.rank()) {
                return;
            }
            self.candidates.pop();
        }
        self.candidates.push(Candidate { entry: Arc::clone(entry), why });
    }

    /// Where the next look begins: behind these, as many of them may have to stay, or at the oldest again.
    fn next(&self) -> Option<Rank> {
        let is_full = self.candidates.len() >= ENTRIES_MAX;
        self.candidates.peek().filter(|_| is_full).map(|newest| newest.entry.rank())
    }
}

impl Fleet {
    /// All pods that entries name because of what only they hold.
    fn named(&self) -> HashSet<String> {
        let mut named = HashSet::new();
        self.index.for_each(|entry| {
            let Some(version) = entry.version().filter(|version| !was_kept(version)) else { return };
            for pod in holders(version) {
                if !named.contains(pod) {
                    named.insert(pod.to_owned());
                }
            }
        });
        named
    }

    fn candidates(&self, look: &Look<'_>, behind: Option<Rank>) -> Oldest {
        let mut oldest = Oldest::behind(behind);
        self.index.for_each(|entry| {
            if let Some(why) = why(entry, look) {
                oldest.push(entry, why);
            }
        });
        if look.is_first {
            self.index.for_each_deleted(|entry| {
                if let Some(why) = why(entry, look) {
                    oldest.push(entry, why);
                }
            });
        }
        oldest
    }
}

impl Tiers {
    /// Looks through the index once; it should need no more than `bytes_max` of memory.
    async fn forget_entries(&self, fleet: &Fleet, notes: &mut Notes, bytes_max: u64) {
        let is_first = fleet.open.is_first();
        let here: HashSet<String> = fleet.open.others().into_iter().collect();
        // Who does not hear itself knows nothing of others.
        let named = if is_first { fleet.named() } else { HashSet::new() };
        let gone = notes.missing.since(named, &here, Instant::now());
        let is_over = || fleet.index.memory_bytes() as u64 > bytes_max;
        let look = Look {
            settled: self.clock.now().wall.checked_sub(fleet.forget_after).map_or(0, micros),
            own: fleet.address(),
            gone: &gone,
            is_first,
            is_over: self.object_store.is_some() && is_over(),
        };
        let oldest = fleet.candidates(&look, notes.behind);
        notes.behind = oldest.next();
        let forgotten = stream::iter(oldest.candidates.into_sorted_vec())
            // The oldest go until there is room.
            .filter(|candidate| std::future::ready(candidate.why != Why::Stored || is_over()))
            .map(async |Candidate { entry, why }| match self.forget_entry(fleet, &entry, why).await {
                Ok(is_forgotten) => usize::from(is_forgotten),
                Err(error) => {
                    tracing::debug!(%error, path = %entry.path, "the index remembers it for now");
                    0
                }
            })
            .buffer_unordered(AT_ONCE)
            .fold(0, async |sum, one| sum + one)
            .await;
        if forgotten > 0 {
            tracing::debug!(forgotten, "entries of the index that nobody needs are gone");
        }
    }

    async fn forget_entry(&self, fleet: &Fleet, entry: &Arc<Entry>, why: Why) -> Result<bool, TierError> {
        let is_held = || self.memory.holding(&entry.path, Uid(entry.uid.0), self.clock.now()).is_some();
        if matches!(why, Why::Evicted | Why::Stored) && is_held() {
            return Ok(false);
        }
        let found = match &self.object_store {
            Some(store) => store.find(&entry.path).await?,
            None => None,
        };
        match judge(entry, why, found.as_deref()) {
            Verdict::Keep => Ok(false),
            Verdict::Forget => Ok(fleet.index.forget(entry).await),
            Verdict::Delete => {
                if let Some(store) = &self.object_store {
                    store.delete(&entry.path, entry.stamp).await?;
                }
                Ok(false)
            }
        }
    }
}
