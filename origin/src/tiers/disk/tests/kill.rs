//! The end at any step: the folder is copied behind every system call, as it is (the process is killed) and as a loss of
//! power may leave it (without what was not synced), and each copy is opened again.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::{CACHE, Folder, as_tier, cache, open, watched};
use crate::tiers::Tier;
use crate::tiers::contract::{assert_holds, body, read_whole, record, store};
use crate::tiers::disk::files::Step;
use crate::tiers::disk::format::path_sum;
use crate::tiers::disk::inner::SHARDS;
use crate::tiers::disk::{Disk, DiskOptions, Hold};

/// What a path holds: the sequence of a version, and whether it must stay.
type State = Option<(u64, Hold)>;

/// What the disk has, and what it would have without power.
#[derive(Default)]
struct Model {
    files: u64,
    names: HashMap<PathBuf, u64>,
    synced_names: HashMap<PathBuf, HashMap<PathBuf, u64>>,
    synced_bytes: HashMap<u64, Vec<u8>>,
    /// What was acknowledged.
    states: BTreeMap<String, State>,
    /// What is being done.
    doing: Option<(String, State)>,
    ends: Vec<End>,
}

/// A folder as an end left it.
struct End {
    files: HashMap<PathBuf, Vec<u8>>,
    step: String,
    power: bool,
    states: BTreeMap<String, State>,
    doing: Option<(String, State)>,
}

impl End {
    fn is_same(&self, other: &Self) -> bool {
        let of = |end: &Self| (end.power, end.states.clone(), end.doing.clone());
        of(self) == of(other) && self.files == other.files
    }
}

impl Model {
    fn took(&mut self, step: Step<'_>) {
        match step {
            Step::Create(path) => {
                self.files += 1;
                self.names.insert(path.to_owned(), self.files);
            }
            Step::Write(_) => {}
            Step::SyncFile(path) => {
                self.synced_bytes.insert(self.names[path], fs::read(path).unwrap());
            }
            Step::Rename(from, to) => {
                let file = self.names.remove(from).unwrap();
                self.names.insert(to.to_owned(), file);
            }
            Step::Remove(path) => {
                self.names.remove(path).unwrap();
            }
            Step::SyncFolder(folder) => {
                let inside = self.names.iter().filter(|(path, _)| path.parent() == Some(folder));
                let inside = inside.map(|(path, file)| (path.clone(), *file)).collect();
                self.synced_names.insert(folder.to_owned(), inside);
            }
        }
        self.end(step);
    }

    /// Keeps the ends that are possible now.
    fn end(&mut self, step: Step<'_>) {
        let now: HashMap<_, _> =
            self.names.keys().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        let torn = |names: &HashMap<PathBuf, u64>| -> HashMap<PathBuf, Vec<u8>> {
            let mut files = HashMap::new();
            for (path, file) in names {
                let bytes = self.synced_bytes.get(file).cloned();
                // What was not synced may be there in part.
                let half = || now.get(path).map(|bytes| bytes[..bytes.len() / 2].to_vec());
                files.insert(path.clone(), bytes.or_else(half).unwrap_or_default());
            }
            files
        };
        let old_names =
            self.synced_names.values().flatten().map(|(path, file)| (path.clone(), *file)).collect();
        let ends = [(torn(&self.names), true), (torn(&old_names), true), (now, false)];
        for (files, power) in ends {
            let (states, doing) = (self.states.clone(), self.doing.clone());
            let end = End { files, step: format!("{step:?}"), power, states, doing };
            if !self.ends.iter().rev().take(3).any(|other| other.is_same(&end)) {
                self.ends.push(end);
            }
        }
    }
}

fn bytes_of(path: &str, sequence: u64) -> Vec<u8> {
    body(sequence + path.len() as u64, 3_000 + usize::try_from(sequence).unwrap())
}

