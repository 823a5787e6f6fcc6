//! The disk tier: one file per version, durable when a put returns, found again after any end of the process.
//!
//! ```text
//! call ─slot→ threads: reserve (evict) → temporary file → sync → rename → sync of the folder (shared) → index → answer
//! ```
//!
//! `docs/disk-format.md` says how a file looks and what is promised. The index in memory knows every file; bytes are read
//! and checked block by block. Beside the contract of [`Tier`], the disk knows which files must stay and which are only a
//! cache ([`Hold`]), and for how long.

mod files;
mod format;
mod index;
mod inner;
mod quarantine;
mod read;
mod remove;
mod scan;
mod shard;
mod sum;
mod tallies;
mod threads;
mod write;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use self::files::Files;
pub use self::format::Hold;
use self::inner::Inner;
pub use self::scan::{OpenError, Scan};
pub use self::tallies::Counts;
use self::threads::{Lane, Threads};
use self::write::Writing;
use super::{Bytestream, LastError, Listed, Put, Record, Removed, Source, Tier, TierError, TierName};

/// Why a version left although nobody asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// Its space was needed; it was one that may go.
    Evicted,
    /// Its file is damaged and was set aside.
    Corrupt,
}

/// Is told of every version that leaves by itself, on a thread of the disk: it must be short and not call the tier.
pub type Listener = Arc<dyn Fn(&Arc<Record>, Loss) + Send + Sync>;

/// How long a file stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// Whether it may go when space is needed.
    pub hold: Hold,
    /// From when on [`Disk::sweep`] takes it, if it may go by then.
    pub until: Option<SystemTime>,
}

/// How a disk tier works. [`DiskOptions::new`] has the defaults.
#[derive(Clone)]
pub struct DiskOptions {
    /// Its folder, which is made if it is missing. Nobody else may write there.
    pub folder: PathBuf,
    /// Bytes that its files occupy at most, in whole blocks of 4 KiB, the quarantine included.
    pub bytes_max: u64,
    /// Bytes of memory that the index may need for its entries. When it does, versions that may go make room, as when the disk is
    /// full: a file that nobody could find would only be in the way, and memory without a bound ends the process.
    pub index_bytes_max: u64,
    /// Threads for I/O.
    pub threads: usize,
    /// Calls that wait or are worked on at most.
    pub queue_max: usize,
    /// How long a call waits for a place.
    pub wait_max: Duration,
    /// Files that are open for readers at most.
    pub open_files_max: usize,
    /// How long a start waits for another process to give the folder up.
    pub lock_wait_max: Duration,
    /// Damaged files that are kept for inspection at most.
    pub quarantine_files_max: usize,
    /// Their bytes at most.
    pub quarantine_bytes_max: u64,
    /// Who is told of versions that leave.
    pub listener: Option<Listener>,
    pub(crate) files: Files,
}

impl DiskOptions {
    /// The defaults for a folder and a size in bytes.
    pub fn new(folder: impl Into<PathBuf>, bytes_max: u64) -> Self {
        Self {
            folder: folder.into(),
            bytes_max,
            index_bytes_max: u64::MAX,
            threads: 4,
            queue_max: 256,
            wait_max: Duration::from_secs(2),
            open_files_max: 512,
            lock_wait_max: Duration::from_mins(1),
            quarantine_files_max: 64,
            quarantine_bytes_max: bytes_max / 16,
            listener: None,
            files: Files::default(),
        }
    }
}

/// The disk tier.
#[derive(Debug)]
pub struct Disk {
    inner: Arc<Inner>,
}

impl Disk {
    /// Opens a folder: waits until no other process has it, removes what a crash left half done, and finds every version.
    /// Needs a Tokio runtime with time; all I/O is done by the tier's own threads.
    pub async fn open(options: DiskOptions) -> Result<(Self, Scan), OpenError> {
        let threads = Threads::start(options.threads).map_err(OpenError::Threads)?;
        let lock = scan::lock(&threads, &options).await?;
        let inner = Arc::new(Inner::new(&options, threads, lock));
        let scan = scan::scan(&inner, &options.folder).await?;
        Ok((Self { inner }, scan))
    }

