//! What the object store has and the index has not heard of: its writer ended between the two, or it was there before the fleet.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use mediaorigin_crds::policy::Class;
use mediaorigin_index::Fence;
use mediaorigin_index::entry::{Entry, Place};

use super::change::Change;
use super::commit::unavailable;
use super::{COMMIT_PATIENCE, Fleet, INSIDE_BYTES_MAX, entry};
use crate::tiers::walker::Tiers;
use crate::tiers::{Record, TierError};

impl Tiers {
    /// Tells the index of what the object store has and the index does not: its writer ended between the two, or it was there
    /// before the fleet was. The index is waited for with `patience`.
    pub(super) async fn adopt_from_store(
        self: &Arc<Self>,
        fleet: &Arc<Fleet>,
        path: &Arc<str>,
        patience: Duration,
    ) -> Result<Option<Arc<Entry>>, Arc<TierError>> {
        let Some(store) = &self.object_store else { return Ok(None) };
        let Some(record) = store.find(path).await.map_err(Arc::new)? else { return Ok(None) };
        let entry = match self.inside(&record).await {
            Some(body) => entry::of_record(&record, Vec::new(), Some(body)),
            None => entry::of_record(&record, vec![Place::ObjectStore(path.to_string())], None),
        };
        let adopted = fleet.index.adopt(&entry, None, patience).await;
        adopted.map_err(|error| Arc::new(unavailable("adopt", path, &error.to_string())))
    }

    /// The bytes of a small manifest, which rides in its entry: of two states of one, its text tells the later.
    async fn inside(&self, record: &Arc<Record>) -> Option<Bytes> {
        let store = self.object_store.as_ref()?;
        if record.meta.class != Class::Manifest || record.size > INSIDE_BYTES_MAX {
            return None;
        }
        // One that has just been replaced is told of as before: by where it is.
        let pieces: Vec<Bytes> = store.read(record, 0..record.size).await.ok()?.try_collect().await.ok()?;
        Some(pieces.concat().into())
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
        match self.adopt_from_store(&change.fleet, &change.path, COMMIT_PATIENCE).await? {
            Some(_) => change.fence().await.map(Some),
            None => Ok(None),
        }
    }
}
