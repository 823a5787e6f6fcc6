//! A bounded disk: what may go makes room in the order of use, what must stay stays, and nothing is lost when it is full.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::{CACHE, Folder, as_tier, cache, open, watched};
use crate::tiers::contract::{assert_holds, assert_nothing, body, pieces, read, record, store};
use crate::tiers::disk::files::Step;
use crate::tiers::disk::{Disk, DiskOptions, Hold, Keeping, Listener, Loss};
use crate::tiers::{ErrorKind, Put, Record, Removed, Tier};

/// A file of this many bytes occupies five blocks of 4 KiB.
const SIZE: usize = 19_000;
const OCCUPIED: u64 = 5 * 4_096;

type Heard = Arc<Mutex<Vec<(String, Loss)>>>;

fn listener() -> (Heard, Option<Listener>) {
    let heard = Heard::default();
    let told = heard.clone();
    let listener: Listener = Arc::new(move |record: &Arc<Record>, loss| {
        told.lock().unwrap().push((record.path.to_string(), loss));
    });
    (heard, Some(listener))
}

async fn small(folder: &Folder, files: u64) -> (Arc<Disk>, Heard) {
    let (heard, listener) = listener();
    let options = DiskOptions { bytes_max: files * OCCUPIED, listener, ..folder.options() };
    (open(options).await.0, heard)
}

#[tokio::test]
async fn what_was_not_used_for_longest_goes_first() {
    let folder = Folder::new();
    let (disk, heard) = small(&folder, 3).await;
    let tier = as_tier(&disk);
    let data = body(1, SIZE);
    let first = cache(&disk, "1", 1, &data).await;
    cache(&disk, "2", 1, &data).await;
    cache(&disk, "3", 1, &data).await;
    read(&tier, &first, 5..6).await.unwrap();
    cache(&disk, "4", 1, &data).await;
    assert_nothing(&tier, "2").await;
    store(&tier, "5", 1, &data).await;
    assert_nothing(&tier, "3").await;
    assert_eq!(*heard.lock().unwrap(), [("2".to_owned(), Loss::Evicted), ("3".to_owned(), Loss::Evicted)]);
    let counts = disk.counts();
    assert_eq!((counts.files, counts.cache_files, counts.evicted), (3, 2, 2));
    assert_eq!((counts.bytes, counts.cache_bytes, counts.reserved_bytes), (3 * OCCUPIED, 2 * OCCUPIED, 0));
    assert_eq!(folder.files().len(), 3);
}

#[tokio::test]
async fn what_must_stay_stays_and_a_full_disk_loses_nothing() {
    let folder = Folder::new();
    let (disk, heard) = small(&folder, 3).await;
    let tier = as_tier(&disk);
    let data = body(1, SIZE);
    let mut kept = Vec::new();
    for path in ["1", "2", "3"] {
        kept.push(store(&tier, path, 1, &data).await);
    }
    for (path, sequence, hold) in [("4", 1, Hold::Keep), ("4", 1, Hold::Cache), ("1", 2, Hold::Keep)] {
        let record = record(path, sequence, SIZE);
        let put = disk.store(&record, &pieces(&data, 4_000), Keeping { hold, until: None }).await;
        assert_eq!(put.unwrap_err().kind, ErrorKind::Full, "{path} {sequence}");
    }
    for record in &kept {
        assert_holds(&tier, record, &data).await;
    }
    assert_eq!((disk.counts().files, disk.counts().reserved_bytes, folder.files().len()), (3, 0, 3));

    // Once another tier has one, it makes room.
    assert!(!disk.release("2", 2).await.unwrap());
    assert!(!disk.release("x", 1).await.unwrap());
    assert!(disk.release("2", 1).await.unwrap());
    assert!(!disk.release("2", 1).await.unwrap());
    assert_holds(&tier, &kept[1], &data).await;
    store(&tier, "4", 1, &data).await;
    assert_nothing(&tier, "2").await;
    assert_eq!(*heard.lock().unwrap(), [("2".to_owned(), Loss::Evicted)]);
}

