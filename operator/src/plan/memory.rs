//! The memory of pods that run: resized in place, by the pod's `resize`, without a roll-out.
//!
//! **More**: the container first; the origin sees it and grows by itself. **Less**: the origin first, which is told by its configuration,
//! evicts, and says when it would fit; then the container, one pod after the other. The kubelet may not carry a resize out: not now, never,
//! or not without an error. Then the pods are replaced, unless the spec says that they never are.
//!
//! A Deployment replaces its pods whenever its template changes. So the template keeps the limit that it was made with, which its
//! annotations remember, and takes the new one with the next change that replaces the pods anyway. A pod that is made meanwhile, by a
//! scale-out or on another node, starts with the old one and is resized as soon as it runs.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodCondition, ResourceRequirements};
use mediaorigin_crds::names;
use mediaorigin_crds::units::Bytes;
use mediaorigin_crds::v1alpha1::{ConditionStatus, ResizeSpec};
use serde_json::Value;

use super::workload::CONTAINER;
use super::{Action, Child};
use crate::observed::Observed;
use crate::part::Part;
use crate::pods;
use crate::reasons::{ConditionType, ResizedReason};

/// How long a kubelet may put a resize off, or try again, before the pods are replaced: as long as a roll-out may stand still.
pub const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

/// How far a pod is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its container and its origin have the limit of the spec, or nobody says otherwise.
    Done,
    /// It is to be asked for.
    Ask,
    /// It is asked for, and on its way.
    Asked,
    /// Its origin has to need less first, or to say that it does; why it does not yet.
    Shrinking(String),
    /// The kubelet puts it off, since this time; its words.
    Deferred(String, Timestamp),
    /// The kubelet tries and fails, since this time; its words.
    Failed(String, Timestamp),
    /// The node never has so much; the kubelet's words.
    Infeasible(String),
}

/// How far the pods that run are on their way to `wanted`, by their names; and those that no node has room for.
pub fn steps(observed: &Observed, wanted: Bytes) -> Vec<(String, Step)> {
    let is_too_large = |pod: &Pod| {
        pods::refused_by_scheduler(pod).is_some() && asked_for(pod).is_some_and(|limit| limit > wanted)
    };
    let pods = observed.pods.iter().filter(|pod| pods::exists(pod));
    let pods = pods.filter(|pod| pods::is_running(pod) || is_too_large(pod));
    let mut steps: Vec<(String, Step)> = pods
        .filter_map(|pod| {
            let name = pod.metadata.name.clone()?;
            let step = step(observed, pod, &name, wanted);
            Some((name, step))
        })
        .collect();
    steps.sort_by(|(one, _), (other, _)| one.cmp(other));
    // Of those that shrink one after the other: what a mistake costs, it costs one pod.
    let limit_of = |name: &String| {
        let pod = observed.pods.iter().find(|pod| pod.metadata.name.as_ref() == Some(name))?;
        in_force(pod)
    };
    let shrinks = |name: &String| limit_of(name).is_some_and(|limit| limit > wanted);
    let mut is_taken = steps.iter().any(|(name, step)| *step == Step::Asked && shrinks(name));
    for (name, step) in &mut steps {
        if *step == Step::Ask && shrinks(name) {
            if is_taken {
                *step = Step::Shrinking("waits for its turn".to_owned());
            }
            is_taken = true;
        }
    }
    steps
}

/// What to ask the kubelets for. Nothing of pods that go anyway: their node may not have room for what they would get and for those
/// that come in their place.
pub fn resizes(observed: &Observed, children: &[Child], wanted: Bytes) -> Vec<Action> {
    if are_replaced(observed, children, wanted) {
        return Vec::new();
    }
    let asked = steps(observed, wanted).into_iter().filter(|(_, step)| *step == Step::Ask);
    asked.map(|(pod, _)| Action::Resize { pod, limit: wanted }).collect()
}

/// The limit in the pod template, whose other fields have this hash.
pub fn of_template(observed: &Observed, spec: ResizeSpec, wanted: Bytes, template_hash: &str) -> Bytes {
    let deployment = observed.children.get(&Part::Deployment).filter(|child| observed.owns(child));
    let annotation = |key: &str| deployment?["metadata"]["annotations"][key].as_str();
    let made_with = annotation(names::ANNOTATION_TEMPLATE_MEMORY).and_then(|text| Bytes::parse(text).ok());
    let is_new = annotation(names::ANNOTATION_TEMPLATE_HASH) != Some(template_hash);
    // Where none runs, nobody loses anything by another template.
    let has_pods = observed.pods.iter().any(|pod| pods::exists(pod) && pods::is_running(pod));
    match made_with {
        Some(made_with) if has_pods && !is_new && !must_replace(observed, spec, wanted) => made_with,
        _ => wanted,
    }
}

