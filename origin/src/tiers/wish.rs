//! What a rule wants of a path.

use std::time::{Duration, SystemTime};

use mediaorigin_crds::policy::{Durability, Keep, TierPolicy};

use super::TierName;
use crate::clock::Now;
use crate::memory::upload::Terms;

/// What a rule wants of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What a 2xx to an upload promises.
    pub durability: Durability,
    /// How long the disk keeps it.
    pub disk: Keep,
    /// How long the object store keeps it.
    pub object_store: Keep,
    /// How long memory keeps it, and when it is gone.
    pub terms: Terms,
    /// In a fleet: after what time of silence a manifest counts that another pod holds.
    pub eager_after: Option<Duration>,
    /// In a fleet whose index is silent: how old what is known may be that readers are shown.
    pub serve_stale: Option<Duration>,
}

impl Wish {
    /// The wish of a rule.
    pub fn of(policy: &TierPolicy) -> Self {
        Self {
            durability: policy.durability(),
            disk: policy.disk(),
            object_store: policy.object_store(),
            terms: Terms { keep: policy.keep(), expire: policy.expire() },
            eager_after: policy.eager_after(),
            serve_stale: policy.serve_stale(),
        }
    }

    /// Until when a tier keeps what is written at `now`; `None` is for as long as it lives.
    pub(crate) fn until(&self, tier: TierName, now: Now) -> Option<SystemTime> {
        match if tier == TierName::Disk { self.disk } else { self.object_store } {
            Keep::For(time) => now.wall.checked_add(time),
            Keep::Never | Keep::Forever => None,
        }
    }
}
