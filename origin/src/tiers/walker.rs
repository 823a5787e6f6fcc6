//! All tiers of one origin: finds a path from the top down, keeps a version where its rule wants it, deletes it everywhere.
//!
//! ```text
//! commit: turn of the path → condition → durability of the rule (disk or object store) → memory → copies in the background
//! find:   memory (the caller) → disk → object store
//! delete: turn of the path → condition → object store → disk → memory
//! ```
//!
//! What changes a path holds its lock from the condition to the end, in a task of its own: a client that hangs up cannot
//! stop it half-way. A version is in memory before anybody is told, and never leaves memory while a copy of it is owed.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use mediaorigin_crds::policy::{Durability, Keep};
use mediaorigin_index::entry::Entry;
use tokio::runtime::Handle;

use super::known::Known;
use super::local::Local;
use super::locks::Locks;
use super::outbound::{Copy, Counts, Outbound};
pub use super::wish::Wish;
use super::{ErrorKind, Put, Record, Removed, Source, Tier, TierError, TierName};
use crate::clock::{Clock, Now};
use crate::fleet::seat::Seat;
use crate::fleet::{Arrival, Client, Fleet};
use crate::memory::object::Version;
use crate::memory::upload::{Committed, Upload};
use crate::memory::{Deleted, Memory};

/// The version that a path had before a change, for its condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// Its strong `ETag`, with its quotes.
    pub etag: String,
    /// Its `Last-Modified`.
    pub modified: SystemTime,
}

/// Decides whether a change may be made to what is there.
pub type Condition = Box<dyn Fn(Option<&Current>) -> bool + Send + Sync>;

/// A version in a tier below memory.
#[derive(Clone, Debug)]
pub struct Cold {
    /// What is known of it.
    pub record: Arc<Record>,
    /// Where it is.
    pub tier: Arc<dyn Source>,
}

/// The tiers of one origin.
#[derive(Debug)]
pub struct Tiers {
    pub(crate) memory: Arc<Memory>,
    pub(crate) clock: Clock,
    pub(super) disk: Option<Arc<dyn Local>>,
    pub(crate) object_store: Option<Arc<dyn Tier>>,
    /// Where the work of tiers is done: it must not wait for a worker of the media port, nor one of them for it.
    pub(crate) runtime: Handle,
    /// The place among other pods, where there are any.
    pub(crate) seat: Option<Arc<Seat>>,
    pub(crate) known: Arc<Known>,
    pub(super) outbound: Outbound,
    pub(super) fills: tokio::sync::Semaphore,
    locks: Locks,
}

impl Tiers {
    /// The tiers below `memory`; their work is done on `runtime`.
    pub fn new(
        memory: Arc<Memory>,
        clock: Clock,
        disk: Option<Arc<dyn Local>>,
        object_store: Option<Arc<dyn Tier>>,
        (runtime, seat): (Handle, Option<Arc<Seat>>),
    ) -> Arc<Self> {
        let outbound = Outbound::new(memory.budget().limit());
        let fills = tokio::sync::Semaphore::new(super::pieces::FILLS_MAX);
        let (known, locks) = (Arc::new(Known::new()), Locks::new());
        let tiers = Arc::new(Self {
            memory,
            clock,
            disk,
            object_store,
            runtime,
            seat,
            known,
            outbound,
            fills,
            locks,
        });
        Outbound::start(&tiers);
        tiers
    }

    /// The fleet, where this pod is one of many: nothing can be done without it there.
    pub(crate) fn fleet(&self) -> Result<Option<&Arc<Fleet>>, TierError> {
        self.seat.as_ref().map(|seat| seat.required()).transpose()
    }

    /// The tiers below memory, from the top down.
    pub(super) fn below(&self) -> impl DoubleEndedIterator<Item = Arc<dyn Tier>> + use<> {
        let disk = self.disk.as_ref().map(|disk| Arc::clone(disk) as Arc<dyn Tier>);
        [disk, self.object_store.clone()].into_iter().flatten()
    }

