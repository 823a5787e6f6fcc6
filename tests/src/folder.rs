//! A folder for one test, gone with its owner.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// An existing folder; deleted at the end.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new one where temporary files are.
    pub fn new(name: &str) -> Result<Self> {
        Self::under(&std::env::temp_dir(), name)
    }

    /// A new one in memory (tmpfs).
    pub fn in_memory(name: &str) -> Result<Self> {
        Self::under(Path::new("/dev/shm"), name)
    }

    fn under(parent: &Path, name: &str) -> Result<Self> {
        let path = parent.join(format!("mediaorigin-{name}-{:016x}", fastrand::u64(..)));
        std::fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A folder in it; its path.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// A file in it; its path.
    pub fn write(&self, name: &str, text: &str) -> Result<String> {
        let file = self.0.join(name);
        std::fs::write(&file, text)?;
        Ok(file.display().to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
