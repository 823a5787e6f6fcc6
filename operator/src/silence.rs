//! Pods that stopped to answer while Kubernetes calls them ready. A node that stands still says nothing of its pods: the control plane
//! waits 40 s and more before it doubts them, and until then each connection that comes to one waits for nobody. Of an origin with several
//! pods the operator asks each one every second (`/livez`) and takes a silent one out of the Service, as the control plane would later: it
//! says in the pod's status that it is not ready.
//!
//! The kubelet has the last word: one that lives says again what it sees, and then the pod is left alone until it has answered once more.
//! So an operator that is cut off itself, and not the pod, costs at most one such moment; and where fewer than half of the ready pods
//! answer, nothing is done.

mod rounds;

use std::collections::HashMap;

pub use rounds::rounds;

use crate::agents::Present;

/// The reason in the condition of a pod that was taken out.
pub const REASON: &str = "Unreachable";

/// Looks in a row without an answer after which a pod is silent: with the patience of a look about six seconds, more than the kubelet
/// gives the same pod (`readinessProbe`), which therefore is first wherever it lives.
const LOOKS: u32 = 3;

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
    /// Takes the answers of one look at `pods`, of which `answered` tells whether each did, and names those that are to be taken out of
    /// the Service now. Each is named once until it answers again.
    pub fn look<'a>(&mut self, pods: &'a [Present], answered: impl Fn(&Present) -> bool) -> Vec<&'a Present> {
        self.0.retain(|uid, _| pods.iter().any(|pod| pod.uid == *uid));
        for pod in pods {
            if answered(pod) {
                self.0.remove(&pod.uid);
            } else {
                let silent = self.0.entry(pod.uid.clone()).or_default();
                silent.looks = silent.looks.saturating_add(1);
            }
        }
        let ready: Vec<&Present> = pods.iter().filter(|pod| pod.is_ready).collect();
        let answering = ready.iter().filter(|pod| answered(pod)).count();
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

    /// Looks at three pods of which those in `answering` answer; who is named.
    fn look(silence: &mut Silence, ready: [bool; 3], answering: &str) -> String {
        let pods = pods(ready);
        silence.look(&pods, |pod| answering.contains(&pod.name)).iter().map(|pod| pod.name.as_str()).collect()
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
    fn who_is_not_ready_is_not_named_and_what_failed_is_named_again() {
        let mut silence = Silence::default();
        for _ in 0..5 {
            assert_eq!(look(&mut silence, [true, true, false], "ab"), "");
        }
        assert_eq!(look(&mut silence, ALL, "ab"), "c");
        assert_eq!(look(&mut silence, ALL, "ab"), "");
        silence.failed("c");
        assert_eq!(look(&mut silence, ALL, "ab"), "c");
    }
}
