//! The configuration in force: loaded from a file, read again when the file changes or pushed to the admin port, swapped whole.
//!
//! The kubelet swaps a symlink when a mounted `ConfigMap` changes, so the contents are compared and not a time stamp. It does so up
//! to minutes after the operator has pushed the same text, so an older file is no mistake: it is passed over.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use arc_swap::ArcSwap;
use mediaorigin_crds::config::{Cold, OriginConfig};
use mediaorigin_crds::document::Metadata;
use mediaorigin_crds::load::{self, Resolved};
use mediaorigin_crds::policy::Policies;
use mediaorigin_crds::problem::Problem;
use mediaorigin_crds::units::Bytes;

use crate::digest::Digest;

/// Bytes of a configuration file at most: what a `ConfigMap` can hold.
pub const FILE_BYTES_MAX: u64 = 1 << 20;
/// Problems that are reported of one file at most.
const PROBLEMS_MAX: usize = 16;

/// The hot part of a configuration, and whose it is.
#[derive(Debug)]
pub struct Hot {
    /// Whose configuration it is, and which generation.
    pub metadata: Metadata,
    /// The memory that is configured; the container may have less.
    pub memory_limit: Bytes,
    /// The rules.
    pub policies: Policies,
}

/// Why the file is not what is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Problems of the file that was refused; the last good one is served. Empty when there was none.
    pub refused: Vec<String>,
    /// Cold settings that differ: they are in force after a restart.
    pub needs_restart: Vec<&'static str>,
}

/// What became of a new text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is served now.
    Swapped,
    /// It is what was served already.
    Same,
    /// It is refused.
    Refused,
    /// It is of an earlier generation than what is served: a newer one came by another way.
    Older {
        /// What is served.
        served: i64,
    },
    /// It is of another origin. Only what is pushed is asked whose it is: who may write the file decides that.
    Foreign,
}

/// Which way a new text came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The mounted file.
    File,
    /// The admin port.
    Push,
}

/// Why a file cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is not a valid configuration.
    #[error("{path} is not valid: {}", join(problems))]
    Invalid {
        /// The file.
        path: String,
        /// Everything that is wrong.
        problems: Vec<Problem>,
    },
}

/// The configuration in force. Requests take one snapshot each.
#[derive(Debug)]
pub struct Live {
    hot: ArcSwap<Hot>,
    cold: Cold,
    last: Mutex<Last>,
}

/// What came last, and what became of it.
#[derive(Debug, Default)]
struct Last {
    report: Report,
    /// SHA-256 of the text that is served; nothing before the first update.
    served: Option<[u8; 32]>,
}

impl Live {
    /// Starts with `resolved`.
    pub fn new(resolved: Resolved) -> Self {
        let Resolved { metadata, cold, budget: _, memory_limit, policies } = resolved;
        let hot = ArcSwap::from_pointee(Hot { metadata, memory_limit, policies });
        Self { hot, cold, last: Mutex::default() }
    }

    /// The hot part.
    pub fn hot(&self) -> Arc<Hot> {
        self.hot.load_full()
    }

    /// The settings that the origin was started with.
    pub fn cold(&self) -> &Cold {
        &self.cold
    }

    /// Why the file is not what is served.
    pub fn report(&self) -> Report {
        self.last().report.clone()
    }

    /// Takes a new text: all of its hot part is served, or nothing of it. Of two that come at once the newer one stays.
    pub fn update(&self, text: &str, way: Way) -> Change {
        let compiled = self.compile(text);
        let digest = Some(*Digest::of(text.as_bytes()).bytes());
        let mut last = self.last();
        let (Resolved { metadata, memory_limit, policies, .. }, cold) = match compiled {
            Ok(compiled) => compiled,
            Err(problems) => {
                last.report.refused = problems.iter().take(PROBLEMS_MAX).map(ToString::to_string).collect();
                return Change::Refused;
            }
        };
        if let Some(fenced) = fence(&self.hot().metadata, &metadata, way) {
            return fenced;
        }
        let report = Report { refused: Vec::new(), needs_restart: differences(&self.cold, &cold) };
        let before = std::mem::replace(&mut *last, Last { report, served: digest });
        if before.served == digest {
            return Change::Same;
        }
        self.hot.store(Arc::new(Hot { metadata, memory_limit, policies }));
        Change::Swapped
    }

    /// The settings of `text` for the tiers that this process has, and the cold settings of `text`, which are in force after a
    /// restart. A rule that promises a tier which is there only then is refused until then: no promise is silently smaller.
    fn compile(&self, text: &str) -> Result<(Resolved, Cold), Vec<Problem>> {
        let config = load::read(text)?;
        let given = config.clone().resolve()?.cold;
        let resolved = OriginConfig { cold: self.cold.clone(), ..config }.resolve()?;
        Ok((resolved, given))
    }

    /// Notes that the file cannot be read.
    pub fn unreadable(&self, error: &LoadError) {
        self.last().report.refused = vec![error.to_string()];
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a file.
pub fn read(path: &Path) -> Result<String, LoadError> {
    let failed = |source| LoadError::Read { path: path.display().to_string(), source };
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > FILE_BYTES_MAX {
        let text = format!("{length} bytes, {FILE_BYTES_MAX} are possible");
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, text)));
    }
    fs::read_to_string(path).map_err(failed)
}

/// Reads and compiles a file. What the operator wrote for a pod is compiled with the cold settings of that pod, the JSON in
/// `pod_cold`, where there are some: the file may be newer than the pod.
pub fn load(path: &Path, pod_cold: Option<&str>) -> Result<(String, Resolved), LoadError> {
    let text = read(path)?;
    let compile = || {
        let mut config = load::read(&text)?;
        if let Some(json) = pod_cold.filter(|_| load::is_origin_config(&text)) {
            config.cold = load::parse_cold(json)?;
        }
        config.resolve()
    };
    let invalid = |problems| LoadError::Invalid { path: path.display().to_string(), problems };
    let resolved = compile().map_err(invalid)?;
    Ok((text, resolved))
}

/// An older generation of the same origin never replaces a newer one, and nobody pushes what belongs to another origin.
fn fence(served: &Metadata, given: &Metadata, way: Way) -> Option<Change> {
    let is_same = served.uid == given.uid;
    if is_same && !served.uid.is_empty() && given.generation < served.generation {
        return Some(Change::Older { served: served.generation });
    }
    (way == Way::Push && !is_same).then_some(Change::Foreign)
}

fn differences(served: &Cold, given: &Cold) -> Vec<&'static str> {
    let Cold {
        connections_max,
        media_port,
        admin_port,
        publisher_dir,
        disk,
        object_store,
        tls,
        coordination,
    } = given;
    [
        ("connectionsMax", *connections_max != served.connections_max),
        ("mediaPort", *media_port != served.media_port),
        ("adminPort", *admin_port != served.admin_port),
        ("publisherDir", *publisher_dir != served.publisher_dir),
        ("disk", *disk != served.disk),
        ("objectStore", *object_store != served.object_store),
        ("tls", *tls != served.tls),
        ("coordination", *coordination != served.coordination),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

fn join(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
