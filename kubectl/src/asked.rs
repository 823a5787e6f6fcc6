//! What pods say of themselves on their admin port (`docs/http.md`), as far as it is read here. Lenient: a pod may be of another version.

use std::collections::BTreeMap;

use mediaorigin_operator::observed::Observed;
use mediaorigin_operator::report::PodReport;
use serde::Deserialize;
use serde_json::Value;

/// The answers by name of the pod, or why there is none.
pub type Asked = BTreeMap<String, Result<Answer, String>>;

/// What the operator would know of the pods: their own words, or where they could not be asked what it has reported of them.
pub fn reports(
    observed: &Observed,
    answers: &BTreeMap<String, Result<Value, String>>,
) -> BTreeMap<String, PodReport> {
    let told = observed.status.pods.iter().filter(|pod| pod.served_generation >= 0);
    let mut reports: BTreeMap<String, PodReport> = told
        .map(|pod| {
            let (uid, generation) = (observed.uid.clone(), pod.served_generation);
            (pod.name.clone(), PodReport { uid, generation, ..PodReport::default() })
        })
        .collect();
    for (pod, answer) in answers {
        let Ok(answer) = answer else { continue };
        let mut report = PodReport::read(answer);
        // What it has refused once it refuses again.
        let has_refused = !report.refused.is_empty() && report.generation < observed.generation;
        report.refused_generation = has_refused.then_some(observed.generation);
        reports.insert(pod.clone(), report);
    }
    reports
}

/// `/-/status`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Answer {
    /// Generation of the configuration in force.
    pub generation: i64,
    /// Why it is not ready; empty when it is.
    pub unready: String,
    /// Whether it is about to stop.
    pub draining: bool,
    /// The configuration file.
    pub config: Config,
    /// The publishers' Secret.
    pub access: Access,
    /// Why the certificate is not the one in its folder.
    pub tls_refused: String,
    /// Memory in bytes.
    pub memory: Memory,
}

/// The configuration file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Problems of the file that was refused.
    pub refused: Vec<String>,
    /// Cold settings that are in force after a restart.
    pub needs_restart: Vec<String>,
}

/// The publishers' Secret.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Access {
    /// What is wrong with it.
    pub refused: Vec<String>,
}

/// Memory in bytes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// The limit in force.
    pub limit: u64,
    /// What is configured.
    pub configured_limit: u64,
    /// What objects may use.
    pub objects: u64,
    /// What they use.
    pub used: u64,
    /// What must be kept of it.
    pub pinned: u64,
}

impl Answer {
    /// What somebody should know although, or because, the pod runs; one sentence each.
    pub fn remarks(&self) -> Vec<String> {
        let list = |what: &str, problems: &[String]| {
            (!problems.is_empty()).then(|| format!("{what}: {}", problems.join("; ")))
        };
        let Memory { limit, configured_limit, .. } = self.memory;
        [
            (!self.unready.is_empty()).then(|| format!("it says: {}", self.unready)),
            self.draining.then(|| "it drains: it is about to stop".to_owned()),
            list("refuses its configuration and serves the one before", &self.config.refused),
            list("needs a restart for", &self.config.needs_restart),
            list("refuses the publishers' Secret, the one before is in force", &self.access.refused),
            (!self.tls_refused.is_empty()).then(|| format!("refuses the certificate: {}", self.tls_refused)),
            (limit < configured_limit)
                .then(|| format!("may use only {limit} bytes of memory, {configured_limit} are configured")),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
