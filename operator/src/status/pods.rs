//! What the pods say, as conditions: which generation they serve and whether what they need is well; and what a gateway says.

use mediaorigin_crds::v1alpha1::{ConditionStatus, PodStatus};
use serde_json::Value;

use super::settled;
use crate::observed::Observed;
use crate::part::Part;
use crate::pods::{exists, is_ready};
use crate::reasons::{ConfiguredReason, HealthReason, RoutedReason, StalledReason};
use crate::report::PodReport;

/// Pods in the status at most.
const PODS_MAX: usize = 64;

/// Three conditions before they become text.
pub(super) struct Findings {
    pub(super) configured: (ConditionStatus, ConfiguredReason, String),
    pub(super) healthy: (ConditionStatus, HealthReason, String),
    pub(super) routed: Option<(ConditionStatus, RoutedReason, String)>,
}

impl Findings {
    /// A pod refuses the configuration.
    pub(super) fn refusal(&self) -> Option<(StalledReason, String)> {
        (self.configured.1 == ConfiguredReason::Refused)
            .then(|| (StalledReason::ConfigRefused, self.configured.2.clone()))
    }

    /// A pod serves an earlier generation.
    pub(super) fn older(&self) -> Option<String> {
        (self.configured.1 == ConfiguredReason::Older).then(|| self.configured.2.clone())
    }
}

pub(super) fn findings(observed: &Observed) -> Findings {
    Findings { configured: configured(observed), healthy: healthy(observed), routed: routed(observed) }
}

/// Streams that are being published, of the pod that knows most of them.
pub(super) fn streams(observed: &Observed) -> i32 {
    let most = reports(observed).map(|(_, report)| report.streams).max().unwrap_or_default();
    i32::try_from(most).unwrap_or(i32::MAX)
}

/// What the pods serve.
pub(super) fn served(observed: &Observed) -> Vec<PodStatus> {
    let pods = observed.pods.iter().filter(|pod| exists(pod)).filter_map(|pod| pod.metadata.name.as_ref());
    let mut served: Vec<PodStatus> = pods
        .map(|name| PodStatus {
            name: name.clone(),
            served_generation: observed.reports.get(name).map_or(-1, |report| report.generation),
            memory_limit: observed
                .reports
                .get(name)
                .and_then(|report| Some(report.memory?.limit.to_string())),
        })
        .collect();
    served.sort_by(|one, other| one.name.cmp(&other.name));
    served.truncate(PODS_MAX);
    served
}

/// By the name of the pod.
fn reports(observed: &Observed) -> impl Iterator<Item = (&str, &PodReport)> {
    let pods = observed.pods.iter().filter(|pod| exists(pod)).filter_map(|pod| pod.metadata.name.as_deref());
    pods.filter_map(|name| Some((name, observed.reports.get(name)?)))
}

/// A pod that serves and has not said what, by its name.
fn silent(observed: &Observed) -> Option<&str> {
    let serving = observed.pods.iter().filter(|pod| exists(pod) && is_ready(pod));
    let mut names = serving.filter_map(|pod| pod.metadata.name.as_deref());
    names.find(|name| !observed.reports.contains_key(*name))
}

fn configured(observed: &Observed) -> (ConditionStatus, ConfiguredReason, String) {
    let generation = observed.generation;
    let behind = || reports(observed).filter(|(_, report)| !report.serves(&observed.uid, generation));
    let refusal = behind().find(|(_, report)| report.has_refused(generation));
    if let Some((name, report)) = refusal {
        let message = format!(
            "pod {name} refuses generation {generation} and serves {}: {}",
            report.generation,
            report.refused.join("; ")
        );
        return (ConditionStatus::False, ConfiguredReason::Refused, message);
    }
    if let Some((name, report)) = behind().next() {
        let why = report.not_pushed.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        let others = match behind().count() - 1 {
            0 => String::new(),
            count => format!("; {count} more do too"),
        };
        let message =
            format!("pod {name} serves generation {} of {generation}{why}{others}", report.generation);
        let message = settled(observed, ConfiguredReason::Older.as_str(), message);
        return (ConditionStatus::False, ConfiguredReason::Older, message);
    }
    if reports(observed).next().is_none() {
        let message = "no pod has said what it serves".to_owned();
        return (ConditionStatus::Unknown, ConfiguredReason::NoReport, message);
    }
    if let Some(silent) = silent(observed) {
        let message = format!("pod {silent} serves and has not said what");
        return (ConditionStatus::Unknown, ConfiguredReason::NoReport, message);
    }
    (ConditionStatus::True, ConfiguredReason::Current, format!("generation {generation} is in force"))
}

fn healthy(observed: &Observed) -> (ConditionStatus, HealthReason, String) {
    let troubles = reports(observed)
        .flat_map(|(name, report)| report.troubles.iter().map(move |trouble| (name, trouble)));
    let rank = |reason: HealthReason| HealthReason::ALL.iter().position(|one| *one == reason);
    let mut troubles: Vec<_> = troubles.collect();
    troubles.sort_by_key(|(name, trouble)| (rank(trouble.reason), *name));
    let Some((_, worst)) = troubles.first() else {
        return match reports(observed).next() {
            Some(_) => {
                (ConditionStatus::True, HealthReason::Well, "no pod says that something is wrong".to_owned())
            }
            None => (ConditionStatus::Unknown, HealthReason::NoReport, "no pod has said anything".to_owned()),
        };
    };
    let lines: Vec<String> =
        troubles.iter().map(|(name, trouble)| format!("pod {name}: {}", trouble.message)).collect();
    let message = settled(observed, worst.reason.as_str(), lines.join("\n"));
    (ConditionStatus::False, worst.reason, message)
}

/// What the gateways say of the route, in the words of the Gateway API.
fn routed(observed: &Observed) -> Option<(ConditionStatus, RoutedReason, String)> {
    observed.spec.as_ref().ok()?.route.as_ref()?;
    if observed.unknown.contains(&Part::HttpRoute) {
        let message = "the cluster has no HTTPRoute (gateway.networking.k8s.io/v1): install the Gateway API";
        return Some((ConditionStatus::False, RoutedReason::NoGatewayApi, message.to_owned()));
    }
    let parents = observed.children.get(&Part::HttpRoute).map(|route| &route["status"]["parents"]);
    let parents = parents.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let conditions = parents.iter().flat_map(|parent| {
        let gateway = parent["parentRef"]["name"].as_str().unwrap_or("?");
        parent["conditions"].as_array().into_iter().flatten().map(move |condition| (gateway, condition))
    });
    let mut said = conditions
        .filter(|(_, condition)| ["Accepted", "ResolvedRefs"].iter().any(|kind| condition["type"] == *kind))
        .peekable();
    if said.peek().is_none() {
        let message = "no gateway has said anything about the HTTPRoute yet".to_owned();
        return Some((ConditionStatus::Unknown, RoutedReason::Pending, message));
    }
    let refusals: Vec<String> = said
        .filter(|(_, condition)| condition["status"] != "True")
        .map(|(gateway, condition)| {
            let word = |key: &str| condition[key].as_str().unwrap_or_default();
            format!(
                "Gateway {gateway}: {} is {}, {}: {}",
                word("type"),
                word("status"),
                word("reason"),
                word("message")
            )
        })
        .collect();
    Some(if refusals.is_empty() {
        (ConditionStatus::True, RoutedReason::Accepted, "every gateway has taken the route".to_owned())
    } else {
        (ConditionStatus::False, RoutedReason::NotAccepted, refusals.join("\n"))
    })
}
