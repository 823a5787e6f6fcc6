//! The wire types of `mediaorigin.io/v1alpha1`: what users write. They are lenient and have no behaviour;
//! [`crate::validate`] turns them into domain types.
//!
//! Every doc comment on a field is its `kubectl explain` text: unit, default, range, example, and whether a change restarts pods.

#![cfg_attr(
    feature = "crd",
    allow(clippy::duplicated_attributes, reason = "the attributes of two print columns are not duplicates")
)]

mod autoscaling;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[cfg(feature = "crd")]
use crate::schema;

pub use autoscaling::{
    AutoscalingModeSpec, AutoscalingSpec, EventSpec, ExpectedPeakSpec, HeadroomSpec, MissingDataPolicySpec,
    MissingDataSpec, ScaleDownSpec, ScalingStatus, ScheduleSpec, TargetsSpec,
};

/// The desired state of an origin: one in-memory store for live and on-demand video and the pods that serve it.
/// Everything has a default, so `spec: {}` is a working origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(kube::CustomResource, schemars::JsonSchema))]
#[cfg_attr(feature = "crd", schemars(extend("x-kubernetes-validations" = schema::spec_rules())))]
#[cfg_attr(
    feature = "crd",
    kube(
        group = "mediaorigin.io",
        version = "v1alpha1",
        kind = "MediaOrigin",
        namespaced,
        shortname = "mo",
        category = "streaming",
        status = "MediaOriginStatus",
        derive = "PartialEq",
        doc = "MediaOrigin is an in-memory origin for live and on-demand video: encoders PUT segments and playlists, CDNs and players GET them.",
        scale(
            spec_replicas_path = ".spec.replicas",
            status_replicas_path = ".status.replicas",
            label_selector_path = ".status.selector"
        ),
        selectable = ".spec.replicas",
        selectable = ".spec.cdnProfile",
        selectable = ".spec.access.read",
        printcolumn(
            name = "Ready",
            type_ = "string",
            json_path = ".status.conditions[?(@.type=='Ready')].status"
        ),
        printcolumn(
            name = "Reason",
            type_ = "string",
            json_path = ".status.conditions[?(@.type=='Ready')].reason"
        ),
        printcolumn(
            name = "Replicas",
            type_ = "integer",
            json_path = ".status.readyReplicas",
            description = "Pods that serve."
        ),
        printcolumn(name = "Desired", type_ = "integer", json_path = ".spec.replicas", priority = 1),
        printcolumn(
            name = "Memory",
            type_ = "string",
            json_path = ".spec.memory.limit",
            description = "Memory limit of a pod."
        ),
        printcolumn(
            name = "Objects",
            type_ = "string",
            json_path = ".status.memory.objects",
            description = "Bytes of objects that a pod may hold."
        ),
        printcolumn(
            name = "Healthy",
            type_ = "string",
            json_path = ".status.conditions[?(@.type=='Healthy')].status",
            description = "Whether bucket, disk, Secret and certificate are well.",
            priority = 1
        ),
        printcolumn(name = "Endpoint", type_ = "string", json_path = ".status.endpoint", priority = 1),
        printcolumn(
            name = "Message",
            type_ = "string",
            json_path = ".status.conditions[?(@.type=='Ready')].message",
            priority = 1
        ),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
    )
)]
pub struct MediaOriginSpec {
    /// Number of pods, 0 to 100. More than one needs `coordination`: of two pods that know nothing of each other, a reader would miss
    /// what the other one holds. 0 stops the origin and keeps its configuration. Written by `kubectl scale`; the operator never
    /// changes it. With `autoscaling.mode: Internal` there are at least so many. Default 1.
    #[serde(default = "one")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::replicas"))]
    pub replicas: i32,

    /// Memory of a pod and, derived from it, the bytes of objects that it may hold.
    #[serde(default)]
    pub memory: MemorySpec,

    /// CPU of a pod.
    #[serde(default)]
    pub cpu: CpuSpec,

    /// A disk below memory. With a `storageClassName` it outlives the pod and can keep what was acknowledged; without one it
    /// is a cache that goes with the pod. Default: none. A change replaces the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskSpec>,

    /// A bucket below the disk. Objects lie in it under their paths, so that other tools can read it, and what others put
    /// there is served. Default: none. A change replaces the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_store: Option<ObjectStoreSpec>,

    /// How several pods are one origin. Needed where `replicas` is more than 1; `disk` is not possible beside it. Default: none, one pod
    /// is alone. A change replaces the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordination: Option<CoordinationSpec>,

    /// Who decides how many pods there are. Default: none, there are `spec.replicas`. Changes are in force at once, without a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<AutoscalingSpec>,

    /// Bounds on what clients may ask of a pod. Changes are in force within seconds, without a restart, but for `connections`.
    #[serde(default)]
    pub limits: LimitsSpec,

