//! What lies below memory, and what an origin can promise by it.

use std::time::Duration;

/// What a 2xx answer to a PUT promises. The later, the more it survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Durability {
    /// The object is in the memory of this process.
    Memory,
    /// It is on a disk that outlives the pod.
    Disk,
    /// Most of the copies of the fleet's log have it.
    Replicated,
    /// The object store has it.
    Durable,
}

impl Durability {
    /// The word in metrics, logs and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "Memory",
            Self::Disk => "Disk",
            Self::Replicated => "Replicated",
            Self::Durable => "Durable",
        }
    }
}

/// How long an object stays in a tier below memory, from its last byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It never goes there, or the tier does not exist.
    Never,
    /// So long; never zero.
    For(Duration),
    /// As long as the object lives; on a disk that only caches until the room is needed.
    Forever,
}

/// Which disk an origin has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disk {
    /// None.
    #[default]
    Absent,
    /// One that goes with the pod: a cache.
    Cache,
    /// One that outlives the pod.
    Persistent,
}

/// The tiers below memory that an origin has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tiers {
    /// Its disk.
    pub disk: Disk,
    /// Whether it has an object store.
    pub has_object_store: bool,
    /// Whether it is a fleet, which has a log.
    pub has_log: bool,
}

impl Tiers {
    /// What a PUT promises where no rule says.
    pub fn durability(self) -> Durability {
        match self {
            Self { disk: Disk::Persistent, .. } => Durability::Disk,
            Self { has_object_store: true, .. } => Durability::Durable,
            Self { has_log: true, .. } => Durability::Replicated,
            _ => Durability::Memory,
        }
    }

    /// How long the disk keeps what a rule says nothing of.
    pub(crate) fn disk_keep(self) -> Keep {
        if self.disk == Disk::Absent { Keep::Never } else { Keep::Forever }
    }

    /// How long the object store keeps what a rule says nothing of.
    pub(crate) fn object_store_keep(self) -> Keep {
        if self.has_object_store { Keep::Forever } else { Keep::Never }
    }
}
