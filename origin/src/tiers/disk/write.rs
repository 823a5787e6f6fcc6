//! A version becomes a file: temporary file, sync, rename, sync of the folder, and only then it is found.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::format::{self, Hold, Metadata, Name};
use super::index::{Admission, Published, occupied};
use super::inner::{Answer, Inner, failed, kind, refused};
use super::{Keeping, shard::Shard};
use crate::tiers::{ErrorKind, Put, Record, TierError};

/// How often a write is tried again after files were evicted because the disk itself was full.
const ROOM_ATTEMPTS_MAX: u32 = 8;

/// A version on its way to the disk.
pub(super) struct Writing {
    pub(super) record: Arc<Record>,
    pub(super) body: Vec<Bytes>,
    pub(super) keeping: Keeping,
    pub(super) answer: Answer<Put>,
}

/// A version whose file has its name, on the way to the index.
struct Named {
    metadata: Metadata,
    name: Name,
    file_bytes: u64,
    space: u64,
    answer: Answer<Put>,
}

impl Writing {
    fn path(&self) -> &Arc<str> {
        &self.record.path
    }

    fn name(&self) -> Name {
        Name::new(&self.record.path, self.record.sequence, self.record.uid, self.keeping.hold)
    }

    fn until(&self) -> Option<SystemTime> {
        self.keeping.until
    }
}

impl Inner {
    /// Stores a version, on a thread. Nothing stops it half-way: who asked may be gone.
    pub(super) fn put(self: &Arc<Self>, writing: Writing) {
        let length: u64 = writing.body.iter().map(|piece| piece.len() as u64).sum();
        if length != writing.record.size {
            let error = refused("write", writing.path(), ErrorKind::Corrupt, "the body has another size");
            return writing.answer.send(Err(error));
        }
        let admission = self.index().admit(writing.path(), &writing.name());
        match (admission, writing.keeping.hold) {
            (Admission::Go, _) => self.write(writing),
            (Admission::There(Hold::Cache), Hold::Keep) => self.promote(writing),
            (Admission::There(_), _) => {
                self.index().touch(writing.path());
                writing.answer.send(Ok(Put::Stored));
            }
            (Admission::Late, _) => writing.answer.send(Ok(Put::Superseded)),
        }
    }

    fn write(self: &Arc<Self>, writing: Writing) {
        let tail = format::encode(&writing.record, writing.until(), &writing.body);
        let file_bytes = writing.record.size + tail.len() as u64;
        let space = occupied(file_bytes);
        let is_synced = self.must_sync(&writing);
        match self.write_temporary(&writing, &tail, space, is_synced) {
            Ok(temporary) => self.give_name(writing, &temporary, (file_bytes, space), is_synced),
            Err(error) => writing.answer.send(Err(error)),
        }
    }

    /// Whether a loss of power must not take the version: it must stay, or an older one would come back in its place.
    fn must_sync(&self, writing: &Writing) -> bool {
        let is_durable = self.shard(writing.path()).is_durable();
        writing.keeping.hold == Hold::Keep
            || self.index().may_return(writing.path(), writing.record.sequence, is_durable)
    }

    /// Writes the bytes under a name that nobody looks for. Leaves nothing behind when it fails.
    fn write_temporary(
        &self,
        writing: &Writing,
        tail: &[u8],
        space: u64,
        is_synced: bool,
    ) -> Result<PathBuf, TierError> {
        let path = writing.path();
        let shard = self.shard(path);
        let mut attempts = 0;
        loop {
            self.reserve(path, space)?;
            let temporary = self.temporary(shard);
            let written = self.write_file(&temporary, &writing.body, tail, is_synced);
            let Err(error) = written else { return Ok(temporary) };
            self.give_up(&temporary, space);
            attempts += 1;
            let is_full = kind(&error) == ErrorKind::Full;
            if !is_full || attempts > ROOM_ATTEMPTS_MAX || !self.evict(space)? {
                return Err(failed("write", path, error));
            }
        }
    }

    fn write_file(&self, temporary: &Path, body: &[Bytes], tail: &[u8], is_synced: bool) -> io::Result<()> {
        let mut file = self.files.create(temporary)?;
        let pieces: Vec<&[u8]> = body.iter().map(|piece| &piece[..]).chain([tail]).collect();
        self.files.write(temporary, &mut file, &pieces)?;
        if is_synced { self.files.sync_file(temporary, &file) } else { Ok(()) }
    }

    /// Takes a temporary file and its share of the space back.
    fn give_up(&self, temporary: &Path, space: u64) {
        if temporary.exists()
            && let Err(error) = self.files.remove(temporary)
        {
            tracing::warn!(%error, path = %temporary.display(), "cannot remove a temporary file");
        }
        self.index().unreserve(space);
    }