    /// Rules that say how objects are kept and served; the first whose paths match wins. Built-in rules that suit live
    /// HLS and DASH and VOD follow. Changes are in force within seconds, without a restart. At most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "crd",
        schemars(extend("maxItems" = 64, "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))
    )]
    pub tier_policies: Vec<TierPolicySpec>,

    /// The CDN in front of the origin: it decides how `cacheControl: Auto` words the lifetime of answers and of errors, and
    /// under which name the tags for purging are sent. Default `Generic`. A change is in force within seconds, without a
    /// restart.
    #[serde(default)]
    pub cdn_profile: CdnProfileSpec,

    /// Who may write, who may read, and which web pages may read.
    #[serde(default)]
    pub access: AccessSpec,

    /// How close answers are to those of other origins. Changes are in force within seconds, without a restart.
    #[serde(default)]
    pub compatibility: CompatibilitySpec,

    /// The Service in front of the pods.
    #[serde(default)]
    pub service: ServiceSpec,

    /// A route of the Gateway API (`HTTPRoute`) to the Service. Default: none. It is made where the cluster has the Gateway API; the
    /// condition `Routed` says what became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteSpec>,

    /// What Prometheus' operator is told.
    #[serde(default)]
    pub monitoring: MonitoringSpec,

    /// Who may reach the pods inside the cluster. Enforced where the cluster's network has policies.
    #[serde(default)]
    pub network_policy: NetworkPolicySpec,

    /// Placement, image and metadata of the pods. A change replaces them.
    #[serde(default)]
    pub pod_template: PodTemplateSpec,

    /// `Paused`: the operator reports and changes nothing, for work by hand on what it made. The annotation
    /// `mediaorigin.io/reconciliation: paused` does the same. Default `Active`.
    #[serde(default)]
    pub reconciliation: ReconciliationSpec,
}

/// Memory of a pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct MemorySpec {
    /// Memory limit and request of a pod, e.g. `2Gi`; at least `128Mi`. The objects' budget is derived from it and
    /// shown in `status.memory`. Default `1Gi`. A change resizes the pods while they serve, see `resize`: more memory takes a
    /// second or two; less of it, until what no longer fits is evicted.
    #[serde(default = "default_memory_limit")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::memory_limit"))]
    pub limit: String,

    /// How pods that run come to another `limit`. `InPlaceOrReplace`: their containers are resized while they serve, and only where
    /// their node cannot do that, or not within five minutes, they are replaced as by any other change. `InPlace`: they are never
    /// replaced for it; what stands in the way is told by the condition `Resized`. `Replace`: always, one after the other. Default
    /// `InPlaceOrReplace`.
    #[serde(default)]
    pub resize: ResizeSpec,
}

/// How pods that run come to another memory limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum ResizeSpec {
    /// Resized while they serve; replaced where that is not possible.
    #[default]
    InPlaceOrReplace,
    /// Resized while they serve, never replaced.
    InPlace,
    /// Replaced.
    Replace,
}

/// A disk below memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct DiskSpec {
    /// Size of the volume, e.g. `20Gi`; at least `64Mi`. Objects use nine tenths of it, the rest is the file system's. A disk
    /// with a `storageClassName` can grow where its class allows it, and never shrinks.
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::disk_size"))]
    pub size: String,

    /// `StorageClass` of a volume that outlives the pod, e.g. `standard`; once the volume is made it cannot be changed. The
    /// volume is deleted with the origin, and only then. Default: none, the disk is an `emptyDir` that goes with the pod and only caches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::object_name"))]
    pub storage_class_name: Option<String>,
}

/// A bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "crd", schemars(extend("x-kubernetes-validations" = schema::object_store_rules())))]
pub struct ObjectStoreSpec {
    /// Bucket and the folder in it: `s3://bucket/prefix`, `gs://bucket/prefix` (Google Cloud Storage) or `az://container/prefix`
    /// (Azure). One origin writes below a prefix. Outside a cluster also `file:///folder`.
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::object_store_url"))]
    pub url: String,

    /// Address of the service where it is not the cloud's own, e.g. `https://minio.storage:9000`. Default: the cloud's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::endpoint"))]
    pub endpoint: Option<String>,

    /// Region of an S3 bucket, e.g. `eu-west-1`. Default: from the environment, or `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::region"))]
    pub region: Option<String>,

    /// Secret in the same namespace with the credentials: `accessKeyId` and `secretAccessKey` (and `sessionToken`) for S3,
    /// `serviceAccountKey` for Google, `accountName` with `accountKey`, or with `clientId`, `clientSecret` and `tenantId`, for
    /// Azure. A changed Secret is in force within two minutes, without a restart. Default: the environment of the pod, as for
    /// the clouds' own tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretRefSpec>,
}

/// How several pods are one origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct CoordinationSpec {
    /// Servers of NATS `JetStream` with the log that all pods follow, 2.14 or newer. The chart can run them (`nats.enabled`).
    pub nats: NatsSpec,

    /// How the pods fetch from each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<PeersSpec>,
}

