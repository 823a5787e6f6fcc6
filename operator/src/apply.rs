//! I/O out: carries out a plan in its order. What the API server refuses and what fails are findings for the status; the rest of
//! the plan goes on.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::Secret;
use mediaorigin_crds::names;
use mediaorigin_crds::units::Bytes;
use serde_json::Value;

use crate::agents::{Agents, Key};
use crate::cluster::{Cluster, ClusterError};
use crate::election::seat::Place;
use crate::metrics::Metrics;
use crate::observed::Observed;
use crate::part::Part;
use crate::plan::credentials::{Issuance, Issue};
use crate::plan::news::News;
use crate::plan::{Action, Plan, memory};
use crate::scaling::Scalers;
use crate::secret;

/// A plan that has been carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// What was done.
    pub plan: Plan,
    /// What the API server refused of it.
    pub refusals: Vec<Refusal>,
    /// Pods that could not be asked to be resized, and why, in the API server's words.
    pub not_resized: Vec<(String, String)>,
}

/// A child that the API server does not accept: a taken node port, a quota, a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which.
    pub part: Part,
    /// Why, in the API server's words.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the API server refuses the {}: {}", self.part, self.message)
    }
}

/// A child that could not be written for a reason that may pass: a webhook that is down, no answer in time.
#[derive(Debug)]
pub struct Failure {
    /// Which.
    pub part: Part,
    /// What happened.
    pub error: ClusterError,
}

/// Where a plan is carried out.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The API server.
    pub cluster: &'a Cluster,
    /// The admin ports of the pods.
    pub agents: &'a Agents,
    /// What was done is counted here.
    pub metrics: &'a Metrics,
    /// Who decides how many pods there are.
    pub scalers: &'a Scalers,
}

/// Carries out `plan`: every child is tried, whatever becomes of the others.
pub async fn apply(world: World<'_>, observed: &Observed, plan: Plan) -> (Applied, Vec<Failure>) {
    let World { cluster, agents, metrics, .. } = world;
    let Observed { namespace, name, .. } = observed;
    let (mut refusals, mut failures, mut not_resized) = (Vec::new(), Vec::new(), Vec::new());
    let (mut config_is_written, mut secrets_are_written) = (true, true);
    for action in &plan.actions {
        let (part, written) = match action {
            Action::Apply(child, _) => {
                (child.part, cluster.apply(child.part, namespace, name, &child.body).await)
            }
            Action::Issue(issuance) => (issuance.part, issue(cluster, (namespace, name), issuance).await),
            Action::Delete { part, uid } => (*part, cluster.delete(*part, namespace, name, uid).await),
            // News of a file that is not there yet would be lost: they are announced once.
            Action::Announce { news: News::Generation(_), .. } if !config_is_written => continue,
            Action::Announce { news: News::Secrets(_), .. } if !secrets_are_written => continue,
            Action::Announce { pod, news } => {
                if announce(cluster, namespace, pod, *news).await {
                    metrics.acted(action);
                }
                continue;
            }
            Action::Resize { pod, limit } => {
                match resize(cluster, namespace, pod, *limit).await {
                    Ok(()) => metrics.acted(action),
                    Err(said) => not_resized.push((pod.clone(), said)),
                }
                continue;
            }
            // All at once, below.
            Action::Push { .. } => continue,
        };
        config_is_written &= written.is_ok() || part != Part::ConfigMap;
        secrets_are_written &= written.is_ok() || !part.is_secret();
        match written {
            Ok(()) => metrics.acted(action),
            Err(error) => match error.refusal() {
                Some(message) => refusals.push(Refusal { part, message: message.to_owned() }),
                None => failures.push(Failure { part, error }),
            },
        }
    }
    // A pod that starts now reads the file: it must not be older than what the others are told.
    if config_is_written {
        push(cluster, agents, metrics, observed, &plan).await;
    }
    (Applied { plan, refusals, not_resized }, failures)
}

