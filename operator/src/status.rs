//! What to report: the status and the events, from what was observed and what was applied. Pure.
//!
//! kstatus reads it so: `Stalled` true is failed, `Reconciling` true is in progress, otherwise `Ready` decides. `Reconciling` and
//! `Stalled` are always present and never both true. A stopped origin (`spec.replicas: 0`) is ready: it is what was asked.

mod conditions;
mod deletion;
mod memory;
mod pods;
mod progress;
mod scaling;
mod transition;

use std::fmt;

use mediaorigin_crds::budget::Budget;
use mediaorigin_crds::problem::Problem;
use mediaorigin_crds::units::Bytes;
use mediaorigin_crds::v1alpha1::{
    Condition, ConditionStatus, MediaOriginSpec, MediaOriginStatus, MemoryStatus,
};
use serde_json::Value;

use crate::apply::{Applied, Failure, Refusal};
use crate::claim::Claim;
use crate::observed::{Observed, selector_text};
use crate::part::Part;
use crate::plan::Verdict;
use crate::plan::credentials::publisher_secret;
use crate::plan::service::endpoint;
use crate::pods::{Census, Mounts, census};
use crate::reasons::{AcceptedReason, ProgressReason, ReadyReason, StalledReason};

use deletion::deletion;
use memory::{Resized, resized};
use progress::progress;
pub use transition::Transition;
use transition::transitions;

/// Longest message that the schema admits.
const MESSAGE_LENGTH_MAX: usize = 32_000;

/// What to write about an origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The status as it should be.
    pub status: MediaOriginStatus,
    /// Whether it differs from what is there.
    pub changed: bool,
    /// Transitions worth an event.
    pub events: Vec<Transition>,
}

/// The conditions before they become text.
struct Findings {
    accepted: (ConditionStatus, AcceptedReason, String),
    ready: (ConditionStatus, ReadyReason, String),
    progress: Progress,
    stalled: (StalledReason, String),
    pods: pods::Findings,
    resized: Resized,
}

/// What the pods and their kubelets say.
type Said = (pods::Findings, Resized);

/// How far the pods are from what the spec asks.
enum Progress {
    /// Kubernetes has not seen what was applied yet: what is there says nothing about it.
    Handed(String),
    /// Kubernetes has to make the pod of the current template.
    Making(String),
    /// The pods of the current template are on their way.
    RollingOut(String),
    /// The disk has no volume yet.
    Unbound(String),
    /// A child could not be written and is tried again.
    Failed(String),
    /// A child is being deleted and is not gone yet.
    Deleting(String),
    /// A pod serves an earlier generation still.
    Configuring(String),
    /// A pod is resized while it serves.
    Resizing(String),
    Paused,
    Complete(String),
    Blocked,
}

/// What to report after `applied`.
pub fn status(observed: &Observed, applied: &Applied) -> Report {
    status_after(observed, applied, &[])
}

/// What to report after `applied` where these children could not be written.
pub fn status_after(observed: &Observed, applied: &Applied, failures: &[Failure]) -> Report {
    let previous = &observed.status;
    let mounts = Mounts::of(observed);
    let wanted = observed.spec.as_ref().map_or(1, |spec| spec.replicas);
    let census = census(&observed.pods, &mounts, wanted, observed.now);
    let said = (pods::findings(observed), resized(observed, applied));
    let (findings, memory, endpoint) = match (&applied.plan.verdict, &observed.spec) {
        (Verdict::Deleting, _) => {
            return Report { status: previous.clone(), changed: false, events: Vec::new() };
        }
        (Verdict::Invalid(problems), _) | (Verdict::Accepted(_) | Verdict::Collision(..), Err(problems)) => {
            (invalid(problems, &census, said), previous.memory.clone(), previous.endpoint.clone())
        }
        (Verdict::Collision(budget, collisions), Ok(spec)) => {
            let message = collisions.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            (collision(&message, said), Some(memory_terms(budget)), address(observed, spec))
        }
        (Verdict::Accepted(budget), Ok(spec)) => (
            operation(observed, spec, (applied, failures), (&census, &mounts), said),
            Some(memory_terms(budget)),
            address(observed, spec),
        ),
    };
    let status = MediaOriginStatus {
        observed_generation: observed.generation,
        conditions: findings.conditions(observed),
        replicas: census.existing,
        ready_replicas: census.ready,
        selector: selector_text(&observed.name),
        endpoint,
        memory,
        scaling: scaling::scaling(observed),
        publisher_secret_name: publisher_secret_name(observed),
        streams: pods::streams(observed),
        pods: pods::served(observed),
    };
    Report { changed: status != *previous, events: transitions(previous, &status), status }
}

fn address(observed: &Observed, spec: &MediaOriginSpec) -> String {
    endpoint(&observed.name, &observed.namespace, &spec.service)
}

fn memory_terms(budget: &Budget) -> MemoryStatus {
    let Budget { limit, base, connections, index, slack, objects } = *budget;
    let text = |bytes: Bytes| bytes.to_string();
    MemoryStatus {
        limit: text(limit),
        objects: text(objects),
        base: text(base),
        connections: text(connections),
        index: text(index),
        slack: text(slack),
    }
}

