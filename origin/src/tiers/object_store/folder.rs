//! A local folder as a bucket: bodies as plain files under their paths, headers in files beside them.
//!
//! The file system has neither attributes nor conditional writes, so both are made here, for one process. A write is
//!
//! ```text
//! body → .mo/staged/<n>      its ETag (inode, time, size) is known now and stays
//! headers of the version that is there and of this one, by ETag → .mo/headers/<path>
//! rename .mo/staged/<n> → <path>
//! ```
//!
//! all flushed to the disk, so after a crash at any point the body under a path finds its own headers. It goes on when its
//! caller does not wait any more, and holds the lock of its key until it is done: nothing comes late.
//!
//! An object and a folder of the same name cannot be there at once (`live` and `live/a.ts`): the second is refused.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutPayload, RenameOptions,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::bucket::{Pieces, entry, pieces};
use super::decide::State;
use super::failure::{Failure, Fault};
use super::fields::Entry;
use super::place::RESERVED;

/// Locks for keys; two keys may share one.
const LOCKS: usize = 256;
/// A file of headers at most.
const HEADERS_BYTES_MAX: u64 = 65_536;

/// A local folder.
#[derive(Debug)]
pub(super) struct Folder {
    files: LocalFileSystem,
    locks: Vec<Arc<Mutex<()>>>,
    staged: AtomicU64,
}

/// The headers of the versions that a body may be, by its `ETag`: the one that was there and the one that comes.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Headers(Vec<(String, Vec<(String, String)>)>);