#[tokio::test]
async fn a_cached_version_that_is_put_again_to_stay_stays() {
    let folder = Folder::new();
    let (disk, _) = small(&folder, 2).await;
    let tier = as_tier(&disk);
    let data = body(1, SIZE);
    let promoted = cache(&disk, "1", 1, &data).await;
    assert_eq!(folder.paths()[0].extension().unwrap(), "cache");
    store(&tier, "1", 1, &data).await;
    assert_eq!(folder.paths()[0].extension().unwrap(), "keep");
    // And one that must stay does not become loose by being cached.
    cache(&disk, "1", 1, &data).await;
    assert_eq!(disk.counts().cache_files, 0);
    cache(&disk, "2", 1, &data).await;
    store(&tier, "3", 1, &data).await;
    assert_nothing(&tier, "2").await;
    assert_holds(&tier, &promoted, &data).await;
}

#[tokio::test]
async fn what_was_evicted_may_come_again_but_nothing_older() {
    let folder = Folder::new();
    let (disk, _) = small(&folder, 1).await;
    let tier = as_tier(&disk);
    let data = body(1, SIZE);
    let same = cache(&disk, "1", 5, &data).await;
    cache(&disk, "2", 1, &data).await;
    assert_nothing(&tier, "1").await;
    let older = record("1", 4, SIZE);
    assert_eq!(disk.store(&older, &pieces(&data, SIZE), CACHE).await.unwrap(), Put::Superseded);
    cache(&disk, "1", 5, &data).await;
    assert_holds(&tier, &same, &data).await;
}

#[tokio::test]
async fn a_sweep_takes_what_is_expired_and_what_may_go_and_is_over() {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let folder = Folder::new();
    let (disk, _) = folder.open().await;
    let cases = [
        ("never", Hold::Cache, None, None),
        ("expired", Hold::Keep, Some(10), None),
        ("expires later", Hold::Keep, Some(30), None),
        ("over", Hold::Cache, Some(30), Some(10)),
        ("over later", Hold::Cache, None, Some(30)),
        ("over but must stay", Hold::Keep, None, Some(10)),
        ("over, must stay, expired", Hold::Keep, Some(10), Some(5)),
    ];
    for (path, hold, expires, until) in cases {
        let mut record = Record::clone(&record(path, 1, 3));
        record.expires_at = expires.map(at);
        let keeping = Keeping { hold, until: until.map(at) };
        disk.store(&Arc::new(record), &pieces(b"abc", 1), keeping).await.unwrap();
    }
    let sweep = async |seconds| {
        let mut paths: Vec<String> = Vec::new();
        for record in disk.sweep(at(seconds)).await.unwrap() {
            paths.push(record.path.to_string());
        }
        paths.sort();
        paths
    };
    assert_eq!(sweep(9).await, Vec::<String>::new());
    assert_eq!(sweep(10).await, ["expired", "over", "over, must stay, expired"]);
    assert!(disk.release("over but must stay", 1).await.unwrap());
    assert_eq!(sweep(11).await, ["over but must stay"]);
    assert_eq!(sweep(1_000).await, ["expires later", "over later"]);
    assert_eq!((disk.counts().files, disk.counts().swept, folder.files().len()), (1, 6, 1));
}

