//! The straight line: observe → plan → apply → status.

use std::time::Duration;

use jiff::Timestamp;

use crate::apply::{Applied, Failure, apply};
use crate::cluster::{Cluster, ClusterError};
use crate::metrics::Metrics;
use crate::observe::observe;
use crate::plan::{Settings, plan};
use crate::status::{Transition, status_after};

/// What a reconcile has come to.
#[derive(Debug)]
pub enum Outcome {
    /// The origin is gone, or going.
    Gone,
    /// It is as it should be, or will be; look again after this time.
    Done {
        /// When to look again.
        requeue: Duration,
        /// Transitions worth an event.
        events: Vec<Transition>,
        /// Identity of the origin, for the events.
        uid: String,
        /// The API server refused something: repeat with growing pauses.
        refused: bool,
        /// A child could not be written; the status says so.
        error: Option<ClusterError>,
    },
}

/// Makes one origin true and says so.
pub async fn reconcile(
    cluster: &Cluster,
    settings: &Settings,
    metrics: &Metrics,
    namespace: &str,
    name: &str,
) -> Result<Outcome, ClusterError> {
    let Some(observed) = observe(cluster, namespace, name, Timestamp::now()).await? else {
        return Ok(Outcome::Gone);
    };
    let plan = plan(settings, &observed);
    let (applied, failures) = apply(cluster, metrics, &observed, plan).await;
    log(&applied, &failures, namespace, name);
    if observed.deleting {
        return Ok(Outcome::Gone);
    }
    let report = status_after(&observed, &applied, &failures);
    if report.changed {
        cluster.write_status(namespace, name, &report.status).await?;
        metrics.status_written();
    }
    let Applied { plan, refusals } = applied;
    let (requeue, refused) = (plan.requeue, !refusals.is_empty());
    let error = failures.into_iter().next().map(|failure| failure.error);
    Ok(Outcome::Done { requeue, events: report.events, uid: observed.uid, refused, error })
}

/// One line per reconcile that wanted to change something, and one per child that it could not.
fn log(applied: &Applied, failures: &[Failure], namespace: &str, name: &str) {
    if applied.plan.actions.is_empty() {
        return;
    }
    let actions: Vec<String> = applied.plan.actions.iter().map(ToString::to_string).collect();
    tracing::info!(namespace, name, actions = actions.join("; "), "reconciled");
    for refusal in &applied.refusals {
        tracing::warn!(namespace, name, kind = refusal.kind.as_str(), message = refusal.message, "refused");
    }
    for Failure { kind, error } in failures {
        tracing::warn!(namespace, name, kind = kind.as_str(), %error, "failed");
    }
}
