//! How many pods there are to be, and why: `status.scaling` and the condition `ScalingActive`.

use mediaorigin_crds::autoscaling::Mode;
use mediaorigin_crds::v1alpha1::{ConditionStatus, ScalingStatus};
use mediaorigin_scaler::Reason;

use super::cut;
use crate::observed::Observed;

/// Longest explanation that the schema admits.
const EXPLANATION_LENGTH_MAX: usize = 512;

/// The last decision; what was said before where the operator has not decided again since.
pub(super) fn scaling(observed: &Observed) -> Option<ScalingStatus> {
    let scaling = observed.scaling.as_ref().filter(|scaling| scaling.mode == Mode::Internal)?;
    let Some(told) = &scaling.told else { return observed.status.scaling.clone() };
    let decision = &told.decision;
    let dimension = decision.binding.map(|input| input.dimension.as_str().to_owned());
    let lead = i32::try_from(decision.lead.as_millis()).unwrap_or(i32::MAX);
    Some(ScalingStatus {
        desired: i32::try_from(decision.replicas).unwrap_or(i32::MAX),
        reason: decision.reason.as_str().to_owned(),
        dimension: dimension.unwrap_or_default(),
        explanation: cut(&decision.explanation, EXPLANATION_LENGTH_MAX),
        lead_milliseconds: lead,
        floor: decision.floor.clone().unwrap_or_default(),
        learned: told.learned.clone(),
    })
}

/// Whether the number follows the load; nothing without `spec.autoscaling`.
pub(super) fn active(observed: &Observed) -> Option<(ConditionStatus, Reason, String)> {
    let scaling = observed.scaling.as_ref()?;
    let (reason, message) = match (scaling.mode, &scaling.told) {
        (Mode::Disabled, _) => (Reason::Disabled, "there are spec.replicas pods".to_owned()),
        (Mode::External, _) => {
            (Reason::External, "there are spec.replicas pods, which an autoscaler writes".to_owned())
        }
        (Mode::Internal, Some(told)) => (told.decision.reason, told.decision.explanation.clone()),
        (Mode::Internal, None) => (Reason::Starting, "the operator begins to watch the pods".to_owned()),
    };
    let status = if reason.is_active() { ConditionStatus::True } else { ConditionStatus::False };
    Some((status, reason, message))
}
