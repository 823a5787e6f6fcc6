//! Schema fragments that a derive cannot express: patterns, bounds and CEL rules with messages that say what to write instead.
#![cfg(feature = "crd")]

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

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
const OBJECT_NAME_PATTERN: &str = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";

pub(crate) fn replicas(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "integer", "format": "int32", "minimum": 0, "maximum": 1000,
        "x-kubernetes-validations": [{
            "rule": "self <= 1",
            "message": "more than one pod needs a shared index, which this version does not have: use 0 or 1"
        }]
    })
}

pub(crate) fn memory_limit(_: &mut SchemaGenerator) -> Schema {
    bytes(json!([{
        "rule": "quantity(self).compareTo(quantity('128Mi')) >= 0",
        "message": "an origin needs at least 128Mi of memory"
    }]))
}

pub(crate) fn object_size(_: &mut SchemaGenerator) -> Schema {
    bytes(json!([
        { "rule": "quantity(self).compareTo(quantity('64Ki')) >= 0", "message": "an object size limit below 64Ki holds no media" },
        { "rule": "quantity(self).compareTo(quantity('4Gi')) <= 0", "message": "objects larger than 4Gi are not supported" }
    ]))
}

pub(crate) fn disk_size(_: &mut SchemaGenerator) -> Schema {
    bytes(json!([{
        "rule": "quantity(self).compareTo(quantity('64Mi')) >= 0",
        "message": "a disk below 64Mi holds no media"
    }]))
}

fn bytes(rules: Value) -> Schema {
    let mut schema =
        json_schema!({ "type": "string", "minLength": 1, "maxLength": 32, "pattern": BYTES_PATTERN });
    schema.insert("x-kubernetes-validations".to_owned(), rules);
    schema
}

pub(crate) fn cpu(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 16, "pattern": CPU_PATTERN })
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
        "items": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^(\*|[a-z][a-z0-9+.-]*://[^/\s*]+)$" }
    })
}

pub(crate) fn header_names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 100, "x-kubernetes-list-type": "set",
        "items": { "type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" }
    })
}

pub(crate) fn string_map(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": 64,
        "additionalProperties": { "type": "string", "maxLength": 4096 }
    })
}

pub(crate) fn service_rules() -> Value {
    json!([{
        "rule": "!has(self.nodePort) || self.type != 'ClusterIP'",
        "message": "nodePort needs type NodePort or LoadBalancer",
        "fieldPath": ".nodePort"
    }])
}

/// What a rule promises and how long it keeps need the tiers that the spec has. The same as [`crate::validate::tier`] says.
pub(crate) fn tier_rules() -> Value {
    let persistent = "(has(self.disk) && has(self.disk.storageClassName))";
    let disk = format!("(has(p.durability) ? p.durability == 'Disk' : {persistent})");
    let durable =
        format!("(has(p.durability) ? p.durability == 'Durable' : (has(self.objectStore) && !{persistent}))");
    let each = |rule: String| format!("!has(self.tierPolicies) || self.tierPolicies.all(p, {rule})");
    let kept = |tier: &str| format!("has(p.{tier}) && has(p.{tier}.keepSeconds)");
    json!([
        {
            "rule": each(format!("!has(p.durability) || p.durability != 'Disk' || {persistent}")),
            "message": "durability Disk needs a disk that outlives the pod: set spec.disk.storageClassName, or write Memory or Durable"
        },
        {
            "rule": each("!has(p.durability) || p.durability != 'Durable' || has(self.objectStore)".to_owned()),
            "message": "durability Durable needs spec.objectStore: set it, or write Memory or Disk"
        },
        {
            "rule": each(format!("!({}) || has(self.disk)", kept("disk"))),
            "message": "disk.keepSeconds of a tier policy needs spec.disk: set it, or remove keepSeconds"
        },
        {
            "rule": each(format!("!({}) || has(self.objectStore)", kept("objectStore"))),
            "message": "objectStore.keepSeconds of a tier policy needs spec.objectStore: set it, or remove keepSeconds"
        },
        {
            "rule": each(format!("!({} && p.disk.keepSeconds == 0 && {disk})", kept("disk"))),
            "message": "disk.keepSeconds 0 keeps objects off the disk that their durability (Disk, the default with spec.disk.storageClassName) promises: write at least 1, or durability Memory or Durable"
        },
        {
            "rule": each(format!("!({} && p.objectStore.keepSeconds == 0 && {durable})", kept("objectStore"))),
            "message": "objectStore.keepSeconds 0 keeps objects out of the object store that their durability (Durable, the default with spec.objectStore and no disk that outlives the pod) promises: write at least 1, or durability Memory or Disk"
        }
    ])
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
            "message": "the prefix has no empty folder, no . and no ..",
            "fieldPath": ".url"
        },
        {
            "rule": "!has(self.region) || self.url.startsWith('s3:')",
            "message": "region is for s3:// only",
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
