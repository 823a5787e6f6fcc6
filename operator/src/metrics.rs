//! Metrics of the operator. Every label comes from an enum: no object names, no error texts. Those of [`scaling`] are by origin.
//!
//! | metric | labels | meaning |
//! |---|---|---|
//! | `mediaorigin_operator_reconciles_total` | `result` = `Ok`, `Refused`, `Failed` | reconciles that have ended |
//! | `mediaorigin_operator_reconcile_seconds` | | how long they took |
//! | `mediaorigin_operator_queue_depth` | | origins that something has happened to and whose reconcile has not begun |
//! | `mediaorigin_operator_queue_seconds` | | how long they waited |
//! | `mediaorigin_operator_actions_total` | `action` = `Create`, `Update`, `Repair`, `Announce`, `Issue`, `Delete`, `Push` | writes to children and pods |
//! | `mediaorigin_operator_pod_reports_total` | `result` = `Ok`, `Failed` | times that a pod was asked how it does |
//! | `mediaorigin_operator_pod_report_seconds` | | how long the answer took |
//! | `mediaorigin_operator_pod_pushes_total` | `result` = `Ok`, `Failed` | configurations that were handed to a pod |
//! | `mediaorigin_operator_pod_looks_total` | `result` = `Ok`, `Failed` | times that a pod of an origin with several was asked whether it answers, once a second |
//! | `mediaorigin_operator_pods_withdrawn_total` | | pods that were ready, answered nothing and were taken out of the Service |
//! | `mediaorigin_operator_pod_loads_total` | `result` = `Ok`, `Failed` | times that a pod was asked what it carries, once a second where the operator decides how many pods there are |
//! | `mediaorigin_operator_scaling_decisions_total` | `reason` as in the condition `ScalingActive` | decisions about the number of pods, one a second and origin |
//! | `mediaorigin_operator_scaling_…` | `origin_namespace`, `origin`, and `dimension` or `state` | how that number was counted |
//! | `mediaorigin_operator_status_writes_total` | | writes to the status of origins |
//! | `mediaorigin_operator_watch_errors_total` | | watches that broke and were started again |
//! | `mediaorigin_operator_event_errors_total` | | events that could not be published |
//! | `mediaorigin_operator_origins` | `state` = `Ready`, `NotReady`, `Stalled` | origins that this operator keeps true; 0 while it waits for its turn |
//! | `mediaorigin_operator_leader` | | 1 while this operator acts, 0 while it waits for its turn |

pub mod scaling;

use std::time::{Duration, Instant};

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::agents::Key;
use crate::managed::{Managed, State};
use crate::plan::{Action, Reason};
use crate::queue::Queue;
use scaling::Scaling;

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
    Resize,
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

