//! Where damaged files go: out of the way, for somebody to look at, never more than a little.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::DiskOptions;
use super::files::Files;

/// The folder of damaged files.
#[derive(Debug)]
pub(super) struct Quarantine {
    folder: PathBuf,
    files_max: usize,
    bytes_max: u64,
    held: Mutex<VecDeque<(PathBuf, u64)>>,
}

impl Quarantine {
    pub(super) fn new(options: &DiskOptions) -> Self {
        Self {
            folder: options.folder.join("quarantine"),
            files_max: options.quarantine_files_max,
            bytes_max: options.quarantine_bytes_max,
            held: Mutex::default(),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Finds what an earlier process put there, the oldest first, and the files' names.
    pub(super) fn scan(&self, files: &Files) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let about = entry.metadata()?;
            if about.is_file() {
                let name = entry.file_name().to_string_lossy().into_owned();
                found.push((about.modified().ok(), entry.path(), about.len(), name));
            }
        }
        found.sort();
        let mut held = self.held();
        held.extend(found.iter().map(|(_, path, bytes, _)| (path.clone(), *bytes)));
        self.trim(files, &mut held);
        Ok(found.into_iter().map(|(_, _, _, name)| name).collect())
    }

    /// Moves a file here, or removes it if it is larger than all that may be here.
    pub(super) fn take(&self, files: &Files, path: &Path) -> io::Result<()> {
        let bytes = fs::metadata(path)?.len();
        let Some(name) = path.file_name().filter(|_| bytes <= self.bytes_max && self.files_max > 0) else {
            return files.remove(path);
        };
        let to = self.folder.join(name);
        files.rename(path, &to)?;
        let mut held = self.held();
        held.retain(|(there, _)| *there != to);
        held.push_back((to, bytes));
        self.trim(files, &mut held);
        Ok(())
    }

    /// Files and bytes that are here.
    pub(super) fn held_totals(&self) -> (u64, u64) {
        let held = self.held();
        (held.len() as u64, held.iter().map(|(_, bytes)| bytes).sum())
    }

    fn trim(&self, files: &Files, held: &mut VecDeque<(PathBuf, u64)>) {
        let mut bytes: u64 = held.iter().map(|(_, bytes)| bytes).sum();
        while held.len() > self.files_max || bytes > self.bytes_max {
            let Some((path, size)) = held.pop_front() else { return };
            bytes -= size;
            if let Err(error) = files.remove(&path) {
                tracing::warn!(%error, path = %path.display(), "cannot remove a file from the quarantine");
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, VecDeque<(PathBuf, u64)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
