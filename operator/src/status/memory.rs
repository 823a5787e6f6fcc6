//! Whether the pods have the memory of the spec, as a condition.

use mediaorigin_crds::units::Bytes;
use mediaorigin_crds::v1alpha1::{ConditionStatus, ResizeSpec};

use super::settled;
use crate::apply::Applied;
use crate::observed::Observed;
use crate::plan::Verdict;
use crate::plan::memory::{Step, are_replaced, steps};
use crate::reasons::{ResizedReason, StalledReason};

/// The condition before it becomes text.
pub(super) struct Resized {
    pub(super) finding: (ConditionStatus, ResizedReason, String),
    /// It will not go on by itself.
    pub(super) stalled: Option<(StalledReason, String)>,
}

impl Resized {
    /// What is on its way.
    pub(super) fn open(&self) -> Option<String> {
        let (status, _, message) = &self.finding;
        (*status == ConditionStatus::False).then(|| message.clone())
    }
}

pub(super) fn resized(observed: &Observed, applied: &Applied) -> Resized {
    let Some(wanted) = wanted(observed, applied) else {
        let message = "no pod has been asked for yet".to_owned();
        return Resized { finding: (ConditionStatus::Unknown, ResizedReason::NoPod, message), stalled: None };
    };
    let spec = observed.spec.as_ref().map(|spec| spec.memory.resize).unwrap_or_default();
    let (status, reason, message) = finding(observed, applied, wanted);
    let message = settled(observed, reason.as_str(), message);
    let is_stalled = reason == ResizedReason::Infeasible && spec == ResizeSpec::InPlace;
    let stalled = is_stalled.then(|| (StalledReason::ResizeInfeasible, message.clone()));
    Resized { finding: (status, reason, message), stalled }
}

/// The limit of the spec; of one that is not carried out, that of the last one which was.
fn wanted(observed: &Observed, applied: &Applied) -> Option<Bytes> {
    match &applied.plan.verdict {
        Verdict::Accepted(budget) | Verdict::Collision(budget, _) => Some(budget.limit),
        Verdict::Invalid(_) | Verdict::Deleting => Bytes::parse(&observed.status.memory.as_ref()?.limit).ok(),
    }
}

fn finding(
    observed: &Observed,
    applied: &Applied,
    wanted: Bytes,
) -> (ConditionStatus, ResizedReason, String) {
    let is_false = |reason, message| (ConditionStatus::False, reason, message);
    let steps = steps(observed, wanted);
    let is_open = steps.iter().any(|(_, step)| *step != Step::Done);
    if is_open && are_replaced(observed, &applied.plan.children, wanted) {
        let mut said = steps
            .iter()
            .filter(|(_, step)| matches!(step, Step::Infeasible(_) | Step::Failed(..) | Step::Deferred(..)));
        let why = said.find_map(|(pod, step)| words(pod, step, wanted));
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let message = format!("pods are replaced by ones with {wanted} of memory{why}");
        return is_false(ResizedReason::Replacing, message);
    }
    if let Some((pod, said)) = applied.not_resized.first() {
        let message = format!("pod {pod} cannot be asked to have {wanted} of memory: {said}");
        return is_false(ResizedReason::Refused, message);
    }
    let mut open: Vec<(ResizedReason, String)> =
        steps.iter().filter_map(|(pod, step)| Some((reason(step)?, words(pod, step, wanted)?))).collect();
    let rank = |reason: ResizedReason| ResizedReason::ALL.iter().position(|one| *one == reason);
    open.sort_by_key(|(reason, _)| rank(*reason));
    match open.first() {
        Some((reason, _)) => {
            let lines: Vec<&str> = open.iter().map(|(_, words)| words.as_str()).collect();
            is_false(*reason, lines.join("\n"))
        }
        None if steps.is_empty() => {
            (ConditionStatus::Unknown, ResizedReason::NoPod, "no pod runs".to_owned())
        }
        None => {
            let message = format!("every pod that runs may use {wanted} of memory");
            (ConditionStatus::True, ResizedReason::Resized, message)
        }
    }
}

fn reason(step: &Step) -> Option<ResizedReason> {
    match step {
        Step::Done => None,
        Step::Ask | Step::Asked => Some(ResizedReason::InProgress),
        Step::Shrinking(_) => Some(ResizedReason::Shrinking),
        Step::Deferred(..) => Some(ResizedReason::Deferred),
        Step::Failed(..) => Some(ResizedReason::Failed),
        Step::Infeasible(_) => Some(ResizedReason::Infeasible),
    }
}

fn words(pod: &str, step: &Step, wanted: Bytes) -> Option<String> {
    match step {
        Step::Done => None,
        Step::Ask | Step::Asked => Some(format!("pod {pod} is being resized to {wanted}")),
        Step::Shrinking(why) => Some(format!("pod {pod} is to have {wanted} and {why}")),
        Step::Deferred(said, _) => Some(format!("the node of pod {pod} has no {wanted} for it now: {said}")),
        Step::Failed(said, _) => Some(format!("pod {pod} could not be resized to {wanted} yet: {said}")),
        Step::Infeasible(said) => Some(format!("the node of pod {pod} never has {wanted} for it: {said}")),
    }
}
