//! The straight line: observe → plan → apply → status.

use std::time::Duration;

use jiff::Timestamp;

use crate::apply::{Applied, Failure, World, apply};
use crate::cluster::ClusterError;
use crate::managed::State;
use crate::observe::observe;
use crate::observed::Observed;
use crate::plan::{Settings, plan};
use crate::scaling::facts::Facts;
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
        /// What its conditions come to.
        state: State,
        /// A child could not be written; the status says so.
        error: Option<ClusterError>,
    },
}

/// Makes one origin true and says so.
pub async fn reconcile(
    world: World<'_>,
    settings: &Settings,
    (namespace, name): (&str, &str),
) -> Result<Outcome, ClusterError> {
    let World { cluster, agents, metrics, scalers } = world;
    let key = (namespace.to_owned(), name.to_owned());
    let Some(observed) = observe(cluster, agents, settings, (namespace, name), Timestamp::now()).await?
    else {
        return Ok(Outcome::Gone);
    };
    let told = scalers.learn(&key, Facts::of(&observed));
    let observed = observed.scaled(told);
    let plan = plan(settings, &observed);
    let (applied, failures) = apply(world, &observed, plan).await;
    // What the pods say now that they were told.
    let reports = agents.remembered(&key);
    let observed = Observed { reports, ..observed };
    log(&applied, &failures, namespace, name);
    if observed.deleting {
        return Ok(Outcome::Gone);
    }
    let report = status_after(&observed, &applied, &failures);
    if report.changed {
        cluster.write_status(namespace, name, &report.status).await?;
        metrics.status_written();
    }
    let Applied { plan, refusals, not_resized: _ } = applied;
    let (requeue, refused) = (plan.requeue, !refusals.is_empty());
    let error = failures.into_iter().next().map(|failure| failure.error);
    let state = State::of(&report.status);
    Ok(Outcome::Done { requeue, events: report.events, uid: observed.uid, refused, state, error })
}

/// One line per reconcile that wanted to change something, and one per child that it could not.
fn log(applied: &Applied, failures: &[Failure], namespace: &str, name: &str) {
    if applied.plan.actions.is_empty() {
        return;
    }
    let actions: Vec<String> = applied.plan.actions.iter().map(ToString::to_string).collect();
    tracing::info!(namespace, name, actions = actions.join("; "), "reconciled");
    for refusal in &applied.refusals {
        tracing::warn!(namespace, name, part = %refusal.part, message = refusal.message, "refused");
    }
    for (pod, said) in &applied.not_resized {
        tracing::warn!(namespace, name, pod, said, "not resized");
    }
    for Failure { part, error } in failures {
        tracing::warn!(namespace, name, part = %part, %error, "failed");
    }
}
