//! What is wrong with a text, and reading a text so that everything that is wrong has a path.

use std::fmt;

use serde::de::DeserializeOwned;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Path of the field, `spec.tierPolicies[0].match.paths[1]`; empty where the document itself is broken.
    pub field: String,
    /// What is wrong with it and what to write instead.
    pub message: String,
}

impl Problem {
    /// A problem of `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            write!(out, "{}", self.message)
        } else {
            write!(out, "{}: {}", self.field, self.message)
        }
    }
}

/// Reads a value into a wire type; the path of every field that the type does not know goes to `unknown`.
pub(crate) fn read<T: DeserializeOwned>(
    value: serde_yaml::Value,
    unknown: &mut dyn FnMut(String),
) -> Result<T, Problem> {
    let mut track = serde_path_to_error::Track::new();
    let mut callback = |path: serde_ignored::Path<'_>| unknown(render(&path));
    let lenient = serde_ignored::Deserializer::new(value, &mut callback);
    T::deserialize(serde_path_to_error::Deserializer::new(lenient, &mut track))
        .map_err(|error| Problem::new(track.path().to_string(), error.to_string()))
}

/// `spec.tierPolicies[0].name`, as Kubernetes writes paths.
fn render(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", render(parent)),
        Path::Map { parent, key } => match render(parent) {
            parent if parent.is_empty() => key.clone(),
            parent => format!("{parent}.{key}"),
        },
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            render(parent)
        }
    }
}
