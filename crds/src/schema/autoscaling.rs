//! Schema fragments of `spec.autoscaling`. The same as [`crate::validate::autoscaling`] says, but for what only a calendar knows.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// Five fields; what stands in them, `validate` knows.
const CRON_PATTERN: &str = "^[0-9A-Za-z*,/-]+( [0-9A-Za-z*,/-]+){4}$";
const TIME_ZONE_PATTERN: &str = "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$";
/// RFC 3339 in whole seconds; how long a month is, `validate` knows.
const START_PATTERN: &str = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

pub(crate) fn cron(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 128, "pattern": CRON_PATTERN })
}

pub(crate) fn time_zone(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 64, "pattern": TIME_ZONE_PATTERN })
}

pub(crate) fn start(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 25, "pattern": START_PATTERN })
}

/// Rules within `spec.autoscaling`.
pub(crate) fn rules() -> Value {
    let fits = |list: &str, entry: &str| {
        format!("!has(self.maxReplicas) || !has(self.{list}) || self.{list}.all(entry, {entry})")
    };
    json!([
        {
            "rule": "self.mode != 'Internal' || has(self.maxReplicas)",
            "message": "mode Internal needs a bound: write maxReplicas",
            "fieldPath": ".maxReplicas"
        },
        {
            "rule": "!has(self.maxReplicas) || self.maxReplicas >= self.minReplicas",
            "message": "maxReplicas is less than minReplicas: write at least as many",
            "fieldPath": ".maxReplicas"
        },
        {
            "rule": fits("schedules", "entry.minReplicas <= self.maxReplicas"),
            "message": "a schedule asks for more than maxReplicas: write a smaller minReplicas in it, or a larger maxReplicas",
            "fieldPath": ".schedules"
        },
        {
            "rule": fits("events", "!has(entry.minReplicas) || entry.minReplicas <= self.maxReplicas"),
            "message": "an event asks for more than maxReplicas: write a smaller minReplicas in it, or a larger maxReplicas",
            "fieldPath": ".events"
        }
    ])
}

pub(crate) fn missing_data_rules() -> Value {
    json!([{
        "rule": "self.policy == 'Hold' || has(self.replicas)",
        "message": "Static and HoldIfHigher need a number of pods: write replicas, or policy Hold",
        "fieldPath": ".replicas"
    }])
}

pub(crate) fn event_rules() -> Value {
    let any = ["egressMegabitsPerSecond", "requestsPerSecond", "connections"]
        .map(|field| format!("has(self.expectedPeak.{field})"))
        .join(" || ");
    json!([
        {
            "rule": "has(self.minReplicas) || has(self.expectedPeak)",
            "message": "an event needs to say how much: write minReplicas or expectedPeak",
            "fieldPath": ".minReplicas"
        },
        {
            "rule": format!("!has(self.expectedPeak) || {any}"),
            "message": "an expected peak needs a load: write egressMegabitsPerSecond, requestsPerSecond or connections",
            "fieldPath": ".expectedPeak"
        }
    ])
}

/// Rules about `spec.autoscaling` and the rest of a spec.
pub(crate) fn whole_rules() -> Vec<Value> {
    let max = "self.autoscaling.maxReplicas";
    let is_internal = "has(self.autoscaling.mode) && self.autoscaling.mode == 'Internal'";
    vec![json!({
        "rule": format!(
            "!has(self.autoscaling) || !({is_internal}) || !has({max}) || {max} <= 1 || has(self.coordination)"
        ),
        "message": "more than one pod needs spec.coordination, by which they are one origin: set it, or use maxReplicas 1",
        "fieldPath": ".autoscaling.maxReplicas"
    })]
}
