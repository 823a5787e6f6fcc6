//! I/O out: carries out a plan in its order. What the API server refuses and what fails are findings for the status; the rest of
//! the plan goes on.

use std::fmt;

use mediaorigin_crds::names;

use crate::cluster::{Cluster, ClusterError};
use crate::metrics::Metrics;
use crate::observed::{Kind, Observed};
use crate::plan::{Action, Plan};

/// A plan that has been carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// What was done.
    pub plan: Plan,
    /// What the API server refused of it.
    pub refusals: Vec<Refusal>,
}

/// A child that the API server does not accept: a taken node port, a quota, a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of the child.
    pub kind: Kind,
    /// Why, in the API server's words.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the API server refuses the {}: {}", self.kind, self.message)
    }
}

/// A child that could not be written for a reason that may pass: a webhook that is down, no answer in time.
#[derive(Debug)]
pub struct Failure {
    /// The kind of the child.
    pub kind: Kind,
    /// What happened.
    pub error: ClusterError,
}

/// Carries out `plan`: every child is tried, whatever becomes of the others.
pub async fn apply(
    cluster: &Cluster,
    metrics: &Metrics,
    observed: &Observed,
    plan: Plan,
) -> (Applied, Vec<Failure>) {
    let Observed { namespace, name, .. } = observed;
    let (mut refusals, mut failures) = (Vec::new(), Vec::new());
    let mut config_is_written = true;
    for action in &plan.actions {
        let written = match action {
            Action::Apply(child, _) => {
                let done = cluster.apply(child.kind, namespace, name, &child.body).await;
                config_is_written &= done.is_ok() || child.kind != Kind::ConfigMap;
                match done {
                    Ok(()) => true,
                    Err(error) => {
                        match error.refusal() {
                            Some(message) => {
                                refusals.push(Refusal { kind: child.kind, message: message.to_owned() });
                            }
                            None => failures.push(Failure { kind: child.kind, error }),
                        }
                        false
                    }
                }
            }
            // News of a file that is not there yet would be lost: a generation is announced once.
            Action::Announce { .. } if !config_is_written => false,
            Action::Announce { pod, generation } => {
                announce(cluster, namespace, pod, &generation.to_string()).await
            }
        };
        if written {
            metrics.acted(action);
        }
    }
    (Applied { plan, refusals }, failures)
}

/// Only makes a hot edit faster: without it the kubelet refreshes the file a minute later, and the next reconcile tries again.
async fn announce(cluster: &Cluster, namespace: &str, pod: &str, generation: &str) -> bool {
    match cluster.annotate_pod(namespace, pod, names::ANNOTATION_HOT_GENERATION, generation).await {
        Ok(()) => true,
        Err(error) => {
            // A pod that has gone meanwhile needs no news.
            if !error.is_not_found() {
                tracing::warn!(%error, "a generation is not announced");
            }
            false
        }
    }
}
