//! I/O out: carries out a plan in its order. What the API server refuses is a finding for the status, not an error; the rest of the
//! plan goes on.

use std::fmt;

use mediaorigin_crds::names;

use crate::cluster::{Cluster, ClusterError};
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

/// Carries out `plan`.
pub async fn apply(cluster: &Cluster, observed: &Observed, plan: Plan) -> Result<Applied, ClusterError> {
    let Observed { namespace, name, .. } = observed;
    let mut refusals = Vec::new();
    for action in &plan.actions {
        match action {
            Action::Apply(child, _) => {
                let done = cluster.apply(child.kind, namespace, name, &child.body).await;
                if let Err(error) = done {
                    let Some(message) = error.refusal() else { return Err(error) };
                    refusals.push(Refusal { kind: child.kind, message: message.to_owned() });
                }
            }
            Action::Announce { pod, generation } => {
                let value = generation.to_string();
                let done =
                    cluster.annotate_pod(namespace, pod, names::ANNOTATION_HOT_GENERATION, &value).await;
                match done {
                    Err(error) if !error.is_not_found() => return Err(error),
                    _ => {} // a pod that has gone meanwhile needs no news
                }
            }
        }
    }
    Ok(Applied { plan, refusals })
}
