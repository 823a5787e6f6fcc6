//! Versions by their names, for other pods and from them: what one pod holds another one may ask for, and what grows on one pod
//! grows on others too.
//!
//! A version that is followed is an upload like any other: one copy, readers at its edge, cut off when it breaks. It only
//! has the name and the beginning of the one that it follows, and its place in the order of versions is not ours to give.

use std::sync::Arc;

use super::blob::Uid;
use super::object::{Started, Version};
use super::upload::{Committed, Opening, Terms, Upload};
use super::{Full, Memory, Purpose, Shard, fill};
use crate::clock::{Clock, Now};

impl Memory {
    /// The version `uid` under `path`, complete or growing, without a mark as read. Whether it may be read early was for
    /// those to look at who tell its name.
    pub fn holding(&self, path: &str, uid: Uid, now: Now) -> Option<Arc<Version>> {
        if fill::is_piece(path) {
            return None;
        }
        let shard = self.shard(path);
        let expired = self.object(&shard, path).is_some_and(|object| object.is_expired(now.elapsed));
        self.named(&shard, path, uid).filter(|version| !expired || version.blob.length().is_none())
    }

    /// The version `uid` under `path`, expired or not.
    pub(super) fn named(&self, shard: &Shard, path: &str, uid: Uid) -> Option<Arc<Version>> {
        let object = self.object(shard, path).map(|object| Arc::clone(&object.version));
        let uploads = shard.get(path).into_iter().flat_map(|slot| slot.uploads.iter().cloned());
        object.into_iter().chain(uploads).find(|version| version.uid == uid)
    }

    /// An upload of our own for the version of another pod that began as `started` says; `None` where that version is
    /// here. It counts as nobody's upload.
    pub async fn follow(
        self: &Arc<Self>,
        opening: Opening,
        started: Started,
        clock: &Clock,
    ) -> Result<Option<Upload>, Full> {
        let (cost, body) = self.pay(&opening, Purpose::Upload, clock).await?;
        let upload = Upload::new_unless_there(Arc::clone(self), opening, cost, body).ok();
        if let Some(upload) = &upload {
            // It is new, and nobody else writes to it.
            let _ = upload.version.started.set(started);
        }
        Ok(upload)
    }
}

impl Upload {
    /// Makes it the version under its path, at the place `sequence` that all pods agree on, unless a newer one is here.
    pub fn commit_at(mut self, sequence: u64, now: Now, terms: Terms) -> Committed {
        self.memory.pass_sequence(sequence);
        self.place = Some(sequence);
        self.commit_as(None, now, terms, |_| true)
    }

    /// Lets readers come to its end; under its path is another version.
    pub fn end(mut self) {
        let memory = Arc::clone(&self.memory);
        let mut shard = memory.shard(&self.version.path);
        self.version.blob.finish();
        self.is_over = true;
        self.unregister(&mut shard);
    }
}