/// The disk is full before its bound is reached: the system says so.
#[tokio::test]
async fn a_disk_that_is_really_full_evicts_and_tries_again() {
    let folder = Folder::new();
    let room = Arc::new(Mutex::new(2_i32));
    let left = room.clone();
    let before = move |step: Step<'_>| {
        let mut left = left.lock().unwrap();
        match step {
            Step::Write(_) if *left == 0 => Err(io::ErrorKind::StorageFull.into()),
            Step::Write(_) => {
                *left -= 1;
                Ok(())
            }
            Step::Remove(path) if path.extension().is_some() => {
                *left += 1;
                Ok(())
            }
            _ => Ok(()),
        }
    };
    let (disk, _) = open(watched(folder.options(), before, |_| ())).await;
    let tier = as_tier(&disk);
    let data = body(1, SIZE);
    cache(&disk, "1", 1, &data).await;
    let second = store(&tier, "2", 1, &data).await;
    let third = store(&tier, "3", 1, &data).await;
    assert_nothing(&tier, "1").await;
    let error = tier.put(&record("4", 1, SIZE), &pieces(&data, SIZE)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Full, "{error}");
    assert_eq!((folder.files().len(), disk.counts().reserved_bytes), (2, 0));
    assert_holds(&tier, &second, &data).await;
    assert_holds(&tier, &third, &data).await;
    assert_eq!(*room.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_step_that_fails_leaves_no_file_and_the_old_version() {
    type Fails = fn(&Step<'_>) -> bool;
    let steps: [Fails; 5] = [
        |step| matches!(step, Step::Create(_)),
        |step| matches!(step, Step::Write(_)),
        |step| matches!(step, Step::SyncFile(_)),
        |step| matches!(step, Step::Rename(..)),
        |step| matches!(step, Step::SyncFolder(_)),
    ];
    for (index, fails) in steps.into_iter().enumerate() {
        let folder = Folder::new();
        let on = Arc::new(Mutex::new(false));
        let is_on = on.clone();
        let before = move |step: Step<'_>| {
            let fails = *is_on.lock().unwrap() && fails(&step);
            if fails { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
        };
        let (disk, _) = open(watched(folder.options(), before, |_| ())).await;
        let tier = as_tier(&disk);
        let old = store(&tier, "a", 1, b"old").await;
        *on.lock().unwrap() = true;
        let error = tier.put(&record("a", 2, 3), &pieces(b"new", 3)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "step {index}: {error}");
        assert!(error.to_string().contains("write a"), "{error}");
        assert_holds(&tier, &old, b"old").await;
        assert_eq!(folder.files().len(), 1, "step {index}");
        *on.lock().unwrap() = false;
        let new = store(&tier, "a", 2, b"new").await;
        assert_holds(&tier, &new, b"new").await;
        disk.close().await;
        assert_eq!((folder.files().len(), disk.counts().reserved_bytes), (1, 0));
    }
}

#[tokio::test]
async fn a_delete_that_fails_is_an_error_until_it_is_durable() {
    let folder = Folder::new();
    let fails = Arc::new(Mutex::new(None));
    let what = fails.clone();
    let before = move |step: Step<'_>| match (*what.lock().unwrap(), step) {
        (Some("remove"), Step::Remove(_)) | (Some("sync"), Step::SyncFolder(_)) => {
            Err(io::ErrorKind::ReadOnlyFilesystem.into())
        }
        _ => Ok(()),
    };
    let (disk, _) = open(watched(folder.options(), before, |_| ())).await;
    let tier = as_tier(&disk);
    let there = store(&tier, "a", 1, b"there").await;
    *fails.lock().unwrap() = Some("remove");
    assert_eq!(tier.delete("a", 1).await.unwrap_err().kind, ErrorKind::Denied);
    assert_holds(&tier, &there, b"there").await;
    *fails.lock().unwrap() = Some("sync");
    for _ in 0..2 {
        // The second finds nothing, but what the first removed may come back still.
        assert_eq!(tier.delete("a", 1).await.unwrap_err().kind, ErrorKind::Denied);
        assert_nothing(&tier, "a").await;
    }
    *fails.lock().unwrap() = None;
    tier.delete("a", 1).await.unwrap();
}

/// The index is memory: when it is full, what may go makes room, and what must stay is not written over it.
#[tokio::test]
async fn a_full_index_is_like_a_full_disk() {
    let folder = Folder::new();
    let (heard, listener) = listener();
    let limited = |listener| DiskOptions { index_bytes_max: 20 * 384, listener, ..folder.options() };
    let (disk, _) = open(limited(listener)).await;
    let tier = as_tier(&disk);
    let fences = disk.index_bytes();
    let mut last = cache(&disk, "cache/00", 1, b"abc").await;
    for number in 1..100 {
        last = cache(&disk, &format!("cache/{number:02}"), 1, b"abc").await;
    }
    let counts = disk.counts();
    assert!((10..40).contains(&counts.files) && counts.evicted == 100 - counts.files, "{counts:?}");
    assert_eq!(heard.lock().unwrap().first(), Some(&("cache/00".to_owned(), Loss::Evicted)));
    assert_holds(&tier, &last, b"abc").await;
    assert_nothing(&tier, "cache/00").await;
    // What must stay pushes the rest out, and then is refused: but the next version of what is there is not.
    let mut stored = 0;
    let error = loop {
        let record = record(&format!("keep/{stored:02}"), 1, 3);
        match tier.put(&record, &pieces(b"abc", 3)).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 100, "nothing bounds the index");
    };
    assert_eq!((error.kind, disk.counts().cache_files), (ErrorKind::Full, 0));
    let newer = store(&tier, "keep/00", 2, b"new").await;
    assert_holds(&tier, &newer, b"new").await;
    assert_eq!(disk.counts().files, stored);
    // A put answers before the file of the version before it is gone, which has its place until then; a delete of the path waits.
    assert_eq!(tier.delete("keep/00", 1).await.unwrap(), Removed::Newer);
    tier.delete("keep/01", u64::MAX).await.unwrap();
    store(&tier, "keep/again", 1, b"abc").await;
    assert!(disk.counts().index_bytes - fences < 20 * 384 + 100 * 200, "{}", disk.counts().index_bytes);
    disk.close().await;
    drop((tier, disk));
    // A smaller one finds more than it may know of.
    let (disk, _) = open(DiskOptions { index_bytes_max: 5 * 384, ..limited(None) }).await;
    assert_eq!(disk.counts().files, stored, "what must stay stays");
}

