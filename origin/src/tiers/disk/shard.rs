//! One folder of files: the order of changes in it, and its group commit.
//!
//! A rename is durable when its folder was synced. Whoever needs that joins the next sync; while one runs, those who come
//! wait together for the one after it.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::files::Files;
use super::format::Name;

/// What goes on when a folder was synced, or was not.
pub(super) type Then = Box<dyn FnOnce(io::Result<()>) + Send>;

/// A folder of files.
#[derive(Debug)]
pub(super) struct Shard {
    folder: PathBuf,
    /// Held while a file of this folder gets or loses its name and the index is told so. Never across a sync of the folder.
    order: Mutex<()>,
    commit: Mutex<Commit>,
}

#[derive(Default)]
struct Commit {
    waiting: Vec<Then>,
    /// Whether a sync was submitted that has not begun to answer.
    running: bool,
    /// Names that were removed since the start.
    changes: u64,
    /// How many of them a sync has made durable.
    synced: u64,
}

impl std::fmt::Debug for Commit {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Commit {{ waiting: {}, running: {} }}", self.waiting.len(), self.running)
    }
}

/// What a sync did.
#[derive(Debug)]
pub(super) struct Synced {
    /// How many waited for it.
    pub(super) group: usize,
    /// Whether others wait for the next one, which must be submitted.
    pub(super) again: bool,
}

impl Shard {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, order: Mutex::new(()), commit: Mutex::default() }
    }

    pub(super) fn folder(&self) -> &PathBuf {
        &self.folder
    }

    pub(super) fn file(&self, name: &Name) -> PathBuf {
        self.folder.join(name.file())
    }

    pub(super) fn order(&self) -> MutexGuard<'_, ()> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name was removed: a crash may bring it back until the next sync.
    pub(super) fn changed(&self) {
        self.commit().changes += 1;
    }

    /// Whether no removed name can come back.
    pub(super) fn is_durable(&self) -> bool {
        let commit = self.commit();
        commit.changes == commit.synced
    }

    /// Waits for the next sync; true if it must be submitted.
    pub(super) fn join(&self, then: Then) -> bool {
        let mut commit = self.commit();
        commit.waiting.push(then);
        !std::mem::replace(&mut commit.running, true)
    }

    /// Syncs the folder and lets those who wait go on. `submit` is called before, if others wait already for the next one.
    pub(super) fn sync(&self, files: &Files, submit: impl FnOnce(&Synced)) {
        let (waiting, changes) = {
            let mut commit = self.commit();
            (std::mem::take(&mut commit.waiting), commit.changes)
        };
        let done = files.sync_folder(&self.folder);
        let again = {
            let mut commit = self.commit();
            if done.is_ok() {
                commit.synced = commit.synced.max(changes);
            }
            commit.running = !commit.waiting.is_empty();
            commit.running
        };
        submit(&Synced { group: waiting.len(), again });
        for then in waiting {
            then(done.as_ref().copied().map_err(again_error));
        }
    }

    fn commit(&self) -> MutexGuard<'_, Commit> {
        self.commit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same error for one more who asks.
fn again_error(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}
