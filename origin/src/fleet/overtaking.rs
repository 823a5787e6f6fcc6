//! Manifests that overtake each other on their way to two pods: of two states of the same one, the later counts
//! ([`crate::manifest`]). Between the pods only the index can tell, of manifests that ride in their entries.

use std::sync::Arc;

use mediaorigin_index::entry::Entry;
use mediaorigin_index::{Condition, Fence};

use super::change::Change;
use super::commit::{live, unavailable};
use super::{COMMIT_PATIENCE, Fleet, entry};
use crate::clock::Now;
use crate::manifest::{OVERTAKING, is_earlier_state};
use crate::tiers::TierError;
use crate::tiers::walker::{Tiers, Wish};

/// Whether `ours` is an earlier state of the manifest of `other`, which began a moment before or after it.
pub(super) fn is_behind(ours: &Entry, other: &Entry) -> bool {
    let body = |entry: &Entry| entry.version().and_then(|version| version.body.clone());
    let is_close = u128::from(ours.stamp.abs_diff(other.stamp)) < OVERTAKING.as_micros();
    match (body(ours), body(other)) {
        (Some(ours), Some(other)) if is_close => is_earlier_state(&ours, &other),
        _ => false,
    }
}

/// Whether `ours` is what counts of two versions of a path: the later state of one manifest, otherwise the one with the higher rank.
pub(super) fn counts_over(ours: &Entry, other: &Entry) -> bool {
    !is_behind(ours, other) && (is_behind(other, ours) || ours.rank() > other.rank())
}

/// That `ours` gives way to what it is behind.
pub(super) fn gives_way(ours: &Arc<Entry>) -> Condition {
    let ours = Arc::clone(ours);
    Box::new(move |there| there.is_some_and(|there| is_behind(&ours, there)))
}

/// Commits `entry` for whoever took it, behind or before what is there; what is there then.
async fn adopt(fleet: &Fleet, entry: &Arc<Entry>) -> Result<Option<Arc<Entry>>, Arc<TierError>> {
    let there = fleet.index.adopt(entry, Some(gives_way(entry)), COMMIT_PATIENCE).await;
    there.map_err(|error| Arc::new(unavailable("commit", &entry.path, &error.to_string())))
}

impl Tiers {
    /// `ours` was not committed, because something else is there. Where that is an earlier state of the same manifest, the answer
    /// is the path as it is now, behind which ours goes on.
    pub(super) async fn go_on_behind(
        &self,
        change: &Change,
        ours: &Arc<Entry>,
        wish: &Wish,
        now: Now,
    ) -> Result<Option<Fence>, Arc<TierError>> {
        if ours.version().is_none_or(|version| version.body.is_none()) {
            return Ok(None);
        }
        let fence = change.fence().await?;
        let Some(there) = live(&fence)? else { return Ok(None) };
        if is_behind(&there, ours) {
            return Ok(Some(fence));
        }
        if is_behind(ours, &there) && there.stamp < ours.stamp {
            self.lift(&change.fleet, &there, ours.stamp, wish, now).await?;
        }
        Ok(None)
    }

    /// Commits what counts already because two pods hold it.
    pub(super) async fn commit_held(
        &self,
        fleet: &Fleet,
        held: &Arc<Entry>,
        wish: &Wish,
        now: Now,
    ) -> Result<(), Arc<TierError>> {
        let Some(there) = adopt(fleet, held).await? else { return Ok(()) };
        if is_behind(&there, held) {
            self.lift(fleet, held, there.stamp, wish, now).await?;
        } else if is_behind(held, &there) && there.stamp < held.stamp {
            self.lift(fleet, &there, held.stamp, wish, now).await?;
        }
        Ok(())
    }

    /// What must not count has a stamp that the index or the object store puts above `entry`. That comes behind it, with its own bytes.
    async fn lift(
        &self,
        fleet: &Fleet,
        entry: &Entry,
        stamp: u64,
        wish: &Wish,
        now: Now,
    ) -> Result<(), Arc<TierError>> {
        let lifted = Arc::new(Entry { stamp: stamp.saturating_add(1), ..entry.clone() });
        let body = lifted.version().and_then(|version| version.body.clone());
        if let (Some(record), Some(body)) = (entry::record(&lifted), body) {
            self.put_where_durable(&Arc::new(record), &[body], wish, now).await?;
            // Whoever came meanwhile has a higher stamp.
            adopt(fleet, &lifted).await?;
        }
        Ok(())
    }
}
