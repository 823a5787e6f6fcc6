//! The names in all tiers, merged.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::walker::Tiers;
use super::{Listed, TierError};
use crate::clock::Now;

impl Tiers {
    /// Up to `limit` names directly in `folder` that follow `after`, as [`Tier::list`] has them, from memory and all tiers
    /// below it. What is expired is left out.
    pub async fn list(
        self: &Arc<Self>,
        folder: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Listed>, Arc<TierError>> {
        let (mut all, mut after) = (Vec::new(), after.to_owned());
        // A page may lose what is expired: there is more as long as a tier has more.
        loop {
            let (page, end) = self.page(folder, &after, limit).await?;
            all.extend(page);
            all.truncate(limit);
            match end {
                Some(end) if all.len() < limit => after = end,
                _ => return Ok(all),
            }
        }
    }

    /// The names up to where the first tier that has more ends, and that name.
    async fn page(
        self: &Arc<Self>,
        folder: &str,
        after: &str,
        limit: usize,
    ) -> Result<(Vec<Listed>, Option<String>), Arc<TierError>> {
        let now = self.clock.now();
        let fleet = self.fleet().map_err(Arc::new)?;
        let mut names = BTreeMap::new();
        // A page ends where the first tier that has more ends: behind that it is not known what another one has.
        let mut end: Option<String> = None;
        let mut take = |listed: Vec<Listed>, is_below: bool| {
            if listed.len() >= limit
                && let Some(last) = listed.last().map(|last| last.name().to_owned())
                && end.as_ref().is_none_or(|end| last < *end)
            {
                end = Some(last);
            }
            for one in listed {
                // What the index of a fleet knows of a path is all that counts.
                if is_below && fleet.is_some_and(|fleet| fleet.hides(one.name())) {
                    continue;
                }
                let newer = |there: &Listed| sequence(&one) > sequence(there);
                if names.get(one.name()).is_none_or(newer) {
                    names.insert(one.name().to_owned(), one);
                }
            }
        };
        let known = match fleet {
            None => self.memory.list(folder, after, limit, now),
            Some(fleet) => fleet.list(folder, after, limit, now).await.map_err(Arc::new)?,
        };
        take(known, false);
        for tier in self.below() {
            let (folder, after) = (folder.to_owned(), after.to_owned());
            let listed = self.runtime.spawn(async move { tier.list(&folder, &after, limit).await });
            take(listed.await.unwrap_or_else(|_| Ok(Vec::new())).map_err(Arc::new)?, true);
        }
        let within = |(name, _): &(String, Listed)| end.as_ref().is_none_or(|end| name <= end);
        let names = names.into_iter().take_while(within).map(|(_, listed)| listed);
        Ok((names.filter(|listed| self.is_shown(listed, now)).collect(), end))
    }

    fn is_shown(&self, listed: &Listed, now: Now) -> bool {
        match listed {
            Listed::Folder(_) => true,
            Listed::Object(record) => {
                !record.is_expired(now) && !self.outbound.is_behind(&record.path, record.sequence)
            }
        }
    }
}

fn sequence(listed: &Listed) -> u64 {
    match listed {
        Listed::Object(record) => record.sequence,
        Listed::Folder(_) => u64::MAX,
    }
}
