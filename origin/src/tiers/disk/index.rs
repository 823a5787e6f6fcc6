//! What is on the disk, in memory: the current version of every path, which files may go, which are due, and what is full.
//!
//! No I/O. Who changes files of a path holds the lock of its shard, so what is said here about a path is true meanwhile.

mod views;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::format::{Hold, Metadata, Name, nanos, time};
use crate::memory::blob::Uid;
use crate::memory::object::Meta;
use crate::tiers::fence::{FENCES_MAX, Fence};
use crate::tiers::{Record, Removed};

pub(super) use self::views::Totals;

/// What a file occupies is counted in these.
const UNIT_BYTES: u64 = 4_096;
/// No deadline.
const NEVER: u64 = u64::MAX;

/// The file of a version, in as few bytes as will do: there may be a million.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    uid: Uid,
    sequence: u64,
    size: u64,
    modified: u64,
    expires: u64,
    until: u64,
    meta: Arc<Meta>,
    /// Its place among those that may go, if it may.
    tick: u64,
    /// Bytes of its file behind the body.
    tail: u32,
    hold: Hold,
}

/// What a put finds before it writes or publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is the newest.
    Go,
    /// The very version is there, held like this.
    There(Hold),
    /// It comes too late.
    Late,
}

/// What became of a file that was renamed into its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Published {
    /// It is the version of its path now; the file of the one before is to be removed.
    Current { replaced: Option<Name> },
    /// Another is or was; it is to be removed, unless it is the same file.
    Not { late: bool, remove: Option<Name> },
}

/// The index of a disk tier.
#[derive(Debug)]
pub(super) struct Index {
    entries: BTreeMap<Arc<str>, Entry>,
    metas: HashSet<Arc<Meta>>,
    /// Files that may go, the one unused for longest first.
    recency: BTreeMap<u64, Arc<str>>,
    ticks: u64,
    /// Paths by the time when a sweep takes them.
    due: BTreeSet<(u64, Arc<str>)>,
    /// Files that are not current: not published yet, or replaced and not removed yet.
    others: HashMap<Arc<str>, Vec<Name>>,
    deleted: Fence,
    /// Versions that left by themselves: an older one must not take their place.
    evicted: Fence,
    path_bytes: usize,
    bytes: u64,
    cache_bytes: u64,
    reserved: u64,
    set_aside: u64,
    bytes_max: u64,
    entries_bytes_max: u64,
}

/// What a file of this size occupies.
pub(super) fn occupied(file_bytes: u64) -> u64 {
    file_bytes.div_ceil(UNIT_BYTES) * UNIT_BYTES
}

impl Entry {
    fn new(metadata: &Metadata, meta: Arc<Meta>, name: &Name, file_bytes: u64) -> Self {
        let record = &metadata.record;
        Self {
            uid: record.uid,
            sequence: record.sequence,
            size: record.size,
            modified: nanos(record.modified),
            expires: record.expires_at.map_or(NEVER, nanos),
            until: metadata.until.map_or(NEVER, nanos),
            meta,
            tick: 0,
            tail: u32::try_from(file_bytes.saturating_sub(record.size)).unwrap_or(u32::MAX),
            hold: name.hold,
        }
    }

    pub(super) fn name(&self, path: &str) -> Name {
        Name::new(path, self.sequence, self.uid, self.hold)
    }

    fn record(&self, path: &Arc<str>) -> Arc<Record> {
        Arc::new(Record {
            path: path.clone(),
            uid: self.uid,
            meta: Meta::clone(&self.meta),
            size: self.size,
            sequence: self.sequence,
            modified: time(self.modified),
            expires_at: (self.expires != NEVER).then(|| time(self.expires)),
        })
    }

    fn occupied(&self) -> u64 {
        occupied(self.size + u64::from(self.tail))
    }

    /// When a sweep takes it. What must stay does not go before it expires: the disk may have the only copy.
    fn due(&self) -> u64 {
        match self.hold {
            Hold::Keep => self.expires,
            Hold::Cache => self.expires.min(self.until),
        }
    }
}

impl Index {
    pub(super) fn new(bytes_max: u64, entries_bytes_max: u64) -> Self {
        Self {
            entries: BTreeMap::new(),
            metas: HashSet::new(),
            recency: BTreeMap::new(),
            ticks: 0,
            due: BTreeSet::new(),
            others: HashMap::new(),
            deleted: Fence::new(FENCES_MAX),
            evicted: Fence::new(FENCES_MAX),
            path_bytes: 0,
            bytes: 0,
            cache_bytes: 0,
            reserved: 0,
            set_aside: 0,
            bytes_max,
            entries_bytes_max,
        }
    }