    /// Renames the file into its place, if it still is the newest.
    fn give_name(
        self: &Arc<Self>,
        writing: Writing,
        temporary: &Path,
        (file_bytes, space): (u64, u64),
        is_synced: bool,
    ) {
        let (path, name) = (writing.path().clone(), writing.name());
        let shard = self.shard(&path);
        let must_sync;
        {
            let _order = shard.order();
            // Another version may have come meanwhile.
            must_sync = is_synced || self.must_sync(&writing);
            let admission = self.index().admit(&path, &name);
            let early = match (admission, name.hold) {
                (Admission::Late, _) => Some(Ok(Put::Superseded)),
                (Admission::There(Hold::Keep), _) | (Admission::There(_), Hold::Cache) => {
                    Some(Ok(Put::Stored))
                }
                _ => self.rename(temporary, &shard.file(&name), must_sync && !is_synced).err().map(Err),
            };
            if let Some(result) = early {
                self.give_up(temporary, space);
                return writing.answer.send(result.map_err(|error| failed("write", &path, error)));
            }
            self.index().claim(&path, name);
        }
        let metadata = Metadata { record: Record::clone(&writing.record), until: writing.until() };
        let named = Named { metadata, name, file_bytes, space, answer: writing.answer };
        if must_sync {
            let inner = self.clone();
            self.commit(&path, Box::new(move |synced| inner.publish(named, synced)));
        } else {
            self.publish(named, Ok(()));
        }
    }

    fn rename(&self, temporary: &Path, to: &Path, sync: bool) -> io::Result<()> {
        if sync {
            self.files.sync_file(temporary, &File::open(temporary)?)?;
        }
        self.files.rename(temporary, to)
    }

    /// Lets the version be found, now that it cannot be lost, and removes the one before.
    fn publish(&self, named: Named, synced: io::Result<()>) {
        let Named { metadata, name, file_bytes, space, answer } = named;
        let path = metadata.record.path.clone();
        let shard = self.shard(&path);
        let _order = shard.order();
        if let Err(error) = synced {
            let is_ours = {
                let mut index = self.index();
                index.unreserve(space);
                index.disclaim(&path, &name)
            };
            if is_ours {
                self.index().claim(&path, name);
                self.discard(shard, &path, &name);
            }
            return answer.send(Err(failed("write", &path, error)));
        }
        let published = {
            let mut index = self.index();
            index.unreserve(space);
            index.publish(&metadata, &name, file_bytes)
        };
        let (put, remove) = match published {
            Published::Current { replaced } => (Put::Stored, replaced),
            Published::Not { late: true, remove } => (Put::Superseded, remove),
            Published::Not { late: false, remove } => (Put::Stored, remove),
        };
        answer.send(Ok(put));
        if let Some(name) = remove {
            self.discard(shard, &path, &name);
        }
    }

    /// Removes a file that is not current. Its name stays known if that fails, so that a delete tries again.
    fn discard(&self, shard: &Shard, path: &str, name: &Name) {
        match self.files.remove(&shard.file(name)) {
            Ok(()) => {
                shard.changed();
                self.index().removed(path, name);
            }
            Err(error) => tracing::warn!(%error, path, "cannot remove the file of an older version"),
        }
    }

    /// Makes a cached version durable that is there already.
    fn promote(self: &Arc<Self>, writing: Writing) {
        let path = writing.path().clone();
        let shard = self.shard(&path);
        let (cached, kept) =
            (Name { hold: Hold::Cache, ..writing.name() }, Name { hold: Hold::Keep, ..writing.name() });
        {
            let order = shard.order();
            let is_there = self.index().current(&path) == Some(cached);
            let file = shard.file(&cached);
            let opened = if is_there { File::open(&file) } else { Err(io::ErrorKind::NotFound.into()) };
            let renamed = opened.and_then(|opened| {
                self.files.sync_file(&file, &opened)?;
                self.files.rename(&file, &shard.file(&kept))
            });
            match renamed {
                Ok(()) => self.index().hold(&path, Hold::Keep),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // Evicted meanwhile, or taken by somebody who is not us.
                    self.index().removed(&path, &cached);
                    drop(order);
                    return self.write(writing);
                }
                Err(error) => return writing.answer.send(Err(failed("write", &path, error))),
            }
        }
        let answer = writing.answer;
        let then = move |synced: io::Result<()>| {
            answer.send(synced.map(|()| Put::Stored).map_err(|error| failed("write", &path, error)));
        };
        self.commit(&writing.record.path, Box::new(then));
    }
}
