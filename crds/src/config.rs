//! The one document that the operator writes and an origin reads.
//!
//! **Cold** settings are part of the pod template: changing one replaces the pods. **Hot** settings are swapped in a
//! running origin and never change a pod template.

use serde::{Deserialize, Serialize};

use crate::budget::{Budget, TooSmall};
use crate::document::Metadata;
use crate::policy::{Disk, Limits, Tiers};
use crate::units::Bytes;
use crate::v1alpha1::{CdnProfileSpec, CorsRuleSpec, MediaStoreSpec, ReadAccessSpec, TierPolicySpec};

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
    /// Connections at most.
    pub connections_max: u32,
    /// Port for media.
    pub media_port: u16,
    /// Port for probes, metrics and status.
    pub admin_port: u16,
    /// Folder with the files of the publishers' Secret; absent where everyone may write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher_dir: Option<String>,
    /// The disk tier; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskConfig>,
    /// The object store tier; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_store: Option<ObjectStoreConfig>,
    /// TLS on the media port; absent where it speaks none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
    /// How the pods of a fleet agree; absent where one pod is alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordination: Option<CoordinationConfig>,
}

/// How the pods of a fleet agree on what lies under which path: through a log of NATS `JetStream`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CoordinationConfig {
    /// NATS servers, `nats://host:port` or `tls://host:port` each.
    pub servers: Vec<String>,
    /// Folder with `username` and `password`; absent where the servers ask for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_dir: Option<String>,
    /// The name of the fleet among others on the same servers: letters, digits and `-`.
    pub scope: String,
    /// Copies of the log, 1 to 5.
    pub copies: u8,
    /// Parts of the log.
    #[serde(default = "partitions", skip_serializing_if = "is_one")]
    pub partitions: u16,
    /// Bytes that the write-ahead log of bodies may take on the servers, each copy of it.
    #[serde(default = "log_bytes")]
    pub log_bytes: u64,
    /// Port at which other pods of the fleet fetch what this one holds.
    pub peer_port: u16,
    /// Whether they do so by TLS.
    #[serde(default, skip_serializing_if = "is_false")]
    pub peer_tls: bool,
}

/// Bytes of the write-ahead log where nothing else is said.
pub const LOG_BYTES: u64 = 1 << 30;

const fn partitions() -> u16 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_one(count: &u16) -> bool {
    *count == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_false(value: &bool) -> bool {
    !*value
}

const fn log_bytes() -> u64 {
    LOG_BYTES
}

/// The disk tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskConfig {
    /// Folder of the files.
    pub dir: String,
    /// Bytes that the files may take: the volume's size without the file system's share.
    pub size_bytes: u64,
    /// It outlives the pod; otherwise it is only a cache.
    pub is_persistent: bool,
}

/// The object store tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStoreConfig {
    /// `s3://bucket/prefix`, `gs://…`, `az://…`, `file:///folder`.
    pub url: String,
    /// Address of the service; absent for the cloud's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Region of an S3 bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Folder with the credentials, one file each; absent where they come from the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_dir: Option<String>,
}

/// TLS on the media port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsConfig {
    /// Folder with the files of the certificate.
    pub dir: String,
    /// Who writes needs a certificate that `ca.crt` in that folder vouches for.
    pub requires_client_certificates: bool,
}

/// Settings that change in a running pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hot {
    /// Memory that a pod may use, in bytes. Its container is resized to it while it runs: until then the limit of the container counts
    /// where that is lower.
    pub memory_limit_bytes: u64,
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
    /// Who may read.
    #[serde(default)]
    pub read_access: ReadAccessSpec,
    /// How close answers are to those of MediaStore.
    #[serde(default)]
    pub media_store: MediaStoreSpec,
}

impl Cold {
    /// The memory budget of a process with these settings that may use `limit`.
    pub fn budget_within(&self, limit: Bytes) -> Result<Budget, TooSmall> {
        Budget::derive(limit, self.connections_max, self.disk.as_ref().map(|disk| Bytes(disk.size_bytes)))
    }

    /// The tiers below memory.
    pub fn tiers(&self) -> Tiers {
        Tiers {
            disk: match &self.disk {
                None => Disk::Absent,
                Some(disk) if disk.is_persistent => Disk::Persistent,
                Some(_) => Disk::Cache,
            },
            has_object_store: self.object_store.is_some(),
            has_log: self.coordination.is_some(),
        }
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
