//! The pods of an origin, each with what keeps it from serving.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use mediaorigin_crds::names;
use mediaorigin_operator::observed::Observed;
use mediaorigin_operator::plan::workload::CONTAINER;
use mediaorigin_operator::pods::{Mounts, census, exists};
use serde::Serialize;

use crate::asked::Asked;
use crate::text::age;

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodReport {
    /// Its name.
    pub name: String,
    /// The node that it is on, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Whether it serves.
    pub ready: bool,
    /// Generation of the configuration that it serves, where it could be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// The generation that was announced to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announced_generation: Option<i64>,
    /// How often its container was restarted.
    pub restarts: i32,
    /// How long it has existed.
    pub age: String,
    /// Why it is not ready, in a word of `Ready`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// What keeps it from being ready, and what else somebody should know; nothing where all is well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// Every pod, by name.
pub fn reports(observed: &Observed, asked: &Asked) -> Vec<PodReport> {
    let mounts = Mounts::of(observed);
    let mut reports: Vec<_> =
        observed.pods.iter().map(|pod| report(pod, asked, &mounts, observed.now)).collect();
    reports.sort_by(|one, other| one.name.cmp(&other.name));
    reports
}

fn report(pod: &Pod, asked: &Asked, mounts: &Mounts, now: Timestamp) -> PodReport {
    let name = pod.metadata.name.clone().unwrap_or_default();
    let census = census(std::slice::from_ref(pod), mounts, 1, now);
    let answer = asked.get(&name);
    let mut remarks = Vec::new();
    if exists(pod) {
        let own_name = format!("pod {name} ");
        let trouble = census.trouble.as_ref().map(|trouble| trouble.message.as_str());
        remarks.extend(trouble.map(|said| said.strip_prefix(&own_name).unwrap_or(said).to_owned()));
    } else {
        remarks.push(end(pod));
    }
    match answer {
        Some(Ok(answer)) => remarks.extend(answer.remarks()),
        Some(Err(error)) => remarks.push(format!("does not say what it serves: {error}")),
        None => {}
    }
    let annotations = pod.metadata.annotations.as_ref();
    let announced = annotations.and_then(|all| all.get(names::ANNOTATION_HOT_GENERATION)?.parse().ok());
    PodReport {
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        ready: census.ready > 0,
        generation: answer.and_then(|answer| Some(answer.as_ref().ok()?.generation)),
        announced_generation: announced,
        restarts: restarts(pod),
        age: pod.metadata.creation_timestamp.as_ref().map_or_else(|| "?".to_owned(), |then| age(then.0, now)),
        reason: census.trouble.map(|trouble| trouble.reason.as_str()),
        remarks,
        name,
    }
}

fn end(pod: &Pod) -> String {
    if pod.metadata.deletion_timestamp.is_some() {
        return "is being deleted".to_owned();
    }
    let status = pod.status.as_ref();
    let text = |text: Option<&String>| text.map(|text| format!(": {text}")).unwrap_or_default();
    let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or_default();
    let reason = status.and_then(|status| status.reason.as_ref());
    let message = status.and_then(|status| status.message.as_ref());
    format!("has ended ({phase}{}){}", text(reason), text(message))
}

fn restarts(pod: &Pod) -> i32 {
    let containers = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    let own = containers.and_then(|all| all.iter().find(|container| container.name == CONTAINER));
    own.map(|container| container.restart_count).unwrap_or_default()
}

/// The pods as a table.
pub fn rows(reports: &[PodReport]) -> Vec<Vec<String>> {
    let head = ["POD", "READY", "SERVES", "RESTARTS", "NODE", "AGE", "REMARKS"].map(str::to_owned).to_vec();
    let row = |pod: &PodReport| {
        let serves = match (pod.generation, pod.announced_generation) {
            (Some(generation), _) => format!("generation {generation}"),
            (None, Some(announced)) => format!("not known, {announced} announced"),
            (None, None) => "not known".to_owned(),
        };
        vec![
            pod.name.clone(),
            if pod.ready { "yes" } else { "no" }.to_owned(),
            serves,
            pod.restarts.to_string(),
            pod.node.clone().unwrap_or_else(|| "none".to_owned()),
            pod.age.clone(),
            pod.remarks.join("\n"),
        ]
    };
    std::iter::once(head).chain(reports.iter().map(row)).collect()
}