/// How the pods of an origin fetch from each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct PeersSpec {
    /// `Enabled`: by TLS 1.3, with a key that the pods make of the password of NATS, so there is no certificate to renew; it needs
    /// credentials of NATS. `Disabled`: as it is, for clusters whose network encrypts by itself. Default `Disabled`. A change replaces the
    /// pods; meanwhile each is asked in its own way.
    #[serde(default)]
    pub tls: PeerTlsSpec,
}

/// Whether what pods fetch from each other is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum PeerTlsSpec {
    /// It is not.
    #[default]
    Disabled,
    /// By TLS 1.3.
    Enabled,
}

/// Servers of NATS `JetStream`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct NatsSpec {
    /// Address of a server, or of several with commas between them: `nats://host:4222`, or `tls://host:4222` for TLS. The port's default is
    /// 4222. E.g. `nats://mediaorigin-nats.mediaorigin-system.svc:4222`, the chart's own.
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::nats_url"))]
    pub url: String,

    /// Secret in the same namespace with `username` and `password`. Default: for the chart's own NATS the operator makes one, named after
    /// the origin with `-nats` behind it; for others none, they are asked without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretRefSpec>,

    /// Copies of the log, each on a server of its own: 1, 3 (one server may be lost) or 5 (two). Default 3.
    #[serde(default = "default_copies")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::copies"))]
    pub copies: i32,

    /// Parts of the log, 1 to 64, each with a leader of its own among the servers, so that several servers carry the changes of many
    /// channels. What is below the same two first folders is in one part. It cannot be changed once there is a log. Default 1.
    #[serde(default = "one")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 64)))]
    pub partitions: i32,

    /// Storage that the write-ahead log of bodies may take on each server that has a copy of it, e.g. `4Gi`; at least `64Mi`. The
    /// servers reserve it. It has to hold half an hour of uploads at durability `Replicated`; where there is an object store, those
    /// that it does not have yet. It can be raised and not lowered. Default `1Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::wal_size"))]
    pub wal_size: Option<String>,
}

/// CPU of a pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "crd", schemars(extend("x-kubernetes-validations" = schema::cpu_rules())))]
pub struct CpuSpec {
    /// CPU that the scheduler reserves for a pod, e.g. `500m` or `2`. Default `250m`. A change replaces the pods.
    #[serde(default = "default_cpu_request")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::cpu"))]
    pub request: String,

    /// CPU that a pod may use at most, e.g. `2`. Default: no limit. A change replaces the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::cpu"))]
    pub limit: Option<String>,
}

/// Bounds on what clients may ask of a pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct LimitsSpec {
    /// Largest object, e.g. `25Mi`; a larger one is refused with 413, before its body where the length is announced.
    /// Default `100Mi`, or all that the origin can hold where that is less.
    #[serde(default = "default_object_size")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::object_size"))]
    pub object_size: String,

    /// Connections of a pod, 16 to 100000; further ones wait to be accepted. Each takes 64Ki from the memory budget.
    /// Default 1000. A change replaces the pods.
    #[serde(default = "default_connections")]
    #[cfg_attr(feature = "crd", schemars(range(min = 16, max = 100_000)))]
    pub connections: i32,

    /// Seconds without a byte after which an upload is given up and its readers are cut off, 5 to 3600. Encoders that open
    /// a segment's upload before they have its first byte need more than twice a segment's duration. Default 60.
    #[serde(default = "default_upload_idle_seconds")]
    #[cfg_attr(feature = "crd", schemars(range(min = 5, max = 3_600)))]
    pub upload_idle_seconds: i32,
}

