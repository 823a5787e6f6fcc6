//! What the next process finds, and that there is only one at a time.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{CACHE, Folder, as_tier, cache, open};
use crate::tiers::Tier;
use crate::tiers::contract::{assert_holds, assert_nothing, body, pieces, record, store};
use crate::tiers::disk::{DiskOptions, Hold, Keeping, OpenError, sum};

#[tokio::test]
async fn everything_is_found_again_with_its_fields_its_hold_and_its_time() {
    let folder = Folder::new();
    let (disk, first) = folder.open().await;
    assert_eq!((first.files, first.sequence_max), (0, 0));
    let mut records = Vec::new();
    for index in 0..200_u64 {
        let path = format!("many/{}/{index}.ts", index % 7);
        let data = body(index, usize::try_from(index * 37).unwrap());
        let record = record(&path, 1_000 + index, data.len());
        let hold = if index % 2 == 0 { Hold::Keep } else { Hold::Cache };
        let until = (index % 3 == 0).then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(50));
        disk.store(&record, &pieces(&data, 500), Keeping { hold, until }).await.unwrap();
        records.push((record, data));
    }
    assert!(disk.release("many/0/0.ts", 1_000).await.unwrap());
    let before = disk.counts();
    disk.close().await;

    let (disk, scan) = folder.open().await;
    assert_eq!((scan.files, scan.sequence_max, scan.bytes), (200, 1_199, before.bytes));
    assert_eq!((scan.temporary_removed, scan.older_removed, scan.damaged), (0, 0, 0));
    let after = disk.counts();
    assert_eq!((after.cache_files, after.cache_bytes), (101, before.cache_bytes));
    for (record, data) in &records {
        assert_holds(&as_tier(&disk), record, data).await;
    }
    let mut kept = Vec::new();
    let mut after = String::new();
    loop {
        let (page, next) = disk.kept(&after, 7);
        kept.extend(page.iter().map(|record| record.sequence));
        let Some(next) = next else { break };
        next.as_ref().clone_into(&mut after);
    }
    kept.sort_unstable();
    assert_eq!(kept, (1..100).map(|half| 1_000 + 2 * half).collect::<Vec<_>>());
    // Every third, of those that may go: 1, 3, 5, … and the one that was released.
    let swept = disk.sweep(SystemTime::UNIX_EPOCH + Duration::from_secs(50)).await.unwrap();
    assert_eq!(
        swept.len(),
        (0..200).filter(|index| index % 3 == 0 && (index % 2 == 1 || *index == 0)).count()
    );
}

#[tokio::test]
async fn what_a_crash_left_half_done_is_removed_and_what_is_not_ours_stays() {
    let folder = Folder::new();
    let (disk, _) = folder.open().await;
    let tier = as_tier(&disk);
    store(&tier, "a.ts", 4, b"four").await;
    let older = folder.paths().remove(0);
    let copy = older.with_extension("saved");
    fs::copy(&older, &copy).unwrap();
    let newer = store(&tier, "a.ts", 5, b"five").await;
    disk.close().await;
    // As a crash between the rename of the new file and the removal of the old one leaves it.
    fs::rename(&copy, &older).unwrap();
    let shard = older.parent().unwrap();
    fs::write(shard.join("tmp-0000000000000000"), b"half").unwrap();
    fs::write(shard.join("README"), b"of somebody").unwrap();

    let (disk, scan) = folder.open().await;
    assert_eq!((scan.files, scan.older_removed, scan.temporary_removed, scan.damaged), (1, 1, 1, 0));
    assert_holds(&as_tier(&disk), &newer, b"five").await;
    assert_eq!(folder.files().len(), 2);
    assert!(shard.join("README").exists());
    disk.delete("a.ts", 9).await.unwrap();
    disk.close().await;
    let (disk, scan) = folder.open().await;
    assert_eq!(scan.files, 0);
    assert_nothing(&as_tier(&disk), "a.ts").await;
}

