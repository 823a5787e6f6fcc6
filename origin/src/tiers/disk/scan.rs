//! The start: one process at a time, and the index rebuilt from the files that are there.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::time::{Instant, interval, sleep};

use super::DiskOptions;
use super::format::{Damage, Hold, Metadata, Name};
use super::inner::{Inner, SHARDS, TEMPORARY, shard_folder};
use super::read::{Unreadable, read_end};
use super::shard::Shard;
use super::threads::{Lane, Threads};

/// How often a folder that another process holds is tried again.
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// How often a long scan says how far it is.
const PROGRESS_PAUSE: Duration = Duration::from_secs(5);

/// What was found at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// The highest sequence of any file, damaged ones included; 0 without files.
    pub sequence_max: u64,
    /// Versions that are there.
    pub files: u64,
    /// What their files occupy, in bytes.
    pub bytes: u64,
    /// Files that were being written when the last process ended, removed.
    pub temporary_removed: u64,
    /// Files of versions that a newer one had replaced, removed.
    pub older_removed: u64,
    /// Damaged files, set aside.
    pub damaged: u64,
    /// Files that could not be read, left where they are and not served.
    pub unreadable: u64,
}

/// Why a disk tier cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its threads.
    #[error("cannot start the threads of the disk tier: {0}")]
    Threads(#[source] io::Error),
    /// Its folders, or the list of the files in one.
    #[error("cannot use {}: {source}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another process works with it and did not end in time.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// A later version of this program wrote a file.
    #[error("{}: {damage}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// What is not known.
        damage: String,
    },
}

/// A valid file.
struct Found {
    metadata: Metadata,
    name: Name,
    file_bytes: u64,
    written: SystemTime,
}

/// What a shard holds.
#[derive(Default)]
struct ShardScan {
    scan: Scan,
    best: HashMap<Arc<str>, Found>,
    older: Vec<(Arc<str>, Name)>,
}

fn folder_error(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    move |source| OpenError::Folder { path: path.to_owned(), source }
}

/// Has something done by a thread.
async fn run<T: Send + 'static>(
    threads: &Threads,
    job: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    let (sender, result) = oneshot::channel();
    threads.submit(Lane::Read, Box::new(move || drop(sender.send(job()))));
    let ended = || OpenError::Threads(io::Error::other("a thread ended"));
    result.await.map_err(|_| ended())?
}

/// Makes the folder this process's own; waits while another has it.
pub(super) async fn lock(threads: &Threads, options: &DiskOptions) -> Result<File, OpenError> {
    let folder = options.folder.clone();
    let file = run(threads, move || {
        fs::create_dir_all(&folder).map_err(folder_error(&folder))?;
        open_lock(&folder.join("lock"))
    });
    let file = Arc::new(file.await?);
    let started = Instant::now();
    let mut told = false;
    loop {
        let (tried, folder) = (file.clone(), options.folder.clone());
        let attempt = run(threads, move || match tried.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(folder_error(&folder)(error)),
        });
        if attempt.await? {
            break;
        }
        if !told {
            tracing::info!(folder = %options.folder.display(), "waiting for another process to end");
            told = true;
        }
        if started.elapsed() >= options.lock_wait_max {
            return Err(OpenError::InUse(options.folder.clone()));
        }
        sleep(LOCK_PAUSE).await;
    }
    file.try_clone().map_err(folder_error(&options.folder))
}

/// The lock file. Not open for writing: it must not hinder a file system from becoming read-only, nor need one that is not.
fn open_lock(path: &Path) -> Result<File, OpenError> {
    if !path.exists() {
        // Another process may make it at the same moment.
        File::options().create(true).append(true).open(path).map_err(folder_error(path))?;
    }
    File::open(path).map_err(folder_error(path))
}

/// Makes the folders and fills the index with what is there.
pub(super) async fn scan(inner: &Arc<Inner>, folder: &Path) -> Result<Scan, OpenError> {
    let started = Instant::now();
    let looked = Arc::new(AtomicU64::new(0));
    let quarantined = {
        let (inner, folder) = (inner.clone(), folder.to_owned());
        let this = inner.clone();
        run(&this.threads, move || prepare(&inner, &folder)).await?
    };
    let shards = (0..SHARDS as usize).map(|shard| {
        let (owned, looked) = (inner.clone(), looked.clone());
        run(&inner.threads, move || scan_shard(&owned, &owned.shards()[shard], &looked))
    });
    let mut scans = std::pin::pin!(join_all(shards));
    let mut progress = interval(PROGRESS_PAUSE);
    progress.tick().await;
    let results = loop {
        tokio::select! {
            results = &mut scans => break results,
            _ = progress.tick() => {
                tracing::info!(files = looked.load(Ordering::Relaxed), "the disk is being scanned");
            }
        }
    };
    let mut scan = Scan { sequence_max: quarantined, ..Scan::default() };
    let mut cached = Vec::new();
    for result in results {
        let (shard, of_shard) = result?;
        scan.add(&shard);
        cached.extend(of_shard);
    }
    let totals = finish(inner, cached).await?;
    scan.files = totals.files;
    scan.bytes = totals.bytes;
    tracing::info!(?scan, seconds = started.elapsed().as_secs_f64(), "the disk was scanned");
    Ok(scan)
}

