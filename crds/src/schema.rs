//! Schema fragments that a derive cannot express: patterns, bounds and CEL rules with messages that say what to write instead.
#![cfg(feature = "crd")]

pub(crate) mod autoscaling;
mod whole;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::validate::REPLICAS_MAX;
use crate::validate::coordination::SERVERS_MAX;

/// Whole or decimal number with a binary or decimal unit; what [`crate::units::Bytes::parse`] accepts.
const BYTES_PATTERN: &str = r"^[0-9]{1,16}(\.[0-9]{1,9})?(Ki|Mi|Gi|Ti|k|M|G|T)?$";
const CPU_PATTERN: &str = r"^([0-9]{1,6}m|[0-9]{1,4}(\.[0-9]{1,3})?)$";
const LABEL_PATTERN: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// What `validate::storage` accepts, but for the folders within the prefix.
const OBJECT_STORE_PATTERN: &str =
    r"^((s3|gs|az)://[a-z0-9]([-a-z0-9._]{0,220}[a-z0-9])?(/[!-~]*)?|file:///[!-~]+)$";
const ENDPOINT_PATTERN: &str = r"^https?://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._~/-]*)?$";
/// A name of DNS, or one with a wildcard in front, as in the Gateway API.
const HOST_NAME_PATTERN: &str = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// 1 to 65535.
const PORT_PATTERN: &str =
    "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
const OBJECT_NAME_PATTERN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
const LABEL_VALUE_PATTERN: &str = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$";
/// A key of a label or taint: a name of up to 63 characters, before it a domain and a slash where somebody else could mean it.
const LABEL_KEY_PATTERN: &str = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";

pub(crate) fn replicas(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "integer", "format": "int32", "minimum": 0, "maximum": REPLICAS_MAX
    })
}

pub(crate) fn copies(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "integer", "format": "int32", "minimum": 1, "maximum": 5,
        "x-kubernetes-validations": [{
            "rule": "self % 2 == 1",
            "message": "of an even number of copies no more may be lost than of one less: write 1, 3 or 5"
        }]
    })
}

pub(crate) fn nats_url(_: &mut SchemaGenerator) -> Schema {
    let server = format!(r"(nats|tls)://([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(:{PORT_PATTERN})?");
    let pattern = format!("^{server}(,{server}){{0,{}}}$", SERVERS_MAX - 1);
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 1024, "pattern": pattern })
}

pub(crate) fn memory_limit(_: &mut SchemaGenerator) -> Schema {
    bytes(json!([{
        "rule": "!isQuantity(self) || quantity(self).compareTo(quantity('128Mi')) >= 0",
        "message": "an origin needs memory: write at least 128Mi"
    }]))
}

pub(crate) fn object_size(_: &mut SchemaGenerator) -> Schema {
    bytes(json!([
        { "rule": "!isQuantity(self) || quantity(self).compareTo(quantity('64Ki')) >= 0", "message": "an object size limit below 64Ki holds no media: write at least 64Ki" },
        { "rule": "!isQuantity(self) || quantity(self).compareTo(quantity('4Gi')) <= 0", "message": "objects larger than 4Gi are not supported: write at most 4Gi" }
    ]))
}

pub(crate) fn disk_size(_: &mut SchemaGenerator) -> Schema {
    bytes(json!([{
        "rule": "!isQuantity(self) || quantity(self).compareTo(quantity('64Mi')) >= 0",
        "message": "a disk below 64Mi holds no media: write at least 64Mi"
    }]))
}

pub(crate) fn wal_size(_: &mut SchemaGenerator) -> Schema {
    bytes(json!([
        { "rule": "!isQuantity(self) || quantity(self).compareTo(quantity('64Mi')) >= 0", "message": "a log below 64Mi holds no stream: write at least 64Mi" },
        { "rule": "!isQuantity(self) || quantity(self).compareTo(quantity('1Ti')) <= 0", "message": "a log of more than 1Ti is none for a while: write at most 1Ti" }
    ]))
}

fn bytes(mut rules: Value) -> Schema {
    let mut schema =
        json_schema!({ "type": "string", "minLength": 1, "maxLength": 32, "pattern": BYTES_PATTERN });
    // 8Pi is 2^53: beyond it JSON is not exact. Not `isInteger`, which is false for 1.5Gi.
    let number = whole::number("self");
    let whole = json!({
        "rule": format!(
            "!isQuantity(self) || (quantity(self).compareTo(quantity('8Pi')) <= 0 && quantity(self).sub({number}).compareTo(quantity('0')) == 0)"
        ),
        "message": "write a whole number of bytes, at most 8192Ti, e.g. 1536Mi"
    });
    if let Value::Array(rules) = &mut rules {
        rules.push(whole);
    }
    schema.insert("x-kubernetes-validations".to_owned(), rules);
    schema
}