/// A memory limit that changes changes what the index may need, while it is open: what may go makes room, what must stay does not.
#[tokio::test]
async fn an_index_that_may_need_less_lets_go_and_one_that_may_need_more_takes_more() {
    let folder = Folder::new();
    let (disk, heard) = small(&folder, 100).await;
    let tier = as_tier(&disk);
    let kept = store(&tier, "kept", 1, b"kept").await;
    let mut cached = Vec::new();
    for index in 0..30 {
        cached.push(cache(&disk, &format!("cache/{index:02}"), 1, b"abc").await);
    }
    disk.resize_index(10 * 384).await.unwrap();
    let left = disk.counts().files;
    assert!((2..=20).contains(&left), "{left} files");
    assert_eq!((disk.counts().files, folder.files().len() as u64), (disk.counts().cache_files + 1, left));
    assert_eq!(heard.lock().unwrap().len() as u64, 31 - left, "what went is told");
    assert_holds(&tier, &kept, b"kept").await;
    assert_holds(&tier, &cached[29], b"abc").await;
    assert_nothing(&tier, "cache/00").await;
    // Nothing may go any more, and what must stay does.
    disk.resize_index(0).await.unwrap();
    assert_eq!((disk.counts().files, disk.index_bytes_max()), (1, 0));
    assert_eq!(tier.put(&record("more", 1, 3), &pieces(b"abc", 3)).await.unwrap_err().kind, ErrorKind::Full);
    assert_holds(&tier, &kept, b"kept").await;
    disk.resize_index(20 * 384).await.unwrap();
    let more = store(&tier, "more", 1, b"abc").await;
    assert_holds(&tier, &more, b"abc").await;
}

#[tokio::test]
async fn the_index_gives_back_what_it_took() {
    let folder = Folder::new();
    let (disk, _) = folder.open().await;
    let empty = disk.counts();
    for round in 1..4 {
        for index in 0..50 {
            let mut record = Record::clone(&record(&format!("{index}"), round, 3));
            record.meta.cache_control = Some(format!("max-age={}", round * 1_000 + index));
            disk.store(&Arc::new(record), &pieces(b"abc", 3), CACHE).await.unwrap();
        }
    }
    assert_eq!(disk.counts().bytes, 50 * 4_096);
    for index in 0..50 {
        disk.delete(&format!("{index}"), u64::MAX).await.unwrap();
    }
    let after = disk.counts();
    assert_eq!((after.files, after.bytes, after.cache_files, after.cache_bytes), (0, 0, 0, 0));
    // What remains are the fences.
    assert!(after.index_bytes - empty.index_bytes < 50 * 200, "{} {}", after.index_bytes, empty.index_bytes);
}
