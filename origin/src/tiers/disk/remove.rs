//! Files leave: deleted, evicted, swept, set aside. And the one that only changes its name: released.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::Loss;
use super::format::{Hold, Name, nanos};
use super::inner::{Answer, Inner, failed, refused};
use crate::tiers::{ErrorKind, Record, Removed, TierError};

/// Versions that one sweep takes away at most.
pub(super) const SWEPT_MAX: usize = 1_024;

impl Inner {
    /// Removes every file of `path` up to `through`, on a thread, and answers when that is durable.
    pub(super) fn delete(self: &Arc<Self>, path: &str, through: u64, answer: Answer<Removed>) {
        let shard = self.shard(path);
        let removed = {
            let _order = shard.order();
            let (names, removed) = self.index().files_through(path, through);
            for name in &names {
                if let Err(error) = self.files.remove(&shard.file(name)) {
                    return answer.send(Err(failed("delete", path, error)));
                }
                shard.changed();
                self.index().removed(path, name);
            }
            self.index().bar(path, through);
            removed
        };
        if shard.is_durable() {
            return answer.send(Ok(removed));
        }
        // Also when there was nothing: it may have been another call that removed it a moment ago.
        let owned = path.to_owned();
        let then = move |synced: io::Result<()>| {
            answer.send(synced.map(|()| removed).map_err(|error| failed("delete", &owned, error)));
        };
        self.commit(path, Box::new(then));
    }

    /// Sets space aside for a write; files that may go make room.
    pub(super) fn reserve(&self, path: &str, space: u64) -> Result<(), TierError> {
        while !self.index().reserve(path, space) {
            if !self.evict_one()? {
                return Err(refused("write", path, ErrorKind::Full, "what is on the disk must stay there"));
            }
        }
        Ok(())
    }

    /// Evicts files of `space` bytes or more; false if there was none.
    pub(super) fn evict(&self, space: u64) -> Result<bool, TierError> {
        let before = self.index().totals().cache_bytes;
        let mut evicted = false;
        while before.saturating_sub(self.index().totals().cache_bytes) < space && self.evict_one()? {
            evicted = true;
        }
        Ok(evicted)
    }

    /// Evicts until what is there is no more than may be, as far as it may go.
    pub(super) fn fit(&self) -> Result<(), TierError> {
        while self.index().is_over() && self.evict_one()? {}
        Ok(())
    }

    /// Evicts the file that was not used for longest; false if none may go.
    fn evict_one(&self) -> Result<bool, TierError> {
        let Some((path, name)) = self.index().victim() else { return Ok(false) };
        if let Some(record) = self.part_with(&path, &name).map_err(|error| failed("evict", &path, error))? {
            self.tallies.evicted.fetch_add(1, Ordering::Relaxed);
            self.lost(&record, Loss::Evicted);
        }
        Ok(true)
    }

    /// Removes the current file of a path, if it is this one still.
    fn part_with(&self, path: &str, name: &Name) -> io::Result<Option<Arc<Record>>> {
        let shard = self.shard(path);
        let _order = shard.order();
        if self.index().current(path).as_ref() != Some(name) {
            return Ok(None);
        }
        self.files.remove(&shard.file(name))?;
        shard.changed();
        Ok(self.index().leave(path))
    }

    /// Removes what is due at `now`.
    pub(super) fn sweep(&self, now: SystemTime) -> Vec<Arc<Record>> {
        let now = nanos(now);
        let due = self.index().due(now, SWEPT_MAX);
        let mut swept = Vec::new();
        for path in due {
            let Some(name) = self.index().is_due(&path, now) else { continue };
            match self.part_with(&path, &name) {
                Ok(record) => swept.extend(record),
                Err(error) => {
                    tracing::warn!(%error, %path, "cannot remove a file whose time is over");
                    break;
                }
            }
        }
        self.tallies.swept.fetch_add(swept.len() as u64, Ordering::Relaxed);
        swept
    }

    /// Lets a version go when space is needed; false if it is not the current one or could go already.
    pub(super) fn release(&self, path: &str, sequence: u64) -> Result<bool, TierError> {
        let shard = self.shard(path);
        let _order = shard.order();
        let kept = self.index().current(path);
        let Some(kept) = kept.filter(|name| name.sequence == sequence && name.hold == Hold::Keep) else {
            return Ok(false);
        };
        let cached = Name { hold: Hold::Cache, ..kept };
        // Not synced: after a crash it may be one that must stay again, which loses nothing.
        let renamed = self.files.rename(&shard.file(&kept), &shard.file(&cached));
        renamed.map_err(|error| failed("release", path, error))?;
        self.index().hold(path, Hold::Cache);
        Ok(true)
    }

    /// Sets a damaged file aside, so that it is never served again.
    pub(super) fn condemn(&self, path: &str, name: &Name, damage: &dyn std::fmt::Display) {
        let shard = self.shard(path);
        let left = {
            let _order = shard.order();
            let current = self.index().current(path);
            // It may have been released or promoted since: the same bytes under another name.
            let Some(current) = current.filter(|current| current.is_version(name)) else { return };
            if let Err(error) = self.quarantine.take(&self.files, &shard.file(&current)) {
                tracing::warn!(%error, path, "cannot set a damaged file aside");
            }
            shard.changed();
            let mut index = self.index();
            index.set_aside(self.quarantine.held_totals().1);
            index.leave(path)
        };
        self.tallies.corrupt.fetch_add(1, Ordering::Relaxed);
        tracing::error!(path, file = name.file(), %damage, "a damaged file was set aside");
        if let Some(record) = left {
            self.lost(&record, Loss::Corrupt);
        }
    }
}
