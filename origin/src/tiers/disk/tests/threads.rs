//! Bounded work: who goes first, what a full queue does, and that many share a sync.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::{Folder, as_tier, open, watched};
use crate::tiers::contract::{assert_holds, body, pieces, read_whole, record, store};
use crate::tiers::disk::files::Step;
use crate::tiers::disk::format::path_sum;
use crate::tiers::disk::inner::SHARDS;
use crate::tiers::disk::threads::{Lane, Lanes};
use crate::tiers::disk::{Disk, DiskOptions};
use crate::tiers::{ErrorKind, Put, Removed, Tier};

fn order(lanes: &mut Lanes, count: usize) -> String {
    let next = std::iter::repeat_with(|| lanes.next()).take(count);
    let letter = |job: Option<(Lane, _)>| match job {
        None => '-',
        Some((Lane::Urgent, _)) => 'u',
        Some((Lane::Read, _)) => 'r',
        Some((Lane::Write, _)) => 'w',
    };
    next.map(letter).collect()
}

fn filled(threads: usize, (urgent, reads, writes): (usize, usize, usize)) -> Lanes {
    let mut lanes = Lanes::new(threads);
    for (lane, count) in [(Lane::Urgent, urgent), (Lane::Read, reads), (Lane::Write, writes)] {
        for _ in 0..count {
            lanes.push(lane, Box::new(|| ()));
        }
    }
    lanes
}

#[test]
fn reads_go_first_but_not_for_ever_and_writes_leave_a_thread_free() {
    assert_eq!(order(&mut filled(4, (2, 3, 2)), 8), "uurrrww-");
    assert_eq!(order(&mut filled(4, (0, 20, 2)), 22), "rrrrrrrrwrrrrrrrrwrrrr");
    assert_eq!(order(&mut filled(4, (0, 1, 9)), 6), "rwww--");
    assert_eq!(order(&mut filled(1, (1, 1, 3)), 5), "urw--");
    let mut lanes = filled(2, (0, 0, 2));
    assert_eq!(order(&mut lanes, 2), "w-");
    lanes.written();
    assert_eq!(order(&mut lanes, 2), "w-");
}

/// A door in front of a step.
#[derive(Clone, Default)]
struct Door(Arc<(Mutex<(bool, usize)>, Condvar)>);

impl Door {
    fn closed() -> Self {
        let door = Self::default();
        door.0.0.lock().unwrap().0 = true;
        door
    }

    fn pass(&self) {
        let mut state = self.0.0.lock().unwrap();
        state.1 += 1;
        self.0.1.notify_all();
        drop(self.0.1.wait_while(state, |(closed, _)| *closed).unwrap());
    }

    fn open(&self) {
        self.0.0.lock().unwrap().0 = false;
        self.0.1.notify_all();
    }

    /// Waits, on another thread, until `count` have come.
    async fn arrived(&self, count: usize) {
        let door = self.clone();
        let wait = move || drop(door.0.1.wait_while(door.0.0.lock().unwrap(), |(_, came)| *came < count));
        let (sender, waited) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            wait();
            let _ = sender.send(());
        });
        waited.await.unwrap();
    }
}

/// A tier whose syncs of shards wait at the first door, and whose renames pass the second.
async fn doors(folder: &Folder) -> (Arc<Disk>, Door, Door) {
    let (syncs, renames) = (Door::closed(), Door::default());
    let (sync_door, rename_door) = (syncs.clone(), renames.clone());
    let before = move |step: Step<'_>| {
        if let Step::SyncFolder(path) = step
            && path.parent().is_some_and(|parent| parent.ends_with("v1"))
        {
            sync_door.pass();
        }
        Ok(())
    };
    let after = move |step: Step<'_>| {
        if let Step::Rename(..) = step {
            rename_door.pass();
        }
    };
    let (disk, _) = open(watched(folder.options(), before, after)).await;
    (disk, syncs, renames)
}

#[tokio::test]
async fn renames_that_wait_share_the_next_sync_of_their_folder() {
    let folder = Folder::new();
    let (disk, syncs, renames) = doors(&folder).await;
    let shard = path_sum("first") % SHARDS;
    let same = (0..).map(|index| format!("{index}")).filter(|path| path_sum(path) % SHARDS == shard);
    let paths: Vec<String> = std::iter::once("first".to_owned()).chain(same.take(9)).collect();
    let put = |path: &str| {
        let (tier, path) = (as_tier(&disk), path.to_owned());
        tokio::spawn(async move { store(&tier, &path, 1, b"x").await })
    };
    let mut puts = vec![put(&paths[0])];
    syncs.arrived(1).await;
    puts.extend(paths[1..].iter().map(|path| put(path)));
    renames.arrived(10).await;
    // Nothing is found before it cannot be lost.
    for path in &paths {
        assert_eq!(disk.find(path).await.unwrap(), None);
    }
    syncs.open();
    for put in puts {
        let record = put.await.unwrap();
        assert_holds(&as_tier(&disk), &record, b"x").await;
    }
    let counts = disk.counts();
    assert_eq!(counts.commits, 10);
    // The last rename may have been seen a moment before its call had joined the group.
    assert!((2..=3).contains(&counts.syncs) && counts.group_max >= 8, "{counts:?}");
}

