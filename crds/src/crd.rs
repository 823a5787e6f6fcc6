//! The `CustomResourceDefinition` as it is installed: what the derive makes, mended where Kubernetes or `GitOps` tools need it.

use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use crate::names::NAME_LENGTH_MAX;
use crate::v1alpha1::MediaOrigin;

/// JSON numbers are exact up to here.
const EXACT_MAX: i64 = 1 << 53;

/// The definition as a JSON document.
///
/// Mended, because a derive cannot express it:
/// - `status` defaults to `{observedGeneration: -1}`: a fresh object must not look current to kstatus;
/// - no `nullable`, no `null` in an enum: absent and null are different things (a null would pass by a default);
/// - no default inside `status`: it says what is, and an empty list that nobody wrote is not;
/// - whole numbers are integers: `0.0` would be a permanent difference for `GitOps` tools;
/// - 64-bit integers stay exact in JSON: at most 2^53;
/// - the name's length is bounded, so that child names stay labels.
pub fn definition() -> Result<Value, serde_json::Error> {
    let mut definition = serde_json::to_value(MediaOrigin::crd())?;
    if let Some(schema) = definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        mend(schema);
        mend_root(schema);
    }
    Ok(definition)
}

/// The definition as YAML with a header that says where it comes from.
pub fn yaml() -> Result<String, YamlError> {
    let definition = definition()?;
    let body = serde_yaml::to_string(&definition)?;
    Ok(format!("# Generated from crds/src/v1alpha1.rs; `make generate` rewrites it.\n{body}"))
}

/// The definition could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum YamlError {
    /// The derived definition is not JSON.
    #[error("the definition is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The definition is not YAML.
    #[error("the definition is not YAML: {0}")]
    Yaml(#[from] serde_yaml::Error),
}

fn mend_root(schema: &mut Value) {
    let Some(root) = schema.as_object_mut() else { return };
    let rule = format!("size(self.metadata.name) <= {NAME_LENGTH_MAX}");
    let message = format!(
        "the name may have at most {NAME_LENGTH_MAX} characters, so that names made from it stay valid labels"
    );
    // A Service of that name is made: its names begin with a letter (RFC 1035) before Kubernetes 1.34.
    let label = json!({
        "rule": "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "message": "the name has lower-case letters, digits and -, and begins with a letter"
    });
    let length = json!({ "rule": rule, "message": message });
    root.insert("x-kubernetes-validations".to_owned(), json!([length, label]));
    let Some(properties) = root.get_mut("properties").and_then(Value::as_object_mut) else { return };
    if let Some(status) = properties.get_mut("status").and_then(Value::as_object_mut) {
        status.values_mut().for_each(drop_defaults);
        status.insert("default".to_owned(), json!({ "observedGeneration": -1 }));
    }
    // A CR may leave out the whole spec: everything in it has a default.
    if let Some(spec) = properties.get_mut("spec").and_then(Value::as_object_mut) {
        spec.insert("default".to_owned(), json!({}));
    }
    root.remove("required");
}

fn mend(schema: &mut Value) {
    match schema {
        Value::Object(node) => {
            node.remove("nullable");
            drop_null_variant(node);
            for key in ["minimum", "maximum"] {
                if let Some(number) = node.get_mut(key) {
                    whole_number(number);
                }
            }
            if node.get("format") == Some(&json!("int64")) {
                node.entry("maximum").or_insert(json!(EXACT_MAX));
            }
            node.values_mut().for_each(mend);
        }
        Value::Array(items) => items.iter_mut().for_each(mend),
        _ => {}
    }
}

/// Takes the default from a schema and from everything in it.
fn drop_defaults(schema: &mut Value) {
    if let Value::Object(node) = schema {
        node.remove("default");
        node.values_mut().for_each(drop_defaults);
    }
}

fn drop_null_variant(node: &mut Map<String, Value>) {
    if let Some(Value::Array(variants)) = node.get_mut("enum") {
        variants.retain(|variant| !variant.is_null());
    }
}

#[expect(clippy::cast_possible_truncation, reason = "only whole numbers within ±2^53 are converted")]
fn whole_number(number: &mut Value) {
    if let Some(float) = number.as_f64()
        && number.is_f64()
        && float.fract() == 0.0
        && float.abs() < 9.0e15
    {
        *number = json!(float as i64);
    }
}
