//! A `MediaOrigin` as a file: parsed without Kubernetes, with a path for everything that is wrong.

use serde::{Deserialize, Serialize};

use crate::names;
use crate::problem::{self, Problem};
use crate::v1alpha1::MediaOriginSpec;

/// The parts of a `MediaOrigin` that mean something outside a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaOriginDocument {
    /// Always [`names::API_VERSION`].
    pub api_version: String,
    /// Always [`names::KIND`].
    pub kind: String,
    /// Name and namespace; the rest of a Kubernetes object's metadata is passed over.
    #[serde(default)]
    pub metadata: Metadata,
    /// The desired state.
    #[serde(default)]
    pub spec: MediaOriginSpec,
}

/// The metadata that an origin outside a cluster uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The origin's name.
    #[serde(default)]
    pub name: String,
    /// Its namespace, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Set by the API server; 0 in a file.
    #[serde(default)]
    pub generation: i64,
    /// Set by the API server; empty in a file.
    #[serde(default)]
    pub uid: String,
}

/// Reads every `MediaOrigin` of a YAML stream, with what is wrong with the text: the documents that could be read can
/// still be validated, so that a person sees every problem at once.
pub fn parse(text: &str) -> (Vec<MediaOriginDocument>, Vec<Problem>) {
    let mut documents = Vec::new();
    let mut problems = Vec::new();
    for (index, document) in serde_yaml::Deserializer::from_str(text).enumerate() {
        match parse_one(document) {
            Ok(None) => {}
            Ok(Some((document, unknown))) => {
                problems.extend(unknown);
                documents.push(document);
            }
            Err(mut problem) => {
                if index > 0 {
                    problem.message = format!("document {}: {}", index + 1, problem.message);
                }
                problems.push(problem);
            }
        }
        if problems.iter().any(|problem| problem.field.is_empty()) {
            break; // the YAML itself is broken: everything after it would be noise
        }
    }
    if documents.is_empty() && problems.is_empty() {
        problems.push(Problem::new("", "the file holds no MediaOrigin"));
    }
    (documents, problems)
}

type Parsed = Option<(MediaOriginDocument, Vec<Problem>)>;

fn parse_one(document: serde_yaml::Deserializer<'_>) -> Result<Parsed, Problem> {
    let mut value =
        serde_yaml::Value::deserialize(document).map_err(|error| Problem::new("", error.to_string()))?;
    if let Some(spec) = value.get_mut("spec") {
        drop_nulls(spec);
    }
    if value.is_null() {
        return Ok(None);
    }
    check_type(&value)?;
    let mut unknown = Vec::new();
    let document = problem::read(value, &mut |path| {
        if !kubernetes_owns(&path) {
            unknown.push(Problem::new(path, "unknown field"));
        }
    })?;
    Ok(Some((document, unknown)))
}

/// A field without a value, `memory:`, is as good as absent: the API server takes it out before it sets defaults.
fn drop_nulls(value: &mut serde_yaml::Value) {
    match value {
        serde_yaml::Value::Mapping(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        serde_yaml::Value::Sequence(entries) => entries.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn check_type(value: &serde_yaml::Value) -> Result<(), Problem> {
    let text = |key: &str| value.get(key).and_then(serde_yaml::Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if api_version != names::API_VERSION {
        let message = format!("\"{api_version}\" is not supported, write {}", names::API_VERSION);
        return Err(Problem::new("apiVersion", message));
    }
    if kind != names::KIND {
        return Err(Problem::new("kind", format!("\"{kind}\" is not supported, write {}", names::KIND)));
    }
    Ok(())
}

/// Fields that the API server or kubectl put there; they are nobody's mistake.
fn kubernetes_owns(path: &str) -> bool {
    path.starts_with("metadata.") || path == "status" || path.starts_with("status.")
}
