//! Room on the nodes for pods that will be needed: pods of the lowest priority that ask for as much as one of the origin's, and do
//! nothing. The scheduler takes their place for others; while it looks for another place for them, a cluster autoscaler brings a node.

use mediaorigin_crds::names;
use mediaorigin_crds::v1alpha1::{HeadroomSpec, MediaOriginSpec};
use mediaorigin_crds::validate::Accepted;
use serde_json::{Map, Value, json};

use super::{Child, Settings, workload};
use crate::observed::Observed;
use crate::part::Part;

/// What tells them from the origin's own pods, which a Service has behind it.
const APP: &str = "mediaorigin-headroom";
const CONTAINER: &str = "idle";

/// The Deployment of those pods, where the spec asks for some and the origin has any. One that is there and not wanted any more stays
/// without pods: the operator has no right to delete a Deployment.
pub fn deployment(
    settings: &Settings,
    observed: &Observed,
    spec: &MediaOriginSpec,
    accepted: &Accepted,
) -> Option<Child> {
    let headroom =
        spec.autoscaling.as_ref().map(|autoscaling| autoscaling.headroom.clone()).unwrap_or_default();
    let replicas = if spec.replicas == 0 { 0 } else { headroom.replicas };
    let is_there = observed.children.get(&Part::Headroom).is_some_and(|child| observed.owns(child));
    if replicas == 0 && !is_there {
        return None;
    }
    let selector = json!({ names::LABEL_NAME: APP, names::LABEL_INSTANCE: observed.name });
    let rest = json!({
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 1,
            "selector": { "matchLabels": selector },
            // Nobody waits for them: those before make place for those after.
            "strategy": { "type": "Recreate" },
            "template": {
                "metadata": { "labels": selector },
                "spec": pod(settings, (spec, &headroom), &accepted.budget.limit.to_string(), &selector),
            },
        },
    });
    Some(Child::new(Part::Headroom, observed, &Map::new(), rest))
}

fn pod(
    settings: &Settings,
    (spec, headroom): (&MediaOriginSpec, &HeadroomSpec),
    memory: &str,
    selector: &Value,
) -> Value {
    let wanted = &spec.pod_template;
    let mut pod = json!({
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": workload::USER,
            "runAsGroup": workload::USER,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "topologySpreadConstraints": [{
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": { "matchLabels": selector },
        }],
        "containers": [{
            "name": CONTAINER,
            "image": workload::image(settings, wanted),
            "imagePullPolicy": workload::pull_policy(wanted),
            "args": ["idle"],
            "resources": workload::resources(spec, memory),
            "securityContext": workload::harmless(),
        }],
    });
    workload::place(&mut pod, wanted);
    pod["priorityClassName"] = json!(headroom.priority_class_name);
    pod
}