#[tokio::test]
async fn a_version_that_is_overtaken_while_it_waits_for_its_sync_is_superseded() {
    let folder = Folder::new();
    let (disk, syncs, renames) = doors(&folder).await;
    let put = |sequence: u64| {
        let tier = as_tier(&disk);
        let put = async move { tier.put(&record("a", sequence, 1), &pieces(b"x", 1)).await.unwrap() };
        tokio::spawn(put)
    };
    let newer = put(3);
    syncs.arrived(1).await;
    // The newer one is not found yet, so this one goes as far as it can.
    let older = put(2);
    renames.arrived(2).await;
    assert_eq!(folder.files().len(), 2);
    syncs.open();
    assert_eq!((newer.await.unwrap(), older.await.unwrap()), (Put::Stored, Put::Superseded));
    assert_holds(&as_tier(&disk), &record("a", 3, 1), b"x").await;
    disk.close().await;
    assert_eq!(folder.files().len(), 1);
}

#[tokio::test]
async fn a_version_that_is_deleted_while_it_waits_for_its_sync_is_gone() {
    let folder = Folder::new();
    let (disk, syncs, renames) = doors(&folder).await;
    let tier = as_tier(&disk);
    let put = tokio::spawn(async move { tier.put(&record("a", 3, 1), &pieces(b"x", 1)).await.unwrap() });
    renames.arrived(1).await;
    syncs.arrived(1).await;
    let tier = as_tier(&disk);
    let delete = tokio::spawn(async move { tier.delete("a", 3).await.unwrap() });
    while !folder.files().is_empty() {
        tokio::task::yield_now().await;
    }
    syncs.open();
    assert_eq!((put.await.unwrap(), delete.await.unwrap()), (Put::Superseded, Removed::Nothing));
    assert_eq!(disk.find("a").await.unwrap(), None);
    assert_eq!((disk.counts().files, disk.counts().reserved_bytes), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_waits_for_a_while_and_then_refuses() {
    let folder = Folder::new();
    let door = Door::closed();
    let writes = door.clone();
    let before = move |step: Step<'_>| {
        if let Step::Write(_) = step {
            writes.pass();
        }
        Ok(())
    };
    let options = DiskOptions { queue_max: 2, threads: 2, ..folder.options() };
    let (disk, _) = open(watched(options, before, |_| ())).await;
    let put = |path: &'static str| {
        let tier = as_tier(&disk);
        tokio::spawn(async move { tier.put(&record(path, 1, 1), &pieces(b"x", 1)).await })
    };
    let began = [put("1"), put("2")];
    tokio::task::yield_now().await;
    let started = tokio::time::Instant::now();
    let error = put("3").await.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    assert_eq!(started.elapsed(), Duration::from_secs(2));
    assert_eq!(disk.counts().refused, 1);
    assert_eq!(disk.find("1").await.unwrap(), None, "an index needs no place in the queue");
    door.open();
    for put in began {
        assert_eq!(put.await.unwrap().unwrap(), Put::Stored);
    }
    assert_eq!(put("3").await.unwrap().unwrap(), Put::Stored);
}

#[tokio::test(start_paused = true)]
async fn files_open_for_readers_are_bounded_and_given_back() {
    let folder = Folder::new();
    let (disk, _) = open(DiskOptions { open_files_max: 2, ..folder.options() }).await;
    let tier = as_tier(&disk);
    let data = body(1, 600_000);
    let large = store(&tier, "large", 1, &data).await;
    let first = tier.read(&large, 0..large.size).await.unwrap();
    let second = tier.read(&large, 0..large.size).await.unwrap();
    let error = read_whole(&tier, &large).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    drop(first);
    assert!(read_whole(&tier, &large).await.unwrap() == data);
    drop(second);
}

/// The open handle is what a reader reads, whatever becomes of the name.
#[tokio::test]
async fn a_reader_gets_its_own_bytes_after_a_delete_and_an_eviction() {
    use futures_util::TryStreamExt;
    let folder = Folder::new();
    let (disk, _) = folder.open().await;
    let tier = as_tier(&disk);
    let data = body(1, 900_000);
    let large = store(&tier, "large", 1, &data).await;
    let stream = tier.read(&large, 0..large.size).await.unwrap();
    tier.delete("large", 1).await.unwrap();
    assert!(folder.files().is_empty());
    let pieces: Vec<bytes::Bytes> = stream.try_collect().await.unwrap();
    assert!(pieces.concat() == data);
}