fn invalid(problems: &[Problem], census: &Census, (pods, resized): Said) -> Findings {
    let message = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let first = first(problems);
    let ready = if census.ready > 0 {
        let message = "pods of the last accepted spec serve".to_owned();
        (ConditionStatus::True, ReadyReason::Serving, message)
    } else {
        (ConditionStatus::False, ReadyReason::Invalid, first.clone())
    };
    Findings {
        accepted: (ConditionStatus::False, AcceptedReason::Invalid, message),
        ready,
        progress: Progress::Blocked,
        stalled: (StalledReason::Invalid, first),
        pods,
        resized,
    }
}

/// What fits into a line of `kubectl get`.
fn first(problems: &[Problem]) -> String {
    match problems {
        [] => "the spec has problems, see Accepted".to_owned(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more, see Accepted)", rest.len()),
    }
}

fn collision(message: &str, (pods, resized): Said) -> Findings {
    Findings {
        accepted: accepted(),
        ready: (ConditionStatus::False, ReadyReason::NameCollision, message.to_owned()),
        progress: Progress::Blocked,
        stalled: (StalledReason::NameCollision, message.to_owned()),
        pods,
        resized,
    }
}

fn accepted() -> (ConditionStatus, AcceptedReason, String) {
    (ConditionStatus::True, AcceptedReason::Accepted, "the spec has no problems".to_owned())
}

fn operation(
    observed: &Observed,
    spec: &MediaOriginSpec,
    (applied, failures): (&Applied, &[Failure]),
    (census, mounts): (&Census, &Mounts),
    (pods, resized): Said,
) -> Findings {
    let deployment = observed.children.get(&Part::Deployment);
    let failed = failed(observed, failures);
    let ready = ready(observed, spec, applied, (failures, failed.as_deref()), census);
    let deletion = deletion(observed);
    let progress = match (failed, &deletion) {
        (Some(message), _) => Progress::Failed(message),
        (None, Some(deletion)) => Progress::Deleting(deletion.message.clone()),
        (None, None) => progress(spec, &applied.plan, deployment, census),
    };
    let stalled = refused(applied).or_else(|| rivalry(observed)).or_else(|| match progress {
        // A pod of an earlier template may well refuse what the next one takes.
        Progress::Complete(_) => pods.refusal().or_else(|| resized.stalled.clone()),
        Progress::Deleting(_) => deletion
            .filter(|deletion| deletion.is_stuck)
            .map(|deletion| (StalledReason::DeletionBlocked, deletion.message)),
        Progress::Handed(_)
        | Progress::Failed(_)
        | Progress::Unbound(_)
        | Progress::Configuring(_)
        | Progress::Resizing(_)
        | Progress::Paused => None,
        Progress::Making(_) => {
            deployment.and_then(forbidden).map(|message| (StalledReason::PodsForbidden, message))
        }
        Progress::RollingOut(_) | Progress::Blocked => stalled(deployment?, census),
    });
    let unbound = census.trouble.as_ref().filter(|trouble| trouble.reason == ReadyReason::VolumeUnbound);
    let growth = mounts.claim.as_ref().and_then(Claim::growth);
    let progress = match (progress, unbound, growth) {
        _ if applied.plan.paused => Progress::Paused,
        _ if stalled.is_some() => Progress::Blocked,
        (Progress::RollingOut(_), Some(trouble), _) => Progress::Unbound(trouble.message.clone()),
        (Progress::Complete(_), _, Some(growth)) => Progress::RollingOut(growth),
        (Progress::Complete(done), ..) => {
            let resizing = || resized.open().map_or(Progress::Complete(done), Progress::Resizing);
            pods.older().map_or_else(resizing, Progress::Configuring)
        }
        (progress, ..) => progress,
    };
    Findings {
        accepted: accepted(),
        ready,
        progress,
        stalled: stalled.unwrap_or((StalledReason::NotStalled, String::new())),
        pods,
        resized,
    }
}

fn ready(
    observed: &Observed,
    spec: &MediaOriginSpec,
    applied: &Applied,
    (failures, failed): (&[Failure], Option<&str>),
    census: &Census,
) -> (ConditionStatus, ReadyReason, String) {
    let missing = applied.refusals.iter().find(|refusal| !observed.children.contains_key(&refusal.part));
    // Pods that serve go on without the others, but nobody finds them without a Service.
    let cut_off = failures.iter().any(|Failure { part, .. }| {
        !observed.children.contains_key(part) && (census.ready == 0 || *part == Part::Service)
    });
    let deployment = observed.children.get(&Part::Deployment);
    if let Some(refusal) = missing {
        (ConditionStatus::False, ReadyReason::Refused, refusal.to_string())
    } else if let Some(message) = failed.filter(|_| cut_off) {
        (ConditionStatus::False, ReadyReason::ApiError, message.to_owned())
    } else if spec.replicas == 0 {
        (ConditionStatus::True, ReadyReason::Stopped, "scaled to 0, as the spec asks".to_owned())
    } else if census.ready > 0 {
        (ConditionStatus::True, ReadyReason::Serving, serving(observed, spec, census))
    } else if let Some(trouble) = &census.trouble {
        (ConditionStatus::False, trouble.reason, trouble.message.clone())
    } else if let Some(message) = deployment.and_then(forbidden) {
        (ConditionStatus::False, ReadyReason::PodsForbidden, message)
    } else if let Some(message) = failed {
        (ConditionStatus::False, ReadyReason::ApiError, message.to_owned())
    } else {
        (ConditionStatus::False, ReadyReason::Starting, "waits for the first pod".to_owned())
    }
}

