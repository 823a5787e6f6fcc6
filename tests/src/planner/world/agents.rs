//! The admin ports of the simulated pods, and the Secrets that their operator makes.

use anyhow::{Context, Result};
use mediaorigin_crds::units::Bytes;
use mediaorigin_operator::election::seat::Place;
use mediaorigin_operator::plan::coordination::ChartNats;
use mediaorigin_operator::plan::credentials::Issuance;
use mediaorigin_operator::reasons::HealthReason;
use mediaorigin_operator::report::{PodMemory, Trouble};
use mediaorigin_operator::secret;
use serde_json::json;

use super::World;

/// The NATS that the simulated operator was told of.
pub(in crate::planner) fn chart_nats() -> ChartNats {
    let (namespace, name) = ("mediaorigin-system".to_owned(), "mediaorigin-nats-auth".to_owned());
    let url = "nats://mediaorigin-nats.mediaorigin-system.svc:4222".to_owned();
    ChartNats { url, credentials: Place { namespace, name }, authorities: None }
}

/// What a pod makes of a configuration that it does not take.
pub(super) enum Mood {
    /// It refuses it.
    Stubborn(String),
    /// It cannot be reached.
    Deaf(String),
}

impl World {
    /// What a pod makes of a configuration.
    pub(super) fn push(&mut self, pod: &str, generation: i64) -> Result<()> {
        let Some(report) = self.reports.get_mut(pod) else { return Ok(()) };
        match self.moods.get(pod) {
            None => {
                report.generation = generation;
                report.refused.clear();
                (report.not_pushed, report.refused_generation) = (None, None);
            }
            Some(Mood::Stubborn(words)) => {
                report.refused = vec![words.clone()];
                report.refused_generation = Some(generation);
            }
            Some(Mood::Deaf(words)) => report.not_pushed = Some(words.clone()),
        }
        self.replan(pod)
    }

    /// Makes or renews a Secret; as in what a plan sees, its values are only lengths.
    pub(super) fn issue(&mut self, issuance: &Issuance) {
        let live = self.children.entry(issuance.part).or_insert_with(|| issuance.body.clone());
        for field in secret::fields(issuance.part) {
            live["data"][field.key] = json!(24);
        }
        if let Some(annotations) = live["metadata"]["annotations"].as_object_mut() {
            annotations.remove("mediaorigin.io/previous-until");
        }
        for (key, value) in &issuance.annotations {
            live["metadata"]["annotations"][key] = json!(value);
        }
    }

    /// A pod that serves plans with the lower of what its configuration says and what its container has.
    pub(super) fn replan(&mut self, pod: &str) -> Result<()> {
        let container = Self::limit(&self.find_pod(pod)?["status"]["containerStatuses"][0]["resources"]);
        let current = self.origin["metadata"]["generation"].as_i64();
        let spec = self.origin["spec"]["memory"]["limit"].as_str().unwrap_or("1Gi");
        let spec = Bytes::parse(spec).ok();
        let Some(report) = self.reports.get_mut(pod) else { return Ok(()) };
        let told =
            if Some(report.generation) == current { spec } else { report.memory.map(|memory| memory.limit) };
        let limit = told.into_iter().chain(container).min();
        let fits = report.memory.is_none_or(|memory| memory.fits);
        report.memory = limit.map(|limit| PodMemory { limit, fits });
        Ok(())
    }

    /// `live-1 well`, `live-1 DiskFull WORDS`, `live-1 refuses WORDS`, `live-1 deaf WORDS`, `live-1 nothing`, `live-1 streams 3`.
    pub(super) fn says(&mut self, words: &str) -> Result<()> {
        let (pod, what) = words.split_once(' ').context("a pod and what it says")?;
        let (word, rest) = what.split_once(' ').unwrap_or((what, ""));
        if word == "nothing" {
            self.reports.remove(pod);
            return Ok(());
        }
        let report = self.reports.get_mut(pod).context("there is no such pod that serves")?;
        match word {
            "well" => {
                report.troubles.clear();
                self.moods.remove(pod);
            }
            "refuses" => {
                self.moods.insert(pod.to_owned(), Mood::Stubborn(rest.to_owned()));
            }
            "deaf" => {
                self.moods.insert(pod.to_owned(), Mood::Deaf(rest.to_owned()));
            }
            "full" | "evicted" => {
                report.memory = report.memory.map(|memory| PodMemory { fits: word == "evicted", ..memory });
            }
            "streams" => report.streams = rest.parse()?,
            _ => {
                let reason = HealthReason::ALL.iter().find(|reason| reason.as_str() == word);
                let reason = *reason.with_context(|| format!("{word} is no reason of Healthy"))?;
                report.troubles.push(Trouble { reason, message: rest.to_owned() });
            }
        }
        Ok(())
    }
}