pub(crate) fn cpu(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 16, "pattern": CPU_PATTERN,
        "x-kubernetes-validations": [{
            "rule": "!isQuantity(self) || quantity(self).compareTo(quantity('0')) > 0",
            "message": "a pod needs CPU: write e.g. 250m or 2"
        }]
    })
}

pub(crate) fn cpu_rules() -> Value {
    json!([{
        "rule": "!has(self.limit) || !isQuantity(self.limit) || !isQuantity(self.request) || quantity(self.limit).compareTo(quantity(self.request)) >= 0",
        "message": "the limit is less than the request: write at least as much, or leave the limit out",
        "fieldPath": ".limit"
    }])
}

pub(crate) fn label(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 63, "pattern": LABEL_PATTERN })
}

pub(crate) fn object_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 253, "pattern": OBJECT_NAME_PATTERN })
}

pub(crate) fn namespaces(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 16, "x-kubernetes-list-type": "set",
        "items": { "type": "string", "minLength": 1, "maxLength": 63, "pattern": LABEL_PATTERN }
    })
}

pub(crate) fn host_names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 16, "x-kubernetes-list-type": "set",
        "items": { "type": "string", "minLength": 1, "maxLength": 253, "pattern": HOST_NAME_PATTERN }
    })
}

pub(crate) fn object_store_url(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 1024, "pattern": OBJECT_STORE_PATTERN })
}

pub(crate) fn endpoint(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 512, "pattern": ENDPOINT_PATTERN })
}

pub(crate) fn region(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 63, "pattern": LABEL_PATTERN })
}

pub(crate) fn image(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 512, "pattern": r"^[^\s]+$" })
}

pub(crate) fn env_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" })
}

pub(crate) fn header_value(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 256, "pattern": r"^[!-~]([ -~]*[!-~])?$" })
}

pub(crate) fn globs(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "minItems": 1, "maxItems": 16, "x-kubernetes-list-type": "set",
        "items": {
            "type": "string", "minLength": 1, "maxLength": 256,
            "x-kubernetes-validations": [
                { "rule": "!self.startsWith('/')", "message": "a path glob has no leading slash: write live/** instead of /live/**" },
                { "rule": "!self.contains('//') && !self.contains('..')", "message": "a path glob has no empty folder and no .." }
            ]
        }
    })
}

pub(crate) fn origins(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "minItems": 1, "maxItems": 100, "x-kubernetes-list-type": "set",
        "items": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^(\*|[a-z][a-z0-9+.-]*://[!-)+-.0-~]+)$" }
    })
}

pub(crate) fn header_names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 100, "x-kubernetes-list-type": "set",
        "items": { "type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" }
    })
}

pub(crate) fn annotations(_: &mut SchemaGenerator) -> Schema {
    string_map(&json!({ "type": "string", "maxLength": 4096 }), false)
}

pub(crate) fn pod_annotations(_: &mut SchemaGenerator) -> Schema {
    string_map(&json!({ "type": "string", "maxLength": 4096 }), true)
}

pub(crate) fn pod_labels(_: &mut SchemaGenerator) -> Schema {
    string_map(&label_value(), true)
}

pub(crate) fn labels(_: &mut SchemaGenerator) -> Schema {
    string_map(&label_value(), false)
}

fn label_value() -> Value {
    json!({ "type": "string", "maxLength": 63, "pattern": LABEL_VALUE_PATTERN })
}

fn string_map(value: &Value, of_operator_too: bool) -> Schema {
    let mut rules = vec![json!({
        "rule": format!("self.all(key, size(key) <= 317 && key.indexOf('/') <= 253 && key.matches('{LABEL_KEY_PATTERN}'))"),
        "message": "not a key: write e.g. team or example.com/team"
    })];
    if of_operator_too {
        rules.push(json!({
            "rule": "self.all(key, !key.startsWith('mediaorigin.io/'))",
            "message": "keys that begin with mediaorigin.io/ belong to the operator: write one of your own domain"
        }));
    }
    let mut schema = json_schema!({ "type": "object", "maxProperties": 64, "additionalProperties": value });
    schema.insert("x-kubernetes-validations".to_owned(), rules.into());
    schema
}

pub(crate) fn toleration_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 317, "pattern": LABEL_KEY_PATTERN })
}

pub(crate) fn toleration_value(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 63, "pattern": LABEL_VALUE_PATTERN })
}

pub(crate) fn toleration_rules() -> Value {
    json!([
        {
            "rule": "self.operator == 'Exists' || has(self.key)",
            "message": "operator Equal needs a key: write one, or operator Exists for every taint",
            "fieldPath": ".key"
        },
        {
            "rule": "self.operator != 'Exists' || !has(self.value) || self.value == ''",
            "message": "operator Exists compares no value: remove it, or write operator Equal",
            "fieldPath": ".value"
        }
    ])
}