/// One rule: which objects, and how they are kept and served.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct TierPolicySpec {
    /// Name of the rule, unique in the list: lower-case letters, digits and `-`. It appears in metrics and logs.
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::label"))]
    pub name: String,

    /// Which objects the rule applies to.
    #[serde(rename = "match")]
    pub matches: MatchSpec,

    /// What the objects are: `Auto` tells by extension (`.m3u8` and `.mpd` are `Manifest`, `.m4s` and `.ts` are
    /// `Segment`, …). Default `Auto`.
    #[serde(default)]
    pub class: ClassSpec,

    /// `Early`: readable while it is being written. `Complete`: readable when the last byte is there. `Auto`: `Complete`
    /// for manifests, `Early` for everything else. Default `Auto`.
    #[serde(default)]
    pub visibility: VisibilitySpec,

    /// What a 2xx answer to a PUT promises. `Memory`: the object is in the memory of the pod. `Disk`: it is on the disk, and
    /// survives the pod; needs `spec.disk.storageClassName`. `Replicated`: most copies of the log have it; needs `spec.coordination`.
    /// `Durable`: the object store has it; needs `spec.objectStore`. Default: `Disk` with a disk that outlives the pod, otherwise
    /// `Durable` with an object store, otherwise `Replicated` with `spec.coordination`, otherwise `Memory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability: Option<DurabilitySpec>,

    /// What a fleet does with manifests while its log does not commit. `Strict`: whoever reads or writes one waits, and is
    /// answered with 503 in the end. `Eager`: after `eagerAfterMilliseconds` an upload counts once another pod holds it too, and a
    /// read gets the newest version that is known. `Eager` needs `spec.coordination`. Default `Strict`.
    #[serde(default)]
    pub consistency: ConsistencySpec,

    /// After how many milliseconds of silence `Eager` begins, 10 to 60000; needs `consistency: Eager`. Default 250.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(range(min = 10, max = 60_000)))]
    pub eager_after_milliseconds: Option<i32>,

    /// For how many seconds a pod of a fleet whose log does not answer shows readers what it knew when the log last did, 0 to 300;
    /// such an answer says `mediaorigin-consistency: stale`. At 0, and after that time, manifests and whatever else can change are
    /// answered with 503; media segments are served anyway. Needs `spec.coordination`. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(range(min = 0, max = 300)))]
    pub serve_stale_seconds: Option<i32>,

    /// Memory tier.
    #[serde(default)]
    pub memory: MemoryTierSpec,

    /// Disk tier; needs `spec.disk`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<ColdTierSpec>,

    /// Object store tier; needs `spec.objectStore`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_store: Option<ColdTierSpec>,

    /// Seconds after its last byte at which an object is gone (410), 1 to 315360000 (ten years). Default: never; memory
    /// that is needed for newer objects is taken from the least recently used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 315_360_000)))]
    pub expire_seconds: Option<i32>,

    /// `Cache-Control` of answers: `Auto` by class and CDN profile (half the target duration for manifests, two weeks and
    /// `immutable` for numbered segments that were never overwritten), `AsStored` for what the PUT said, or a literal value such as `max-age=6`. A value given with the PUT wins over `Auto`.
    /// Default `Auto`.
    #[serde(default = "default_cache_control")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::header_value"))]
    pub cache_control: String,
}

/// Which objects a rule applies to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct MatchSpec {
    /// Globs over the path without its leading slash: `*` within a folder, `**` across folders, `?`, `[a-z]`, `{a,b}`.
    /// E.g. `live/**`. One to 16; any of them is enough.
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::globs"))]
    pub paths: Vec<String>,
}

/// Memory tier of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct MemoryTierSpec {
    /// Seconds after its last byte during which an object is never evicted, 0 to 86400; afterwards it stays until its
    /// memory is needed. While nothing can be evicted, uploads are answered 503 with `Retry-After`. Default 60.
    #[serde(default = "default_keep_seconds")]
    #[cfg_attr(feature = "crd", schemars(range(min = 0, max = 86_400)))]
    pub keep_seconds: i32,
}

/// A tier below memory of a rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct ColdTierSpec {
    /// Seconds after its last byte during which an object stays in the tier, 0 to 315360000 (ten years); 0 keeps it out of
    /// the tier. Default: as long as the object lives, in a disk that only caches until its room is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(range(min = 0, max = 315_360_000)))]
    pub keep_seconds: Option<i32>,
}

/// What a 2xx answer to a PUT promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum DurabilitySpec {
    /// The object is in the memory of the pod.
    Memory,
    /// It is on a disk that outlives the pod.
    Disk,
    /// Most copies of the fleet's log have it.
    Replicated,
    /// The object store has it.
    Durable,
}

/// What a fleet does while its log does not commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum ConsistencySpec {
    /// It waits.
    #[default]
    Strict,
    /// It goes on with what two pods hold.
    Eager,
}

/// What an object is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum ClassSpec {
    /// By the extension of the path.
    #[default]
    Auto,
    /// Playlist or MPD: replaced often, never stale.
    Manifest,
    /// Initialisation segment.
    Init,
    /// Media segment: written once.
    Segment,
    /// Part of a segment (LL-HLS).
    Part,
    /// Anything else.
    Other,
}

/// From when on an object can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum VisibilitySpec {
    /// `Complete` for manifests, `Early` for everything else.
    #[default]
    Auto,
    /// While it is being written.
    Early,
    /// When its last byte is there.
    Complete,
}

/// The CDN in front of an origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum CdnProfileSpec {
    /// Any CDN, or none: `Cache-Control` only; tags in `Cache-Tag` and `Surrogate-Key`.
    #[default]
    Generic,
    /// Amazon CloudFront: what is not there yet is `no-store`, because CloudFront keeps errors longer than asked; tags in `Cache-Tag`.
    CloudFront,
    /// Fastly: also `Surrogate-Control`; tags in `Surrogate-Key`.
    Fastly,
    /// Akamai: also `CDN-Cache-Control`; tags in `Edge-Cache-Tag`.
    Akamai,
    /// Google Cloud CDN and Media CDN: tags in `Cache-Tag`.
    GoogleCdn,
}

