//! Objects for what a cluster may have beside Kubernetes: the Gateway API and Prometheus' operator.

use mediaorigin_crds::names;
use mediaorigin_crds::v1alpha1::{MediaOriginSpec, ParentRefSpec, PodMonitorModeSpec};
use serde_json::{Map, Value, json};

use super::{Child, selector_map};
use crate::observed::Observed;
use crate::part::Part;

/// The `HTTPRoute` of an origin.
pub fn route(observed: &Observed, spec: &MediaOriginSpec) -> Option<Child> {
    let wanted = spec.route.as_ref()?;
    let mut route = json!({
        "parentRefs": wanted.parent_refs.iter().map(parent).collect::<Vec<_>>(),
        "rules": [{
            "backendRefs": [{ "name": Part::Service.name(&observed.name), "port": spec.service.port }],
        }],
    });
    if !wanted.hostnames.is_empty() {
        route["hostnames"] = json!(wanted.hostnames);
    }
    Some(Child::new(Part::HttpRoute, observed, &Map::new(), json!({ "spec": route })))
}

fn parent(ParentRefSpec { name, namespace, section_name }: &ParentRefSpec) -> Value {
    let mut parent = json!({ "name": name });
    if let Some(namespace) = namespace {
        parent["namespace"] = json!(namespace);
    }
    if let Some(section) = section_name {
        parent["sectionName"] = json!(section);
    }
    parent
}

/// The `PodMonitor` of an origin.
pub fn monitor(observed: &Observed, spec: &MediaOriginSpec) -> Option<Child> {
    let wanted = &spec.monitoring;
    if wanted.pod_monitor == PodMonitorModeSpec::Disabled {
        return None;
    }
    let rest = json!({
        "spec": {
            "selector": { "matchLabels": selector_map(&observed.name) },
            "podMetricsEndpoints": [{ "port": names::ADMIN_PORT_NAME, "path": "/metrics" }],
        },
    });
    let labels = wanted.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    Some(Child::labelled(Part::PodMonitor, observed, labels, rest))
}