/// Rules of a spec as a whole.
pub(crate) fn spec_rules() -> Value {
    let of_fleets = [whole::fleet_rules(), autoscaling::whole_rules()].concat();
    [of_fleets, tier_rules(), whole::budget_rules(), whole::transition_rules()].concat().into()
}

pub(crate) fn service_rules() -> Value {
    json!([{
        "rule": "!has(self.nodePort) || self.type != 'ClusterIP'",
        "message": "nodePort needs type NodePort or LoadBalancer: write one of them, or remove nodePort",
        "fieldPath": ".nodePort"
    }])
}

/// What a rule promises and how long it keeps need the tiers that the spec has. The same as [`crate::validate::tier`] says.
fn tier_rules() -> Vec<Value> {
    let persistent = "(has(self.disk) && has(self.disk.storageClassName))";
    let disk = format!("(has(p.durability) ? p.durability == 'Disk' : {persistent})");
    let durable =
        format!("(has(p.durability) ? p.durability == 'Durable' : (has(self.objectStore) && !{persistent}))");
    let each = |rule: String| format!("!has(self.tierPolicies) || self.tierPolicies.all(p, {rule})");
    let kept = |tier: &str| format!("has(p.{tier}) && has(p.{tier}.keepSeconds)");
    vec![
        json!({
            "rule": each(format!("!has(p.durability) || p.durability != 'Disk' || {persistent}")),
            "message": "durability Disk needs a disk that outlives the pod: set spec.disk.storageClassName, or write Memory or Durable"
        }),
        json!({
            "rule": each("!has(p.durability) || p.durability != 'Replicated' || has(self.coordination)".to_owned()),
            "message": "durability Replicated needs spec.coordination: set it, or write Memory, Disk or Durable"
        }),
        json!({
            "rule": each("!has(p.consistency) || p.consistency != 'Eager' || has(self.coordination)".to_owned()),
            "message": "consistency Eager needs spec.coordination: set it, or write Strict"
        }),
        json!({
            "rule": each("!has(p.eagerAfterMilliseconds) || (has(p.consistency) && p.consistency == 'Eager')".to_owned()),
            "message": "eagerAfterMilliseconds needs consistency: Eager: set it, or remove this"
        }),
        json!({
            "rule": each("!has(p.serveStaleSeconds) || has(self.coordination)".to_owned()),
            "message": "serveStaleSeconds needs spec.coordination: set it, or remove this"
        }),
        json!({
            "rule": each("!has(p.durability) || p.durability != 'Durable' || has(self.objectStore)".to_owned()),
            "message": "durability Durable needs spec.objectStore: set it, or write Memory or Disk"
        }),
        json!({
            "rule": each(format!("!({}) || has(self.disk)", kept("disk"))),
            "message": "disk.keepSeconds of a tier policy needs spec.disk: set it, or remove keepSeconds"
        }),
        json!({
            "rule": each(format!("!({}) || has(self.objectStore)", kept("objectStore"))),
            "message": "objectStore.keepSeconds of a tier policy needs spec.objectStore: set it, or remove keepSeconds"
        }),
        json!({
            "rule": each(format!("!({} && p.disk.keepSeconds == 0 && {disk})", kept("disk"))),
            "message": "disk.keepSeconds 0 keeps objects off the disk that their durability (Disk, the default with spec.disk.storageClassName) promises: write at least 1, or durability Memory or Durable"
        }),
        json!({
            "rule": each(format!("!({} && p.objectStore.keepSeconds == 0 && {durable})", kept("objectStore"))),
            "message": "objectStore.keepSeconds 0 keeps objects out of the object store that their durability (Durable, the default with spec.objectStore and no disk that outlives the pod) promises: write at least 1, or durability Memory or Disk"
        }),
    ]
}

pub(crate) fn object_store_rules() -> Value {
    json!([
        {
            "rule": "!self.url.startsWith('file:')",
            "message": "file:// is a folder of one machine, which pods do not share: use s3://, gs:// or az://, or a disk with a storageClassName",
            "fieldPath": ".url"
        },
        {
            "rule": "self.url.startsWith('file:') || !self.url.matches('[^:]//|/[.]{1,2}(/|$)')",
            "message": "the prefix has no empty folder, no . and no ..: write s3://bucket/folder/folder",
            "fieldPath": ".url"
        },
        {
            "rule": "!has(self.region) || self.url.startsWith('s3:')",
            "message": "region is for s3:// only: remove it",
            "fieldPath": ".region"
        }
    ])
}

pub(crate) fn access_rules() -> Value {
    json!([{
        "rule": "self.read == 'Public' || has(self.write)",
        "message": "readers are checked against the Secret of access.write: name one",
        "fieldPath": ".read"
    }])
}
