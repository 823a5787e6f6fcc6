//! One upload: from its announcement to its commit, or to its end without one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use mediaorigin_crds::policy::Class;

use super::blob::{Blob, Uid};
use super::budget::Permit;
use super::chunk::{self, CHUNK_BYTES};
use super::derived::Derived;
use super::object::{Meta, Object, Started, Version};
use super::{Full, Memory, Purpose, Shard, Slot, fill};
use crate::clock::{Clock, Now};
use crate::manifest;
use crate::tiers::Record;

/// Size of the first chunk of an upload of unknown length: most playlists fit.
const FIRST_CHUNK_BYTES: usize = 4 * 1024;

/// What is known when an upload opens.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Where it goes.
    pub path: Arc<str>,
    /// Its name.
    pub uid: Uid,
    /// Its headers.
    pub meta: Meta,
    /// Whether it may be read before it is complete.
    pub early: bool,
    /// Its announced length.
    pub length: Option<u64>,
}

/// How long a committed version stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Never evicted for this long.
    pub keep: Duration,
    /// Gone after this long.
    pub expire: Option<Duration>,
}

impl Terms {
    /// When a version committed at `now` is gone.
    pub fn expires_at(&self, now: Now) -> Option<SystemTime> {
        self.expire.and_then(|expire| now.wall.checked_add(expire))
    }
}

/// What became of an upload.
#[derive(Clone, Debug)]
pub enum Committed {
    /// The path had no version.
    Created(Arc<Version>),
    /// It replaced an older version.
    Replaced(Arc<Version>),
    /// The path already had the same bytes and headers; their version stays.
    Unchanged(Arc<Version>),
    /// A version that started later is already there; it stays.
    Superseded(Arc<Version>),
    /// It had no byte; nothing changes.
    Empty,
    /// In a fleet: this pod and another one hold it, and the index has it as soon as it answers.
    Held(Arc<Version>),
    /// The condition did not hold; nothing changes.
    Refused,
}

/// An open upload. Dropping it aborts it: whoever reads it is cut off, what was there before stays.
#[derive(Debug)]
pub struct Upload {
    pub(super) memory: Arc<Memory>,
    pub(super) version: Arc<Version>,
    /// What is left of the memory reserved for an announced length.
    reserved: Permit,
    written: u64,
    chunks: u32,
    /// Its place in the order of versions, where that is not the one of its beginning.
    pub(super) place: Option<u64>,
    /// Whether somebody uploads it here.
    is_counted: bool,
    pub(super) is_over: bool,
}

impl Upload {
    pub(super) fn new(memory: Arc<Memory>, opening: Opening, cost: Permit, reserved: Permit) -> Self {
        let version = version(&memory, opening, cost);
        let mut shard = memory.shard(&version.path);
        let slot: &mut Slot = shard.entry(Arc::clone(&version.path)).or_default();
        for other in &slot.uploads {
            other.blob.poke();
        }
        slot.uploads.push(Arc::clone(&version));
        drop(shard);
        memory.uploads.fetch_add(1, Ordering::Relaxed);
        Self::open(memory, version, reserved, true)
    }

    /// An upload of our own, for what another tier or pod has; whoever was faster with it is the answer otherwise.
    pub(super) fn new_unless_there(
        memory: Arc<Memory>,
        opening: Opening,
        cost: Permit,
        reserved: Permit,
    ) -> Result<Self, Arc<Version>> {
        let version = version(&memory, opening, cost);
        let mut shard = memory.shard(&version.path);
        if let Some(there) = memory.named(&shard, &version.path, version.uid) {
            return Err(there);
        }
        shard.entry(Arc::clone(&version.path)).or_default().uploads.push(Arc::clone(&version));
        drop(shard);
        Ok(Self::open(memory, version, reserved, false))
    }

    fn open(memory: Arc<Memory>, version: Arc<Version>, reserved: Permit, is_counted: bool) -> Self {
        Self { memory, version, reserved, written: 0, chunks: 0, place: None, is_counted, is_over: false }
    }

    /// Whether a commit at `now` would store nothing: there is no byte, or a version that started later is there.
    pub fn is_empty_or_superseded(&self, now: Now) -> bool {
        let Some(sequence) = self.sequence() else { return true };
        let there = self.memory.committed_sequence(&self.version.path, now);
        there.is_some_and(|there| there > sequence) || self.is_behind(&self.memory, now).is_some()
    }

