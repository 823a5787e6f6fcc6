//! The straight line: observe → plan → apply → status.

use std::time::Duration;

use jiff::Timestamp;

use crate::apply::{Applied, apply};
use crate::cluster::{Cluster, ClusterError};
use crate::metrics::Metrics;
use crate::observe::observe;
use crate::plan::{Action, Settings, plan};
use crate::status::{Transition, status};

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
    let applied = apply(cluster, &observed, plan).await?;
    report(&applied, namespace, name, metrics);
    if observed.deleting {
        return Ok(Outcome::Gone);
    }
    let report = status(&observed, &applied);
    if report.changed {
        cluster.write_status(namespace, name, &report.status).await?;
        metrics.status_written();
    }
    let Applied { plan, refusals } = applied;
    let (requeue, refused) = (plan.requeue, !refusals.is_empty());
    Ok(Outcome::Done { requeue, events: report.events, uid: observed.uid, refused })
}

/// One line per reconcile that changed something.
fn report(applied: &Applied, namespace: &str, name: &str, metrics: &Metrics) {
    if applied.plan.actions.is_empty() {
        return;
    }
    let refused = |kind| applied.refusals.iter().any(|refusal| refusal.kind == kind);
    for action in &applied.plan.actions {
        if !matches!(action, Action::Apply(child, _) if refused(child.kind)) {
            metrics.acted(action);
        }
    }
    let actions: Vec<String> = applied.plan.actions.iter().map(ToString::to_string).collect();
    tracing::info!(namespace, name, actions = actions.join("; "), "reconciled");
    for refusal in &applied.refusals {
        tracing::warn!(namespace, name, kind = refusal.kind.as_str(), message = refusal.message, "refused");
    }
}
