//! The one number that the memory budget derives from: what the configuration says, or the limit of the process's own cgroup
//! where that is lower. Above the cgroup's limit the kernel ends the process, whatever a file says. Both may change while the
//! process runs ([`crate::ration`]).
//!
//! Pure; what the cgroup says is read by [`group`].

pub mod group;

use std::path::Path;

use mediaorigin_crds::budget::{Budget, TooSmall};
use mediaorigin_crds::config::Cold;
use mediaorigin_crds::units::Bytes;
use serde::Serialize;

/// A cgroup rounds its limit down to whole pages, which are no larger than this anywhere.
const PAGE_MAX: u64 = 64 * Bytes::KIB;

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
    Some(group::Group::own(root)?.look()?.limit)
}

#[cfg(test)]
mod tests;
