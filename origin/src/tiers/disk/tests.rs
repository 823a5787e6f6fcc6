//! The disk tier on a real file system: the contract, damage, ends at any step, space.

mod damage;
mod kill;
mod restart;
mod space;
mod threads;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::files::{Files, Observer, Step};
use super::{Disk, DiskOptions, Hold, Keeping, Scan};
use crate::tiers::contract::{self, Fresh};
use crate::tiers::{Record, Tier};

/// Space that no test fills by accident.
const MANY: u64 = 1 << 40;

/// A folder that is gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self::inside(&std::env::temp_dir())
    }

    /// In memory where that can be: for tests that make hundreds.
    fn quick() -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::inside(memory) } else { Self::new() }
    }

    fn inside(parent: &Path) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("mediaorigin-disk-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn options(&self) -> DiskOptions {
        DiskOptions::new(&self.0, MANY)
    }

    async fn open(&self) -> (Arc<Disk>, Scan) {
        open(self.options()).await
    }

    /// The files of blobs, sorted, without the folders of their shards.
    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = self.paths().iter().map(|path| name_of(path)).collect();
        names.sort();
        names
    }

    /// The paths of the files of blobs.
    fn paths(&self) -> Vec<PathBuf> {
        let shards = fs::read_dir(self.0.join("v1")).unwrap();
        let files = shards.flat_map(|shard| fs::read_dir(shard.unwrap().path()).unwrap());
        files.map(|file| file.unwrap().path()).collect()
    }

    fn quarantined(&self) -> usize {
        fs::read_dir(self.0.join("quarantine")).unwrap().count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Looks behind every step, or lets one fail.
struct Watch<B, A> {
    before: B,
    after: A,
}

impl<B, A> Observer for Watch<B, A>
where
    B: Fn(Step<'_>) -> io::Result<()> + Send + Sync,
    A: Fn(Step<'_>) + Send + Sync,
{
    fn before(&self, step: Step<'_>) -> io::Result<()> {
        (self.before)(step)
    }

    fn after(&self, step: Step<'_>) {
        (self.after)(step);
    }
}

fn watched<B, A>(options: DiskOptions, before: B, after: A) -> DiskOptions
where
    B: Fn(Step<'_>) -> io::Result<()> + Send + Sync + 'static,
    A: Fn(Step<'_>) + Send + Sync + 'static,
{
    DiskOptions { files: Files { observer: Some(Arc::new(Watch { before, after })) }, ..options }
}

const CACHE: Keeping = Keeping { hold: Hold::Cache, until: None };

/// Stores a version that may go.
async fn cache(disk: &Disk, path: &str, sequence: u64, data: &[u8]) -> Arc<Record> {
    let record = contract::record(path, sequence, data.len());
    disk.store(&record, &contract::pieces(data, 50_000), CACHE).await.unwrap();
    record
}

fn as_tier(disk: &Arc<Disk>) -> Arc<dyn Tier> {
    disk.clone()
}

async fn open(options: DiskOptions) -> (Arc<Disk>, Scan) {
    let (disk, scan) = Disk::open(options).await.unwrap();
    (Arc::new(disk), scan)
}

async fn make() -> Fresh {
    let folder = Folder::new();
    let (disk, _) = folder.open().await;
    Fresh { tier: disk, _keep: Box::new(folder) }
}

contract::suite!(make);
