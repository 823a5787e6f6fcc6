//! A file that is not what was written is never served: it is set aside, and counted.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, LazyLock, Mutex};

use proptest::prelude::*;

use super::{Folder, as_tier, open};
use crate::tiers::ErrorKind;
use crate::tiers::contract::{assert_holds, assert_nothing, body, read, read_whole, record, store};
use crate::tiers::disk::format::FOOTER_BYTES;
use crate::tiers::disk::{DiskOptions, Loss, sum};

#[tokio::test]
async fn a_file_cut_off_anywhere_is_set_aside_at_the_start() {
    let data = body(1, 150_000);
    for sixteenth in 0..16 {
        let folder = Folder::quick();
        let (disk, _) = folder.open().await;
        store(&as_tier(&disk), "torn.ts", 7, &data).await;
        let whole = store(&as_tier(&disk), "whole.ts", 8, b"whole").await;
        disk.close().await;
        let torn = folder.paths().into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
        let length = fs::metadata(&torn).unwrap().len();
        File::options().write(true).open(&torn).unwrap().set_len(length * sixteenth / 16).unwrap();

        let (disk, scan) = folder.open().await;
        assert_eq!((scan.files, scan.damaged, scan.sequence_max), (1, 1, 8), "{sixteenth}/16");
        assert_eq!((disk.counts().corrupt, disk.counts().quarantined_files), (1, 1));
        assert_nothing(&as_tier(&disk), "torn.ts").await;
        assert_holds(&as_tier(&disk), &whole, b"whole").await;
        assert_eq!((folder.files().len(), folder.quarantined()), (1, 1));
        // The path is as good as new, and the sequence of what was lost is not used again by accident.
        store(&as_tier(&disk), "torn.ts", scan.sequence_max + 1, &data).await;
        disk.close().await;
    }
}

#[tokio::test]
async fn a_file_cut_off_while_it_is_served_is_an_error_and_then_gone() {
    let data = body(1, 400_000);
    for sixteenth in 0..16 {
        let folder = Folder::quick();
        let (disk, _) = folder.open().await;
        let torn = store(&as_tier(&disk), "torn.ts", 7, &data).await;
        let file = folder.paths().remove(0);
        let length = fs::metadata(&file).unwrap().len();
        File::options().write(true).open(&file).unwrap().set_len(length * sixteenth / 16).unwrap();
        let error = read_whole(&as_tier(&disk), &torn).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Corrupt, "{sixteenth}/16: {error}");
        assert_nothing(&as_tier(&disk), "torn.ts").await;
        assert_eq!((disk.counts().corrupt, folder.quarantined(), folder.files().len()), (1, 1, 0));
    }
}

#[tokio::test]
async fn a_damaged_block_is_told_and_the_others_are_served_until_then() {
    let folder = Folder::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = told.clone();
    let listener =
        Arc::new(move |record: &Arc<_>, loss| heard.lock().unwrap().push((Arc::clone(record), loss)));
    let (disk, _) = open(DiskOptions { listener: Some(listener), ..folder.options() }).await;
    let data = body(1, 300_000);
    let damaged = store(&as_tier(&disk), "damaged.ts", 7, &data).await;
    let file = File::options().write(true).open(folder.paths().remove(0)).unwrap();
    file.write_all_at(&[data[200_000] ^ 1], 200_000).unwrap();

    let tier = as_tier(&disk);
    assert!(read(&tier, &damaged, 0..196_608).await.unwrap() == data[..196_608]);
    assert!(read(&tier, &damaged, 262_144..300_000).await.unwrap() == data[262_144..]);
    assert_eq!(disk.counts().corrupt, 0);
    // Not even the sound bytes of the block: nobody knows which they are.
    let error = read(&tier, &damaged, 196_608..196_609).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert_eq!(*told.lock().unwrap(), [(damaged.clone(), Loss::Corrupt)]);
    assert_nothing(&tier, "damaged.ts").await;
    // What is older does not take its place, the same may.
    assert_eq!(tier.put(&record("damaged.ts", 6, 0), &[]).await.unwrap(), crate::tiers::Put::Superseded);
    store(&tier, "damaged.ts", 7, &data).await;
    assert_holds(&tier, &damaged, &data).await;
}

#[tokio::test]
async fn the_quarantine_is_bounded_in_files_and_bytes() {
    let folder = Folder::new();
    let options = DiskOptions { quarantine_files_max: 3, quarantine_bytes_max: 25_000, ..folder.options() };
    let (disk, _) = open(options.clone()).await;
    for (index, size) in [6_000, 6_000, 6_000, 6_000, 20_000, 40_000].into_iter().enumerate() {
        let path = format!("{index}.ts");
        let damaged = store(&as_tier(&disk), &path, 1, &body(1, size)).await;
        let file = folder.paths().remove(0);
        File::options().write(true).open(file).unwrap().write_all_at(b"!!", 3_000).unwrap();
        read_whole(&as_tier(&disk), &damaged).await.unwrap_err();
        let counts = disk.counts();
        assert!(counts.quarantined_files <= 3 && counts.quarantined_bytes <= 25_000, "{counts:?}");
        assert_eq!(folder.quarantined() as u64, counts.quarantined_files);
        assert_eq!(counts.corrupt, index as u64 + 1);
    }
    let before = disk.counts();
    assert_eq!(before.quarantined_files, 1, "{before:?}");
    disk.close().await;
    let (disk, scan) = open(options).await;
    let after = disk.counts();
    assert_eq!(scan.sequence_max, 1);
    assert_eq!((after.quarantined_files, after.quarantined_bytes), (1, before.quarantined_bytes));
}

