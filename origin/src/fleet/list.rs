//! The names in a folder, as the index has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Fleet, READ_PATIENCE, commit, entry};
use crate::clock::Now;
use crate::tiers::{Listed, TierError};

impl Fleet {
    /// Up to `limit` names directly in `folder` that follow `after`, as [`crate::tiers::Tier::list`] has them: not older than
    /// anything that anybody was told before. What is expired is left out.
    pub(crate) async fn list(
        &self,
        folder: &str,
        after: &str,
        limit: usize,
        now: Now,
    ) -> Result<Vec<Listed>, TierError> {
        let known = self.index.catch_up(READ_PATIENCE).await;
        known.map_err(|error| commit::unavailable("list", folder, &error.to_string()))?;
        let mut names: BTreeMap<String, Listed> = BTreeMap::new();
        self.index.for_each(|found| {
            let Some(rest) = found.path.strip_prefix(folder) else { return };
            let name = match rest.split_once('/') {
                Some((child, _)) => format!("{folder}{child}/"),
                None => found.path.to_string(),
            };
            let is_behind = name.as_str() > after && !(after.ends_with('/') && name.starts_with(after));
            let is_beyond =
                names.len() >= limit && names.last_key_value().is_some_and(|(last, _)| name > *last);
            if !is_behind || is_beyond || names.contains_key(&name) {
                return;
            }
            let Some(record) = entry::record(found).filter(|record| !record.is_expired(now)) else { return };
            let listed = if name.ends_with('/') {
                Listed::Folder(name.clone())
            } else {
                Listed::Object(Arc::new(record))
            };
            names.insert(name, listed);
            if names.len() > limit {
                names.pop_last();
            }
        });
        Ok(names.into_values().collect())
    }

    /// Whether an object of the object store is hidden: the index has heard of its path, and what it says counts.
    pub(crate) fn hides(&self, path: &str) -> bool {
        self.index.peek(path).stamp() > 0
    }
}