    /// Finds its place in the order of versions: that of its beginning, or behind an earlier state of the same manifest that
    /// began a moment after it. To be called when all bytes are here.
    pub fn take_place(&mut self, now: Now) {
        let Some(started) = self.version.started() else { return };
        let Some(old) = self.other_manifest(&self.memory, now) else { return };
        let Some(there) = self.memory.committed_sequence(&self.version.path, now) else { return };
        if there > started.sequence && manifest::is_earlier_state(&text(&old), &text(&self.version)) {
            self.place = Some(there.saturating_add(1));
        }
    }

    pub(super) fn sequence(&self) -> Option<u64> {
        self.place.or_else(|| self.version.started().map(|started| started.sequence))
    }

    /// What lower tiers keep of it, under the name of `same` where that has the same bytes.
    pub fn record(&self, same: Option<&Arc<Version>>, expires_at: Option<SystemTime>) -> Option<Record> {
        let sequence = self.sequence()?;
        same.unwrap_or(&self.version).record(self.written, sequence, expires_at)
    }

    /// What was written, in order.
    pub fn pieces(&self) -> Vec<Bytes> {
        self.version.blob.pieces()
    }

    /// What it makes.
    pub fn version(&self) -> &Arc<Version> {
        &self.version
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Copies `data` behind what was written; readers see it at once.
    pub async fn write(&mut self, mut data: &[u8], clock: &Clock) -> Result<(), Full> {
        while !data.is_empty() {
            if self.version.blob.room() == 0 {
                let permit = self.next_chunk(clock).await?;
                self.version.blob.extend(permit);
            }
            if self.written == 0 {
                self.start(clock.now());
            }
            let count = self.version.blob.append(data);
            self.written += count as u64;
            data = &data[count..];
        }
        Ok(())
    }

    /// Makes it the version under its path, if `condition` holds for the one that is there. There is no await in here: a
    /// client that hangs up cannot stop it half-way.
    pub fn commit(
        mut self,
        now: Now,
        terms: Terms,
        condition: impl FnOnce(Option<&Version>) -> bool,
    ) -> Committed {
        self.take_place(now);
        let same = self.same(now);
        self.commit_as(same.as_ref(), now, terms, condition)
    }

    /// As [`Self::commit`], where [`Self::same`] was asked before: lower tiers know the bytes under the name of `same`
    /// already, whatever became of it in memory since.
    pub fn commit_as(
        mut self,
        same: Option<&Arc<Version>>,
        now: Now,
        terms: Terms,
        condition: impl FnOnce(Option<&Version>) -> bool,
    ) -> Committed {
        let memory = Arc::clone(&self.memory);
        let later = if self.place.is_none() { self.is_behind(&memory, now) } else { None };
        let mut order = memory.order();
        let mut shard = memory.shard(&self.version.path);
        let old = memory.object(&shard, &self.version.path);
        let valid = old.as_ref().filter(|old| !old.is_expired(now.elapsed));
        if !condition(valid.map(|object| &*object.version)) {
            drop((shard, order));
            return Committed::Refused;
        }
        let (Some(started), Some(sequence)) = (self.version.started(), self.sequence()) else {
            drop((shard, order));
            return Committed::Empty;
        };
        self.version.blob.finish();
        self.is_over = true;
        self.unregister(&mut shard);
        let had = valid.is_some();
        let is_overtaken = |old| later.as_ref().is_some_and(|later| Arc::ptr_eq(later, old));
        if let Some(old) = valid
            && (old.sequence > sequence || is_overtaken(&old.version))
        {
            return Committed::Superseded(Arc::clone(&old.version));
        }
        // It may have gone since, but when somebody replaced it, its old date must not come back.
        let same = same.filter(|same| valid.is_none_or(|object| Arc::ptr_eq(&object.version, same)));
        let version = Arc::clone(same.unwrap_or(&self.version));
        if let Some(old) = &old {
            memory.forget(&mut order, &mut shard, old);
        }
        if let (Some(had), None) = (valid.and_then(|object| object.version.started()), same) {
            version.derived.set_overwrote(had.modified, started.modified);
        }
        let object = Arc::new(object(&version, order.next_id(), sequence, now, terms));
        order.enter(&object);
        if matches!(version.meta.class, Class::Segment | Class::Part) {
            *memory.newest_segment.lock().unwrap_or_else(PoisonError::into_inner) = Some(now.elapsed);
        }
        if object.on_probation {
            order.age(&object, &memory.evictable);
        } else {
            shard.entry(Arc::clone(&version.path)).or_default().live = Some(object);
        }
        drop((shard, order));
        memory.gone().remove(memory.hash(&version.path));
        match (same.is_some(), had) {
            (true, _) => Committed::Unchanged(version),
            (false, true) => Committed::Replaced(version),
            (false, false) => Committed::Created(version),
        }
    }

    /// The committed version, if its bytes and headers are those of this upload. Compared outside the locks.
    pub fn same(&self, now: Now) -> Option<Arc<Version>> {
        let old = self.memory.committed(&self.version.path, now)?;
        (old.meta == self.version.meta && self.version.blob.same_bytes(&old.blob)).then_some(old)
    }

    /// The committed version, if this upload is an earlier state of the same manifest that arrived at the same moment.
    fn is_behind(&self, memory: &Memory, now: Now) -> Option<Arc<Version>> {
        let old = self.other_manifest(memory, now)?;
        manifest::is_earlier_state(&text(&self.version), &text(&old)).then_some(old)
    }

    /// The committed version, if both are manifests that arrived at the same moment.
    fn other_manifest(&self, memory: &Memory, now: Now) -> Option<Arc<Version>> {
        // Segments, which most uploads are, need not be looked up for this.
        if self.version.meta.class != Class::Manifest || self.written > manifest::BYTES_MAX as u64 {
            return None;
        }
        let started = self.version.started()?.modified;
        let old = memory.committed(&self.version.path, now)?;
        let other = old.started()?.modified;
        let apart = started.duration_since(other).or_else(|_| other.duration_since(started)).ok()?;
        let is_small = old.blob.length().is_some_and(|length| length <= manifest::BYTES_MAX as u64);
        (is_small && apart < manifest::OVERTAKING).then_some(old)
    }

    fn start(&self, now: Now) {
        if self.version.started().is_some() {
            // It began on another pod.
            return;
        }
        let sequence = self.memory.sequence.next(now.wall);
        // Only the one writer starts it, and only once.
        let _ = self.version.started.set(Started { sequence, modified: now.wall });
    }

    async fn next_chunk(&mut self, clock: &Clock) -> Result<Permit, Full> {
        let reserved = self.reserved.bytes().min(chunk::cost(CHUNK_BYTES));
        if reserved > chunk::CHUNK_COST
            && let Some(permit) = self.reserved.split(reserved)
        {
            return Ok(permit);
        }
        let size = (FIRST_CHUNK_BYTES << (2 * self.chunks).min(16)).min(CHUNK_BYTES);
        self.chunks += 1;
        self.memory.reserve(chunk::cost(size), Purpose::Upload, clock).await
    }

    pub(super) fn unregister(&self, shard: &mut Shard) {
        let Some(slot) = shard.get_mut(&self.version.path) else { return };
        slot.uploads.retain(|version| !Arc::ptr_eq(version, &self.version));
        if slot.uploads.is_empty() && slot.live.is_none() {
            shard.remove(&self.version.path);
        }
        if self.is_counted {
            self.memory.uploads.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut shard = self.memory.shard(&self.version.path);
        self.unregister(&mut shard);
        drop(shard);
        self.version.blob.abort();
    }
}

fn text(version: &Version) -> Vec<u8> {
    version.blob.pieces().concat()
}

fn version(memory: &Memory, opening: Opening, cost: Permit) -> Arc<Version> {
    let Opening { path, uid, meta, early, length: _ } = opening;
    let blob = Blob::new(memory.budget.clone());
    Arc::new(Version {
        path,
        uid,
        meta,
        blob,
        early,
        started: OnceLock::new(),
        kept: AtomicBool::new(false),
        derived: Derived::default(),
        _cost: cost,
    })
}

fn object(version: &Arc<Version>, id: u64, sequence: u64, now: Now, terms: Terms) -> Object {
    let bytes = version.blob.length().unwrap_or(0);
    Object {
        version: Arc::clone(version),
        id,
        sequence,
        pinned_until: now.elapsed.saturating_add(terms.keep),
        expires_at: terms.expire.map(|expire| now.elapsed.saturating_add(expire)),
        size: chunk::cost_of_length(bytes) + version.meta.cost(&version.path),
        on_probation: fill::is_piece(&version.path),
    }
}