    pub(super) fn find(&self, path: &str) -> Option<Arc<Record>> {
        let (path, entry) = self.entries.get_key_value(path)?;
        Some(entry.record(path))
    }

    /// The file with the bytes `uid` under `path`, which counts as used now.
    pub(super) fn file(&mut self, path: &str, uid: Uid) -> Option<Name> {
        let entry = self.entries.get(path).filter(|entry| entry.uid == uid)?;
        let name = entry.name(path);
        if entry.hold == Hold::Cache {
            self.touch(path);
        }
        Some(name)
    }

    /// The file of the current version.
    pub(super) fn current(&self, path: &str) -> Option<Name> {
        self.entries.get(path).map(|entry| entry.name(path))
    }

    pub(super) fn admit(&self, path: &str, name: &Name) -> Admission {
        if self.deleted.bars(path, name.sequence) {
            return Admission::Late;
        }
        match self.current(path) {
            None if self.evicted.bars(path, name.sequence) => Admission::Late,
            Some(current) if current.is_version(name) => Admission::There(current.hold),
            Some(current) if current.sequence > name.sequence => Admission::Late,
            _ => Admission::Go,
        }
    }

    /// Whether a loss of power could bring another version of `path` back, or one that is older than `sequence` and left by
    /// itself; `is_durable` when no removal in its folder can be undone.
    pub(super) fn may_return(&self, path: &str, sequence: u64, is_durable: bool) -> bool {
        let has_files = self.entries.contains_key(path) || self.others.contains_key(path);
        let left = || {
            let evicted = self.evicted.through(path).is_some_and(|below| below + 1 < sequence);
            evicted || self.deleted.through(path).is_some()
        };
        has_files || (!is_durable && left())
    }

    /// Sets space aside for a file of `path` that will be written; false if there is none, on the disk or in the index.
    pub(super) fn reserve(&mut self, path: &str, bytes: u64) -> bool {
        let fits =
            self.bytes + self.reserved + self.set_aside + bytes <= self.bytes_max && self.has_place(path);
        if fits {
            self.reserved += bytes;
        }
        fits
    }

    pub(super) fn unreserve(&mut self, bytes: u64) {
        self.reserved = self.reserved.saturating_sub(bytes);
    }

    /// Whether what is there is more than may be.
    pub(super) fn is_over(&self) -> bool {
        self.bytes + self.reserved + self.set_aside > self.bytes_max
            || self.entries_bytes() > self.entries_bytes_max
    }

    pub(super) fn set_aside(&mut self, bytes: u64) {
        self.set_aside = bytes;
    }

    /// The file that goes next when there is no space.
    pub(super) fn victim(&self) -> Option<(Arc<str>, Name)> {
        let (_, path) = self.recency.first_key_value()?;
        Some((path.clone(), self.current(path)?))
    }

    /// A file was renamed into its place.
    pub(super) fn claim(&mut self, path: &Arc<str>, name: Name) {
        self.others.entry(path.clone()).or_default().push(name);
    }

    /// Gives a claim up; whether the file is nobody's now.
    pub(super) fn disclaim(&mut self, path: &str, name: &Name) -> bool {
        self.unclaim(path, name);
        let claimed = self.others.get(path).is_some_and(|names| names.contains(name));
        !claimed && self.current(path).as_ref() != Some(name)
    }

    /// Makes a claimed file the version of its path, if it is the newest.
    pub(super) fn publish(&mut self, metadata: &Metadata, name: &Name, file_bytes: u64) -> Published {
        let path = &metadata.record.path;
        if !self.unclaim(path, name) {
            // A delete took the file.
            return Published::Not { late: true, remove: None };
        }
        match self.admit(path, name) {
            Admission::Late => return Published::Not { late: true, remove: self.abandoned(path, name) },
            Admission::There(Hold::Keep) if name.hold == Hold::Cache => {
                return Published::Not { late: false, remove: self.abandoned(path, name) };
            }
            Admission::There(_) | Admission::Go => {}
        }
        let replaced = self.current(path).filter(|replaced| replaced != name);
        self.insert(metadata, name, file_bytes);
        if let Some(replaced) = replaced {
            self.claim(path, replaced);
        }
        Published::Current { replaced }
    }

