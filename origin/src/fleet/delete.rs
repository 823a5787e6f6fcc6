//! A DELETE in a fleet.

use std::sync::Arc;

use mediaorigin_index::Outcome;
use tokio::time::Instant;

use super::change::{Change, Waiting};
use super::commit::{live, unavailable, undecided};
use super::{COMMIT_PATIENCE, Fleet, entry};
use crate::memory::Deleted;
use crate::memory::blob::Uid;
use crate::tiers::TierError;
use crate::tiers::walker::{Condition, Tiers};

impl Tiers {
    /// Deletes a path in a fleet.
    pub(crate) async fn delete_agreed(
        self: &Arc<Self>,
        fleet: &Arc<Fleet>,
        path: Arc<str>,
        condition: Option<Condition>,
        waiting: Waiting,
    ) -> Result<Deleted, Arc<TierError>> {
        let change = Change::new(fleet, &path, condition, waiting, Instant::now());
        let mut fence = change.fence().await?;
        if fence.stamp() == 0
            && let Some(anew) = self.adopt_anew(&change).await?
        {
            fence = anew;
        }
        let now = self.clock.now();
        change.check_age(&fence, now)?;
        let there = live(&fence)?;
        if !change.is_allowed(there.as_deref(), now) {
            return Ok(Deleted::Refused);
        }
        let was_there = entry::current(there.as_deref(), now).is_some();
        let stamp =
            fence.stamp_after(self.memory.next_sequence(now).max(fleet.held_stamp(&path).saturating_add(1)));
        let uid = Uid::draw().map_err(|error| Arc::new(unavailable("delete", &path, &error.to_string())))?;
        let tombstone = entry::tombstone(&path, uid, stamp);
        match change.commit(fence, Arc::new(tombstone), now, COMMIT_PATIENCE).await {
            Outcome::Committed { .. } | Outcome::Superseded => {}
            Outcome::Nothing => return Ok(Deleted::Nothing),
            Outcome::Refused => return Ok(Deleted::Refused),
            outcome => return Err(Arc::new(undecided(&path, &outcome))),
        }
        self.memory.outdate(&path, Uid(0), stamp);
        // It is gone for all who ask; what is left in the bucket is only garbage.
        if let Some(store) = &self.object_store
            && let Err(error) = store.delete(&path, stamp).await
        {
            tracing::warn!(%error, %path, "what was deleted stays in the object store for now, where nobody finds it");
            fleet.leftovers.owe(&path, stamp);
        }
        self.known.changed(&path, None, now);
        Ok(if was_there { Deleted::Gone } else { Deleted::Nothing })
    }
}
