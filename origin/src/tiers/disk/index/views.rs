//! What the index can be asked: listings, what is due, what must stay, totals.

use std::ops::Bound;
use std::sync::Arc;

use mediaorigin_crds::budget::PER_FILE;

use super::super::format::{Hold, Name};
use super::{Entry, Index};
use crate::tiers::{Listed, Record};

/// What the index holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Totals {
    pub(in super::super) files: u64,
    pub(in super::super) bytes: u64,
    pub(in super::super) cache_files: u64,
    pub(in super::super) cache_bytes: u64,
    pub(in super::super) reserved_bytes: u64,
    pub(in super::super) index_bytes: u64,
}

impl Index {
    /// Up to `limit` paths that are due at `now`.
    pub(in super::super) fn due(&self, now: u64, limit: usize) -> Vec<Arc<str>> {
        let due = self.due.iter().take_while(|(at, _)| *at <= now);
        due.take(limit).map(|(_, path)| path.clone()).collect()
    }

    /// Whether `path` is due at `now`, and its file.
    pub(in super::super) fn is_due(&self, path: &str, now: u64) -> Option<Name> {
        self.entries.get(path).filter(|entry| entry.due() <= now).map(|entry| entry.name(path))
    }

    /// Versions that must stay, among the `limit` paths behind `after`; with the path to go on from.
    pub(in super::super) fn kept(&self, after: &str, limit: usize) -> (Vec<Arc<Record>>, Option<Arc<str>>) {
        let mut last = None;
        let range = self.entries.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
        let looked = range.take(limit).inspect(|(path, _)| last = Some(Arc::clone(path)));
        let kept = looked.filter(|(_, entry)| entry.hold == Hold::Keep);
        let kept = kept.map(|(path, entry)| entry.record(path)).collect();
        (kept, last)
    }

    pub(in super::super) fn list(&self, folder: &str, after: &str, limit: usize) -> Vec<Listed> {
        let mut listed = Vec::new();
        let mut from = Bound::Included(folder.to_owned());
        if after > folder {
            from = Bound::Excluded(after.to_owned());
        }
        while listed.len() < limit {
            let Some((path, entry)) =
                self.entries.range::<str, _>((from.as_ref().map(String::as_str), Bound::Unbounded)).next()
            else {
                break;
            };
            let Some(inside) = path.strip_prefix(folder) else { break };
            match inside.find('/') {
                None => {
                    listed.push(Listed::Object(entry.record(path)));
                    from = Bound::Excluded(path.to_string());
                }
                Some(slash) => {
                    let name = &path[..=folder.len() + slash];
                    if name > after {
                        listed.push(Listed::Folder(name.to_owned()));
                    }
                    // '0' follows '/': the first text behind everything in the folder.
                    from = Bound::Included(format!("{}0", &name[..name.len() - 1]));
                }
            }
        }
        listed
    }

    pub(in super::super) fn totals(&self) -> Totals {
        Totals {
            files: self.entries.len() as u64,
            bytes: self.bytes,
            cache_files: self.recency.len() as u64,
            cache_bytes: self.cache_bytes,
            reserved_bytes: self.reserved,
            index_bytes: self.index_bytes(),
        }
    }

    /// What the entries may need.
    pub(in super::super) fn entries_bytes_max(&self) -> u64 {
        self.entries_bytes_max
    }

    /// From now on the entries may need so much.
    pub(in super::super) fn set_entries_bytes_max(&mut self, bytes: u64) {
        self.entries_bytes_max = bytes;
    }

    /// Whether the index has room for one more file, where `path` has none yet: the next version of a path takes the entry of the
    /// one before.
    pub(in super::super) fn has_place(&self, path: &str) -> bool {
        self.entries_bytes() + PER_FILE.get() <= self.entries_bytes_max || self.entries.contains_key(path)
    }

    /// What the index occupies, estimated. The fences are bounded, and paid by the base term of the budget.
    fn index_bytes(&self) -> u64 {
        self.entries_bytes() + (self.deleted.bytes() + self.evicted.bytes()) as u64
    }

    /// What the files need in the index, estimated: nodes of the trees are half full where names count up, as those of segments do; a
    /// path is an allocation of its own. Measured with half a million: 270 to 350 bytes, the estimate is within 5 %.
    pub(in super::super) fn entries_bytes(&self) -> u64 {
        let places = self.entries.len() * size_of::<(Arc<str>, Entry)>()
            + self.recency.len() * size_of::<(u64, Arc<str>)>()
            + self.due.len() * size_of::<(u64, Arc<str>)>();
        let paths = self.path_bytes + self.entries.len() * 32;
        let rest = self.metas.len() * 256 + self.others.len() * 128;
        (places * 2 + paths + rest) as u64
    }
}
