//! Findings as conditions (`metav1.Condition`).

use mediaorigin_crds::v1alpha1::{Condition, ConditionStatus};

use super::{Findings, MESSAGE_LENGTH_MAX, Progress, cut, find, pods, scaling};
use crate::observed::Observed;
use crate::reasons::{ConditionType, ProgressReason, StalledReason};

impl Findings {
    pub(super) fn conditions(self, observed: &Observed) -> Vec<Condition> {
        let (progressing, reason, message) = match self.progress {
            Progress::Handed(message) | Progress::Making(message) | Progress::RollingOut(message) => {
                (ConditionStatus::True, ProgressReason::RollingOut, message)
            }
            Progress::Unbound(message) => (ConditionStatus::True, ProgressReason::VolumeUnbound, message),
            Progress::Failed(message) => (ConditionStatus::True, ProgressReason::ApiError, message),
            Progress::Deleting(message) => (ConditionStatus::True, ProgressReason::Deleting, message),
            Progress::Resizing(message) => (ConditionStatus::True, ProgressReason::Resizing, message),
            Progress::Configuring(message) => (ConditionStatus::True, ProgressReason::Configuring, message),
            Progress::Paused => {
                let message = "nothing is changed, as spec.reconciliation or the annotation asks".to_owned();
                (ConditionStatus::False, ProgressReason::Paused, message)
            }
            Progress::Complete(message) => (ConditionStatus::False, ProgressReason::Complete, message),
            Progress::Blocked => (ConditionStatus::False, ProgressReason::Blocked, "see Stalled".to_owned()),
        };
        let stalled = match self.stalled.0 {
            StalledReason::NotStalled => ConditionStatus::False,
            _ => ConditionStatus::True,
        };
        let make = |kind, status, reason, message: &String| make(observed, kind, status, reason, message);
        let resized = self.resized.finding;
        let pods::Findings { configured, healthy, routed } = self.pods;
        let routed = routed.map(|routed| make(ConditionType::Routed, routed.0, routed.1.as_str(), &routed.2));
        let scaling = scaling::active(observed).map(|(status, reason, message)| {
            make(ConditionType::ScalingActive, status, reason.as_str(), &message)
        });
        let conditions = [
            make(ConditionType::Accepted, self.accepted.0, self.accepted.1.as_str(), &self.accepted.2),
            make(ConditionType::Ready, self.ready.0, self.ready.1.as_str(), &self.ready.2),
            make(ConditionType::Progressing, progressing, reason.as_str(), &message),
            make(ConditionType::Reconciling, progressing, reason.as_str(), &message),
            make(ConditionType::Stalled, stalled, self.stalled.0.as_str(), &self.stalled.1),
            make(ConditionType::Configured, configured.0, configured.1.as_str(), &configured.2),
            make(ConditionType::Healthy, healthy.0, healthy.1.as_str(), &healthy.2),
            make(ConditionType::Resized, resized.0, resized.1.as_str(), &resized.2),
        ];
        conditions.into_iter().chain(routed).chain(scaling).collect()
    }
}

fn make(
    observed: &Observed,
    kind: ConditionType,
    status: ConditionStatus,
    reason: &str,
    message: &str,
) -> Condition {
    let before = find(&observed.status, kind.as_str()).filter(|before| before.status == status);
    let now = || observed.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    Condition {
        kind: kind.as_str().to_owned(),
        status,
        observed_generation: observed.generation,
        last_transition_time: before.map_or_else(now, |before| before.last_transition_time.clone()),
        reason: reason.to_owned(),
        message: cut(message, MESSAGE_LENGTH_MAX),
    }
}