/// Who may write, who may read, and which web pages may read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "crd", schemars(extend("x-kubernetes-validations" = schema::access_rules())))]
pub struct AccessSpec {
    /// Who may write. Default: everyone who reaches the Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<WriteAccessSpec>,

    /// Who may read. `Public`: everyone. `Authenticated`: whoever has credentials of the Secret in `write`. `SignedUrls`: these, and
    /// whoever has a URL that is signed with the Secret's `urlSigningKey`. Default `Public`. A change is in force within
    /// seconds, without a restart.
    #[serde(default)]
    pub read: ReadAccessSpec,

    /// Cross-origin rules, the first that matches wins; at most 100. Default: any page may GET and HEAD.
    /// An empty list sends no CORS headers at all.
    #[serde(default = "default_cors")]
    #[cfg_attr(feature = "crd", schemars(extend("maxItems" = 100, "x-kubernetes-list-type" = "atomic")))]
    pub cors: Vec<CorsRuleSpec>,
}

/// Who may write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct WriteAccessSpec {
    /// Secret in the same namespace; uploads, deletions and listings must carry credentials of it: `username` and `password`
    /// (Basic), `token` (Bearer), `accessKeyId` and `secretAccessKey` (AWS Signature Version 4), or those in
    /// `publishers.yaml`, which may be limited to paths. A changed Secret is in force within a minute, without a restart; one that makes
    /// no sense is reported, and the one before stays in force. Default: the operator makes one with credentials of every kind,
    /// named after the origin with `-publisher` behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRefSpec>,

    /// Seconds for which the credentials before stay valid when the operator's own Secret is renewed, 0 to 2592000 (30 days). It is
    /// renewed when the annotation `mediaorigin.io/renew-publisher` of the `MediaOrigin` gets another value. Default 86400.
    #[serde(default = "default_overlap_seconds")]
    #[cfg_attr(feature = "crd", schemars(range(min = 0, max = 2_592_000)))]
    pub overlap_seconds: i32,
}

/// Who may read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum ReadAccessSpec {
    /// Everyone.
    #[default]
    Public,
    /// Whoever has credentials of the Secret.
    Authenticated,
    /// Whoever has these, or a signed URL.
    SignedUrls,
}

/// How close answers are to those of other origins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct CompatibilitySpec {
    /// AWS Elemental MediaStore. `Relaxed`: its requests (signed ones, and those with its headers) are answered as its SDKs expect, without
    /// its limits. `Strict`: its limits and habits hold for every request: 25 MB (10 MB for streaming uploads), 30 seconds per upload, its
    /// paths, no `Cache-Control` unless the upload had one. Default `Relaxed`.
    #[serde(default)]
    pub media_store: MediaStoreSpec,
}

/// How close answers are to those of AWS Elemental MediaStore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum MediaStoreSpec {
    /// Its requests are answered as its SDKs expect, without its limits.
    #[default]
    Relaxed,
    /// Its limits and habits hold for every request.
    Strict,
}

/// A Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct SecretRefSpec {
    /// Name of the Secret.
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::object_name"))]
    pub name: String,
}

/// One cross-origin rule (Fetch standard).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct CorsRuleSpec {
    /// Origins that match, `*` for any: scheme, host and port, e.g. `https://player.example` or `http://localhost:3000`.
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::origins"))]
    pub allowed_origins: Vec<String>,

    /// Methods that a page may use. Default GET and HEAD.
    #[serde(default = "default_cors_methods")]
    #[cfg_attr(feature = "crd", schemars(extend("minItems" = 1, "maxItems" = 4, "x-kubernetes-list-type" = "set")))]
    pub allowed_methods: Vec<MethodSpec>,

    /// Request headers that a page may send, `*` for any. Default `*`. At most 100.
    #[serde(default = "default_cors_headers")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::header_names"))]
    pub allowed_headers: Vec<String>,

    /// Response headers that a page may read. Default those that players use: `Content-Length`, `Content-Range`, `Date`,
    /// `ETag`, `Cache-Status`. At most 100.
    #[serde(default = "default_cors_expose")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::header_names"))]
    pub expose_headers: Vec<String>,

    /// Seconds for which a browser may remember a preflight answer, 0 to 86400. Default 86400.
    #[serde(default = "default_cors_max_age")]
    #[cfg_attr(feature = "crd", schemars(range(min = 0, max = 86_400)))]
    pub max_age_seconds: i32,
}

/// A method that a cross-origin rule may allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum MethodSpec {
    /// Read.
    Get,
    /// Read the headers.
    Head,
    /// Write (and POST, which is the same here).
    Put,
    /// Delete.
    Delete,
}

/// The Service in front of the pods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "crd", schemars(extend("x-kubernetes-validations" = schema::service_rules())))]
pub struct ServiceSpec {
    /// Type of the Service. Default `ClusterIP`.
    #[serde(default, rename = "type")]
    pub kind: ServiceTypeSpec,