/// One call, and what its path holds behind it.
async fn act(disk: &Arc<Disk>, model: &Mutex<Model>, random: &mut fastrand::Rng, sequence: u64) {
    let path = ["a.ts", "b.ts", "c/d.m3u8"][random.usize(..3)];
    let state = model.lock().unwrap().states.get(path).copied().flatten();
    let call = random.u32(..10);
    let next = match (call, state) {
        (0..4, _) => Some((sequence, Hold::Keep)),
        (4 | 5, _) => Some((sequence, Hold::Cache)),
        (6, Some((there, Hold::Keep))) => Some((there, Hold::Cache)),
        (7, Some((there, _))) => Some((there, Hold::Keep)),
        (8 | 9, _) => None,
        _ => return,
    };
    model.lock().unwrap().doing = Some((path.to_owned(), next));
    match (call, next) {
        (0..4, _) => drop(store(&as_tier(disk), path, sequence, &bytes_of(path, sequence)).await),
        (4 | 5, _) => drop(cache(disk, path, sequence, &bytes_of(path, sequence)).await),
        (6, Some((there, _))) => assert!(disk.release(path, there).await.unwrap()),
        (7, Some((there, _))) => drop(store(&as_tier(disk), path, there, &bytes_of(path, there)).await),
        _ => drop(disk.delete(path, sequence).await.unwrap()),
    }
    let mut model = model.lock().unwrap();
    model.states.insert(path.to_owned(), next);
    model.doing = None;
}

/// A folder as an end left it.
fn revive(end: &End, from: &Folder) -> Folder {
    let folder = Folder::quick();
    for (path, bytes) in &end.files {
        let to = folder.0.join(path.strip_prefix(&from.0).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, bytes).unwrap();
    }
    folder
}

/// Another path whose files are in the same folder.
fn same_shard(path: &str) -> String {
    let shard = path_sum(path) % SHARDS;
    let others = (0..).map(|index| format!("other/{index}"));
    others.into_iter().find(|other| path_sum(other) % SHARDS == shard).unwrap()
}

/// Opens what an end left: everything acknowledged is there, nothing else is, nothing is half.
async fn check(end: &End, from: &Folder) {
    let folder = revive(end, from);
    let (disk, scan) = open(DiskOptions { threads: 1, ..folder.options() }).await;
    let context = format!("behind {}, power lost: {}, {:?} {:?}", end.step, end.power, end.states, end.doing);
    for path in ["a.ts", "b.ts", "c/d.m3u8"] {
        let acknowledged = end.states.get(path).copied().flatten();
        let doing = end.doing.as_ref().filter(|(done, _)| done == path).map(|(_, state)| *state);
        let found = disk.find(path).await.unwrap();
        let sequence = found.as_ref().map(|found| found.sequence);
        let may = |state: State| state.map(|(sequence, _)| sequence) == sequence;
        // A version that may go need not outlive the machine.
        let loose = |state: State| end.power && state.is_some_and(|(_, hold)| hold == Hold::Cache);
        let is_lost_cache = found.is_none() && (loose(acknowledged) || doing.is_some_and(loose));
        assert!(may(acknowledged) || doing.is_some_and(may) || is_lost_cache, "{path}: {found:?} {context}");
        if let Some(found) = found {
            assert_eq!(*found, *record(path, found.sequence, bytes_of(path, found.sequence).len()));
            assert!(read_whole(&as_tier(&disk), &found).await.unwrap() == bytes_of(path, found.sequence));
        }
    }
    // Only a version that was not synced may be found torn.
    assert!(scan.damaged == 0 || end.power, "{scan:?} {context}");
    assert_eq!(folder.files().len() as u64, scan.files, "{context}");
    disk.close().await;
}

/// A tier whose steps a model follows: one thread, so that no step is taken while the model looks at the one before.
async fn modelled(folder: &Folder) -> (Arc<Disk>, Arc<Mutex<Model>>) {
    let model = Arc::new(Mutex::new(Model::default()));
    let seen = model.clone();
    let options = DiskOptions { threads: 1, ..folder.options() };
    let options = watched(options, |_| Ok(()), move |step| seen.lock().unwrap().took(step));
    (open(options).await.0, model)
}

