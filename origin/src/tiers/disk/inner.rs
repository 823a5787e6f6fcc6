//! What all parts of the disk tier share: the shards, the index, the threads, and how a call becomes a job.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use super::files::Files;
use super::format::path_sum;
use super::index::Index;
use super::quarantine::Quarantine;
use super::shard::{Shard, Then};
use super::tallies::Tallies;
use super::threads::{Lane, Threads};
use super::{DiskOptions, Listener, Loss};
use crate::tiers::{ErrorKind, LastError, Record, TierError, TierName};

/// Folders over which the files are spread: few, so that a sync serves many; enough for a million files.
pub(super) const SHARDS: u32 = 64;
/// How names of files begin that are being written.
pub(super) const TEMPORARY: &str = "tmp-";

/// The disk tier behind its surface.
pub(super) struct Inner {
    pub(super) files: Files,
    pub(super) quarantine: Quarantine,
    pub(super) tallies: Tallies,
    pub(super) threads: Threads,
    /// Files open for readers.
    pub(super) reads: Arc<Semaphore>,
    pub(super) lock: File,
    shards: Vec<Shard>,
    index: Mutex<Index>,
    slots: Arc<Semaphore>,
    wait_max: Duration,
    listener: Option<Listener>,
    temporary: AtomicU64,
    last_error: Mutex<Option<LastError>>,
}

/// Where the result of a call goes. The call's slot is free when it is sent or dropped.
pub(super) struct Answer<T> {
    sender: oneshot::Sender<Result<T, TierError>>,
    _slot: OwnedSemaphorePermit,
}

impl<T> Answer<T> {
    pub(super) fn send(self, result: Result<T, TierError>) {
        // Nobody waits any more if the call was dropped.
        let _ = self.sender.send(result);
    }
}

/// What an error of the system means for the caller.
pub(super) fn kind(error: &io::Error) -> ErrorKind {
    use io::ErrorKind as Io;
    match error.kind() {
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => ErrorKind::Full,
        Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::Denied,
        Io::InvalidData | Io::UnexpectedEof => ErrorKind::Corrupt,
        _ => ErrorKind::Unavailable,
    }
}

/// An error of the system as one of the tier.
pub(super) fn failed(verb: &str, path: &str, error: io::Error) -> TierError {
    TierError::new(TierName::Disk, format!("{verb} {path}"), kind(&error), error)
}

/// An error that the system does not know.
pub(super) fn refused(verb: &str, path: &str, kind: ErrorKind, why: &'static str) -> TierError {
    TierError::new(TierName::Disk, format!("{verb} {path}"), kind, why)
}

impl Inner {
    pub(super) fn new(options: &DiskOptions, threads: Threads, lock: File) -> Self {
        let shards = (0..SHARDS).map(|shard| Shard::new(shard_folder(&options.folder, shard))).collect();
        Self {
            files: options.files.clone(),
            quarantine: Quarantine::new(options),
            tallies: Tallies::default(),
            threads,
            reads: Arc::new(Semaphore::new(options.open_files_max)),
            lock,
            shards,
            index: Mutex::new(Index::new(options.bytes_max, options.index_bytes_max)),
            slots: Arc::new(Semaphore::new(options.queue_max)),
            wait_max: options.wait_max,
            listener: options.listener.clone(),
            temporary: AtomicU64::new(0),
            last_error: Mutex::default(),
        }
    }

    pub(super) fn shards(&self) -> &[Shard] {
        &self.shards
    }

    pub(super) fn shard(&self, path: &str) -> &Shard {
        &self.shards[(path_sum(path) % SHARDS) as usize]
    }

    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn temporary(&self, shard: &Shard) -> PathBuf {
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        shard.folder().join(format!("{TEMPORARY}{number:016x}"))
    }

    pub(super) fn lost(&self, record: &Arc<Record>, loss: Loss) {
        if let Some(listener) = &self.listener {
            listener(record, loss);
        }
    }

    /// Has a job done by a thread: it gets the tier and must answer.
    pub(super) async fn call<T, F>(
        self: &Arc<Self>,
        lane: Lane,
        verb: &str,
        path: &str,
        job: F,
    ) -> Result<T, TierError>
    where
        T: Send + 'static,
        F: FnOnce(&Arc<Self>, Answer<T>) + Send + 'static,
    {
        let done = async {
            let slot = self.permit(&self.slots, verb, path).await?;
            let (sender, result) = oneshot::channel();
            let (inner, answer) = (self.clone(), Answer { sender, _slot: slot });
            self.threads.submit(lane, Box::new(move || job(&inner, answer)));
            result.await.unwrap_or_else(|_| {
                Err(refused(verb, path, ErrorKind::Unavailable, "the disk's thread gave no answer"))
            })
        };
        done.await.inspect_err(|error| self.note(error))
    }

    /// Remembers an error for an operator. That a version is gone, or was never whole, is none of the disk as such.
    fn note(&self, error: &TierError) {
        if !matches!(error.kind, ErrorKind::Gone | ErrorKind::Corrupt) {
            let last = LastError { at: SystemTime::now(), kind: error.kind, text: error.to_string() };
            *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        }
    }

    /// The latest error.
    pub(super) fn last_error(&self) -> Option<LastError> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a place, within limits.
    pub(super) async fn permit(
        &self,
        places: &Arc<Semaphore>,
        verb: &str,
        path: &str,
    ) -> Result<OwnedSemaphorePermit, TierError> {
        match timeout(self.wait_max, places.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(refused(verb, path, ErrorKind::Unavailable, "the disk tier is closed")),
            Err(_) => {
                self.tallies.refused.fetch_add(1, Ordering::Relaxed);
                Err(refused(verb, path, ErrorKind::Unavailable, "the disk has too much to do"))
            }
        }
    }

    /// Goes on when the names in a folder are durable.
    pub(super) fn commit(self: &Arc<Self>, path: &str, then: Then) {
        let shard = path_sum(path) % SHARDS;
        if self.shards[shard as usize].join(then) {
            self.submit_sync(shard);
        }
    }

    fn submit_sync(self: &Arc<Self>, shard: u32) {
        let inner = self.clone();
        let job = move || {
            inner.shards[shard as usize].sync(&inner.files, |synced| {
                inner.tallies.synced(synced.group);
                if synced.again {
                    inner.submit_sync(shard);
                }
            });
        };
        self.threads.submit(Lane::Urgent, Box::new(job));
    }

    /// No new calls; those that wait for a place get an error.
    pub(super) fn close(&self) {
        self.slots.close();
        self.reads.close();
        self.threads.close();
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Inner {{ files: {} }}", self.index().totals().files)
    }
}

/// Where the files of a shard are. The first folder names the layout: a later one has another.
pub(super) fn shard_folder(folder: &Path, shard: u32) -> PathBuf {
    folder.join("v1").join(format!("{shard:02x}"))
}