    /// Port of the Service, 1 to 65535; the pods listen on 8080. Default 80, with `tls` too: write 443 there.
    #[serde(default = "default_service_port")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 65_535)))]
    pub port: i32,

    /// Port on every node, for the types `NodePort` and `LoadBalancer`, 1 to 65535 within the cluster's range (usually
    /// 30000 to 32767). Default: chosen by Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 65_535)))]
    pub node_port: Option<i32>,

    /// Annotations of the Service, e.g. for a cloud's load balancer. At most 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::annotations"))]
    pub annotations: BTreeMap<String, String>,

    /// TLS 1.2 and 1.3 on the media port, with HTTP/2 and HTTP/1.1; nothing is served in clear text then. Default: none. A change replaces
    /// the pods, a renewed certificate does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
}

/// TLS on the media port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct TlsSpec {
    /// Secret in the same namespace of type `kubernetes.io/tls`, with the chain in `tls.crt` and its key in `tls.key`, e.g. one of
    /// cert-manager. A renewed certificate is served within two minutes, without a restart; one that cannot be used is reported, and the one
    /// before is served.
    pub secret_ref: SecretRefSpec,

    /// Secret in the same namespace whose `ca.crt` has the authorities of client certificates: uploads and deletions need a certificate
    /// that one of them vouches for, reads do not. May be the same Secret. Default: clients are asked for none.
    #[serde(default, rename = "clientCASecretRef", skip_serializing_if = "Option::is_none")]
    pub client_ca_secret_ref: Option<SecretRefSpec>,
}

/// Type of the Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum ServiceTypeSpec {
    /// Inside the cluster only.
    #[default]
    ClusterIP,
    /// A port on every node.
    NodePort,
    /// A load balancer of the cloud.
    LoadBalancer,
}

/// A route of the Gateway API to the Service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct RouteSpec {
    /// Gateways that take the route. One to 8.
    #[cfg_attr(
        feature = "crd",
        schemars(extend("minItems" = 1, "maxItems" = 8, "x-kubernetes-list-type" = "atomic"))
    )]
    pub parent_refs: Vec<ParentRefSpec>,

    /// Host names that the route answers to, e.g. `live.example.com` or `*.example.com`. Default: those of the gateway's listeners. At
    /// most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::host_names"))]
    pub hostnames: Vec<String>,
}

/// A gateway that takes a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct ParentRefSpec {
    /// Name of the Gateway.
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::object_name"))]
    pub name: String,

    /// Its namespace, which must admit routes of this one. Default: this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::label"))]
    pub namespace: Option<String>,

    /// Name of one of its listeners. Default: every one that fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::object_name"))]
    pub section_name: Option<String>,
}

/// What Prometheus' operator is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct MonitoringSpec {
    /// `Enabled`: a `PodMonitor` says how the pods are scraped, where the cluster has that kind. Default `Disabled`.
    #[serde(default)]
    pub pod_monitor: PodMonitorModeSpec,

    /// Labels of the `PodMonitor`, for Prometheus that selects by label, e.g. `release: kube-prometheus-stack`. At most 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::labels"))]
    pub labels: BTreeMap<String, String>,
}

/// Whether there is a `PodMonitor`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum PodMonitorModeSpec {
    /// There is one, where the cluster has the kind.
    Enabled,
    /// There is none.
    #[default]
    Disabled,
}

/// Who may reach the pods inside the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct NetworkPolicySpec {
    /// `Managed`: a `NetworkPolicy` lets everyone reach the media port, the admin port (metrics, status) only pods of this
    /// namespace, the operator and `adminNamespaces`, and the port between pods only those of this origin; the pods themselves reach each
    /// other, DNS, the object store, NATS and where spans go. `Disabled`: there is none. Default `Managed`.
    #[serde(default)]
    pub mode: NetworkPolicyModeSpec,

    /// Namespaces whose pods may reach the admin port, e.g. that of Prometheus. Default: none. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::namespaces"))]
    pub admin_namespaces: Vec<String>,
}

/// Whether there is a `NetworkPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum NetworkPolicyModeSpec {
    /// The operator keeps one.
    #[default]
    Managed,
    /// There is none.
    Disabled,
}

/// Whether the operator acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum ReconciliationSpec {
    /// It makes what the spec asks for.
    #[default]
    Active,
    /// It reports and changes nothing.
    Paused,
}

