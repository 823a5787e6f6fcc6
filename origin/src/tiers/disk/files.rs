//! Every change of the disk is one of these steps; a test may look at the disk behind each, or make one fail.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, IoSlice, Write};
use std::path::Path;
use std::sync::Arc;

/// Pieces that one call writes; the kernel's own limit is 1,024.
const PIECES_PER_WRITE: usize = 64;

/// One system call that changes the disk.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "only an observer looks into a step, and only tests have one")]
pub(crate) enum Step<'a> {
    Create(&'a Path),
    Write(&'a Path),
    SyncFile(&'a Path),
    Rename(&'a Path, &'a Path),
    Remove(&'a Path),
    SyncFolder(&'a Path),
}

/// Who watches the steps. Both are called on the thread that takes the step.
pub(crate) trait Observer: Send + Sync {
    /// The step is about to be taken; an error is what it fails with.
    fn before(&self, step: Step<'_>) -> io::Result<()>;
    /// The step was taken.
    fn after(&self, step: Step<'_>);
}

/// The steps.
#[derive(Clone, Default)]
pub(crate) struct Files {
    pub(crate) observer: Option<Arc<dyn Observer>>,
}

impl fmt::Debug for Files {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Files {{ observed: {} }}", self.observer.is_some())
    }
}

impl Files {
    pub(super) fn create(&self, path: &Path) -> io::Result<File> {
        self.take(Step::Create(path), || File::options().write(true).create_new(true).open(path))
    }

    /// Writes the pieces in order, many with one call.
    pub(super) fn write(&self, path: &Path, file: &mut File, pieces: &[&[u8]]) -> io::Result<()> {
        for group in pieces.chunks(PIECES_PER_WRITE) {
            self.take(Step::Write(path), || write_all(file, group))?;
        }
        Ok(())
    }

    pub(super) fn sync_file(&self, path: &Path, file: &File) -> io::Result<()> {
        self.take(Step::SyncFile(path), || file.sync_data())
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.take(Step::Rename(from, to), || fs::rename(from, to))
    }

    /// Removes a file; that it is not there is as good.
    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        self.take(Step::Remove(path), || match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        })
    }

    pub(super) fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.take(Step::SyncFolder(path), || File::open(path)?.sync_all())
    }

    fn take<T>(&self, step: Step<'_>, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let Some(observer) = &self.observer else { return act() };
        observer.before(step)?;
        let done = act()?;
        observer.after(step);
        Ok(done)
    }
}

fn write_all(file: &mut File, pieces: &[&[u8]]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut rest = slices.as_mut_slice();
    // Pieces without bytes are passed over, also at the beginning.
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut rest, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
