//! Which changes of the conditions become events.

use mediaorigin_crds::v1alpha1::{ConditionStatus, MediaOriginStatus};
use mediaorigin_scaler::Reason;

use super::{cut, find};
use crate::reasons::{ConditionType, ReadyReason, ResizedReason, StalledReason};

/// Longest note of an event.
const NOTE_LENGTH_MAX: usize = 1_000;

/// A change that people want to see in `kubectl describe`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Somebody should look at it.
    pub warning: bool,
    /// The reason of the condition that changed.
    pub reason: String,
    /// The condition that changed.
    pub condition: &'static str,
    /// Its message.
    pub note: String,
}

/// `Progressing` and `Reconciling` come and go with every rollout and make no events; neither does what is fine from the start.
pub(super) fn transitions(before: &MediaOriginStatus, after: &MediaOriginStatus) -> Vec<Transition> {
    let kinds = [
        ConditionType::Accepted,
        ConditionType::Ready,
        ConditionType::Stalled,
        ConditionType::Healthy,
        ConditionType::Resized,
        ConditionType::Routed,
    ];
    let mut events: Vec<Transition> = Vec::new();
    for kind in kinds {
        let (old, new) = (find(before, kind.as_str()), find(after, kind.as_str()));
        let Some(new) = new else { continue };
        let is_new = old.is_none_or(|old| (old.status, &old.reason) != (new.status, &new.reason));
        let served = old.is_some_and(|old| old.reason == ReadyReason::Serving.as_str());
        let unknown = new.status == ConditionStatus::Unknown;
        let can_be_well = matches!(kind, ConditionType::Healthy | ConditionType::Resized);
        // What is well from the start is no news; that it is well again is.
        let was_well = old.is_none_or(|old| old.status == ConditionStatus::Unknown);
        let dull = new.reason == StalledReason::NotStalled.as_str()
            || unknown
            || (can_be_well && new.status == ConditionStatus::True && was_well)
            || is_on_its_way(&new.reason)
            || (new.reason == ReadyReason::Starting.as_str() && !served)
            || events.iter().any(|event| event.reason == new.reason);
        if is_new && !dull {
            let good = new.status == ConditionStatus::True && kind != ConditionType::Stalled;
            events.push(Transition {
                warning: !good,
                reason: new.reason.clone(),
                condition: kind.as_str(),
                note: cut(&new.message, NOTE_LENGTH_MAX),
            });
        }
    }
    events.extend(scaled(before, after));
    events
}

/// Another number of pods, and why; and that the number cannot follow the load.
fn scaled(before: &MediaOriginStatus, after: &MediaOriginStatus) -> Option<Transition> {
    let new = after.scaling.as_ref()?;
    let old = before.scaling.as_ref();
    let cannot = [Reason::AtMax, Reason::DataMissing].map(Reason::as_str).contains(&new.reason.as_str());
    let is_new_reason = old.is_none_or(|old| old.reason != new.reason);
    let warning = cannot && is_new_reason;
    let note = match old.filter(|old| old.desired != new.desired) {
        Some(old) => format!("{} → {} pods: {}", old.desired, new.desired, new.explanation),
        None if warning => new.explanation.clone(),
        None => return None,
    };
    let condition = ConditionType::ScalingActive.as_str();
    Some(Transition { warning, reason: new.reason.clone(), condition, note: cut(&note, NOTE_LENGTH_MAX) })
}

/// A pod that is being resized says so once it is, or when it cannot be.
fn is_on_its_way(reason: &str) -> bool {
    [ResizedReason::InProgress, ResizedReason::Shrinking].iter().any(|one| one.as_str() == reason)
}
