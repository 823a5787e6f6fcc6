//! What lies below memory.

use std::sync::Arc;

use mediaorigin_crds::policy::Keep;

use super::known::Seen;
use super::walker::{Cold, Tiers};
use super::wish::Wish;
use super::{Source, TierError};

impl Tiers {
    /// What lies under `path` below memory.
    pub async fn find(self: &Arc<Self>, path: &str, wish: &Wish) -> Result<Option<Cold>, Arc<TierError>> {
        if let Some(disk) = &self.disk
            && let Some(record) = disk.find(path).await.map_err(Arc::new)?
        {
            return Ok(Some(Cold { record, tier: Arc::clone(disk) as Arc<dyn Source> }));
        }
        if wish.object_store == Keep::Never {
            return Ok(None);
        }
        self.find_stored(path).await
    }

    /// What lies under `path` in the object store.
    pub(crate) async fn find_stored(self: &Arc<Self>, path: &str) -> Result<Option<Cold>, Arc<TierError>> {
        let Some(store) = &self.object_store else { return Ok(None) };
        let now = self.clock.now();
        let record = match self.known.get(path, now) {
            Seen::Present(record) => Some(record),
            Seen::Absent => None,
            Seen::Unknown => {
                let (store, of) = (Arc::clone(store), path.to_owned());
                let ask = async move { store.find(&of).await };
                self.known.ask(&self.runtime, path, now, ask).await?
            }
        };
        let Some(record) = record.filter(|record| !self.outbound.is_behind(path, record.sequence)) else {
            return Ok(None);
        };
        let store = Arc::clone(store) as Arc<dyn Source>;
        let tier = match self.seat.as_ref().and_then(|seat| seat.fleet()) {
            Some(fleet) => fleet.by_parents(store),
            None => store,
        };
        Ok(Some(Cold { record, tier }))
    }

    /// Forgets what was believed of the object store, which has shown that it is not so.
    pub fn doubt(&self, path: &Arc<str>) {
        self.known.changed(path, None, self.clock.now());
    }
}
