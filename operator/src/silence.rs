//! Pods that stopped to answer while Kubernetes calls them ready. A node that stands still says nothing of its pods: the control plane
//! waits 40 s and more before it doubts them, and until then each connection that comes to one waits for nobody. Of an origin with several
//! pods the operator asks each one every second (`/livez`) and takes a silent one out of the Service, as the control plane would later: it
//! says in the pod's status that it is not ready. Every operator does so, also one that waits for its turn: the one that acts may be on
//! that node.
//!
//! A pod at whose address not even a kernel answers is taken out at once: a process that stands still or has too much to do is no such
//! case, a node without power or network is.
//!
//! The kubelet has the last word: one that lives says again what it sees, and then the pod is left alone until it has answered once more.
//! So an operator that is cut off itself, and not the pod, costs at most one such moment; and where fewer than half of the ready pods
//! answer, nothing is done.

mod rounds;

use std::collections::HashMap;
use std::net::SocketAddr;

use k8s_openapi::api::core::v1::Pod;
use mediaorigin_crds::names;
pub use rounds::rounds;

use crate::agents::Key;
use crate::pods;

/// The reason in the condition of a pod that was taken out.
pub const REASON: &str = "Unreachable";

/// Looks in a row without an answer after which a pod is silent: with the patience of a look about six seconds, more than the kubelet
/// gives the same pod (`readinessProbe`), which therefore is first wherever it lives.
const LOOKS: u32 = 3;

/// What a look at a pod has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It answers, whatever it says.
    Answers,
    /// It does not answer, but something at its address does.
    Silent,
    /// Nothing at its address answers, not even to say that nobody listens.
    Gone,
}

impl Sight {
    /// What is said of a pod that is taken out.
    fn message(self) -> &'static str {
        match self {
            Self::Answers | Self::Silent => {
                "it does not answer the operator, and most of the origin's other pods do"
            }
            Self::Gone => {
                "nothing at its address answers the operator, and most of the origin's other pods do"
            }
        }
    }
}

/// A pod that may answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uid: String,
    /// Its admin port.
    pub address: SocketAddr,
    /// Whether Kubernetes says that it serves.
    pub is_ready: bool,
}

impl Present {
    /// The origin whose labels it has, and the pod; nothing of one that has no process.
    pub fn of(pod: &Pod) -> Option<(Key, Self)> {
        let address = pods::may_answer(pod)?;
        let metadata = &pod.metadata;
        let origin = metadata.labels.as_ref()?.get(names::LABEL_INSTANCE)?;
        let key = (metadata.namespace.clone()?, origin.clone());
        let (name, uid) = (metadata.name.clone()?, metadata.uid.clone()?);
        Some((key, Self { name, uid, address, is_ready: pods::is_ready(pod) }))
    }
}

/// The silent pods of one origin.
#[derive(Debug, Default)]
pub struct Silence(HashMap<String, Silent>);

/// A pod that did not answer the last time, by its uid.
#[derive(Clone, Copy, Debug, Default)]
struct Silent {
    looks: u32,
    is_withdrawn: bool,
}

impl Silence {
    /// Takes what one look at `pods` has shown of each, and names those that are to be taken out of the Service now. Each is named once
    /// until it answers again, and not at all where somebody else was first.
    pub fn look<'a>(&mut self, pods: &'a [Present], sight: impl Fn(&Present) -> Sight) -> Vec<&'a Present> {
        self.0.retain(|uid, _| pods.iter().any(|pod| pod.uid == *uid));
        for pod in pods {
            let looks = match sight(pod) {
                Sight::Answers => {
                    self.0.remove(&pod.uid);
                    continue;
                }
                Sight::Silent => 1,
                Sight::Gone => LOOKS,
            };
            let silent = self.0.entry(pod.uid.clone()).or_default();
            silent.looks = silent.looks.saturating_add(looks);
            silent.is_withdrawn |= silent.looks >= LOOKS && !pod.is_ready;
        }
        let ready: Vec<&Present> = pods.iter().filter(|pod| pod.is_ready).collect();
        let answering = ready.iter().filter(|pod| sight(pod) == Sight::Answers).count();
        if answering == 0 || answering * 2 < ready.len() {
            return Vec::new();
        }
        ready.into_iter().filter(|pod| self.0.get_mut(&pod.uid).is_some_and(Silent::withdraw)).collect()
    }

    /// What was named could not be done; it is named again.
    pub fn failed(&mut self, uid: &str) {
        if let Some(silent) = self.0.get_mut(uid) {
            silent.is_withdrawn = false;
        }
    }
}