/// Puts the right checksum behind a footer that was changed.
fn seal(file: &mut [u8]) {
    let footer = file.len() - FOOTER_BYTES;
    let sum = sum::of(&file[footer..footer + 36]);
    file[footer + 36..footer + 40].copy_from_slice(&sum.to_le_bytes());
}

type Forge = fn(&mut Vec<u8>);

/// Each check finds what all others let pass.
#[tokio::test]
async fn checksums_that_fit_alone_do_not_fit_together() {
    let data = body(3, 100);
    let cases: [(&str, Forge); 4] = [
        ("block and table", |file| {
            file[10] ^= 1;
            let block = sum::of(&file[..100]);
            file[100..104].copy_from_slice(&block.to_le_bytes());
        }),
        ("whole body", |file| {
            let at = file.len() - FOOTER_BYTES + 12;
            file[at] ^= 1;
            seal(file);
        }),
        ("metadata", |file| {
            let at = file.windows(5).position(|text| text == b"video").unwrap();
            file[at] = b'V';
        }),
        ("length", |file| {
            let at = file.len() - FOOTER_BYTES;
            file[at] -= 1;
            seal(file);
        }),
    ];
    for (what, forge) in cases {
        let folder = Folder::quick();
        let (disk, _) = folder.open().await;
        let forged = store(&as_tier(&disk), "a.ts", 7, &data).await;
        let path = folder.paths().remove(0);
        let mut file = fs::read(&path).unwrap();
        forge(&mut file);
        fs::write(&path, &file).unwrap();
        let error = read_whole(&as_tier(&disk), &forged).await.unwrap_err();
        assert_eq!((error.kind, folder.quarantined()), (ErrorKind::Corrupt, 1), "{what}: {error}");
    }
}

#[tokio::test]
async fn a_file_under_the_name_of_another_is_not_it() {
    let folder = Folder::quick();
    let (disk, _) = folder.open().await;
    let one = store(&as_tier(&disk), "one.ts", 7, b"one").await;
    let path = folder.paths().remove(0);
    let two = store(&as_tier(&disk), "two.ts", 7, b"two").await;
    let other = folder.paths().into_iter().find(|other| *other != path).unwrap();
    fs::copy(&path, &other).unwrap();
    assert_eq!(read_whole(&as_tier(&disk), &two).await.unwrap_err().kind, ErrorKind::Corrupt);
    assert_holds(&as_tier(&disk), &one, b"one").await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The file of a blob with two blocks, as it is on the disk, and its body.
static SAMPLE: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    runtime().block_on(async {
        let folder = Folder::quick();
        let (disk, _) = folder.open().await;
        let data = body(3, 70_000);
        store(&as_tier(&disk), "flip.ts", 7, &data).await;
        (fs::read(folder.paths().remove(0)).unwrap(), data)
    })
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Bits flip anywhere, most often where they hurt most: behind the body.
    #[test]
    fn a_flipped_bit_is_never_served(
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<bool>(), 0_u8..8), 1..4),
        at_start in any::<bool>(),
    ) {
        let (original, data) = &*SAMPLE;
        let mut file = original.clone();
        for (index, in_tail, bit) in flips {
            let at = if in_tail { data.len() + index.index(file.len() - data.len()) } else { index.index(file.len()) };
            file[at] ^= 1 << bit;
        }
        runtime().block_on(async {
            let folder = Folder::quick();
            let (mut disk, _) = folder.open().await;
            let flipped = store(&as_tier(&disk), "flip.ts", 7, data).await;
            fs::write(folder.paths().remove(0), &file).unwrap();
            if at_start {
                disk.close().await;
                // A version that this program does not know is a reason not to start; a bit cannot make one.
                disk = folder.open().await.0;
            }
            let tier = as_tier(&disk);
            let found = tier.find("flip.ts").await.unwrap();
            if let Some(found) = &found {
                assert_eq!(found, &flipped, "other metadata");
            }
            match read_whole(&tier, &flipped).await {
                Ok(bytes) => assert!(bytes == *data && file == *original, "damage was served"),
                Err(error) => {
                    let gone = found.is_none() && error.kind == ErrorKind::Gone;
                    assert!(gone || error.kind == ErrorKind::Corrupt, "{error}");
                    assert_eq!(disk.counts().corrupt, 1);
                }
            }
        });
    }
}