#[tokio::test]
async fn a_file_of_a_later_version_of_the_program_is_a_reason_not_to_start() {
    let folder = Folder::new();
    let (disk, _) = folder.open().await;
    store(&as_tier(&disk), "a.ts", 4, b"four").await;
    disk.close().await;
    let path = folder.paths().remove(0);
    let mut file = fs::read(&path).unwrap();
    let footer = file.len() - 48;
    file[footer + 28] = 2;
    let sum = sum::of(&file[footer..footer + 36]);
    file[footer + 36..footer + 40].copy_from_slice(&sum.to_le_bytes());
    fs::write(&path, &file).unwrap();
    let error = crate::tiers::disk::Disk::open(folder.options()).await.unwrap_err();
    assert!(matches!(&error, OpenError::Version { .. }), "{error}");
    assert!(error.to_string().contains("version 2"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), file, "it is left as it is");
}

#[tokio::test(start_paused = true)]
async fn a_second_process_gives_up_after_its_time() {
    let folder = Folder::new();
    let (_first, _) = folder.open().await;
    let started = Instant::now();
    let error = crate::tiers::disk::Disk::open(folder.options()).await.unwrap_err();
    assert!(matches!(error, OpenError::InUse(_)), "{error}");
    assert_eq!(started.elapsed(), Duration::from_mins(1));
}

#[tokio::test]
async fn a_second_process_waits_for_the_first() {
    let folder = Folder::new();
    let (first, _) = folder.open().await;
    let kept = store(&as_tier(&first), "a.ts", 1, b"one").await;
    let second = tokio::spawn(open(folder.options()));
    tokio::task::yield_now().await;
    assert!(!second.is_finished());
    store(&as_tier(&first), "b.ts", 2, b"two").await;
    first.close().await;
    let (second, scan) = second.await.unwrap();
    assert_eq!(scan.files, 2);
    assert_holds(&as_tier(&second), &kept, b"one").await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_is_told() {
    let folder = Folder::new();
    fs::write(folder.0.join("file"), b"").unwrap();
    let options = DiskOptions::new(folder.0.join("file/below"), 1);
    let error = crate::tiers::disk::Disk::open(options).await.unwrap_err();
    assert!(matches!(&error, OpenError::Folder { .. }), "{error}");
    assert!(error.to_string().contains("file/below"), "{error}");
}

#[tokio::test]
async fn a_closed_tier_finishes_what_was_begun_and_refuses_the_rest() {
    let folder = Folder::new();
    let (disk, _) = folder.open().await;
    let puts: Vec<_> = (0..20)
        .map(|index| {
            let disk = disk.clone();
            tokio::spawn(async move {
                let record = record(&format!("{index}.ts"), 1, 100_000);
                (record.clone(), disk.put(&record, &pieces(&body(index, 100_000), 9_000)).await)
            })
        })
        .collect();
    tokio::task::yield_now().await;
    disk.close().await;
    let error = disk.put(&record("late.ts", 1, 0), &[]).await.unwrap_err();
    assert_eq!(error.kind, crate::tiers::ErrorKind::Unavailable);
    let (again, scan) = folder.open().await;
    assert_eq!(scan.temporary_removed, 0);
    let mut stored = 0;
    for (index, put) in puts.into_iter().enumerate() {
        if let (record, Ok(_)) = put.await.unwrap() {
            stored += 1;
            assert_holds(&as_tier(&again), &record, &body(index as u64, 100_000)).await;
        }
    }
    assert!(stored > 0);
}

#[tokio::test]
async fn the_older_of_two_cached_files_goes_first_after_a_restart_too() {
    let folder = Folder::new();
    let (disk, _) = folder.open().await;
    for (index, path) in ["x", "y", "z"].iter().enumerate() {
        cache(&disk, path, 1, &vec![1; 100_000]).await;
        let newest =
            folder.paths().into_iter().max_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - index as u64);
        fs::File::open(newest.unwrap()).unwrap().set_modified(written).unwrap();
    }
    disk.close().await;
    // Less than there is: the scan evicts.
    let (disk, scan) = open(DiskOptions { bytes_max: 250_000, ..folder.options() }).await;
    assert_eq!(scan.files, 2);
    assert_nothing(&as_tier(&disk), "z").await;
    let record = Arc::new(crate::tiers::Record::clone(&record("new", 1, 1)));
    disk.store(&record, &[bytes::Bytes::from_static(b"1")], CACHE).await.unwrap();
    assert_eq!(disk.counts().files, 3);
}