impl Silent {
    /// Whether it is to be taken out of the Service, and was not yet.
    fn withdraw(&mut self) -> bool {
        let is_due = self.looks >= LOOKS && !self.is_withdrawn;
        self.is_withdrawn |= is_due;
        is_due
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn pods(ready: [bool; 3]) -> Vec<Present> {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let pod = |(name, is_ready): (&str, bool)| Present {
            name: name.to_owned(),
            uid: name.to_owned(),
            address,
            is_ready,
        };
        ["a", "b", "c"].into_iter().zip(ready).map(pod).collect()
    }

    /// Looks at three pods of which those in `answering` answer, and those in capitals are gone; who is named.
    fn look(silence: &mut Silence, ready: [bool; 3], answering: &str) -> String {
        let pods = pods(ready);
        let sight = |pod: &Present| {
            if answering.contains(&pod.name) {
                Sight::Answers
            } else if answering.contains(&pod.name.to_uppercase()) {
                Sight::Gone
            } else {
                Sight::Silent
            }
        };
        silence.look(&pods, sight).iter().map(|pod| pod.name.as_str()).collect()
    }

    const ALL: [bool; 3] = [true; 3];

    #[test]
    fn a_pod_is_named_once_after_three_looks_and_again_only_after_it_has_answered() {
        let mut silence = Silence::default();
        for expected in ["", "", "c", "", ""] {
            assert_eq!(look(&mut silence, ALL, "ab"), expected);
        }
        for (answering, expected) in
            [("abc", ""), ("ab", ""), ("ab", ""), ("abc", ""), ("ab", ""), ("ab", "")]
        {
            assert_eq!(look(&mut silence, ALL, answering), expected);
        }
        assert_eq!(look(&mut silence, ALL, "ab"), "c");
    }

    #[test]
    fn a_pod_that_is_gone_is_named_at_once_and_only_once() {
        let mut silence = Silence::default();
        for (answering, expected) in [("abC", "c"), ("abC", ""), ("ab", ""), ("abc", ""), ("abC", "c")] {
            assert_eq!(look(&mut silence, ALL, answering), expected);
        }
        assert_eq!(look(&mut Silence::default(), ALL, "aBC"), "");
    }

    #[test]
    fn nothing_is_done_where_most_are_silent() {
        let mut silence = Silence::default();
        for _ in 0..5 {
            assert_eq!(look(&mut silence, ALL, "a"), "");
            assert_eq!(look(&mut silence, ALL, ""), "");
        }
        // Two of two and a half are enough: of two that are ready, one answers.
        assert_eq!(look(&mut silence, [true, true, false], "a"), "b");
    }

    #[test]
    fn who_was_taken_out_by_somebody_else_is_not_named_until_it_has_answered() {
        let mut silence = Silence::default();
        for _ in 0..5 {
            assert_eq!(look(&mut silence, [true, true, false], "ab"), "");
        }
        // Somebody who sees it says that it is ready: two operators take a pod out as often as one.
        assert_eq!(look(&mut silence, ALL, "ab"), "");
        assert_eq!(look(&mut silence, ALL, "abc"), "");
        for expected in ["", "", "c"] {
            assert_eq!(look(&mut silence, ALL, "ab"), expected);
        }
    }

    #[test]
    fn what_failed_is_named_again() {
        let mut silence = Silence::default();
        for expected in ["", "", "c", ""] {
            assert_eq!(look(&mut silence, ALL, "ab"), expected);
        }
        silence.failed("c");
        assert_eq!(look(&mut silence, ALL, "ab"), "c");
    }
}