/// Placement, image and metadata of the pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct PodTemplateSpec {
    /// Labels added to the pods; those of the operator win. At most 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::pod_labels"))]
    pub labels: BTreeMap<String, String>,

    /// Annotations added to the pods; those of the operator win. At most 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::pod_annotations"))]
    pub annotations: BTreeMap<String, String>,

    /// Image of the origin, by tag or digest. Default: the one that the operator was installed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::image"))]
    pub image: Option<String>,

    /// When the kubelet pulls the image. Default `IfNotPresent`.
    #[serde(default)]
    pub image_pull_policy: ImagePullPolicySpec,

    /// Secrets with credentials for the image's registry. At most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "crd",
        schemars(extend("maxItems" = 8, "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))
    )]
    pub image_pull_secrets: Vec<SecretRefSpec>,

    /// Labels that a node must have. At most 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::labels"))]
    pub node_selector: BTreeMap<String, String>,

    /// Taints that the pods tolerate. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(extend("maxItems" = 32, "x-kubernetes-list-type" = "atomic")))]
    pub tolerations: Vec<TolerationSpec>,

    /// `PriorityClass` of the pods. Default: the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::object_name"))]
    pub priority_class_name: Option<String>,

    /// Environment variables added to the origin's container, e.g. `RUST_LOG`. At most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "crd",
        schemars(extend("maxItems" = 64, "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))
    )]
    pub env: Vec<EnvVarSpec>,
}

/// When the kubelet pulls the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum ImagePullPolicySpec {
    /// At every start of a container.
    Always,
    /// When the node has no such image.
    #[default]
    IfNotPresent,
    /// Never: the image must be on the node.
    Never,
}

/// A taint that the pods tolerate, as in a pod's `tolerations`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "crd", schemars(extend("x-kubernetes-validations" = schema::toleration_rules())))]
pub struct TolerationSpec {
    /// Key of the taint; absent with `operator: Exists` for every key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::toleration_key"))]
    pub key: Option<String>,
    /// How key and value are compared. Default `Equal`.
    #[serde(default)]
    pub operator: TolerationOperatorSpec,
    /// Value of the taint, for `Equal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::toleration_value"))]
    pub value: Option<String>,
    /// Effect of the taint. Default: every effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffectSpec>,
}

/// How a toleration is compared with a taint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum TolerationOperatorSpec {
    /// Key and value are equal.
    #[default]
    Equal,
    /// The key is there.
    Exists,
}

/// Effect of a taint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum TaintEffectSpec {
    /// Pods are not scheduled there.
    NoSchedule,
    /// The scheduler avoids the node.
    PreferNoSchedule,
    /// Pods are evicted from there.
    NoExecute,
}

/// An environment variable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct EnvVarSpec {
    /// Name of the variable.
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::env_name"))]
    pub name: String,
    /// Its value, literally. Default: empty.
    #[serde(default)]
    #[cfg_attr(feature = "crd", schemars(length(max = 4096)))]
    pub value: String,
}

/// What is, not what is hoped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct MediaOriginStatus {
    /// The generation of the spec that this status speaks of; -1 until the operator has seen the object.
    #[serde(default)]
    pub observed_generation: i64,

    /// `Accepted`, `Ready`, `Progressing`, `Reconciling`, `Stalled`, `Configured`, `Healthy`, `Resized`; `Routed` with `spec.route`,
    /// `ScalingActive` with `spec.autoscaling`.
    #[serde(default)]
    #[cfg_attr(
        feature = "crd",
        schemars(extend("maxItems" = 16, "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))
    )]
    pub conditions: Vec<Condition>,

    /// Pods that exist.
    #[serde(default)]
    pub replicas: i32,

    /// Pods that serve.
    #[serde(default)]
    pub ready_replicas: i32,

    /// Label selector of the pods, as text: for `kubectl scale` and autoscalers.
    #[serde(default)]
    #[cfg_attr(feature = "crd", schemars(length(max = 1024)))]
    pub selector: String,

    /// Where encoders push to and players read from inside the cluster.
    #[serde(default)]
    #[cfg_attr(feature = "crd", schemars(length(max = 1024)))]
    pub endpoint: String,

    /// The memory budget of a pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryStatus>,

    /// The last decision about the number of pods; with `spec.autoscaling.mode: Internal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<ScalingStatus>,

    /// The Secret with the credentials of publishers; empty where everyone may write.
    #[serde(default)]
    #[cfg_attr(feature = "crd", schemars(length(max = 253)))]
    pub publisher_secret_name: String,

    /// Streams that are being published.
    #[serde(default)]
    pub streams: i32,

    /// What the pods serve, by name; at most 64 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "crd",
        schemars(extend("maxItems" = 64, "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))
    )]
    pub pods: Vec<PodStatus>,
}

/// What a pod serves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct PodStatus {
    /// Its name.
    #[cfg_attr(feature = "crd", schemars(length(max = 253)))]
    pub name: String,
    /// The generation of the spec whose hot settings it serves; -1 as long as it has not said.
    pub served_generation: i64,
    /// The memory that its origin has planned with: the lower of `spec.memory.limit` and what its container may use. Absent as long
    /// as it has not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(length(max = 32)))]
    pub memory_limit: Option<String>,
}

