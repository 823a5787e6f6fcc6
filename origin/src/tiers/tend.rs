//! The housekeeping of the tiers: what is over goes, what the object store is owed since before a restart is copied.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use mediaorigin_crds::policy::{Keep, Policies};

use super::open::Opened;
use super::outbound::Copy;
use super::walker::{Tiers, Wish};
use super::{Record, Tier, TierError, TierName};
use crate::config::Hot;

/// How often it is done.
const TICK: Duration = Duration::from_secs(1);
/// Batches that one sweep takes at most.
const SWEEPS_MAX: usize = 64;
/// Versions that are looked at in one go.
const KEPT_BATCH: usize = 64;

/// Runs until it is aborted, or until there is no configuration any more.
pub async fn run(opened: Opened, hot: impl Fn() -> Option<Arc<Hot>> + Send) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut after: Option<Arc<str>> = None;
    loop {
        ticks.tick().await;
        for _ in 0..SWEEPS_MAX {
            match opened.tiers.sweep().await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "the disk cannot be swept");
                    break;
                }
            }
        }
        if let Some(store) = &opened.object_store {
            store.tend().await;
        }
        let Some(hot) = hot() else { return };
        after = opened.tiers.catch_up(after.as_deref().unwrap_or(""), &hot.policies).await;
    }
}

impl Tiers {
    /// Owes the object store what only the disk keeps, among the next paths behind `after`; where to go on.
    async fn catch_up(self: &Arc<Self>, after: &str, policies: &Policies) -> Option<Arc<str>> {
        let (Some(disk), Some(store)) = (&self.disk, &self.object_store) else { return None };
        if self.owed() > 0 {
            return Some(after.into());
        }
        let (records, next) = disk.kept(after, KEPT_BATCH);
        for record in records {
            let wish = Wish::of(policies.treat(&record.path).policy);
            if wish.object_store == Keep::Never || record.is_expired(self.clock.now()) {
                continue;
            }
            if let Err(error) = self.owe(&record, &**disk, &**store, &wish).await {
                tracing::warn!(%error, "the object store cannot be brought up to date");
                return Some(after.into());
            }
        }
        next
    }

    async fn owe(
        &self,
        record: &Arc<Record>,
        disk: &dyn super::local::Local,
        store: &dyn Tier,
        wish: &Wish,
    ) -> Result<(), TierError> {
        let there = store.find(&record.path).await?;
        if there.is_some_and(|there| there.sequence >= record.sequence) {
            disk.release(&record.path, record.sequence).await?;
            return Ok(());
        }
        let Some(_room) = self.memory.try_reserve(record.size, self.clock.now()) else { return Ok(()) };
        let pieces: Vec<Bytes> = disk.read(record, 0..record.size).await?.try_collect().await?;
        let until = wish.until(TierName::ObjectStore, self.clock.now());
        let record = Arc::clone(record);
        let tier = TierName::ObjectStore;
        let copy = Copy { record, tier, pieces, until, must: true, version: None, is_logged: false };
        self.copy(&copy).await
    }
}