    /// A file that is not the version of its path: still a file, until it is removed.
    fn abandoned(&mut self, path: &Arc<str>, name: &Name) -> Option<Name> {
        if self.current(path).as_ref() == Some(name) {
            return None;
        }
        self.claim(path, *name);
        Some(*name)
    }

    /// Files of `path` with a sequence up to `through`, the current one last, and what a delete of them says.
    pub(super) fn files_through(&self, path: &str, through: u64) -> (Vec<Name>, Removed) {
        let others = self.others.get(path).into_iter().flatten();
        let mut names: Vec<Name> = others.copied().filter(|name| name.sequence <= through).collect();
        names.dedup();
        let removed = match self.current(path) {
            None => Removed::Nothing,
            Some(current) if current.sequence > through => Removed::Newer,
            Some(current) => {
                names.retain(|name| *name != current);
                names.push(current);
                Removed::Gone
            }
        };
        (names, removed)
    }

    /// A file is not there any more.
    pub(super) fn removed(&mut self, path: &str, name: &Name) {
        while self.unclaim(path, name) {}
        if self.current(path).as_ref() == Some(name) {
            self.take(path);
        }
    }

    /// Nothing up to `through` comes any more.
    pub(super) fn bar(&mut self, path: &str, through: u64) {
        self.deleted.raise(path, through);
    }

    /// The current version leaves, though nobody deleted it: it may come again, an older one may not.
    pub(super) fn leave(&mut self, path: &str) -> Option<Arc<Record>> {
        let record = self.find(path)?;
        self.take(path);
        if let Some(below) = record.sequence.checked_sub(1) {
            self.evicted.raise(path, below);
        }
        Some(record)
    }

    /// Changes how the current version is held.
    pub(super) fn hold(&mut self, path: &str, hold: Hold) {
        let Some((path, entry)) = self.entries.get_key_value(path) else { return };
        // Kept meanwhile, so that its headers stay shared.
        let (path, kept) = (path.clone(), entry.clone());
        self.take(&path);
        self.place(path, Entry { hold, ..kept });
    }

    /// Puts a version in place of any other of its path.
    pub(super) fn insert(&mut self, metadata: &Metadata, name: &Name, file_bytes: u64) {
        let record = &metadata.record;
        self.take(&record.path);
        let meta = self.meta(&record.meta);
        self.place(record.path.clone(), Entry::new(metadata, meta, name, file_bytes));
    }

    pub(super) fn touch(&mut self, path: &str) {
        let Some(entry) = self.entries.get_mut(path) else { return };
        self.ticks += 1;
        if let Some(path) = self.recency.remove(&entry.tick) {
            entry.tick = self.ticks;
            self.recency.insert(self.ticks, path);
        }
    }

    /// Takes one claim away; whether there was one.
    fn unclaim(&mut self, path: &str, name: &Name) -> bool {
        let Some(names) = self.others.get_mut(path) else { return false };
        let found = names.iter().position(|other| other == name);
        if let Some(at) = found {
            names.swap_remove(at);
        }
        if names.is_empty() {
            self.others.remove(path);
        }
        found.is_some()
    }

    fn place(&mut self, path: Arc<str>, mut entry: Entry) {
        self.bytes += entry.occupied();
        self.path_bytes += path.len();
        if entry.hold == Hold::Cache {
            self.cache_bytes += entry.occupied();
            self.ticks += 1;
            entry.tick = self.ticks;
            self.recency.insert(entry.tick, path.clone());
        }
        if entry.due() != NEVER {
            self.due.insert((entry.due(), path.clone()));
        }
        self.entries.insert(path, entry);
    }

    fn take(&mut self, path: &str) -> Option<Entry> {
        let (path, entry) = self.entries.remove_entry(path)?;
        self.bytes -= entry.occupied();
        self.path_bytes -= path.len();
        if entry.hold == Hold::Cache {
            self.cache_bytes -= entry.occupied();
            self.recency.remove(&entry.tick);
        }
        if entry.due() != NEVER {
            self.due.remove(&(entry.due(), path));
        }
        // Headers that nobody else has: one in the set, one here.
        if Arc::strong_count(&entry.meta) == 2 {
            self.metas.remove(&entry.meta);
        }
        Some(entry)
    }

    fn meta(&mut self, meta: &Meta) -> Arc<Meta> {
        if let Some(known) = self.metas.get(meta) {
            return known.clone();
        }
        let meta = Arc::new(meta.clone());
        self.metas.insert(meta.clone());
        meta
    }
}