/// The reason is one of a closed list (`mediaorigin_scaler::Reason`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    reason: &'static str,
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
    queue_depth: Gauge,
    queue_seconds: Histogram,
    actions: Family<ActionLabels, Counter>,
    pod_reports: Family<AnsweredLabels, Counter>,
    pod_report_seconds: Histogram,
    pod_pushes: Family<AnsweredLabels, Counter>,
    pod_loads: Family<AnsweredLabels, Counter>,
    pod_looks: Family<AnsweredLabels, Counter>,
    pods_withdrawn: Counter,
    decisions: Family<DecisionLabels, Counter>,
    status_writes: Counter,
    watch_errors: Counter,
    event_errors: Counter,
    leader: Gauge,
    origins: Family<StateLabels, Gauge>,
    /// The origins that this operator keeps true.
    pub managed: Managed,
    /// Those that wait for a reconcile.
    pub queue: Queue,
    /// Those that are scaled.
    pub scaling: Scaling,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("mediaorigin_operator"),
            reconciles: Family::default(),
            seconds: seconds(),
            queue_depth: Gauge::default(),
            queue_seconds: seconds(),
            actions: Family::default(),
            pod_reports: Family::default(),
            pod_report_seconds: seconds(),
            pod_pushes: Family::default(),
            pod_loads: Family::default(),
            pod_looks: Family::default(),
            pods_withdrawn: Counter::default(),
            decisions: Family::default(),
            status_writes: Counter::default(),
            watch_errors: Counter::default(),
            event_errors: Counter::default(),
            leader: Gauge::default(),
            origins: Family::default(),
            managed: Managed::default(),
            queue: Queue::default(),
            scaling: Scaling::default(),
        };
        // A rate can be taken of what begins with zero only.
        for result in [ReconcileResult::Ok, ReconcileResult::Refused, ReconcileResult::Failed] {
            drop(metrics.reconciles.get_or_create(&ResultLabels { result }));
        }
        for is_answered in [true, false] {
            drop(metrics.pod_loads.get_or_create(&AnsweredLabels::of(is_answered)));
            drop(metrics.pod_looks.get_or_create(&AnsweredLabels::of(is_answered)));
        }
        for reason in mediaorigin_scaler::Reason::ALL {
            drop(metrics.decisions.get_or_create(&DecisionLabels { reason: reason.as_str() }));
        }
        let registry = &mut metrics.registry;
        registry.register("reconciles", "Reconciles that have ended", metrics.reconciles.clone());
        registry.register("reconcile_seconds", "Duration of reconciles", metrics.seconds.clone());
        let help = "Origins that something has happened to and whose reconcile has not begun";
        registry.register("queue_depth", help, metrics.queue_depth.clone());
        let help = "Time from then to the beginning of the reconcile";
        registry.register("queue_seconds", help, metrics.queue_seconds.clone());
        registry.register("actions", "Writes to children and pods", metrics.actions.clone());
        let help = "Times that a pod was asked how it does";
        registry.register("pod_reports", help, metrics.pod_reports.clone());
        let help = "Time until a pod has answered, or not in time";
        registry.register("pod_report_seconds", help, metrics.pod_report_seconds.clone());
        let help = "Configurations that were handed to a pod";
        registry.register("pod_pushes", help, metrics.pod_pushes.clone());
        let help = "Times that a pod was asked what it carries, by result";
        registry.register("pod_loads", help, metrics.pod_loads.clone());
        let help = "Times that a pod of an origin with several was asked whether it answers, by result";
        registry.register("pod_looks", help, metrics.pod_looks.clone());
        let help = "Pods that were ready, answered nothing and were taken out of the Service";
        registry.register("pods_withdrawn", help, metrics.pods_withdrawn.clone());
        let help = "Decisions about the number of pods, by reason";
        registry.register("scaling_decisions", help, metrics.decisions.clone());
        metrics.scaling.register(registry);
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

    /// Something has happened to an origin.
    pub fn awaits(&self, key: Key) {
        self.queue.enter(key, Instant::now());
    }

    /// The reconcile of an origin begins.
    pub fn begins(&self, key: &Key) {
        if let Some(waited) = self.queue.leave(key, Instant::now()) {
            self.queue_seconds.observe(waited.as_secs_f64());
        }
    }

    /// An origin is gone.
    pub fn forget(&self, key: &Key) {
        self.managed.forget(&key.0, &key.1);
        self.queue.leave(key, Instant::now());
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
            Action::Resize { .. } => Written::Resize,
        };
        self.actions.get_or_create(&ActionLabels { action }).inc();
    }

    /// A pod was asked how it does.
    pub fn asked(&self, is_answered: bool, duration: Duration) {
        self.pod_report_seconds.observe(duration.as_secs_f64());
        self.pod_reports.get_or_create(&AnsweredLabels::of(is_answered)).inc();
    }

    /// A configuration was handed to a pod.
    pub fn pushed(&self, is_served: bool) {
        self.pod_pushes.get_or_create(&AnsweredLabels::of(is_served)).inc();
    }

    /// A pod was asked what it carries.
    pub fn scraped(&self, is_answered: bool) {
        self.pod_loads.get_or_create(&AnsweredLabels::of(is_answered)).inc();
    }

    /// A pod of several was asked whether it answers.
    pub fn looked(&self, is_answered: bool) {
        self.pod_looks.get_or_create(&AnsweredLabels::of(is_answered)).inc();
    }

    /// A pod that does not answer was taken out of the Service.
    pub fn withdrew(&self) {
        self.pods_withdrawn.inc();
    }

    /// It was decided how many pods an origin has, for this reason.
    pub fn decided(&self, reason: &'static str) {
        self.decisions.get_or_create(&DecisionLabels { reason }).inc();
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
            self.scaling.forget_all();
            self.queue.clear();
        }
    }

    /// The text exposition (`OpenMetrics`).
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        for state in State::ALL {
            let count = i64::try_from(self.managed.count(state)).unwrap_or(i64::MAX);
            self.origins.get_or_create(&StateLabels { state }).set(count);
        }
        self.queue_depth.set(i64::try_from(self.queue.depth()).unwrap_or(i64::MAX));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// From 5 ms to 10 s.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.005, 2.0, 12))
}
