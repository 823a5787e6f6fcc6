//! How many origins this operator keeps true, by what their conditions say: the metric that alerts stand on.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use mediaorigin_crds::v1alpha1::{ConditionStatus, MediaOriginStatus};
use prometheus_client::encoding::EncodeLabelValue;

use crate::reasons::ConditionType;

/// What the conditions of an origin come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum State {
    /// It serves, or is stopped as asked.
    Ready,
    /// It does not serve, and waiting may help.
    NotReady,
    /// Somebody has to act, whether it serves meanwhile or not.
    Stalled,
}

impl State {
    /// Every one there is.
    pub const ALL: [Self; 3] = [Self::Ready, Self::NotReady, Self::Stalled];

    /// What a status comes to.
    pub fn of(status: &MediaOriginStatus) -> Self {
        let is_true = |kind: ConditionType| {
            let mut all = status.conditions.iter();
            all.any(|found| found.kind == kind.as_str() && found.status == ConditionStatus::True)
        };
        if is_true(ConditionType::Stalled) {
            Self::Stalled
        } else if is_true(ConditionType::Ready) {
            Self::Ready
        } else {
            Self::NotReady
        }
    }
}

/// The origins by namespace and name, as they were when they were last reconciled.
#[derive(Debug, Default)]
pub struct Managed(Mutex<BTreeMap<(String, String), State>>);

impl Managed {
    /// An origin was reconciled.
    pub fn saw(&self, namespace: &str, name: &str, state: State) {
        self.with(|origins| origins.insert((namespace.to_owned(), name.to_owned()), state));
    }

    /// An origin is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.with(|origins| origins.remove(&(namespace.to_owned(), name.to_owned())));
    }

    /// Another operator acts: what this one knows is old from now on.
    pub fn forget_all(&self) {
        self.with(BTreeMap::clear);
    }

    /// How many origins are in a state.
    pub fn count(&self, state: State) -> usize {
        self.with(|origins| origins.values().filter(|found| **found == state).count())
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<(String, String), State>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use mediaorigin_crds::v1alpha1::Condition;

    use super::*;

    fn status(ready: ConditionStatus, stalled: ConditionStatus) -> MediaOriginStatus {
        let condition = |kind: ConditionType, status| Condition {
            kind: kind.as_str().to_owned(),
            status,
            observed_generation: 1,
            last_transition_time: String::new(),
            reason: String::new(),
            message: String::new(),
        };
        let conditions =
            vec![condition(ConditionType::Ready, ready), condition(ConditionType::Stalled, stalled)];
        MediaOriginStatus { conditions, ..MediaOriginStatus::default() }
    }

    #[test]
    fn an_origin_is_in_one_state_until_it_is_gone() {
        let (yes, no) = (ConditionStatus::True, ConditionStatus::False);
        let managed = Managed::default();
        managed.saw("media", "live", State::of(&status(no, no)));
        managed.saw("media", "live", State::of(&status(yes, no)));
        managed.saw("media", "vod", State::of(&status(yes, yes)));
        managed.saw("other", "live", State::of(&MediaOriginStatus::default()));
        assert_eq!(State::ALL.map(|state| managed.count(state)), [1, 1, 1]);
        managed.forget("media", "vod");
        assert_eq!(State::ALL.map(|state| managed.count(state)), [1, 1, 0]);
        managed.forget_all();
        assert_eq!(State::ALL.map(|state| managed.count(state)), [0, 0, 0]);
    }
}