fn serving(observed: &Observed, spec: &MediaOriginSpec, census: &Census) -> String {
    let address = address(observed, spec);
    match spec.replicas {
        1 => format!("serves at {address}"),
        wanted => format!("{} of {wanted} pods serve at {address}", census.ready.min(wanted)),
    }
}

/// What could not be written. An error may carry numbers that differ with every attempt, a port or a request's id; written each
/// time, the status would cause the next attempt at once.
fn failed(observed: &Observed, failures: &[Failure]) -> Option<String> {
    let message = failures.iter().map(|failure| failure.error.to_string()).collect::<Vec<_>>().join("\n");
    let message = settled(observed, ProgressReason::ApiError.as_str(), cut(&message, MESSAGE_LENGTH_MAX));
    (!failures.is_empty()).then_some(message)
}

/// What was said before, where `message` says the same but for numbers.
fn settled(observed: &Observed, reason: &str, message: String) -> String {
    let essence = |text: &str| text.replace(|letter: char| letter.is_ascii_hexdigit(), "");
    let mut before = observed.status.conditions.iter();
    let before =
        before.find(|before| before.reason == reason && essence(&before.message) == essence(&message));
    before.map_or(message, |before| before.message.clone())
}

/// The Secret with the credentials of publishers; empty where everyone may write.
fn publisher_secret_name(observed: &Observed) -> String {
    let write = observed.spec.as_ref().ok().and_then(|spec| spec.access.write.as_ref());
    write.map(|write| publisher_secret(&observed.name, write)).unwrap_or_default()
}

fn refused(applied: &Applied) -> Option<(StalledReason, String)> {
    let message = applied.refusals.iter().map(Refusal::to_string).collect::<Vec<_>>().join("\n");
    (!applied.refusals.is_empty()).then_some((StalledReason::Refused, message))
}

/// Two write the number of pods: what one asks for, the other takes back.
fn rivalry(observed: &Observed) -> Option<(StalledReason, String)> {
    let rival = observed.rivals.first()?;
    let (name, deployment) = (&observed.name, Part::Deployment.name(&observed.name));
    let message = format!(
        "HorizontalPodAutoscaler \"{rival}\" scales Deployment \"{deployment}\", whose number of pods is the operator's: \
         let its scaleTargetRef name MediaOrigin \"{name}\" (mediaorigin.io/v1alpha1), with spec.autoscaling.mode External"
    );
    Some((StalledReason::ScalingConflict, message))
}

fn stalled(deployment: &Value, census: &Census) -> Option<(StalledReason, String)> {
    let trouble = census.trouble.as_ref();
    if let Some((reason, trouble)) = trouble.and_then(|trouble| Some((trouble.stalls()?, trouble))) {
        return Some((reason, trouble.message.clone()));
    }
    if let Some(message) = forbidden(deployment) {
        return Some((StalledReason::PodsForbidden, message));
    }
    let late = condition(deployment, "Progressing")
        .is_some_and(|condition| condition["reason"] == "ProgressDeadlineExceeded");
    let message =
        trouble.map_or_else(|| "the rollout does not move on".to_owned(), |trouble| trouble.message.clone());
    late.then_some((StalledReason::DeadlineExceeded, message))
}

/// Why Kubernetes may not create pods.
fn forbidden(deployment: &Value) -> Option<String> {
    let condition =
        condition(deployment, "ReplicaFailure").filter(|condition| condition["status"] == "True")?;
    let message = condition["message"].as_str().unwrap_or_default();
    // In front of it is the name of a pod that never was, another one with every attempt.
    let cause = message.split_once(" is forbidden: ").map_or(message, |(_, cause)| cause);
    Some(format!("Kubernetes may not create the pod: {cause}"))
}

fn condition<'a>(deployment: &'a Value, kind: &str) -> Option<&'a Value> {
    deployment["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

fn find<'a>(status: &'a MediaOriginStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.kind == kind)
}

/// At most `length` bytes of `text`, at a boundary of characters.
fn cut(text: &str, length: usize) -> String {
    let mut end = text.len().min(length);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for condition in &self.status.conditions {
            let Condition { kind, status, reason, message, .. } = condition;
            let message = message.replace('\n', "\n    ");
            writeln!(
                out,
                "{}",
                format!("{kind}={status:?} {reason}: {message}").trim_end_matches([':', ' '])
            )?;
        }
        for event in &self.events {
            writeln!(out, "event {} {}", if event.warning { "Warning" } else { "Normal" }, event.reason)?;
        }
        Ok(())
    }
}
