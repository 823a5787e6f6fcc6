//! How long pods of this very origin take from their creation until they serve.

use std::collections::VecDeque;
use std::time::Duration;

use crate::sample::PodSample;

/// What is assumed before a pod was seen to become ready.
pub const ASSUMED: Duration = Duration::from_secs(5);
/// Pods that are remembered.
const KEPT: usize = 64;
/// A pod that waited for a node or an image says nothing of how long the next one takes, and the load a minute ahead is a guess.
const LONGEST: Duration = Duration::from_mins(1);
/// Times in whole seconds, as the API server has them, may be this much too short.
const ROUNDING: Duration = Duration::from_millis(500);

/// Lead times of the latest pods.
#[derive(Clone, Debug, Default)]
pub struct LeadTimes {
    /// Pod and time, the oldest first.
    latest: VecDeque<(String, Duration)>,
}

impl LeadTimes {
    /// Remembers pods that became ready.
    pub fn observe(&mut self, pods: &[PodSample]) {
        for pod in pods {
            let Some(ready) = pod.ready else { continue };
            if self.latest.iter().any(|(id, _)| *id == pod.id) {
                continue;
            }
            let Ok(lead) = Duration::try_from(ready.duration_since(pod.created)) else { continue };
            self.latest.push_back((pod.id.clone(), (lead + ROUNDING).min(LONGEST)));
            if self.latest.len() > KEPT {
                self.latest.pop_front();
            }
        }
    }

    /// Of twenty pods at most one takes longer.
    pub fn p95(&self) -> Duration {
        let mut times: Vec<Duration> = self.latest.iter().map(|(_, lead)| *lead).collect();
        times.sort_unstable();
        let index = (times.len() * 95).div_ceil(100).saturating_sub(1);
        times.get(index).copied().unwrap_or(ASSUMED)
    }
}