async fn play(seed: u64) {
    println!("seed {seed}");
    let folder = Folder::new();
    let (disk, model) = modelled(&folder).await;
    let mut random = fastrand::Rng::with_seed(seed);
    for sequence in 1..=14 {
        act(&disk, &model, &mut random, sequence).await;
    }
    disk.close().await;
    let ends = std::mem::take(&mut model.lock().unwrap().ends);
    assert!(ends.len() > 50, "{} ends", ends.len());
    for end in &ends {
        check(end, &folder).await;
    }
}

#[tokio::test]
async fn whatever_was_acknowledged_survives_an_end_at_any_step() {
    for seed in 1..=2 {
        play(seed).await;
    }
    play(fastrand::u64(..)).await;
}

#[tokio::test]
async fn a_synced_version_is_not_replaced_by_one_that_is_not() {
    let folder = Folder::new();
    let (disk, model) = modelled(&folder).await;
    store(&as_tier(&disk), "a.ts", 1, &bytes_of("a.ts", 1)).await;
    let acknowledged = model.lock().unwrap().ends.len();
    cache(&disk, "a.ts", 2, &bytes_of("a.ts", 2)).await;
    disk.close().await;
    let ends = std::mem::take(&mut model.lock().unwrap().ends);
    // Once the first is acknowledged, one of the two is there at any end.
    let behind = &ends[acknowledged..];
    assert!(behind.len() > 8, "{} ends", behind.len());
    for end in behind {
        let other = revive(end, &folder);
        let (disk, _) = other.open().await;
        let found = disk.find("a.ts").await.unwrap().unwrap_or_else(|| panic!("lost behind {}", end.step));
        assert_holds(&as_tier(&disk), &found, &bytes_of("a.ts", found.sequence)).await;
    }
}

#[tokio::test]
async fn an_evicted_version_does_not_come_back_in_place_of_a_newer_one() {
    let folder = Folder::new();
    let (disk, model) = modelled(&folder).await;
    let (old, new) = (bytes_of("a.ts", 1), bytes_of("a.ts", 2));
    cache(&disk, "a.ts", 1, &old).await;
    store(&as_tier(&disk), &same_shard("a.ts"), 1, b"its put syncs the folder").await;
    disk.inner.evict(1).unwrap();
    assert_eq!(disk.find("a.ts").await.unwrap(), None);
    cache(&disk, "a.ts", 2, &new).await;
    let acknowledged = model.lock().unwrap().ends.len();
    store(&as_tier(&disk), "c", 1, b"more steps").await;
    disk.close().await;
    let ends = std::mem::take(&mut model.lock().unwrap().ends);
    for end in &ends[acknowledged..] {
        let other = revive(end, &folder);
        let (disk, _) = other.open().await;
        let found = disk.find("a.ts").await.unwrap();
        assert_eq!(found.map(|found| found.sequence), Some(2), "behind {}", end.step);
    }
}

#[tokio::test]
async fn what_was_swept_or_evicted_does_not_come_back_behind_a_delete() {
    let folder = Folder::new();
    let (disk, _) = folder.open().await;
    let expired = {
        let mut record = crate::tiers::Record::clone(&record("old.ts", 3, 1));
        record.expires_at = Some(SystemTime::UNIX_EPOCH);
        Arc::new(record)
    };
    disk.store(&expired, &[bytes::Bytes::from_static(b"x")], CACHE).await.unwrap();
    let syncs = disk.counts().syncs;
    assert_eq!(disk.sweep(SystemTime::now()).await.unwrap(), [expired]);
    assert_eq!(disk.counts().syncs, syncs, "a sweep need not sync: what comes back is swept again");
    disk.delete("old.ts", 3).await.unwrap();
    assert_eq!(disk.counts().syncs, syncs + 1, "a delete that finds nothing syncs what others removed");
    disk.delete("old.ts", 3).await.unwrap();
    assert_eq!(disk.counts().syncs, syncs + 1, "and only then");
}
