//! How far a rollout is.

use mediaorigin_crds::v1alpha1::MediaOriginSpec;
use serde_json::Value;

use super::Progress;
use crate::part::Part;
use crate::plan::{Action, Plan};
use crate::pods::Census;

/// How far the pods are from what the spec asks, by the numbers of the Deployment and our own.
pub(super) fn progress(
    spec: &MediaOriginSpec,
    plan: &Plan,
    deployment: Option<&Value>,
    census: &Census,
) -> Progress {
    let applied = |kind| {
        let of_kind = |action: &Action| matches!(action, Action::Apply(child, _) if child.part == kind);
        plan.actions.iter().any(of_kind)
    };
    let Some(deployment) = deployment.filter(|_| !applied(Part::Deployment)) else {
        return Progress::Handed("the Deployment has just been applied".to_owned());
    };
    if applied(Part::PersistentVolumeClaim) {
        return Progress::Handed("the PersistentVolumeClaim has just been applied".to_owned());
    }
    let number = |path: &str| deployment.pointer(path).and_then(Value::as_i64).unwrap_or_default();
    if number("/status/observedGeneration") < number("/metadata/generation") {
        return Progress::Handed("waits for Kubernetes to see the Deployment".to_owned());
    }
    let wanted = i64::from(spec.replicas);
    let updated = number("/status/updatedReplicas");
    let (total, ready) = (number("/status/replicas"), i64::from(census.ready));
    let serving = number("/status/availableReplicas").min(ready);
    let existing = i64::from(census.existing);
    let pods = |count: i64| if count == 1 { "1 pod".to_owned() } else { format!("{count} pods") };
    let (made, new, old) = match wanted {
        1 => ("the pod", "the new pod", "the old one serves"),
        _ => ("the pods", "the new pods, one after the other", "the old ones serve"),
    };
    // Pods of a fleet are replaced one after the other: where one more than is wanted is there already, that one is waited for.
    if updated < wanted && (updated == 0 || total <= wanted) {
        Progress::Making(format!("waits for Kubernetes to make {made}"))
    } else if serving < wanted {
        let missing = if wanted == 1 { pods(1) } else { format!("{} of {wanted} pods", wanted - serving) };
        Progress::RollingOut(format!("waits for {missing} with the current template"))
    } else if wanted > 0 && existing > wanted && ready < existing {
        Progress::RollingOut(format!("waits for {new}, {old} meanwhile"))
    } else if updated < wanted || existing > wanted || total > wanted {
        Progress::RollingOut("waits for pods to go that are not needed any more".to_owned())
    } else {
        Progress::Complete(format!("{} as the spec asks", pods(wanted)))
    }
}