impl Scan {
    fn add(&mut self, other: &Self) {
        self.sequence_max = self.sequence_max.max(other.sequence_max);
        self.temporary_removed += other.temporary_removed;
        self.older_removed += other.older_removed;
        self.damaged += other.damaged;
        self.unreadable += other.unreadable;
    }
}

/// Makes what folders are missing; the highest sequence in the quarantine.
fn prepare(inner: &Inner, folder: &Path) -> Result<u64, OpenError> {
    let mut folders: Vec<PathBuf> = (0..SHARDS).map(|shard| shard_folder(folder, shard)).collect();
    folders.push(inner.quarantine.folder().to_owned());
    let mut made = false;
    for path in &folders {
        if !path.is_dir() {
            fs::create_dir_all(path).map_err(folder_error(path))?;
            made = true;
        }
    }
    if made {
        for path in [&folder.join("v1"), folder] {
            inner.files.sync_folder(path).map_err(folder_error(path))?;
        }
    }
    let names = inner.quarantine.scan(&inner.files).map_err(folder_error(inner.quarantine.folder()))?;
    inner.index().set_aside(inner.quarantine.held_totals().1);
    Ok(names.iter().filter_map(|name| Name::parse(name)).map(|name| name.sequence).max().unwrap_or(0))
}

type Cached = Vec<(SystemTime, Arc<str>)>;

fn scan_shard(inner: &Inner, shard: &Shard, looked: &AtomicU64) -> Result<(Scan, Cached), OpenError> {
    let mut found = ShardScan::default();
    let entries = fs::read_dir(shard.folder()).map_err(folder_error(shard.folder()))?;
    for entry in entries {
        let path = entry.map_err(folder_error(shard.folder()))?.path();
        found.look(inner, &path)?;
        looked.fetch_add(1, Ordering::Relaxed);
    }
    for (path, name) in &found.older {
        match inner.files.remove(&shard.file(name)) {
            Ok(()) => {
                shard.changed();
                found.scan.older_removed += 1;
            }
            Err(error) => {
                tracing::warn!(%error, %path, "cannot remove the file of an older version");
                inner.index().claim(path, *name);
            }
        }
    }
    let mut index = inner.index();
    let mut cached = Vec::new();
    for (path, found) in found.best {
        index.insert(&found.metadata, &found.name, found.file_bytes);
        if found.name.hold == Hold::Cache {
            cached.push((found.written, path));
        }
    }
    Ok((found.scan, cached))
}

/// Brings the files that may go in the order in which they were written, and evicts what is too much.
async fn finish(inner: &Arc<Inner>, mut cached: Cached) -> Result<super::index::Totals, OpenError> {
    let owned = inner.clone();
    let job = move || {
        cached.sort_unstable();
        let mut index = owned.index();
        for (_, path) in &cached {
            index.touch(path);
        }
        drop(index);
        if let Err(error) = owned.fit() {
            tracing::warn!(%error, "the disk holds more than it may");
        }
        Ok(owned.index().totals())
    };
    run(&inner.threads, job).await
}

impl ShardScan {
    fn look(&mut self, inner: &Inner, path: &Path) -> Result<(), OpenError> {
        let text = path.file_name().unwrap_or_default().to_string_lossy();
        if text.starts_with(TEMPORARY) {
            match inner.files.remove(path) {
                Ok(()) => self.scan.temporary_removed += 1,
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "cannot remove a temporary file");
                }
            }
            return Ok(());
        }
        let Some(name) = Name::parse(&text) else {
            tracing::warn!(path = %path.display(), "a file that is not ours is left alone");
            return Ok(());
        };
        self.scan.sequence_max = self.scan.sequence_max.max(name.sequence);
        match read(path, &name) {
            Ok(found) => self.keep_newest(found),
            Err(Unreadable::Damaged(damage @ Damage::Version(_))) => {
                return Err(OpenError::Version { path: path.to_owned(), damage: damage.to_string() });
            }
            Err(Unreadable::Damaged(damage)) => {
                tracing::error!(path = %path.display(), %damage, "a damaged file was set aside");
                self.scan.damaged += 1;
                inner.tallies.corrupt.fetch_add(1, Ordering::Relaxed);
                if let Err(error) = inner.quarantine.take(&inner.files, path) {
                    tracing::warn!(%error, path = %path.display(), "cannot set a damaged file aside");
                }
            }
            Err(Unreadable::Failed(error)) => {
                tracing::error!(%error, path = %path.display(), "a file cannot be read");
                self.scan.unreadable += 1;
            }
        }
        Ok(())
    }

    fn keep_newest(&mut self, found: Found) {
        let path = found.metadata.record.path.clone();
        let rank = |found: &Found| {
            let keep = found.name.hold == Hold::Keep;
            (found.name.sequence, found.metadata.record.modified, keep, found.written)
        };
        let Some(other) = self.best.get_mut(&path) else {
            self.best.insert(path, found);
            return;
        };
        let older = if rank(&found) > rank(other) { std::mem::replace(other, found) } else { found };
        self.older.push((path, older.name));
    }
}

fn read(path: &Path, name: &Name) -> Result<Found, Unreadable> {
    let file = File::open(path)?;
    let end = read_end(&file, name)?;
    let written = file.metadata()?.modified()?;
    Ok(Found { metadata: end.metadata, name: *name, file_bytes: end.file_bytes, written })
}
