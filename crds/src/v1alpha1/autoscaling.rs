//! Wire types of `spec.autoscaling` and `status.scaling`.

use serde::{Deserialize, Serialize};

#[cfg(feature = "crd")]
use crate::schema;

/// Who decides how many pods there are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "crd", schemars(extend("x-kubernetes-validations" = schema::autoscaling::rules())))]
pub struct AutoscalingSpec {
    /// `Disabled`: there are `spec.replicas` pods. `Internal`: the operator looks at every pod each second and runs as many as the load
    /// needs, never fewer than `spec.replicas` and `minReplicas`, never more than `maxReplicas`; at `spec.replicas: 0` there are none.
    /// `External`: a `HorizontalPodAutoscaler` or KEDA owns `spec.replicas` (it names this `MediaOrigin`, not its Deployment), and the
    /// rest of `autoscaling` has no effect. Default `Disabled`.
    #[serde(default)]
    pub mode: AutoscalingModeSpec,

    /// Pods that there are at least, 1 to 100. Default 1.
    #[serde(default = "one")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 100)))]
    pub min_replicas: i32,

    /// Pods that there are at most, 1 to 100; needed with `mode: Internal`. More than one needs `spec.coordination`. That more would be
    /// needed is said by the condition `ScalingActive` (`AtMax`). Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 100)))]
    pub max_replicas: Option<i32>,

    /// What a pod can carry, in each dimension. The dimension that needs most pods decides.
    #[serde(default)]
    pub targets: TargetsSpec,

    /// How much of what a pod can carry it is planned with, in percent, 10 to 100; the rest is for what comes before new pods serve.
    /// Default 70.
    #[serde(default = "default_utilization_percent")]
    #[cfg_attr(feature = "crd", schemars(range(min = 10, max = 100)))]
    pub utilization_percent: i32,

    /// How pods are taken away.
    #[serde(default)]
    pub scale_down: ScaleDownSpec,

    /// Room on the nodes for pods that will be needed.
    #[serde(default)]
    pub headroom: HeadroomSpec,

    /// What happens when fewer than half of the pods can be asked for longer than a minute; until then nothing changes.
    #[serde(default)]
    pub missing_data: MissingDataSpec,

    /// Times that come again, with pods that there are at least. They begin a minute early. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "crd",
        schemars(extend("maxItems" = 32, "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))
    )]
    pub schedules: Vec<ScheduleSpec>,

    /// Times that come once, with pods that there are at least. They begin a minute early. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "crd",
        schemars(extend("maxItems" = 32, "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))
    )]
    pub events: Vec<EventSpec>,
}

/// Who decides how many pods there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum AutoscalingModeSpec {
    /// `spec.replicas` alone.
    #[default]
    Disabled,
    /// The operator.
    Internal,
    /// Whoever writes `spec.replicas` through `/scale`.
    External,
}

/// What a pod can carry. A dimension that is absent is learned: from the load at which the pods begin to answer late. Until that was seen
/// it does not count, but for CPU, which counts as if 100 were written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct TargetsSpec {
    /// Megabits that a pod sends in a second, 1 to 1000000, e.g. `800`. Default: learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 1_000_000)))]
    pub egress_megabits_per_second: Option<i32>,

    /// Requests that a pod answers in a second, 1 to 10000000, e.g. `4000`. Default: learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 10_000_000)))]
    pub requests_per_second: Option<i32>,

    /// Connections of a pod, 1 to 100000, e.g. `5000`. Default: learned, and never more than `spec.limits.connections`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 100_000)))]
    pub connections: Option<i32>,

    /// CPU of a pod in percent of `spec.cpu.limit`, or of `spec.cpu.request` where there is no limit; 1 to 1000. Default: learned, and 100
    /// until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 1_000)))]
    pub cpu_percent: Option<i32>,
}

/// How pods are taken away: one after the other, each when the one before has sent its last byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct ScaleDownSpec {
    /// Seconds for which fewer pods must have been enough before one is taken away, 0 to 3600. Default 300.
    #[serde(default = "default_stabilization_seconds")]
    #[cfg_attr(feature = "crd", schemars(range(min = 0, max = 3_600)))]
    pub stabilization_seconds: i32,

    /// Pods that are taken away within a minute at most, in percent of those at its beginning, and at least one; 1 to 100. Default 50.
    #[serde(default = "default_percent_per_minute")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 100)))]
    pub percent_per_minute: i32,
}

/// Pods that do nothing but keep room on the nodes: they ask for as much as one of the origin's, have the lowest priority, and go at once
/// when another pod needs their place. While a place is looked for, a cluster autoscaler brings the next node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct HeadroomSpec {
    /// How many, 0 to 100; none while `spec.replicas` is 0. They have the origin's image, which a node has then. Default 0.
    #[serde(default)]
    #[cfg_attr(feature = "crd", schemars(range(min = 0, max = 100)))]
    pub replicas: i32,

    /// Their `PriorityClass`, with a value below that of everything that may take their place; the chart makes the default. Default
    /// `mediaorigin-headroom`.
    #[serde(default = "default_headroom_class")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::object_name"))]
    pub priority_class_name: String,
}

/// What happens while the load is not known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "crd", schemars(extend("x-kubernetes-validations" = schema::autoscaling::missing_data_rules())))]
pub struct MissingDataSpec {
    /// `Hold`: the pods stay as many as they are. `Static`: there are `replicas`. `HoldIfHigher`: as many as there are, and at least
    /// `replicas`. Default `Hold`.
    #[serde(default)]
    pub policy: MissingDataPolicySpec,

