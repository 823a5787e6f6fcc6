//! What the object store has and the index has not heard of: its writer ended between the two, or it was there before the fleet.

use std::sync::Arc;

use mediaorigin_index::Fence;
use mediaorigin_index::entry::{Entry, Place};

use super::change::Change;
use super::commit::unavailable;
use super::{COMMIT_PATIENCE, Fleet, entry};
use crate::tiers::TierError;
use crate::tiers::walker::Tiers;

impl Tiers {
    /// Tells the index of what the object store has and the index does not: its writer ended between the two, or it was there
    /// before the fleet was.
    pub(super) async fn adopt_from_store(
        self: &Arc<Self>,
        fleet: &Arc<Fleet>,
        path: &Arc<str>,
    ) -> Result<Option<Arc<Entry>>, Arc<TierError>> {
        let Some(store) = &self.object_store else { return Ok(None) };
        let Some(record) = store.find(path).await.map_err(Arc::new)? else { return Ok(None) };
        let entry = entry::of_record(&record, vec![Place::ObjectStore(path.to_string())], None);
        let adopted = fleet.index.adopt(&entry, None, COMMIT_PATIENCE).await;
        adopted.map_err(|error| Arc::new(unavailable("adopt", path, &error.to_string())))
    }

    /// Where a condition must be decided about a path that the index has never heard of, the object store may have something.
    pub(super) async fn adopt_what_was_before(
        self: &Arc<Self>,
        change: &Change,
        fence: &Fence,
    ) -> Result<Option<Fence>, Arc<TierError>> {
        if change.condition.is_none() || fence.stamp() > 0 {
            return Ok(None);
        }
        self.adopt_anew(change).await
    }

    pub(super) async fn adopt_anew(
        self: &Arc<Self>,
        change: &Change,
    ) -> Result<Option<Fence>, Arc<TierError>> {
        match self.adopt_from_store(&change.fleet, &change.path).await? {
            Some(_) => change.fence().await.map(Some),
            None => Ok(None),
        }
    }
}
