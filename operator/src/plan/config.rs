//! The `ConfigMap` that the pods mount: one `OriginConfig`, hot and cold.

use mediaorigin_crds::document::Metadata;
use mediaorigin_crds::names;
use mediaorigin_crds::problem::Problem;
use mediaorigin_crds::validate::Accepted;
use serde_json::{Map, json};

use super::Child;
use crate::observed::Observed;
use crate::part::Part;

/// The `ConfigMap` of an origin.
pub fn config_map(observed: &Observed, accepted: &Accepted) -> Result<Child, Problem> {
    let metadata = Metadata {
        name: observed.name.clone(),
        namespace: Some(observed.namespace.clone()),
        generation: observed.generation,
        uid: observed.uid.clone(),
    };
    let text = serde_yaml::to_string(&accepted.clone().config(metadata))
        .map_err(|error| Problem::new("spec", format!("the configuration cannot be written: {error}")))?;
    Ok(Child::new(Part::ConfigMap, observed, &Map::new(), json!({ "data": { names::CONFIG_FILE: text } })))
}
