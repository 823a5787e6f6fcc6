//! Manifests that overtake each other on their way to two pods: of two states of the same one, the later counts
//! ([`crate::manifest`]). Between the pods only the index can tell, of manifests that ride in their entries.

use std::sync::Arc;

use mediaorigin_index::Fence;
use mediaorigin_index::entry::Entry;

use super::change::Change;
use super::commit::live;
use super::{COMMIT_PATIENCE, entry};
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
            self.lift(change, fence, &there, ours.stamp, wish, now).await?;
        }
        Ok(None)
    }

    /// What gave way is in the object store with a higher stamp than what is there. That comes behind it, with its own bytes.
    async fn lift(
        &self,
        change: &Change,
        fence: Fence,
        there: &Entry,
        stamp: u64,
        wish: &Wish,
        now: Now,
    ) -> Result<(), Arc<TierError>> {
        let lifted = Arc::new(Entry { stamp: stamp.saturating_add(1), ..there.clone() });
        let body = lifted.version().and_then(|version| version.body.clone());
        if let (Some(record), Some(body)) = (entry::record(&lifted), body) {
            self.make_durable_in_store(change, &Arc::new(record), &[body], wish, now).await?;
            // Whoever came meanwhile has a higher stamp.
            change.commit(fence, lifted, now, COMMIT_PATIENCE).await;
        }
        Ok(())
    }
}