/// Whether the pods are on their way to go, in favour of ones that are made with `wanted`.
pub fn are_replaced(observed: &Observed, children: &[Child], wanted: Bytes) -> bool {
    let Some(planned) = children.iter().find(|child| child.part == Part::Deployment) else { return false };
    let Some(live) = observed.children.get(&Part::Deployment) else { return false };
    let annotation = |body: &Value, key: &str| body["metadata"]["annotations"][key].clone();
    let is_new = [names::ANNOTATION_TEMPLATE_HASH, names::ANNOTATION_TEMPLATE_MEMORY]
        .iter()
        .any(|key| annotation(&planned.body, key) != annotation(live, key));
    let number = |path: &str| live.pointer(path).and_then(Value::as_i64).unwrap_or_default();
    let is_under_way = number("/status/observedGeneration") < number("/metadata/generation")
        || number("/status/updatedReplicas") < number("/status/replicas");
    annotation(&planned.body, names::ANNOTATION_TEMPLATE_MEMORY) == wanted.to_string().as_str()
        && (is_new || is_under_way)
}

/// Whether pods have to be replaced, because they cannot be resized or must not be.
fn must_replace(observed: &Observed, spec: ResizeSpec, wanted: Bytes) -> bool {
    match spec {
        ResizeSpec::Replace => true,
        ResizeSpec::InPlace => false,
        ResizeSpec::InPlaceOrReplace => {
            let is_late = |since: Timestamp| observed.now.duration_since(since) >= PATIENCE;
            was_refused_at(observed).is_some_and(is_late)
                || steps(observed, wanted).iter().any(|(_, step)| match step {
                    Step::Infeasible(_) => true,
                    Step::Deferred(_, since) | Step::Failed(_, since) => is_late(*since),
                    Step::Done | Step::Ask | Step::Asked | Step::Shrinking(_) => false,
                })
        }
    }
}

/// Since when pods do not have the limit of the spec, where the API server refused to have one resized last.
fn was_refused_at(observed: &Observed) -> Option<Timestamp> {
    let mut conditions = observed.status.conditions.iter();
    let resized = conditions.find(|condition| condition.kind == ConditionType::Resized.as_str())?;
    let is_refused =
        resized.status == ConditionStatus::False && resized.reason == ResizedReason::Refused.as_str();
    resized.last_transition_time.parse().ok().filter(|_| is_refused)
}

fn step(observed: &Observed, pod: &Pod, name: &str, wanted: Bytes) -> Step {
    let Some(asked) = asked_for(pod) else { return Step::Done };
    let in_force = in_force(pod).unwrap_or(asked);
    let report = observed.reports.get(name);
    if asked == wanted {
        return stands(pod, observed.now).unwrap_or_else(|| {
            // The origin grows when it sees that its container has grown.
            let grows = report.and_then(|report| report.memory).is_some_and(|memory| memory.limit < wanted);
            if is_same(in_force, wanted) && !grows { Step::Done } else { Step::Asked }
        });
    }
    if in_force <= wanted || !pods::is_running(pod) {
        return Step::Ask;
    }
    match report.map(|report| report.memory) {
        None | Some(None) => Step::Shrinking("has not said what it uses".to_owned()),
        Some(Some(memory)) if memory.limit > wanted => {
            Step::Shrinking("has not been told of the new limit".to_owned())
        }
        Some(Some(memory)) if !memory.fits => Step::Shrinking("still uses more than that".to_owned()),
        Some(Some(_)) => Step::Ask,
    }
}

/// Why a resize that was asked for is not carried out.
fn stands(pod: &Pod, now: Timestamp) -> Option<Step> {
    let words = |condition: &PodCondition| condition.message.clone().unwrap_or_default();
    let since = |condition: &PodCondition| condition.last_transition_time.as_ref().map_or(now, |time| time.0);
    let is = |condition: &&PodCondition| condition.status == "True";
    let pending = pods::condition(pod, "PodResizePending").filter(is);
    if let Some(pending) = pending {
        return Some(match pending.reason.as_deref() {
            Some("Infeasible") => Step::Infeasible(words(pending)),
            _ => Step::Deferred(words(pending), since(pending)),
        });
    }
    let failed = pods::condition(pod, "PodResizeInProgress").filter(is);
    let failed = failed.filter(|condition| condition.reason.as_deref() == Some("Error"))?;
    Some(Step::Failed(words(failed), since(failed)))
}

/// A kernel makes whole pages of a limit, which are no larger than this anywhere: what it says may be a little less.
fn is_same(in_force: Bytes, wanted: Bytes) -> bool {
    in_force <= wanted && wanted.0 - in_force.0 < 64 * Bytes::KIB
}

/// The limit that was asked for last.
fn asked_for(pod: &Pod) -> Option<Bytes> {
    let containers = &pod.spec.as_ref()?.containers;
    limit(containers.iter().find(|container| container.name == CONTAINER)?.resources.as_ref())
}

/// The limit that the kubelet says is in force.
fn in_force(pod: &Pod) -> Option<Bytes> {
    limit(pods::container(pod)?.resources.as_ref()).or_else(|| asked_for(pod))
}

fn limit(resources: Option<&ResourceRequirements>) -> Option<Bytes> {
    Bytes::parse(&resources?.limits.as_ref()?.get("memory")?.0).ok()
}

/// What the pod's `resize` is patched with: limit and request, which are the same, so that its class of service stays.
pub fn patch(limit: Bytes) -> Value {
    let memory = serde_json::json!({ "memory": limit.to_string() });
    let container =
        serde_json::json!({ "name": CONTAINER, "resources": { "limits": memory, "requests": memory } });
    serde_json::json!({ "spec": { "containers": [container] } })
}
