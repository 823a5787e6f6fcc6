//! Metrics of the operator. Every label comes from an enum: no object names, no error texts.
//!
//! | metric | labels | meaning |
//! |---|---|---|
//! | `mediaorigin_operator_reconciles_total` | `result` = `Ok`, `Refused`, `Failed` | reconciles that have ended |
//! | `mediaorigin_operator_reconcile_seconds` | | how long they took |
//! | `mediaorigin_operator_actions_total` | `action` = `Create`, `Update`, `Repair`, `Announce`, `Issue`, `Delete`, `Push` | writes to children and pods |
//! | `mediaorigin_operator_pod_reports_total` | `result` = `Ok`, `Failed` | times that a pod was asked how it does |
//! | `mediaorigin_operator_pod_pushes_total` | `result` = `Ok`, `Failed` | configurations that were handed to a pod |
//! | `mediaorigin_operator_status_writes_total` | | writes to the status of origins |
//! | `mediaorigin_operator_watch_errors_total` | | watches that broke and were started again |
//! | `mediaorigin_operator_event_errors_total` | | events that could not be published |
//! | `mediaorigin_operator_origins` | `state` = `Ready`, `NotReady`, `Stalled` | origins that this operator keeps true; 0 while it waits for its turn |
//! | `mediaorigin_operator_leader` | | 1 while this operator acts, 0 while it waits for its turn |

use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::managed::{Managed, State};
use crate::plan::{Action, Reason};

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum ReconcileResult {
    /// Everything was written.
    Ok,
    /// The API server refused a child.
    Refused,
    /// A call failed; it is tried again.
    Failed,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Written {
    Create,
    Update,
    Repair,
    Announce,
    Issue,
    Delete,
    Push,
}

/// Whether a pod did what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Answered {
    Ok,
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnsweredLabels {
    result: Answered,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: ReconcileResult,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActionLabels {
    action: Written,
}

impl AnsweredLabels {
    fn of(is_done: bool) -> Self {
        Self { result: if is_done { Answered::Ok } else { Answered::Failed } }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: State,
}

/// The counters.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: Family<ResultLabels, Counter>,
    seconds: Histogram,
    actions: Family<ActionLabels, Counter>,
    pod_reports: Family<AnsweredLabels, Counter>,
    pod_pushes: Family<AnsweredLabels, Counter>,
    status_writes: Counter,
    watch_errors: Counter,
    event_errors: Counter,
    leader: Gauge,
    origins: Family<StateLabels, Gauge>,
    /// The origins that this operator keeps true.
    pub managed: Managed,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("mediaorigin_operator"),
            reconciles: Family::default(),
            seconds: Histogram::new(exponential_buckets(0.005, 2.0, 12)),
            actions: Family::default(),
            pod_reports: Family::default(),
            pod_pushes: Family::default(),
            status_writes: Counter::default(),
            watch_errors: Counter::default(),
            event_errors: Counter::default(),
            leader: Gauge::default(),
            origins: Family::default(),
            managed: Managed::default(),
        };
        // A rate can be taken of what begins with zero only.
        for result in [ReconcileResult::Ok, ReconcileResult::Refused, ReconcileResult::Failed] {
            drop(metrics.reconciles.get_or_create(&ResultLabels { result }));
        }
        let registry = &mut metrics.registry;
        registry.register("reconciles", "Reconciles that have ended", metrics.reconciles.clone());
        registry.register("reconcile_seconds", "Duration of reconciles", metrics.seconds.clone());
        registry.register("actions", "Writes to children and pods", metrics.actions.clone());
        let help = "Times that a pod was asked how it does";
        registry.register("pod_reports", help, metrics.pod_reports.clone());
        let help = "Configurations that were handed to a pod";
        registry.register("pod_pushes", help, metrics.pod_pushes.clone());
        registry.register("status_writes", "Writes to the status of origins", metrics.status_writes.clone());
        registry.register(
            "watch_errors",
            "Watches that broke and were started again",
            metrics.watch_errors.clone(),
        );
        registry.register("event_errors", "Events that could not be published", metrics.event_errors.clone());
        registry.register("leader", "1 while this operator acts", metrics.leader.clone());
        let help = "Origins that this operator keeps true, by what their conditions say";
        registry.register("origins", help, metrics.origins.clone());
        metrics
    }
}

impl Metrics {
    /// A reconcile has ended.
    pub fn reconciled(&self, result: ReconcileResult, duration: Duration) {
        self.reconciles.get_or_create(&ResultLabels { result }).inc();
        self.seconds.observe(duration.as_secs_f64());
    }

    /// A child or a pod has been written.
    pub fn acted(&self, action: &Action) {
        let action = match action {
            Action::Apply(_, Reason::Missing) => Written::Create,
            Action::Apply(_, Reason::Edited(_)) => Written::Update,
            Action::Apply(_, Reason::Drifted(_)) => Written::Repair,
            Action::Announce { .. } => Written::Announce,
            Action::Issue(_) => Written::Issue,
            Action::Delete { .. } => Written::Delete,
            Action::Push { .. } => Written::Push,
        };
        self.actions.get_or_create(&ActionLabels { action }).inc();
    }

    /// A pod was asked how it does.
    pub fn asked(&self, is_answered: bool) {
        self.pod_reports.get_or_create(&AnsweredLabels::of(is_answered)).inc();
    }

    /// A configuration was handed to a pod.
    pub fn pushed(&self, is_served: bool) {
        self.pod_pushes.get_or_create(&AnsweredLabels::of(is_served)).inc();
    }

    /// A status has been written.
    pub fn status_written(&self) {
        self.status_writes.inc();
    }

    /// A watch broke.
    pub fn watch_failed(&self) {
        self.watch_errors.inc();
    }

    /// An event could not be published.
    pub fn event_failed(&self) {
        self.event_errors.inc();
    }

    /// This operator acts, or not any more.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
        if !leads {
            self.managed.forget_all();
        }
    }

    /// The text exposition (`OpenMetrics`).
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        for state in State::ALL {
            let count = i64::try_from(self.managed.count(state)).unwrap_or(i64::MAX);
            self.origins.get_or_create(&StateLabels { state }).set(count);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