    /// Pods for `Static` and `HoldIfHigher`, 1 to 100. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 100)))]
    pub replicas: Option<i32>,
}

/// What happens while the load is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum MissingDataPolicySpec {
    /// Nothing.
    #[default]
    Hold,
    /// So many pods.
    Static,
    /// So many pods at least.
    HoldIfHigher,
}

/// A time that comes again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct ScheduleSpec {
    /// Name of the schedule, unique in the list: lower-case letters, digits and `-`. It appears in `status.scaling`.
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::label"))]
    pub name: String,

    /// When it begins: minute, hour, day of the month, month and day of the week, as cron has them, e.g. `0 18 * * 6` or `30 20 * * MON-FRI`.
    /// Where both days are given, either is enough.
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::autoscaling::cron"))]
    pub cron: String,

    /// Time zone of `cron`, e.g. `Europe/Paris`. A beginning in an hour that is skipped is at its end; one in an hour that comes twice is in
    /// the first. Default `Etc/UTC`.
    #[serde(default = "default_time_zone")]
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::autoscaling::time_zone"))]
    pub time_zone: String,

    /// How long it lasts in seconds, 60 to 604800 (a week).
    #[cfg_attr(feature = "crd", schemars(range(min = 60, max = 604_800)))]
    pub duration_seconds: i32,

    /// Pods that there are at least, 1 to 100 and at most `maxReplicas`.
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 100)))]
    pub min_replicas: i32,
}

/// A time that comes once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "crd", schemars(extend("x-kubernetes-validations" = schema::autoscaling::event_rules())))]
pub struct EventSpec {
    /// Name of the event, unique in the list: lower-case letters, digits and `-`. It appears in `status.scaling`.
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::label"))]
    pub name: String,

    /// When it begins (RFC 3339), e.g. `2026-06-11T20:00:00+02:00`.
    #[cfg_attr(feature = "crd", schemars(schema_with = "schema::autoscaling::start"))]
    pub start: String,

    /// How long it lasts in seconds, 60 to 604800 (a week).
    #[cfg_attr(feature = "crd", schemars(range(min = 60, max = 604_800)))]
    pub duration_seconds: i32,

    /// Pods that there are at least, 1 to 100 and at most `maxReplicas`. Default: as many as `expectedPeak` needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 100)))]
    pub min_replicas: Option<i32>,

    /// The load of all pods together that is expected. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_peak: Option<ExpectedPeakSpec>,
}

/// A load of all pods together; it becomes a number of pods by what a pod can carry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct ExpectedPeakSpec {
    /// Megabits that are sent in a second, 1 to 100000000. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 100_000_000)))]
    pub egress_megabits_per_second: Option<i32>,

    /// Requests in a second, 1 to 1000000000. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 1_000_000_000)))]
    pub requests_per_second: Option<i32>,

    /// Connections, 1 to 10000000. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 10_000_000)))]
    pub connections: Option<i32>,
}

/// The last decision of `mode: Internal`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub struct ScalingStatus {
    /// Pods that the Deployment is asked for.
    pub desired: i32,

    /// Why so many: the reason of the condition `ScalingActive`.
    #[cfg_attr(feature = "crd", schemars(length(max = 64)))]
    pub reason: String,

    /// The dimension that needs most pods: `egress`, `requests`, `connections` or `cpu`; empty where the load is not known.
    #[serde(default)]
    #[cfg_attr(feature = "crd", schemars(length(max = 32)))]
    pub dimension: String,

    /// How that was counted, e.g. `egress (812 + 4.1×40) / (120×0.7) = 11.6 → 12`.
    #[serde(default)]
    #[cfg_attr(feature = "crd", schemars(length(max = 512)))]
    pub explanation: String,

    /// How long pods take from their creation until they serve: of twenty at most one takes longer.
    #[serde(default)]
    pub lead_milliseconds: i32,

    /// The schedule or event that holds the number up; empty where none does.
    #[serde(default)]
    #[cfg_attr(feature = "crd", schemars(length(max = 63)))]
    pub floor: String,

    /// What a pod can carry as far as it was learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<TargetsSpec>,
}

fn one() -> i32 {
    1
}
fn default_utilization_percent() -> i32 {
    70
}
fn default_stabilization_seconds() -> i32 {
    300
}
fn default_percent_per_minute() -> i32 {
    50
}
fn default_headroom_class() -> String {
    "mediaorigin-headroom".to_owned()
}
fn default_time_zone() -> String {
    "Etc/UTC".to_owned()
}

impl Default for AutoscalingSpec {
    fn default() -> Self {
        Self {
            mode: AutoscalingModeSpec::default(),
            min_replicas: one(),
            max_replicas: None,
            targets: TargetsSpec::default(),
            utilization_percent: default_utilization_percent(),
            scale_down: ScaleDownSpec::default(),
            headroom: HeadroomSpec::default(),
            missing_data: MissingDataSpec::default(),
            schedules: Vec::new(),
            events: Vec::new(),
        }
    }
}

impl Default for ScaleDownSpec {
    fn default() -> Self {
        Self {
            stabilization_seconds: default_stabilization_seconds(),
            percent_per_minute: default_percent_per_minute(),
        }
    }
}

impl Default for HeadroomSpec {
    fn default() -> Self {
        Self { replicas: 0, priority_class_name: default_headroom_class() }
    }
}
