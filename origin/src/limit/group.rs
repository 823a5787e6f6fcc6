//! The process's own group of processes (cgroup), of version 1 or 2: what it may use of memory, what it uses, how long it waits for
//! some. Where the files are is found once; they are small, and read again whenever somebody looks.

use std::path::{Path, PathBuf};
use std::{fs, io};

use mediaorigin_crds::units::Bytes;

/// A limit from here on is none: version 1 says `9223372036854771712` for "no limit".
const NO_LIMIT: u64 = 1 << 53;
/// Groups above the process's own that are looked at, at most.
const DEPTH_MAX: usize = 64;

/// The groups that limit the memory of this process: its own first, then those around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group(Vec<Folder>);

/// The folder of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Folder {
    path: PathBuf,
    files: &'static Files,
}

/// What the files of a version are called.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    limit: &'static str,
    usage: &'static str,
    /// What may be taken back at any time, in `memory.stat`, of the group and those within it.
    reclaimable: &'static str,
}

const V1: Files = Files {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    reclaimable: "total_inactive_file",
};
const V2: Files = Files { limit: "memory.max", usage: "memory.current", reclaimable: "inactive_file" };

/// What the group with the lowest limit says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// What it may use.
    pub limit: Bytes,
    /// What it uses that cannot be taken back at once: what Kubernetes calls the working set.
    pub working_set: Bytes,
    /// Share of the last ten seconds in which all of its tasks waited for memory, in percent; 0 where the kernel does not say.
    pub stalled_percent: f64,
}

impl Group {
    /// That of this process, from the files below `root`, the root of the file system.
    pub fn own(root: &Path) -> Option<Self> {
        let read = |path: &str| fs::read_to_string(root.join(path));
        let (groups, mounts) = (read("proc/self/cgroup").ok()?, read("proc/self/mountinfo").ok()?);
        let folders: Vec<Folder> = folders(&groups, &mounts)
            .into_iter()
            .map(|(path, files)| Folder { path: root.join(path.trim_start_matches('/')), files })
            .collect();
        (!folders.is_empty()).then_some(Self(folders))
    }

    /// What it says now, where it has a limit.
    pub fn look(&self) -> Option<Reading> {
        let Self(folders) = self;
        let limits = folders.iter().filter_map(|folder| Some((folder.limit()?, folder)));
        // Of two the inner one: what it uses is what this process uses.
        let (limit, folder) = limits.min_by_key(|(limit, _)| *limit)?;
        Some(Reading {
            limit,
            working_set: folder.working_set().unwrap_or_default(),
            stalled_percent: folder.stalled_percent().unwrap_or_default(),
        })
    }
}

impl Folder {
    fn read(&self, file: &str) -> Option<String> {
        match fs::read_to_string(self.path.join(file)) {
            Ok(text) => Some(text),
            Err(error) => {
                // The root of a hierarchy has no such file, nor has one without the memory controller.
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::debug!(%error, file, "cannot read what the container may use of memory");
                }
                None
            }
        }
    }

    fn limit(&self) -> Option<Bytes> {
        parse(&self.read(self.files.limit)?)
    }

    fn working_set(&self) -> Option<Bytes> {
        let usage = number(&self.read(self.files.usage)?)?;
        let stat = self.read("memory.stat").unwrap_or_default();
        let lines = stat.lines().filter_map(|line| line.split_once(' '));
        let reclaimable =
            lines.filter(|(name, _)| *name == self.files.reclaimable).find_map(|(_, text)| number(text));
        Some(Bytes(usage.0.saturating_sub(reclaimable.unwrap_or_default().0)))
    }

    /// From `full avg10=1.23 avg60=… avg300=… total=…`.
    fn stalled_percent(&self) -> Option<f64> {
        if self.files != &V2 {
            return None;
        }
        let text = self.read("memory.pressure")?;
        let full = text.lines().find_map(|line| line.strip_prefix("full "))?;
        full.split(' ').find_map(|word| word.strip_prefix("avg10="))?.parse().ok()
    }
}

/// The number in such a file, if it is a limit.
fn parse(text: &str) -> Option<Bytes> {
    number(text).filter(|bytes| bytes.0 < NO_LIMIT)
}

fn number(text: &str) -> Option<Bytes> {
    text.trim().parse().ok().map(Bytes)
}

/// The folders of the process's own group and of each group around it that can be seen, the own one first; from
/// `/proc/self/cgroup` and `/proc/self/mountinfo`.
fn folders(groups: &str, mounts: &str) -> Vec<(String, &'static Files)> {
    let mut folders = Vec::new();
    for mount in mounts.lines().filter_map(Mount::parse) {
        let Some(group) = groups.lines().find_map(|line| mount.group(line)) else { continue };
        // Without a cgroup namespace a container sees its own group where it was mounted, and the path from the host's root in
        // `/proc/self/cgroup`. A path that does not lead there is that of somebody else's namespace: the mount is what is ours.
        let inside = below(group, &mount.root).unwrap_or("");
        let mut folder = format!("{}{inside}", mount.point);
        for _ in 0..DEPTH_MAX {
            folders.push((folder.clone(), mount.files));
            match folder.rsplit_once('/') {
                Some((above, _)) if folder.len() > mount.point.len() => folder.truncate(above.len()),
                _ => break,
            }
        }
    }
    folders
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
    files: &'static Files,
}

impl Mount {
    /// From a line of `mountinfo`: `id parent device root point options [tags…] - type source options`.
    fn parse(line: &str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (root, point) = (unescape(place.next()?), unescape(place.next()?));
        let mut kind = kind.split(' ');
        let (kind, options) = (kind.next()?, kind.nth(1).unwrap_or(""));
        let files = match kind {
            "cgroup2" => &V2,
            "cgroup" if options.split(',').any(|option| option == "memory") => &V1,
            _ => return None,
        };
        Some(Self { root, point, files })
    }

    /// The group in a line of `/proc/self/cgroup` (`number:controllers:path`), if it is of this hierarchy.
    fn group<'a>(&self, line: &'a str) -> Option<&'a str> {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let is_ours = if self.files == &V2 {
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
mod tests {
    use super::*;

    fn paths(groups: &str, mounts: &str) -> Vec<String> {
        folders(groups, mounts)
            .into_iter()
            .map(|(folder, files)| format!("{folder}/{}", files.limit))
            .collect()
    }

    #[test]
    fn names_with_blanks_and_groups_of_another_namespace_are_understood() {
        let mounts = "1 0 0:1 /../a /mnt/my\\040groups rw - cgroup2 none rw\n";
        assert_eq!(paths("0::/\n", mounts), ["/mnt/my groups/memory.max"]);
        assert_eq!(
            paths("4:memory:/a/b\n", "1 0 0:1 /a /m rw - cgroup none rw,memory\n"),
            ["/m/b/memory.limit_in_bytes", "/m/memory.limit_in_bytes"]
        );
        // `/ab` does not lie below `/a`.
        assert_eq!(
            paths("4:memory:/ab\n", "1 0 0:1 /a /m rw - cgroup none rw,memory\n"),
            ["/m/memory.limit_in_bytes"]
        );
    }

    #[test]
    fn only_a_number_that_a_machine_can_have_is_a_limit() {
        for (text, expected) in [
            ("max\n", None),
            ("9223372036854771712\n", None),
            ("18446744073709551615\n", None),
            ("9007199254740992", None),
            ("-1", None),
            ("", None),
            ("134217728\n", Some(128 * Bytes::MIB)),
            ("0\n", Some(0)),
        ] {
            assert_eq!(parse(text).map(Bytes::get), expected, "{text:?}");
        }
    }
}