/// Hands the configuration to every pod that the plan names.
async fn push(cluster: &Cluster, agents: &Agents, metrics: &Metrics, observed: &Observed, plan: &Plan) {
    let key: Key = (observed.namespace.clone(), observed.name.clone());
    let pushes: Vec<(&Action, &str)> = plan
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::Push { pod, .. } => Some((action, pod.as_str())),
            _ => None,
        })
        .collect();
    let config = plan.children.iter().find(|child| child.part == Part::ConfigMap);
    let Some(text) = config.and_then(|child| child.body["data"][names::CONFIG_FILE].as_str()) else { return };
    if pushes.is_empty() {
        return;
    }
    let token = match cluster.secret(Part::AdminSecret, &key.0, &key.1).await {
        Ok(Secret { data, .. }) => data.unwrap_or_default().remove(names::ADMIN_TOKEN).unwrap_or_default(),
        Err(error) => {
            tracing::warn!(%error, "the pods get their configuration from the kubelet");
            return;
        }
    };
    let each = pushes.into_iter().map(|(action, pod)| {
        let (key, token) = (&key, &token.0);
        async move {
            if agents.push(key, pod, observed.generation, text, token).await {
                metrics.acted(action);
            }
        }
    });
    futures_util::future::join_all(each).await;
}

/// Makes or renews a Secret; its values are made here and nowhere kept.
async fn issue(cluster: &Cluster, at: (&str, &str), issuance: &Issuance) -> Result<(), ClusterError> {
    let Issuance { part, issue, body, annotations } = issuance;
    if let Issue::Copy { from, authorities } = issue {
        return copy(cluster, at, (*part, body, annotations), (from, authorities.as_ref())).await;
    }
    let before = match issue {
        // What was planned is a Secret's metadata; it reads as one.
        Issue::Create => serde_json::from_value(body.clone()).unwrap_or_default(),
        _ => cluster.secret(*part, at.0, at.1).await?,
    };
    let attempt = || format!("make the values of {part}");
    let secret = secret::issued(*part, before, issue, annotations)
        .map_err(|error| ClusterError::Local { attempt: attempt(), source: error })?;
    match issue {
        Issue::Create => cluster.create_secret(*part, at, &secret).await,
        _ => cluster.replace_secret(*part, at, &secret).await,
    }
}

/// Makes a Secret what another one is.
async fn copy(
    cluster: &Cluster,
    at: (&str, &str),
    (part, body, annotations): (Part, &Value, &BTreeMap<String, String>),
    (from, authorities): (&Place, Option<&Place>),
) -> Result<(), ClusterError> {
    let source = cluster.secret_at(from).await?;
    let authorities = match authorities {
        Some(place) => cluster.secret_at(place).await?,
        None => source.clone(),
    };
    let (before, is_new) = match cluster.secret(part, at.0, at.1).await {
        Ok(before) => (before, false),
        Err(error) if error.is_not_found() => {
            (serde_json::from_value(body.clone()).unwrap_or_default(), true)
        }
        Err(error) => return Err(error),
    };
    let attempt = || format!("copy Secret {}/{}", from.namespace, from.name);
    let secret = secret::copied(part, before, (&source, &authorities), annotations)
        .map_err(|error| ClusterError::Local { attempt: attempt(), source: error })?;
    if is_new {
        cluster.create_secret(part, at, &secret).await
    } else {
        cluster.replace_secret(part, at, &secret).await
    }
}

/// Asks for another memory limit of a pod that runs; what the API server says if it refuses. Whatever may pass is tried again with the
/// next reconcile.
async fn resize(cluster: &Cluster, namespace: &str, pod: &str, limit: Bytes) -> Result<(), String> {
    match cluster.resize_pod(namespace, pod, &memory::patch(limit)).await {
        Ok(()) => Ok(()),
        Err(error) if error.is_unknown_kind() => Err("this cluster cannot resize pods that run".to_owned()),
        // A pod that has gone meanwhile needs no memory.
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => error.refusal().map_or_else(
            || {
                tracing::warn!(%error, "a pod is not resized");
                Ok(())
            },
            |said| Err(said.to_owned()),
        ),
    }
}

/// Only makes it faster that a pod sees what is new: without it the kubelet refreshes the files a minute later, and the next reconcile
/// tries again.
async fn announce(cluster: &Cluster, namespace: &str, pod: &str, news: News) -> bool {
    match cluster.annotate_pod(namespace, pod, news.annotation(), &news.value()).await {
        Ok(()) => true,
        Err(error) => {
            // A pod that has gone meanwhile needs no news.
            if !error.is_not_found() {
                tracing::warn!(%error, "{news} are not announced");
            }
            false
        }
    }
}
