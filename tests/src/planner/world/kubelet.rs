//! The kubelets of the simulated pods, as far as they resize them.

use anyhow::{Context, Result, bail};
use mediaorigin_crds::units::Bytes;
use serde_json::{Value, json};

use super::World;

impl World {
    /// The API server takes what is asked for.
    pub(super) fn resize(&mut self, pod: &str, limit: Bytes) -> Result<()> {
        let memory = json!(limit.to_string());
        let resources = &mut self.find_pod(pod)?["spec"]["containers"][0]["resources"];
        (resources["limits"]["memory"], resources["requests"]["memory"]) = (memory.clone(), memory);
        Ok(())
    }

    /// What a kubelet makes of it: `live-1 resizes`, `live-1 defers WORDS`, `live-1 rules-out WORDS`, `live-1 fails WORDS`, or that the
    /// API server refuses the next time: `live-1 refused WORDS`.
    pub(super) fn kubelet(&mut self, words: &str) -> Result<()> {
        let (pod, what) = words.split_once(' ').context("a pod and what its kubelet does")?;
        let (word, rest) = what.split_once(' ').unwrap_or((what, ""));
        let (minutes, seconds) = (self.seconds / 60, self.seconds % 60);
        let at = format!("2026-01-01T{:02}:{:02}:{seconds:02}Z", minutes / 60, minutes % 60);
        let condition = |kind: &str, reason: &str| {
            let message = rest.to_owned();
            json!({ "type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": at })
        };
        let condition = match word {
            "resizes" => None,
            "defers" => Some(condition("PodResizePending", "Deferred")),
            "rules-out" => Some(condition("PodResizePending", "Infeasible")),
            "fails" => Some(condition("PodResizeInProgress", "Error")),
            "refused" => {
                self.not_resized.push((pod.to_owned(), rest.to_owned()));
                return Ok(());
            }
            _ => bail!("a kubelet does not {word}"),
        };
        let resources = self.resources(pod)?;
        let status = &mut self.find_pod(pod)?["status"];
        if let Some(conditions) = status["conditions"].as_array_mut() {
            let is_old = |old: &Value| old["type"].as_str().is_some_and(|kind| kind.starts_with("PodResize"));
            conditions.retain(|old| !is_old(old));
            conditions.extend(condition);
        }
        if word == "resizes" {
            status["containerStatuses"][0]["resources"] = resources;
            self.replan(pod)?;
        }
        Ok(())
    }

    /// What was asked for last.
    pub(super) fn resources(&mut self, pod: &str) -> Result<Value> {
        Ok(self.find_pod(pod)?["spec"]["containers"][0]["resources"].clone())
    }

    pub(super) fn limit(resources: &Value) -> Option<Bytes> {
        Bytes::parse(resources["limits"]["memory"].as_str()?).ok()
    }
}
