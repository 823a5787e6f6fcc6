//! Rules about several fields of a spec at once: the memory budget, what a fleet needs, and what an edit may not do. The same as
//! [`crate::validate`] and [`crate::budget`] say.

use serde_json::{Value, json};

use crate::budget::{BASE, FILE_MIN, INDEX_PERCENT, OBJECTS_MIN, PER_CONNECTION, PER_FILE, SLACK_PERCENT};
use crate::units::Bytes;
use crate::v1alpha1::LimitsSpec;
use crate::validate::storage::DISK_SHARE_PERCENT;

const MIB: u64 = Bytes::MIB;

/// A quantity of bytes as an integer. Not `asInteger`, which fails for 1.5Gi; up to 2^53 nothing is lost.
pub(super) fn number(field: &str) -> String {
    format!("int(quantity({field}).asApproximateFloat() + 0.5)")
}

/// What is left for objects, in bytes, as [`crate::budget::Budget::derive`] counts it but for its rounding.
fn left() -> String {
    let (limit, size) = (number("self.memory.limit"), number("self.disk.size"));
    let disk = format!("{size} / 100 * {DISK_SHARE_PERCENT} / {MIB} * {MIB} / {FILE_MIN} * {}", PER_FILE.0);
    let share = format!("{limit} / 100 * {INDEX_PERCENT}");
    let index = format!("(has(self.disk) ? ({disk} < {share} ? {disk} : {share}) : 0)");
    let slack = format!("{limit} / 100 * {SLACK_PERCENT}");
    format!("({limit} - {slack} - {} - self.limits.connections * {} - {index})", BASE.0, PER_CONNECTION.0)
}

/// Where a quantity is none, or more than there can be, its own rule says so. `spec: {}` is checked as a default before its own
/// fields have theirs.
fn where_numbers(fields: &[&str], rule: &str) -> String {
    let odd =
        |field: &str| format!("!isQuantity({field}) || quantity({field}).compareTo(quantity('8Pi')) > 0");
    let each = fields.iter().map(|field| format!("{} || ", odd(field)));
    let disk = format!("(has(self.disk) && ({}))", odd("self.disk.size"));
    format!("!has(self.memory) || !has(self.limits) || {disk} || {}{rule}", each.collect::<String>())
}

pub(crate) fn budget_rules() -> Vec<Value> {
    let left = left();
    let (limit, object) = ("self.memory.limit", "self.limits.objectSize");
    let enough = format!("{left} >= {}", OBJECTS_MIN.0);
    let default = LimitsSpec::default().object_size;
    let fits = format!("{object} == '{default}' || {} <= {left} / {MIB} * {MIB}", number(object));
    vec![
        json!({
            "rule": where_numbers(&[limit], &enough),
            "message": format!(
                "the memory limit leaves less than {OBJECTS_MIN} for objects after {PER_CONNECTION} for each of limits.connections: \
                 write a larger memory.limit or fewer limits.connections"
            ),
            "fieldPath": ".memory.limit"
        }),
        json!({
            "rule": where_numbers(&[limit, object], &fits),
            "message": "more than this origin can hold at all: write a smaller limits.objectSize or a larger memory.limit",
            "fieldPath": ".limits.objectSize"
        }),
    ]
}

/// What several pods need, and what they cannot have. `spec: {}` is checked as a default before its own fields have theirs.
pub(crate) fn fleet_rules() -> Vec<Value> {
    vec![
        json!({
            "rule": "!has(self.replicas) || self.replicas <= 1 || has(self.coordination)",
            "message": "more than one pod needs spec.coordination, by which they are one origin: set it, or use 0 or 1",
            "fieldPath": ".replicas"
        }),
        json!({
            "rule": "!has(self.coordination) || !has(self.disk)",
            "message": "the disk of one pod is none of its fleet, and this version does not use it as a cache there: remove disk, or coordination",
            "fieldPath": ".disk"
        }),
    ]
}

/// What cannot be edited. Of a disk only the class: whether it may become smaller again depends on what its volume has become, which the
/// operator sees.
pub(crate) fn transition_rules() -> Vec<Value> {
    let class = |of: &str| format!("has({of}.disk) && has({of}.disk.storageClassName)");
    let of_volume = json!({
        "rule": format!(
            "self.replicas == 0 || !({} && {}) || self.disk.storageClassName == oldSelf.disk.storageClassName",
            class("oldSelf"),
            class("self")
        ),
        "message": "the class of a volume cannot be changed: write the one before; for another class write replicas 0, then the class, \
                    and delete the PersistentVolumeClaim with everything on it",
        "fieldPath": ".disk.storageClassName"
    });
    let of_log = json!({
        "rule": "!has(oldSelf.coordination) || !has(self.coordination) || self.coordination.nats.partitions == oldSelf.coordination.nats.partitions",
        "message": "a log keeps its partitions: write as many as before; for another number make an origin with another name",
        "fieldPath": ".coordination.nats.partitions"
    });
    vec![of_volume, of_log]
}