    /// Makes `upload` the version under its path, durable as `wish` says, if `condition` holds.
    pub async fn commit(
        self: &Arc<Self>,
        arrival: Arrival,
        upload: Upload,
        wish: Wish,
        condition: Option<Condition>,
    ) -> Result<Committed, Arc<TierError>> {
        let tiers = Arc::clone(self);
        let (_client, waiting) = Client::new();
        let task = self.runtime.spawn(async move {
            let path = Arc::clone(&upload.version().path);
            let _turn = tiers.locks.turn(&path).await;
            match tiers.fleet().map_err(Arc::new)? {
                None => tiers.commit_in_turn(upload, wish, condition).await,
                Some(fleet) => tiers.commit_agreed(fleet, upload, wish, condition, arrival, waiting).await,
            }
        });
        task.await.unwrap_or_else(|_| Err(Arc::new(stopping())))
    }

    async fn commit_in_turn(
        self: &Arc<Self>,
        mut upload: Upload,
        wish: Wish,
        condition: Option<Condition>,
    ) -> Result<Committed, Arc<TierError>> {
        let path = Arc::clone(&upload.version().path);
        if let Some(condition) = condition
            && !condition(self.current(&path, &wish).await?.as_ref())
        {
            return Ok(Committed::Refused);
        }
        let now = self.clock.now();
        upload.take_place(now);
        if upload.is_empty_or_superseded(now) {
            return Ok(upload.commit(now, wish.terms, |_| true));
        }
        let same = upload.same(now);
        let Some(record) = upload.record(same.as_ref(), wish.terms.expires_at(now)) else {
            return Ok(Committed::Empty);
        };
        let record = Arc::new(record);
        let pieces = upload.pieces();
        let was_on_disk = self.is_on_disk(&path, now).await.map_err(Arc::new)?;
        let put = self.make_durable(&record, &pieces, &wish, now).await.map_err(Arc::new)?;
        if put == Put::Superseded {
            // A later version is there, or a deletion came in between: as if this one had come just before.
            return Ok(Committed::Superseded(Arc::clone(upload.version())));
        }
        let committed = upload.commit_as(same.as_ref(), self.clock.now(), wish.terms, |_| true);
        if let Committed::Created(version) | Committed::Replaced(version) | Committed::Unchanged(version) =
            &committed
        {
            self.copy_on(&record, version, &pieces, &wish, now, false);
        }
        Ok(match committed {
            // RFC 9110 §9.3.4: 201 says that there was nothing. Whether only the object store had something is not asked.
            Committed::Created(version) if was_on_disk => Committed::Replaced(version),
            committed => committed,
        })
    }

    async fn is_on_disk(&self, path: &str, now: Now) -> Result<bool, TierError> {
        let Some(disk) = &self.disk else { return Ok(false) };
        Ok(disk.find(path).await?.is_some_and(|record| !record.is_expired(now)))
    }

    /// Keeps the promise of a 2xx, before there is one.
    async fn make_durable(
        &self,
        record: &Arc<Record>,
        pieces: &[Bytes],
        wish: &Wish,
        now: Now,
    ) -> Result<Put, TierError> {
        let put = match (wish.durability, &self.disk, &self.object_store) {
            (Durability::Disk, Some(disk), _) => {
                return disk.store(record, pieces, false, wish.until(TierName::Disk, now)).await;
            }
            (Durability::Durable, _, Some(store)) => {
                let until = wish.until(TierName::ObjectStore, now);
                self.put_in_store(store, &record.until(until), pieces, now).await?
            }
            _ => Put::Stored,
        };
        // An older version on the disk would be found before this one.
        if put == Put::Stored
            && let Some(disk) = &self.disk
            && disk.find(&record.path).await?.is_some()
        {
            disk.delete(&record.path, record.sequence.saturating_sub(1)).await?;
        }
        Ok(put)
    }

    /// Puts a version into the object store, and knows from then on that it is there.
    pub(crate) async fn put_in_store(
        &self,
        store: &Arc<dyn Tier>,
        record: &Arc<Record>,
        pieces: &[Bytes],
        now: Now,
    ) -> Result<Put, TierError> {
        let put = store.put(record, pieces).await?;
        // Of a version that came too late it is only known that there is, or was, a newer one.
        let known = (put == Put::Stored).then(|| Arc::clone(record));
        self.known.changed(&record.path, known, now);
        if put == Put::Stored {
            self.outbound.caught_up(record);
        }
        Ok(put)
    }

