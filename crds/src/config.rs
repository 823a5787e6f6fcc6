//! The one document that the operator writes and an origin reads.
//!
//! **Cold** settings are part of the pod template: changing one replaces the pods. **Hot** settings are swapped in a
//! running origin and never change a pod template.

use serde::{Deserialize, Serialize};

use crate::budget::{Budget, TooSmall};
use crate::document::Metadata;
use crate::policy::Limits;
use crate::units::Bytes;
use crate::v1alpha1::{CdnProfileSpec, CorsRuleSpec, TierPolicySpec};

/// What the operator writes into the `ConfigMap`. Unknown keys are refused when it is read: an origin must not ignore
/// silently what an operator asked of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OriginConfig {
    /// Always [`names::API_VERSION`].
    pub api_version: String,
    /// Always [`names::CONFIG_KIND`].
    pub kind: String,
    /// Whose configuration it is, and which generation.
    pub metadata: Metadata,
    /// Settings that a pod starts with.
    pub cold: Cold,
    /// Settings that change in a running pod.
    pub hot: Hot,
}

/// Settings that a pod starts with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cold {
    /// Memory limit of the container in bytes.
    pub memory_limit_bytes: u64,
    /// Connections at most.
    pub connections_max: u32,
    /// Port for media.
    pub media_port: u16,
    /// Port for probes, metrics and status.
    pub admin_port: u16,
    /// Folder with the files `username` and `password`; absent where everyone may write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher_dir: Option<String>,
}

/// Settings that change in a running pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hot {
    /// Rules, first match wins.
    #[serde(default)]
    pub tier_policies: Vec<TierPolicySpec>,
    /// Cross-origin rules, first match wins.
    #[serde(default)]
    pub cors: Vec<CorsRuleSpec>,
    /// The CDN in front.
    #[serde(default)]
    pub cdn_profile: CdnProfileSpec,
    /// Largest object in bytes.
    pub object_bytes_max: u64,
    /// Longest silence within an upload in seconds.
    pub upload_idle_seconds: u32,
}

impl Cold {
    /// The memory budget of a pod.
    pub fn budget(&self) -> Result<Budget, TooSmall> {
        Budget::derive(Bytes(self.memory_limit_bytes), self.connections_max)
    }
}

impl Hot {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            object_bytes_max: self.object_bytes_max,
            upload_idle: std::time::Duration::from_secs(u64::from(self.upload_idle_seconds)),
        }
    }
}
