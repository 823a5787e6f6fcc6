//! The streams that are being published, told from the paths of their segments: who is late, and what is missing.
//!
//! A *rendition* is what has one file name but for the number: `live/ch1/720p/seg*.m4s`. A *stream* is the folder that its
//! renditions share: the folder of the segments, or one above it for as long as there is a manifest in that. Numbers that
//! were left out are missing until they come late; a rendition that begins again with a lower number begins anew.

pub(crate) mod elsewhere;
mod rendition;
mod report;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mediaorigin_crds::policy::Class;

use crate::numbering::numbered;
use rendition::Rendition;
pub use report::{Report, State, StreamReport};

/// Renditions that are followed; of further ones nothing is known. 1 KiB each.
pub const RENDITIONS_MAX: usize = 2_048;
/// Folders with manifests that are known.
const FOLDERS_MAX: usize = 2_048;
/// Bytes of a rendition's name at most.
const NAME_BYTES_MAX: usize = 512;
/// What was silent for so long may make place for another.
const IDLE: Duration = Duration::from_mins(10);

/// The streams of one origin.
#[derive(Debug, Default)]
pub struct Streams(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// By folder and name: `live/ch1/720p/seg*.m4s`.
    renditions: HashMap<String, Rendition>,
    /// Folders with manifests, and when the last one was written.
    manifests: HashMap<String, Duration>,
    overflow: u64,
}

impl Streams {
    /// The object under `path` was committed at `now`.
    pub fn committed(&self, path: &str, class: Class, now: Duration) {
        match class {
            Class::Manifest => self.lock().manifest(folder(path), now),
            Class::Segment | Class::Part => {
                let Some((name, number)) = rendition_of(path) else { return };
                self.lock().segment(name, number, now);
            }
            Class::Init | Class::Other => {}
        }
    }

    /// What is known of all streams at `now`.
    pub fn report(&self, now: Duration) -> Report {
        let known = self.lock();
        report::report(&known, now)
    }

    /// How many streams there are.
    pub fn count(&self) -> usize {
        report::count(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn manifest(&mut self, folder: &str, now: Duration) {
        if let Some(last) = self.manifests.get_mut(folder) {
            *last = now;
            return;
        }
        if self.manifests.len() >= FOLDERS_MAX {
            self.manifests.retain(|_, last| now.saturating_sub(*last) < IDLE);
        }
        if self.manifests.len() < FOLDERS_MAX && folder.len() <= NAME_BYTES_MAX {
            self.manifests.insert(folder.to_owned(), now);
        }
    }

    fn segment(&mut self, name: String, number: u64, now: Duration) {
        if let Some(rendition) = self.renditions.get_mut(&name) {
            rendition.add(number, now);
            return;
        }
        if self.renditions.len() >= RENDITIONS_MAX {
            self.renditions.retain(|_, rendition| rendition.age(now) < IDLE);
        }
        if self.renditions.len() >= RENDITIONS_MAX || name.len() > NAME_BYTES_MAX {
            self.overflow += 1;
            return;
        }
        self.renditions.insert(name, Rendition::new(number, now));
    }

    /// The stream of what lies in `folder`: it, or what is above it for as long as there is a manifest.
    fn stream<'a>(&self, folder: &'a str) -> &'a str {
        let mut stream = folder;
        while let Some((above, _)) = stream.rsplit_once('/') {
            if !self.manifests.contains_key(above) {
                break;
            }
            stream = above;
        }
        stream
    }
}

/// The rendition that a segment belongs to, and its number in it; `None` where its name has none.
pub fn rendition_of(path: &str) -> Option<(String, u64)> {
    let found = numbered(path)?;
    let name = format!("{}{}*{}", with_slash(folder(path)), found.prefix, found.suffix);
    Some((name, found.number))
}

/// The folder of a path, empty for the root.
pub fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn with_slash(folder: &str) -> String {
    if folder.is_empty() { String::new() } else { format!("{folder}/") }
}

#[cfg(test)]
mod tests;
