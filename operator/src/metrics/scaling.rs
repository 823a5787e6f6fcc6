//! How the number of pods of each origin with `autoscaling.mode: Internal` was counted: the terms of the formula. By origin, and so as
//! many as there are origins that are scaled; what is gone is not told any more.

use std::sync::atomic::AtomicU64;

use mediaorigin_scaler::history::Pods;
use mediaorigin_scaler::{Decision, Dimension};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::agents::Key;

type Value = Gauge<f64, AtomicU64>;

/// `namespace` is that of the scraped operator.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Origin {
    origin_namespace: String,
    origin: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Term {
    origin_namespace: String,
    origin: String,
    dimension: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Replicas {
    origin_namespace: String,
    origin: String,
    state: &'static str,
}

/// States of pods.
const STATES: [&str; 3] = ["Asked", "Ready", "Wanted"];

/// The gauges.
#[derive(Debug, Default)]
pub struct Scaling {
    replicas: Family<Replicas, Gauge>,
    needed: Family<Term, Value>,
    demand: Family<Term, Value>,
    slope: Family<Term, Value>,
    capacity: Family<Term, Value>,
    utilization: Family<Origin, Value>,
    lead: Family<Origin, Value>,
}

impl Scaling {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Pods of an origin that is scaled: asked for, ready, and wanted without maxReplicas and the scale-down window";
        registry.register("scaling_replicas", help, self.replicas.clone());
        let help =
            "Pods that the load needs in a dimension: (demand + lead × slope) / (capacity × utilization)";
        registry.register("scaling_needed_replicas", help, self.needed.clone());
        let help = "Load of all pods: bytes, requests or CPU seconds in a second, or connections";
        registry.register("scaling_demand", help, self.demand.clone());
        registry.register("scaling_slope", "What it grows by each second", self.slope.clone());
        registry.register("scaling_capacity", "What one pod can carry of it", self.capacity.clone());
        let help = "Share of the capacity that is planned with";
        registry.register("scaling_utilization", help, self.utilization.clone());
        let help = "Time from the creation of a pod until it serves";
        registry.register("scaling_lead_seconds", help, self.lead.clone());
    }

    /// What was decided for an origin, and the pods that it has.
    pub fn tell(&self, key: &Key, decision: &Decision, pods: Pods, utilization: f64) {
        let counts = [decision.replicas, pods.ready, decision.wanted];
        for (state, count) in STATES.into_iter().zip(counts) {
            self.replicas.get_or_create(&replicas(key, state)).set(i64::from(count));
        }
        self.utilization.get_or_create(&origin(key)).set(utilization);
        self.lead.get_or_create(&origin(key)).set(decision.lead.as_secs_f64());
        for dimension in Dimension::ALL {
            let term = term(key, dimension);
            let Some(input) = decision.inputs.iter().find(|input| input.dimension == dimension) else {
                self.forget_term(&term);
                continue;
            };
            self.needed.get_or_create(&term).set(input.needed);
            self.demand.get_or_create(&term).set(input.demand.level);
            self.slope.get_or_create(&term).set(input.demand.slope);
            self.capacity.get_or_create(&term).set(input.capacity);
        }
    }

    /// An origin is gone, or is not scaled any more.
    pub fn forget(&self, key: &Key) {
        for state in STATES {
            self.replicas.remove(&replicas(key, state));
        }
        self.utilization.remove(&origin(key));
        self.lead.remove(&origin(key));
        for dimension in Dimension::ALL {
            self.forget_term(&term(key, dimension));
        }
    }

    /// All of them are somebody else's.
    pub(super) fn forget_all(&self) {
        self.replicas.clear();
        self.utilization.clear();
        self.lead.clear();
        for terms in self.terms() {
            terms.clear();
        }
    }

    fn forget_term(&self, term: &Term) {
        for terms in self.terms() {
            terms.remove(term);
        }
    }

    fn terms(&self) -> [&Family<Term, Value>; 4] {
        [&self.needed, &self.demand, &self.slope, &self.capacity]
    }
}

fn origin((namespace, name): &Key) -> Origin {
    Origin { origin_namespace: namespace.clone(), origin: name.clone() }
}

fn replicas((namespace, name): &Key, state: &'static str) -> Replicas {
    Replicas { origin_namespace: namespace.clone(), origin: name.clone(), state }
}

fn term((namespace, name): &Key, dimension: Dimension) -> Term {
    Term { origin_namespace: namespace.clone(), origin: name.clone(), dimension: dimension.as_str() }
}