/// The terms of a pod's memory budget; they add up to `limit`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct MemoryStatus {
    /// Memory limit of a pod.
    #[cfg_attr(feature = "crd", schemars(length(max = 32)))]
    pub limit: String,
    /// Bytes of objects that a pod may hold.
    #[cfg_attr(feature = "crd", schemars(length(max = 32)))]
    pub objects: String,
    /// Reserved for the process itself.
    #[cfg_attr(feature = "crd", schemars(length(max = 32)))]
    pub base: String,
    /// Reserved for connections: `spec.limits.connections` times 64Ki.
    #[cfg_attr(feature = "crd", schemars(length(max = 32)))]
    pub connections: String,
    /// Reserved for the index of the disk tier; `0` without `spec.disk`. When it is full, what may leave the disk makes room.
    #[serde(default)]
    #[cfg_attr(feature = "crd", schemars(length(max = 32)))]
    pub index: String,
    /// Reserved for the allocator's fragmentation.
    #[cfg_attr(feature = "crd", schemars(length(max = 32)))]
    pub slack: String,
}

/// A condition as in `metav1.Condition`, with every field always present.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct Condition {
    /// Name of the condition.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "crd", schemars(length(min = 1, max = 316)))]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: ConditionStatus,
    /// The generation of the spec that the condition speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// When `status` changed last (RFC 3339).
    #[cfg_attr(feature = "crd", schemars(extend("format" = "date-time")))]
    pub last_transition_time: String,
    /// One word for programs, from the closed list in the documentation.
    #[cfg_attr(feature = "crd", schemars(length(min = 1, max = 1024)))]
    pub reason: String,
    /// A sentence for people; may be empty.
    #[cfg_attr(feature = "crd", schemars(length(max = 32_768)))]
    pub message: String,
}

/// Value of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody knows yet.
    Unknown,
}

fn one() -> i32 {
    1
}
fn default_memory_limit() -> String {
    "1Gi".to_owned()
}
fn default_copies() -> i32 {
    3
}
fn default_cpu_request() -> String {
    "250m".to_owned()
}
fn default_object_size() -> String {
    "100Mi".to_owned()
}
fn default_connections() -> i32 {
    1000
}
fn default_upload_idle_seconds() -> i32 {
    60
}
fn default_keep_seconds() -> i32 {
    60
}
fn default_cache_control() -> String {
    "Auto".to_owned()
}
fn default_overlap_seconds() -> i32 {
    86_400
}
fn default_service_port() -> i32 {
    80
}
fn default_cors() -> Vec<CorsRuleSpec> {
    vec![CorsRuleSpec {
        allowed_origins: vec!["*".to_owned()],
        allowed_methods: default_cors_methods(),
        allowed_headers: default_cors_headers(),
        expose_headers: default_cors_expose(),
        max_age_seconds: default_cors_max_age(),
    }]
}
fn default_cors_methods() -> Vec<MethodSpec> {
    vec![MethodSpec::Get, MethodSpec::Head]
}
fn default_cors_headers() -> Vec<String> {
    vec!["*".to_owned()]
}
fn default_cors_expose() -> Vec<String> {
    ["Content-Length", "Content-Range", "Date", "ETag", "Cache-Status"].map(str::to_owned).to_vec()
}
fn default_cors_max_age() -> i32 {
    86_400
}

impl Default for MediaOriginSpec {
    fn default() -> Self {
        Self {
            replicas: one(),
            memory: MemorySpec::default(),
            cpu: CpuSpec::default(),
            disk: None,
            object_store: None,
            coordination: None,
            autoscaling: None,
            limits: LimitsSpec::default(),
            tier_policies: Vec::new(),
            cdn_profile: CdnProfileSpec::default(),
            access: AccessSpec::default(),
            compatibility: CompatibilitySpec::default(),
            service: ServiceSpec::default(),
            route: None,
            monitoring: MonitoringSpec::default(),
            network_policy: NetworkPolicySpec::default(),
            pod_template: PodTemplateSpec::default(),
            reconciliation: ReconciliationSpec::default(),
        }
    }
}

impl Default for MemorySpec {
    fn default() -> Self {
        Self { limit: default_memory_limit(), resize: ResizeSpec::default() }
    }
}

impl Default for CpuSpec {
    fn default() -> Self {
        Self { request: default_cpu_request(), limit: None }
    }
}

impl Default for LimitsSpec {
    fn default() -> Self {
        Self {
            object_size: default_object_size(),
            connections: default_connections(),
            upload_idle_seconds: default_upload_idle_seconds(),
        }
    }
}

impl Default for MemoryTierSpec {
    fn default() -> Self {
        Self { keep_seconds: default_keep_seconds() }
    }
}

impl Default for AccessSpec {
    fn default() -> Self {
        Self { write: None, read: ReadAccessSpec::default(), cors: default_cors() }
    }
}

impl Default for WriteAccessSpec {
    fn default() -> Self {
        Self { secret_ref: None, overlap_seconds: default_overlap_seconds() }
    }
}

impl Default for ServiceSpec {
    fn default() -> Self {
        Self {
            kind: ServiceTypeSpec::default(),
            port: default_service_port(),
            node_port: None,
            annotations: BTreeMap::new(),
            tls: None,
        }
    }
}
