//! The one number that the memory budget derives from: what the configuration says, or the limit of the process's own cgroup
//! where that is lower. Above the cgroup's limit the kernel ends the process, whatever a file says.
//!
//! Pure but for [`of_cgroup`], which reads four small files once, at the start: Kubernetes changes the limit of a running
//! container only where that was asked for, and the operator then makes a new pod.

use std::path::Path;
use std::{fs, io};

use mediaorigin_crds::budget::{Budget, TooSmall};
use mediaorigin_crds::config::Cold;
use mediaorigin_crds::units::Bytes;
use serde::Serialize;

/// A limit from here on is none: a cgroup of version 1 says `9223372036854771712` for "no limit".
const NO_LIMIT: u64 = 1 << 53;
/// A cgroup rounds its limit down to whole pages, which are no larger than this anywhere.
const PAGE_MAX: u64 = 64 * Bytes::KIB;
/// Groups above the process's own that are looked at, at most.
const DEPTH_MAX: usize = 64;

/// Where the number in force comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// The configuration: `spec.memory.limit`.
    Spec,
    /// `--memory-limit`.
    Flag,
    /// The memory limit of the container.
    Cgroup,
}

/// The number in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// In bytes.
    pub bytes: Bytes,
    /// Where it comes from.
    pub source: Source,
    /// What was configured, by the flag or the file; `bytes` is never more.
    pub configured: Bytes,
}

impl Source {
    /// What a person changes to change the number.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spec => "spec.memory.limit",
            Self::Flag => "--memory-limit",
            Self::Cgroup => "the memory limit of the container (its cgroup)",
        }
    }
}

impl Limit {
    /// What the configuration says.
    pub const fn of_spec(bytes: Bytes) -> Self {
        Self { bytes, source: Source::Spec, configured: bytes }
    }

    /// Decides: the flag wins over the file, and the cgroup over both where it is lower.
    pub fn decide(spec: Bytes, flag: Option<Bytes>, cgroup: Option<Bytes>) -> Self {
        let (configured, source) = flag.map_or((spec, Source::Spec), |flag| (flag, Source::Flag));
        match cgroup.filter(|cgroup| cgroup.0.saturating_add(PAGE_MAX) <= configured.0) {
            Some(bytes) => Self { bytes, source: Source::Cgroup, configured },
            None => Self { bytes: configured, source, configured },
        }
    }

    /// The budget of an origin with these settings within this limit.
    pub fn budget(&self, cold: &Cold) -> Result<Budget, TooSmall> {
        cold.budget_within(self.bytes).map_err(|error| error.of(self.source.name()))
    }

    /// What is to be told, where another number is in force than was configured.
    pub fn surprise(&self) -> Option<String> {
        let Self { bytes, source, configured } = self;
        (*source == Source::Cgroup).then(|| {
            format!("the container may use {bytes} of memory (its cgroup): that counts, not the {configured} that are configured")
        })
    }
}

/// The limit of this process's own cgroup and of those around it, the lowest of them, where there is one. `root` is the root
/// of the file system.
pub fn of_cgroup(root: &Path) -> Option<Bytes> {
    let read = |path: &str| fs::read_to_string(root.join(path.trim_start_matches('/')));
    let (groups, mounts) = (read("/proc/self/cgroup").ok()?, read("/proc/self/mountinfo").ok()?);
    let limits = files(&groups, &mounts).into_iter().filter_map(|file| match read(&file) {
        Ok(text) => parse(&text),
        Err(error) => {
            // The root of a hierarchy has no such file, nor has one without the memory controller.
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(%error, file, "cannot read the memory limit of the container");
            }
            None
        }
    });
    limits.min()
}

/// The number in such a file, if it is a limit.
fn parse(text: &str) -> Option<Bytes> {
    text.trim().parse().ok().filter(|bytes| *bytes < NO_LIMIT).map(Bytes)
}

/// The files that may hold a limit: those of the process's own group and of each group around it that can be seen, the own one
/// first; from `/proc/self/cgroup` and `/proc/self/mountinfo`.
fn files(groups: &str, mounts: &str) -> Vec<String> {
    let mut files = Vec::new();
    for mount in mounts.lines().filter_map(Mount::parse) {
        let Some(group) = groups.lines().find_map(|line| mount.group(line)) else { continue };
        // Without a cgroup namespace a container sees its own group where it was mounted, and the path from the host's root in
        // `/proc/self/cgroup`. A path that does not lead there is that of somebody else's namespace: the mount is what is ours.
        let inside = below(group, &mount.root).unwrap_or("");
        let mut folder = format!("{}{inside}", mount.point);
        for _ in 0..DEPTH_MAX {
            files.push(format!("{folder}/{}", mount.file));
            match folder.rsplit_once('/') {
                Some((above, _)) if folder.len() > mount.point.len() => folder.truncate(above.len()),
                _ => break,
            }
        }
    }
    files
}

/// The part of `path` below `root`, with the slash that it begins with; empty where they are the same.
fn below<'a>(path: &'a str, root: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(root.trim_end_matches('/'))?;
    let rest = rest.trim_end_matches('/');
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// A mounted hierarchy of groups that may limit memory.
struct Mount {
    /// Which group lies at its mount point.
    root: String,
    point: String,
    /// The file with the limit, in each folder.
    file: &'static str,
}

impl Mount {
    /// From a line of `mountinfo`: `id parent device root point options [tags…] - type source options`.
    fn parse(line: &str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (root, point) = (unescape(place.next()?), unescape(place.next()?));
        let mut kind = kind.split(' ');
        let (kind, options) = (kind.next()?, kind.nth(1).unwrap_or(""));
        let file = match kind {
            "cgroup2" => "memory.max",
            "cgroup" if options.split(',').any(|option| option == "memory") => "memory.limit_in_bytes",
            _ => return None,
        };
        Some(Self { root, point, file })
    }

    /// The group in a line of `/proc/self/cgroup` (`number:controllers:path`), if it is of this hierarchy.
    fn group<'a>(&self, line: &'a str) -> Option<&'a str> {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let is_ours = if self.file == "memory.max" {
            controllers.is_empty()
        } else {
            controllers.split(',').any(|name| name == "memory")
        };
        is_ours.then_some(path)
    }
}

/// `\040` and the like, as the kernel writes blanks in names.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

#[cfg(test)]
mod tests;