    /// As [`Tier::put`], which is this with [`Hold::Keep`] and no time.
    ///
    /// A version that may go is not synced: it survives the end of the process, not that of the machine, after which a torn
    /// one is found out. The very same version may be put again to make it stay.
    pub async fn store(
        &self,
        record: &Arc<Record>,
        body: &[Bytes],
        keeping: Keeping,
    ) -> Result<Put, TierError> {
        let (record, body) = (record.clone(), body.to_vec());
        let path = record.path.clone();
        let job = move |inner: &Arc<Inner>, answer| {
            inner.put(Writing { record, body, keeping, answer });
        };
        self.inner.call(Lane::Write, "write", &path, job).await
    }

    /// Lets the version of `path` with this sequence go when space is needed or its time is over: another tier has it now.
    /// False if it is not there or could go already.
    pub async fn release(&self, path: &str, sequence: u64) -> Result<bool, TierError> {
        let owned = path.to_owned();
        let job = move |inner: &Arc<Inner>, answer: inner::Answer<bool>| {
            let released = inner.release(&owned, sequence);
            answer.send(released);
        };
        self.inner.call(Lane::Read, "release", path, job).await
    }

    /// Removes versions that are expired at `now`, and those that may go whose time is over; some at most, so that it is to
    /// be called again while it returns any. What must stay stays until it expires, whatever its time says.
    pub async fn sweep(&self, now: SystemTime) -> Result<Vec<Arc<Record>>, TierError> {
        let job = move |inner: &Arc<Inner>, answer: inner::Answer<Vec<Arc<Record>>>| {
            let swept = inner.sweep(now);
            answer.send(Ok(swept));
        };
        self.inner.call(Lane::Write, "sweep", "expired objects", job).await
    }

    /// From now on the index may need `bytes` of memory for its entries. Versions that may go make room.
    pub async fn resize_index(&self, bytes: u64) -> Result<(), TierError> {
        self.inner.index().set_entries_bytes_max(bytes);
        let job = |inner: &Arc<Inner>, answer: inner::Answer<()>| {
            let fitted = inner.fit();
            answer.send(fitted);
        };
        self.inner.call(Lane::Write, "evict", "what its index has no room for", job).await
    }

    /// Bytes of memory that the index may need for its entries.
    pub fn index_bytes_max(&self) -> u64 {
        self.inner.index().entries_bytes_max()
    }

    /// Versions that must stay, among the next `limit` paths behind `after` (empty at first); with the path to go on from,
    /// or none at the end. After a start these are the ones that another tier may not have.
    pub fn kept(&self, after: &str, limit: usize) -> (Vec<Arc<Record>>, Option<Arc<str>>) {
        self.inner.index().kept(after, limit)
    }

    /// What it holds and what it did.
    pub fn counts(&self) -> Counts {
        let totals = self.inner.index().totals();
        self.inner.tallies.counts(&totals, self.inner.quarantine.held_totals())
    }

    /// The latest error.
    pub fn last_error(&self) -> Option<LastError> {
        self.inner.last_error()
    }

    /// What the index occupies in memory, estimated, in bytes.
    pub fn index_bytes(&self) -> u64 {
        self.inner.index().totals().index_bytes
    }

    /// Finishes what was begun, refuses what is new, and gives the folder up to the next process.
    pub async fn close(&self) {
        self.inner.close();
        self.inner.threads.ended().await;
        if let Err(error) = self.inner.lock.unlock() {
            tracing::warn!(%error, "cannot unlock the folder of the disk tier");
        }
    }
}

impl Source for Disk {
    fn name(&self) -> TierName {
        TierName::Disk
    }

    fn read<'a>(
        &'a self,
        record: &'a Arc<Record>,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<Bytestream, TierError>> {
        self.inner.read(record, range).boxed()
    }
}

impl Tier for Disk {
    fn put<'a>(
        &'a self,
        record: &'a Arc<Record>,
        body: &'a [Bytes],
    ) -> BoxFuture<'a, Result<Put, TierError>> {
        self.store(record, body, Keeping { hold: Hold::Keep, until: None }).boxed()
    }

    fn find<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<Arc<Record>>, TierError>> {
        ready(Ok(self.inner.index().find(path))).boxed()
    }

    fn delete<'a>(&'a self, path: &'a str, through: u64) -> BoxFuture<'a, Result<Removed, TierError>> {
        let owned = path.to_owned();
        let job = move |inner: &Arc<Inner>, answer| inner.delete(&owned, through, answer);
        self.inner.call(Lane::Write, "delete", path, job).boxed()
    }

    fn list<'a>(
        &'a self,
        folder: &'a str,
        after: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Listed>, TierError>> {
        ready(Ok(self.inner.index().list(folder, after, limit))).boxed()
    }
}

#[cfg(test)]
mod tests;