impl Folder {
    /// Opens a folder that exists, and clears what a crash has left in it.
    pub(super) fn open(folder: &str) -> Result<Self, String> {
        let text = |error: std::io::Error| format!("{folder}: {error}");
        let staged = std::path::Path::new(folder).join(RESERVED).join("staged");
        match std::fs::remove_dir_all(&staged) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(text(error)),
            _ => {}
        }
        let files = LocalFileSystem::new_with_prefix(folder)
            .map_err(|error| error.to_string())?
            .with_automatic_cleanup(true)
            .with_fsync(true);
        let locks = std::iter::repeat_with(Arc::default).take(LOCKS).collect();
        Ok(Self { files, locks, staged: AtomicU64::new(0) })
    }

    pub(super) fn files(&self) -> &LocalFileSystem {
        &self.files
    }

    /// Waits until the write under way under the key is done.
    pub(super) async fn quiet(&self, key: &Path) {
        drop(self.lock(key).await);
    }

    /// What lies under a key.
    pub(super) async fn head(&self, key: &Path) -> Result<Option<Entry>, Failure> {
        match self.get(key, GetOptions { head: true, ..GetOptions::default() }).await {
            Ok((entry, _)) => Ok(Some(entry)),
            Err(failure) if failure.fault == Fault::Absent => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// A body, which is an open file: what replaces it later does not touch it.
    pub(super) async fn get(&self, key: &Path, options: GetOptions) -> Result<(Entry, Pieces), Failure> {
        let mut before = None;
        loop {
            let found = match self.files.get_opts(key, options.clone()).await {
                Ok(found) => found,
                Err(error) => return Err(absent_if_folder(&self.files, key, error)),
            };
            let etag = found.meta.e_tag.clone();
            let known =
                self.headers(key).await?.0.into_iter().find(|(known, _)| Some(known) == etag.as_ref());
            // Without headers it is somebody else's, or was replaced twice between the two reads: then it is another now.
            if known.is_none() && before != etag {
                before = etag;
                continue;
            }
            let attributes = known.map_or_else(Attributes::new, |(_, fields)| attributes_of(fields));
            return Ok((entry(found.meta.clone(), attributes), pieces(found)));
        }
    }

    /// Puts a body in the place of `expected`; its `ETag`.
    pub(super) async fn write(
        self: &Arc<Self>,
        key: &Path,
        expected: Option<&State>,
        attributes: Attributes,
        body: PutPayload,
    ) -> Result<Arc<str>, Failure> {
        let lock = self.lock(key).await;
        let (folder, key, expected) = (Arc::clone(self), key.clone(), expected.cloned());
        // It ends by itself when its files are written, and the number of its likes is that of the locks.
        let task = tokio::spawn(async move {
            let result = folder.write_locked(&key, expected.as_ref(), &attributes, body).await;
            drop(lock);
            result
        });
        task.await.map_err(|error| Failure::new(Fault::Unclear, error.to_string()))?
    }

    /// Takes away a body and its headers.
    pub(super) async fn remove(self: &Arc<Self>, key: &Path) -> Result<(), Failure> {
        let lock = self.lock(key).await;
        let (folder, key) = (Arc::clone(self), key.clone());
        let task = tokio::spawn(async move {
            let result = folder.files.delete(&key).await;
            // Without a body they name nothing: a failure only leaves a file behind.
            let _ = folder.files.delete(&headers_key(&key)).await;
            drop(lock);
            match result {
                Err(object_store::Error::NotFound { .. }) | Ok(()) => Ok(()),
                Err(error) => Err(Failure::from(error)),
            }
        });
        task.await.map_err(|error| Failure::new(Fault::Unclear, error.to_string()))?
    }

    async fn write_locked(
        &self,
        key: &Path,
        expected: Option<&State>,
        attributes: &Attributes,
        body: PutPayload,
    ) -> Result<Arc<str>, Failure> {
        let current = self.head(key).await?;
        let is_expected = match (&current, expected) {
            (None, None) => true,
            (Some(entry), Some(state)) => entry.etag == state.etag,
            _ => false,
        };
        if !is_expected {
            return Err(Failure::new(Fault::Conflict, "another version is there"));
        }
        let staged = Path::from(format!("{RESERVED}/staged/{}", self.staged.fetch_add(1, Ordering::Relaxed)));
        let written = self.files.put_opts(&staged, body, PutMode::Overwrite.into()).await?;
        let etag = written.e_tag.unwrap_or_default();
        let known = self.headers(key).await?.0.into_iter();
        let mut headers: Vec<_> =
            known.filter(|(known, _)| current.as_ref().is_some_and(|entry| *entry.etag == **known)).collect();
        headers.push((etag.clone(), fields_of(attributes)));
        let renamed = match self.put_headers(key, &Headers(headers)).await {
            Ok(()) => self.files.rename_opts(&staged, key, RenameOptions::new()).await.map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = renamed {
            let _ = self.files.delete(&staged).await;
            return Err(failure);
        }
        Ok(Arc::from(etag))
    }

    async fn put_headers(&self, key: &Path, headers: &Headers) -> Result<(), Failure> {
        let text =
            serde_json::to_vec(headers).map_err(|error| Failure::new(Fault::Denied, error.to_string()))?;
        self.files.put_opts(&headers_key(key), text.into(), PutMode::Overwrite.into()).await?;
        Ok(())
    }

    /// None when there are none, or when they cannot be read: then the body is like one of somebody else.
    async fn headers(&self, key: &Path) -> Result<Headers, Failure> {
        let found = match self.files.get(&headers_key(key)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(Headers::default()),
            found => found?,
        };
        if found.meta.size > HEADERS_BYTES_MAX {
            return Ok(Headers::default());
        }
        Ok(serde_json::from_slice(&found.bytes().await?).unwrap_or_default())
    }

    async fn lock(&self, key: &Path) -> OwnedMutexGuard<()> {
        let mut hasher = DefaultHasher::new();
        key.as_ref().hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % LOCKS as u64).unwrap_or(0);
        Arc::clone(&self.locks[index]).lock_owned().await
    }
}

/// Where the headers of a key lie: every folder and the file have an ending of their own, so that the headers of `a` and
/// of `a/b` do not meet either.
fn headers_key(key: &Path) -> Path {
    let mut segments: Vec<String> = key.as_ref().split('/').map(|segment| format!("{segment}.d")).collect();
    if let Some(last) = segments.last_mut() {
        last.truncate(last.len() - 2);
        last.push_str(".h");
    }
    let text = format!("{RESERVED}/headers/{}", segments.join("/"));
    Path::parse(&text).unwrap_or_else(|_| Path::from(text))
}

/// A folder is no object, and nothing lies below an object: both are said by the file system as an error of its own.
fn absent_if_folder(files: &LocalFileSystem, key: &Path, error: object_store::Error) -> Failure {
    let is_file = files.path_to_filesystem(key).map(|path| path.is_file());
    match is_file {
        Ok(false) => Failure::new(Fault::Absent, error.to_string()),
        _ => Failure::from(error),
    }
}

fn fields_of(attributes: &Attributes) -> Vec<(String, String)> {
    let named = attributes.iter().filter_map(|(attribute, value)| {
        let name = match attribute {
            Attribute::ContentType => "content-type".to_owned(),
            Attribute::ContentEncoding => "content-encoding".to_owned(),
            Attribute::CacheControl => "cache-control".to_owned(),
            Attribute::Metadata(name) => name.to_string(),
            _ => return None,
        };
        Some((name, value.as_ref().to_owned()))
    });
    let mut fields: Vec<_> = named.collect();
    fields.sort();
    fields
}

fn attributes_of(fields: Vec<(String, String)>) -> Attributes {
    let mut attributes = Attributes::new();
    for (name, value) in fields {
        let attribute = match name.as_str() {
            "content-type" => Attribute::ContentType,
            "content-encoding" => Attribute::ContentEncoding,
            "cache-control" => Attribute::CacheControl,
            _ => Attribute::Metadata(name.into()),
        };
        attributes.insert(attribute, value.into());
    }
    attributes
}