    /// What the rule wants beside that, later.
    pub(crate) fn copy_on(
        &self,
        record: &Arc<Record>,
        version: &Arc<Version>,
        pieces: &[Bytes],
        wish: &Wish,
        now: Now,
        is_logged: bool,
    ) {
        let copy = |tier: TierName| {
            let version = Some(Arc::clone(version));
            let must = wish.durability == Durability::Disk;
            self.outbound.push(Copy {
                record: Arc::clone(record),
                tier,
                pieces: pieces.to_vec(),
                until: wish.until(tier, now),
                must,
                version,
                is_logged,
            });
        };
        if self.disk.is_some() && wish.disk != Keep::Never && wish.durability != Durability::Disk {
            copy(TierName::Disk);
        }
        if self.object_store.is_some()
            && wish.object_store != Keep::Never
            && wish.durability != Durability::Durable
        {
            copy(TierName::ObjectStore);
        }
    }

    /// Takes `path` away everywhere, if `condition` holds.
    pub async fn delete(
        self: &Arc<Self>,
        path: Arc<str>,
        wish: Wish,
        condition: Option<Condition>,
    ) -> Result<Deleted, Arc<TierError>> {
        let tiers = Arc::clone(self);
        let (_client, waiting) = Client::new();
        let task = self.runtime.spawn(async move {
            let _turn = tiers.locks.turn(&path).await;
            match tiers.fleet().map_err(Arc::new)? {
                None => tiers.delete_in_turn(Arc::clone(&path), wish, condition).await,
                Some(fleet) => tiers.delete_agreed(fleet, Arc::clone(&path), condition, waiting).await,
            }
        });
        task.await.unwrap_or_else(|_| Err(Arc::new(stopping())))
    }

    async fn delete_in_turn(
        self: &Arc<Self>,
        path: Arc<str>,
        wish: Wish,
        condition: Option<Condition>,
    ) -> Result<Deleted, Arc<TierError>> {
        let current = self.current(&path, &wish).await?;
        if condition.is_some_and(|condition| !condition(current.as_ref())) {
            return Ok(Deleted::Refused);
        }
        let now = self.clock.now();
        let through = self.memory.next_sequence(now);
        let mut gone = false;
        for tier in self.below().rev() {
            if tier.name() == TierName::ObjectStore && wish.object_store == Keep::Never {
                continue;
            }
            gone |= tier.delete(&path, through).await.map_err(Arc::new)? == Removed::Gone;
        }
        self.known.changed(&path, None, now);
        let deleted = self.memory.delete(&path, now, |_| true);
        // What was there may have been expired: then there was nothing for those who ask.
        Ok(if current.is_some() && (gone || deleted == Deleted::Gone) {
            Deleted::Gone
        } else {
            Deleted::Nothing
        })
    }

    /// Where the bytes of the version of `entry` can be had, beside memory.
    pub(crate) fn source(&self, fleet: &Fleet, entry: &Entry) -> Arc<dyn Source> {
        fleet.holders(entry, self.object_store.clone().map(|store| store as Arc<dyn Source>))
    }

    /// What a reader would be given now.
    async fn current(self: &Arc<Self>, path: &str, wish: &Wish) -> Result<Option<Current>, Arc<TierError>> {
        let now = self.clock.now();
        if let Some(version) = self.memory.committed(path, now)
            && let Some(started) = version.started()
        {
            return Ok(Some(Current { etag: version.etag(), modified: started.modified }));
        }
        let cold = self.find(path, wish).await?;
        Ok(cold
            .filter(|cold| !cold.record.is_expired(now))
            .map(|cold| Current { etag: cold.record.etag(), modified: cold.record.modified }))
    }

    /// Removes from the object store what a reader found to be over; nobody waits for it.
    pub fn expire(&self, record: &Arc<Record>) {
        let Some(store) = self.object_store.clone() else { return };
        let record = Arc::clone(record);
        self.runtime.spawn(async move {
            if let Err(error) = store.delete(&record.path, record.sequence).await {
                tracing::debug!(%error, "what is over stays in the object store for now");
            }
        });
    }

    /// Frees what is over in the disk tier; some at a time.
    pub async fn sweep(&self) -> Result<usize, TierError> {
        match &self.disk {
            Some(disk) => disk.sweep(self.clock.now().wall).await,
            None => Ok(0),
        }
    }

    /// Copies that are still owed.
    pub fn owed(&self) -> usize {
        self.outbound.owed()
    }

    /// What became of copies.
    pub fn copies(&self) -> Counts {
        self.outbound.counts()
    }
}

fn stopping() -> TierError {
    TierError {
        tier: TierName::Memory,
        attempt: "finish the request".to_owned(),
        kind: ErrorKind::Unavailable,
        source: "the origin is stopping".into(),
    }
}
