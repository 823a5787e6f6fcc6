//! `consistency: Eager`: while the log does not commit, a manifest counts as soon as another pod holds it too.
//!
//! Each pod keeps what it was given so in a table of its own, until the index has that version or a later one. Who took it commits it
//! as soon as the log does. Order is by stamp, and among states of one manifest by those, so nothing goes backwards; what is promised is less than
//! linearizable, and `docs/guarantees.md` says what.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use mediaorigin_index::entry::Entry;
use mediaorigin_index::{Board, Notices};

use super::overtaking::counts_over;

/// How long another pod is waited for that holds a version too.
const HOLD_PATIENCE: Duration = Duration::from_secs(1);
/// Versions that are held for others, one per path; and their bytes.
const HELD_MAX: usize = 4_096;
const HELD_BYTES_MAX: usize = 32 << 20;

/// What was held, eagerly.
#[derive(Debug)]
pub(super) struct Eager {
    board: Board,
    address: String,
    table: Mutex<Table>,
    written: AtomicU64,
    read: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    held: HashMap<Arc<str>, Arc<Entry>>,
    bytes: usize,
}

impl Eager {
    pub(super) fn new(board: Board, address: String) -> Arc<Self> {
        let (written, read) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { board, address, table: Mutex::default(), written, read })
    }

    /// Holds `entry` here and on another pod; whether one said so in time.
    pub(super) async fn hold(&self, entry: &Arc<Entry>) -> bool {
        let Ok(body) = entry.encode() else { return false };
        if !self.table().hold(entry) {
            return false;
        }
        let mut notice = BytesMut::with_capacity(1 + self.address.len() + body.len());
        notice.put_u8(u8::try_from(self.address.len()).unwrap_or(u8::MAX));
        notice.put_slice(self.address.as_bytes());
        notice.put_slice(&body);
        let is_held = self.board.ask(notice.freeze(), HOLD_PATIENCE).await.is_some();
        self.written.fetch_add(u64::from(is_held), Ordering::Relaxed);
        is_held
    }

    /// Holds what other pods ask it to hold.
    pub(super) async fn run(self: Arc<Self>, mut notices: Notices) {
        while let Some(notice) = notices.next().await {
            let Some(entry) = self.of_another(&notice.body) else { continue };
            if self.table().hold(&entry) {
                self.board.answer(&notice, Bytes::from_static(b"held")).await;
            }
        }
    }

    fn of_another(&self, notice: &Bytes) -> Option<Arc<Entry>> {
        let length = usize::from(*notice.first()?);
        let address = notice.get(1..=length)?;
        if address == self.address.as_bytes() {
            return None;
        }
        Entry::decode(&notice.slice(1 + length..)).ok().map(Arc::new)
    }

    /// The version of a path that is held and newer than `known`, of the index.
    pub(super) fn newer(&self, path: &str, known: Option<&Entry>) -> Option<Arc<Entry>> {
        let table = self.table();
        let held = table.held.get(path)?;
        let is_newer = known.is_none_or(|known| counts_over(held, known));
        is_newer.then(|| Arc::clone(held))
    }

    /// The index has `entry`: what is held and not newer is held no more.
    pub(super) fn settled(&self, entry: &Entry) {
        let mut table = self.table();
        if table.held.get(&entry.path).is_some_and(|held| !counts_over(held, entry)) {
            table.remove(&entry.path);
        }
    }

    /// A reader was told what the index did not confirm.
    pub(super) fn was_read(&self) {
        self.read.fetch_add(1, Ordering::Relaxed);
    }

    /// Uploads and reads that were answered so.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.written.load(Ordering::Relaxed), self.read.load(Ordering::Relaxed))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Holds `entry` unless there is a newer one, or no room.
    fn hold(&mut self, entry: &Arc<Entry>) -> bool {
        if let Some(there) = self.held.get(&entry.path) {
            if !counts_over(entry, there) {
                return true;
            }
            self.remove(&Arc::clone(&entry.path));
        }
        let bytes = size(entry);
        if self.held.len() >= HELD_MAX || self.bytes + bytes > HELD_BYTES_MAX {
            return false;
        }
        self.bytes += bytes;
        self.held.insert(Arc::clone(&entry.path), Arc::clone(entry));
        true
    }

    fn remove(&mut self, path: &Arc<str>) {
        if let Some(entry) = self.held.remove(path) {
            self.bytes -= size(&entry);
        }
    }
}

fn size(entry: &Entry) -> usize {
    entry.path.len() + entry.version().and_then(|version| version.body.as_ref()).map_or(0, Bytes::len)
}
