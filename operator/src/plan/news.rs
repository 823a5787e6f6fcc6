//! What running pods are to be told: a configuration is handed to them; that a mounted file has changed is announced.

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use mediaorigin_crds::names;

use super::{Action, Settings, credentials};
use crate::observed::Observed;
use crate::pods;

/// What is new in the files of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The configuration of this generation, which could not be handed to the pod.
    Generation(i64),
    /// Secrets of ours, written at this time: nobody hands them over but the kubelet.
    Secrets(Timestamp),
}

impl News {
    /// The annotation of the pod that says it.
    pub const fn annotation(self) -> &'static str {
        match self {
            Self::Generation(_) => names::ANNOTATION_HOT_GENERATION,
            Self::Secrets(_) => names::ANNOTATION_SECRETS_WRITTEN_AT,
        }
    }

    /// Its value.
    pub fn value(self) -> String {
        match self {
            Self::Generation(generation) => generation.to_string(),
            Self::Secrets(time) => credentials::text(time),
        }
    }

    fn is_known_to(self, pod: &Pod) -> bool {
        let annotations = pod.metadata.annotations.as_ref();
        annotations.and_then(|all| all.get(self.annotation())).is_some_and(|told| *told == self.value())
    }
}

impl fmt::Display for News {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generation(generation) => write!(out, "generation {generation}"),
            Self::Secrets(time) => write!(out, "the Secrets of {}", credentials::text(*time)),
        }
    }
}

/// What to tell the pods.
pub fn news(settings: &Settings, observed: &Observed) -> Vec<Action> {
    let spec = observed.spec.as_ref().ok();
    let written = spec.and_then(|spec| credentials::written_at(settings, observed, spec));
    let running = observed.pods.iter().filter(|pod| pods::exists(pod) && pods::is_running(pod));
    let each = running.filter_map(|pod| {
        let name = pod.metadata.name.clone()?;
        let secrets = written.and_then(|written| secrets(pod, &name, written));
        Some(configuration(observed, pod, &name).into_iter().chain(secrets))
    });
    each.flatten().collect()
}

/// Pods learn of a new generation from us; where that does not work, from the kubelet.
fn configuration(observed: &Observed, pod: &Pod, name: &str) -> Vec<Action> {
    let generation = observed.generation;
    let report = observed.reports.get(name);
    if report.is_some_and(|report| report.serves(&observed.uid, generation) || report.has_refused(generation))
    {
        return Vec::new();
    }
    let is_deaf = report.is_none_or(|report| report.not_pushed.is_some());
    let push = report.map(|_| Action::Push { pod: name.to_owned(), generation });
    push.into_iter()
        .chain(is_deaf.then(|| announce(pod, name, News::Generation(generation))).flatten())
        .collect()
}

/// A pod that was made since has mounted what was written.
fn secrets(pod: &Pod, name: &str, written: Timestamp) -> Option<Action> {
    let is_older = pod.metadata.creation_timestamp.as_ref().is_some_and(|made| made.0 < written);
    is_older.then(|| announce(pod, name, News::Secrets(written))).flatten()
}

fn announce(pod: &Pod, name: &str, news: News) -> Option<Action> {
    (!news.is_known_to(pod)).then(|| Action::Announce { pod: name.to_owned(), news })
}
