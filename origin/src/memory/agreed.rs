//! Memory in a fleet: the index says which version counts; memory keeps the bytes of versions.

use std::sync::Arc;

use super::blob::Uid;
use super::object::{Started, Version};
use super::upload::{Committed, Terms, Upload};
use super::{Found, Memory, Slot};
use crate::clock::Now;
use crate::tiers::Record;

impl Memory {
    /// The version `uid` under `path`, complete or being written; it counts as read.
    pub fn wanted(&self, path: &str, uid: Uid) -> Option<Arc<Version>> {
        let shard = self.shard(path);
        let slot = shard.get(path);
        let live = slot.and_then(|slot| slot.live.clone()).or_else(|| self.evictable.get(path));
        if let Some(object) = live
            && object.version.uid == uid
        {
            return Some(Arc::clone(&object.version));
        }
        slot.and_then(|slot| slot.uploads.iter().find(|version| version.uid == uid).cloned())
    }

    /// What is being written under `path`, whatever is complete there.
    pub fn growing(&self, path: &str) -> Found {
        self.shard(path).get(path).map_or(Found::Nothing, Slot::early)
    }

    /// Another version than `uid`, which is at `stamp`, leaves `path`; readers finish it.
    pub fn outdate(&self, path: &str, uid: Uid, stamp: u64) {
        let mut order = self.order();
        let mut shard = self.shard(path);
        if let Some(object) = self.object(&shard, path)
            && object.version.uid != uid
            && object.sequence <= stamp
        {
            self.forget(&mut order, &mut shard, &object);
            // The bytes are freed outside the locks.
            drop((shard, order));
        }
    }
}

impl Upload {
    /// Its place is behind `stamp`, which had been committed when its request arrived, whatever the clocks say.
    pub fn pass(&mut self, stamp: u64) {
        if self.sequence().is_some_and(|sequence| sequence <= stamp) {
            self.place = Some(stamp.saturating_add(1));
        }
    }

    /// Its place is `stamp`.
    pub fn stand_at(&mut self, stamp: u64) {
        self.place = Some(stamp);
    }

    /// It brings the version of `record`, which began elsewhere.
    pub fn stand_for(&mut self, record: &Record) {
        // It has no byte yet, so nobody has set it.
        let _ = self.version().started.set(Started { sequence: record.sequence, modified: record.modified });
        self.place = Some(record.sequence);
    }

    /// Makes it the version under its path in memory, after the index has taken it. Where memory knows a later one already,
    /// that one stays.
    pub fn commit_agreed(self, replaced: bool, now: Now, terms: Terms) -> Committed {
        let version = Arc::clone(self.version());
        match self.commit_as(None, now, terms, |_| true) {
            Committed::Empty => Committed::Empty,
            _ if replaced => Committed::Replaced(version),
            _ => Committed::Created(version),
        }
    }
}
