//! How many pods an eviction leaves.

use mediaorigin_crds::v1alpha1::MediaOriginSpec;
use serde_json::{Map, json};

use super::{Child, selector_map};
use crate::observed::Observed;
use crate::part::Part;

/// The `PodDisruptionBudget` of an origin of several pods. Of a single pod it would only keep nodes from being emptied: that pod
/// goes, and its successor comes.
pub fn budget(observed: &Observed, spec: &MediaOriginSpec) -> Option<Child> {
    let rest = json!({
        "spec": {
            "selector": { "matchLabels": selector_map(&observed.name) },
            "maxUnavailable": 1,
            // A pod that does not serve is in nobody's way.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    });
    (spec.replicas >= 2).then(|| Child::new(Part::PodDisruptionBudget, observed, &Map::new(), rest))
}
