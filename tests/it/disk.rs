//! The disk tier on file systems that are really full and really read-only. They are mounted, so this needs root: `make
//! test` runs as root in CI; elsewhere these tests say that they did not run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use mediaorigin_crds::policy::Class;
use mediaorigin_origin::memory::blob::Uid;
use mediaorigin_origin::memory::object::Meta;
use mediaorigin_origin::tiers::disk::{Disk, DiskOptions};
use mediaorigin_origin::tiers::{ErrorKind, Put, Record, Removed, Source, Tier};

/// Bytes of the file system.
const MEGABYTES: u64 = 16;
/// Set where neither a loop device nor a tmpfs can be mounted and that is known.
const NO_MOUNT: &str = "MEDIAORIGIN_NO_MOUNT";

/// A small file system, unmounted when it is dropped.
struct Mount {
    folder: PathBuf,
    kind: &'static str,
}

fn run(command: &str, arguments: &[&str]) -> Result<(), String> {
    let output =
        Command::new(command).args(arguments).output().map_err(|error| format!("{command}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{command} {arguments:?}: {said}")) }
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    user.and_then(|user| user.split_whitespace().nth(1)) == Some("0")
}

impl Mount {
    /// An ext4 image on a loop device, or a tmpfs; none without root.
    fn new(name: &str) -> Option<Self> {
        if !is_root() {
            println!("NOT RUN: mounting a small file system needs root");
            return None;
        }
        let folder = std::env::temp_dir().join(format!("mediaorigin-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let loop_device = Self::ext4(&folder);
        let mounted = loop_device.clone().map(|()| "ext4").or_else(|_| Self::tmpfs(&folder));
        match mounted {
            Ok(kind) => {
                println!("on {kind}");
                Some(Self { folder, kind })
            }
            Err(tmpfs) => {
                let _ = fs::remove_dir_all(&folder);
                let known = std::env::var_os(NO_MOUNT).is_some();
                assert!(known, "{loop_device:?}; {tmpfs}; set {NO_MOUNT}=1 if that cannot be helped");
                println!("NOT RUN: {NO_MOUNT} is set and nothing could be mounted");
                None
            }
        }
    }

    fn ext4(folder: &Path) -> Result<(), String> {
        let image = folder.with_extension("img");
        let file = fs::File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(MEGABYTES * 1_024 * 1_024).map_err(|error| error.to_string())?;
        let (text, folder) = (image.to_string_lossy(), folder.to_string_lossy());
        let mounted = run("mkfs.ext4", &["-q", "-m", "0", &text])
            .and_then(|()| run("mount", &["-o", "loop", &text, &folder]));
        // The mount keeps the image until it is unmounted.
        let _ = fs::remove_file(&image);
        mounted
    }

    fn tmpfs(folder: &Path) -> Result<&'static str, String> {
        let size = format!("size={MEGABYTES}m");
        let folder = folder.to_string_lossy();
        run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", &folder]).map(|()| "tmpfs")
    }

    fn remount(&self, how: &str) {
        let how = format!("remount,{how}");
        run("mount", &["-o", &how, self.folder.to_str().unwrap()]).unwrap_or_else(|error| panic!("{error}"));
    }

    fn options(&self) -> DiskOptions {
        DiskOptions::new(self.folder.join("disk"), 1 << 40)
    }

    fn temporary_files(&self) -> Vec<PathBuf> {
        let shards = fs::read_dir(self.folder.join("disk/v1")).unwrap();
        let files = shards.flat_map(|shard| fs::read_dir(shard.unwrap().path()).unwrap());
        let paths = files.map(|file| file.unwrap().path());
        paths.filter(|path| path.extension().is_none()).collect()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let unmounted = run("umount", &["-l", self.folder.to_str().unwrap()]);
        println!("{}: {unmounted:?}", self.kind);
        let _ = fs::remove_dir(&self.folder);
    }
}

fn record(path: &str, sequence: u64, size: usize) -> Arc<Record> {
    let meta = Meta {
        content_type: "video/mp2t".to_owned(),
        content_encoding: None,
        cache_control: None,
        class: Class::Segment,
    };
    Arc::new(Record {
        path: Arc::from(path),
        uid: Uid(u128::from(sequence) << 8 | size as u128),
        meta,
        size: size as u64,
        sequence,
        modified: SystemTime::UNIX_EPOCH,
        expires_at: None,
    })
}

fn body(sequence: u64, size: usize) -> Bytes {
    let mut random = fastrand::Rng::with_seed(sequence);
    std::iter::repeat_with(|| random.u8(..)).take(size).collect()
}

async fn put(disk: &Disk, sequence: u64, size: usize) -> Result<Put, ErrorKind> {
    let put = disk.put(&record(&format!("{sequence}.ts"), sequence, size), &[body(sequence, size)]).await;
    put.map_err(|error| error.kind)
}

async fn assert_holds(disk: &Disk, sequence: u64, size: usize) {
    let path = format!("{sequence}.ts");
    let found = disk.find(&path).await.unwrap().unwrap_or_else(|| panic!("{path} is lost"));
    assert_eq!(found, record(&path, sequence, size));
    let stream = disk.read(&found, 0..found.size).await.unwrap();
    let pieces: Vec<Bytes> = futures_util::TryStreamExt::try_collect(stream).await.unwrap();
    assert!(pieces.concat() == body(sequence, size), "{path}: other bytes");
}

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn a_full_file_system_refuses_and_loses_nothing() {
    const SIZE: usize = 300_000;
    let Some(mount) = Mount::new("full") else { return };
    block_on(async {
        let (disk, _) = Disk::open(mount.options()).await.unwrap();
        let mut count = 0;
        let error = loop {
            match put(&disk, count + 1, SIZE).await {
                Ok(put) => assert_eq!(put, Put::Stored),
                Err(kind) => break kind,
            }
            count += 1;
            assert!(count < 100, "a file system of {MEGABYTES} MB is never full");
        };
        assert_eq!(error, ErrorKind::Full);
        assert!(count > 20, "{count}");
        assert_eq!(mount.temporary_files(), Vec::<PathBuf>::new());
        assert_eq!(disk.counts().reserved_bytes, 0);
        for sequence in 1..=count {
            assert_holds(&disk, sequence, SIZE).await;
        }
        // Until the last byte: nothing that is smaller is lost either, and the newest version of a path is whole.
        assert_eq!(put(&disk, 1_000, SIZE).await, Err(ErrorKind::Full));

        // What another tier has makes room, by itself.
        for sequence in 1..=3 {
            assert!(disk.release(&format!("{sequence}.ts"), sequence).await.unwrap());
        }
        assert_eq!(put(&disk, 1_001, SIZE).await, Ok(Put::Stored));
        assert_holds(&disk, 1_001, SIZE).await;
        let evicted = disk.counts().evicted;
        assert!((1..=3).contains(&evicted), "{evicted}");
        // And what is deleted, too.
        for sequence in 4..=6 {
            assert_eq!(disk.delete(&format!("{sequence}.ts"), sequence).await.unwrap(), Removed::Gone);
        }
        assert_eq!(put(&disk, 1_002, SIZE).await, Ok(Put::Stored));
        disk.close().await;

        let (disk, scan) = Disk::open(mount.options()).await.unwrap();
        assert_eq!((scan.damaged, scan.temporary_removed, scan.sequence_max), (0, 0, 1_002));
        for sequence in (7..=count).chain([1_001, 1_002]) {
            assert_holds(&disk, sequence, SIZE).await;
        }
        disk.close().await;
    });
}

#[test]
fn a_read_only_file_system_serves_what_it_has_and_denies_the_rest() {
    const SIZE: usize = 100_000;
    let Some(mount) = Mount::new("read-only") else { return };
    block_on(async {
        let (disk, _) = Disk::open(mount.options()).await.unwrap();
        for sequence in 1..=5 {
            assert_eq!(put(&disk, sequence, SIZE).await, Ok(Put::Stored));
        }
        mount.remount("ro");
        assert_eq!(put(&disk, 6, SIZE).await, Err(ErrorKind::Denied));
        assert_eq!(disk.delete("1.ts", 1).await.unwrap_err().kind, ErrorKind::Denied);
        assert_eq!(disk.release("1.ts", 1).await.unwrap_err().kind, ErrorKind::Denied);
        assert_holds(&disk, 1, SIZE).await;
        disk.close().await;

        // A process may start on it, too.
        let (disk, scan) = Disk::open(mount.options()).await.unwrap();
        assert_eq!((scan.files, scan.damaged), (5, 0));
        for sequence in 1..=5 {
            assert_holds(&disk, sequence, SIZE).await;
        }
        assert_eq!(put(&disk, 6, SIZE).await, Err(ErrorKind::Denied));
        assert_eq!(mount.temporary_files(), Vec::<PathBuf>::new());

        mount.remount("rw");
        assert_eq!(put(&disk, 6, SIZE).await, Ok(Put::Stored));
        assert_eq!(disk.delete("1.ts", 1).await.unwrap(), Removed::Gone);
        disk.close().await;
    });
}

#[test]
fn a_read_only_file_system_without_a_folder_is_a_reason_not_to_start() {
    let Some(mount) = Mount::new("never") else { return };
    block_on(async {
        mount.remount("ro");
        let error = Disk::open(mount.options()).await.unwrap_err();
        assert!(error.to_string().contains("disk"), "{error}");
    });
}
