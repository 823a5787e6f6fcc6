//! Counters and gauges. Labels come from enums only; their names are part of the interface.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use mediaorigin_crds::policy::Class;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::http::cmcd::Cmcd;
use crate::outcome::Outcome;
use crate::overload;

/// A method as a label: what nobody expects is one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum MethodLabel {
    /// GET.
    GET,
    /// HEAD.
    HEAD,
    /// PUT.
    PUT,
    /// POST.
    POST,
    /// DELETE.
    DELETE,
    /// OPTIONS.
    OPTIONS,
    /// Any other.
    OTHER,
}

/// Classes, and none.
const CLASSES: usize = Class::ALL.len() + 1;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: MethodLabel,
    class: &'static str,
    outcome: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShedLabels {
    class: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// What the origin counts itself; the rest is read from where it is when somebody asks.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    /// Of `requests` those that nearly all are: hits of GET, by class. Looked up once.
    hits: [OnceLock<Counter>; CLASSES],
    lost: Family<ReasonLabels, Counter>,
    shed: Family<ShedLabels, Counter>,
    /// Bytes of request bodies.
    pub received: Counter,
    /// Bytes of answers' bodies.
    pub sent: Counter,
    cmcd_requests: Counter,
    cmcd_starvations: Counter,
    cmcd_startups: Counter,
    /// Requests in progress, answers that are being read included.
    pub in_progress: Gauge,
    /// Answers with bytes of an object that are being read.
    pub readers: Gauge,
    /// Times that all connections were taken.
    pub connections_full: Counter,
    /// Configurations refused.
    pub refusals: Counter,
    /// Contents of the publishers' Secret refused.
    pub secret_refusals: Counter,
    /// Requests.
    pub total: AtomicU64,
    shed_total: AtomicU64,
}

impl MethodLabel {
    /// The label of a method.
    pub fn of(method: &str) -> Self {
        match method {
            "GET" => Self::GET,
            "HEAD" => Self::HEAD,
            "PUT" => Self::PUT,
            "POST" => Self::POST,
            "DELETE" => Self::DELETE,
            "OPTIONS" => Self::OPTIONS,
            _ => Self::OTHER,
        }
    }

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GET => "GET",
            Self::HEAD => "HEAD",
            Self::PUT => "PUT",
            Self::POST => "POST",
            Self::DELETE => "DELETE",
            Self::OPTIONS => "OPTIONS",
            Self::OTHER => "OTHER",
        }
    }

    /// Whether it uploads.
    pub const fn is_write(self) -> bool {
        matches!(self, Self::PUT | Self::POST)
    }
}

impl Metrics {
    /// Counters at zero, ready to be shared.
    pub fn new() -> Arc<Self> {
        let metrics = Self::default();
        // A rate can be taken of what begins with zero only.
        for class in [overload::Class::Vod, overload::Class::Dvr, overload::Class::LiveEdge] {
            metrics.shed_counter(class, overload::Reason::Lag);
        }
        Arc::new(metrics)
    }

    /// Counts an answered request.
    pub fn count(&self, method: MethodLabel, class: Option<Class>, outcome: Outcome, status: u16) {
        let index = class.map_or(0, |class| 1 + class as usize);
        let class = class.map_or("none", Class::as_str);
        let labels = RequestLabels { method, class, outcome: outcome.as_str(), status };
        if (method, outcome, status) == (MethodLabel::GET, Outcome::Hit, 200) {
            self.hits[index].get_or_init(|| self.requests.get_or_create_owned(&labels)).inc();
        } else {
            self.requests.get_or_create(&labels).inc();
        }
        self.total.fetch_add(1, Ordering::Relaxed);
        if method.is_write() && outcome.lost_upload() {
            self.lost.get_or_create(&ReasonLabels { reason: outcome.as_str() }).inc();
        }
    }

    /// Counts a read that has to wait.
    pub fn shed(&self, class: overload::Class, reason: overload::Reason) {
        self.shed_total.fetch_add(1, Ordering::Relaxed);
        self.shed_counter(class, reason).inc();
    }

    /// Reads that had to wait, of all classes.
    pub fn shed_total(&self) -> u64 {
        self.shed_total.load(Ordering::Relaxed)
    }

    fn shed_counter(&self, class: overload::Class, reason: overload::Reason) -> Counter {
        let labels = ShedLabels { class: class.as_str(), reason: reason.as_str() };
        self.shed.get_or_create_owned(&labels)
    }

    /// Counts what a player tells about itself.
    pub fn tell(&self, cmcd: Cmcd) {
        for (is_so, counter) in [
            (cmcd.is_there, &self.cmcd_requests),
            (cmcd.starved, &self.cmcd_starvations),
            (cmcd.startup, &self.cmcd_startups),
        ] {
            if is_so {
                counter.inc();
            }
        }
    }

    /// A registry with these metrics.
    pub fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("mediaorigin");
        registry.register("requests", "Requests answered", self.requests.clone());
        registry.register("uploads_lost", "Uploads refused or given up, by reason", self.lost.clone());
        let help = "Reads answered 503 because there is too much to do, by class and reason";
        registry.register("reads_shed", help, self.shed.clone());
        registry.register("received_bytes", "Bytes of request bodies", self.received.clone());
        registry.register("sent_bytes", "Bytes of the bodies of answers", self.sent.clone());
        let help = "Requests in progress, answers being read included";
        registry.register("requests_in_progress", help, self.in_progress.clone());
        registry.register(
            "readers",
            "Answers with bytes of an object that are being read",
            self.readers.clone(),
        );
        registry.register("cmcd_requests", "Requests of players with CMCD", self.cmcd_requests.clone());
        let help = "Requests of players whose buffer ran empty (CMCD bs)";
        registry.register("cmcd_starvations", help, self.cmcd_starvations.clone());
        let help = "Requests of players that begin, or begin again (CMCD su)";
        registry.register("cmcd_startups", help, self.cmcd_startups.clone());
        registry.register(
            "connections_full",
            "Times that all connections were taken and further ones had to wait",
            self.connections_full.clone(),
        );
        registry.register("config_refusals", "Configurations refused", self.refusals.clone());
        let help = "Contents of the publishers' Secret refused";
        registry.register("secret_refusals", help, self.secret_refusals.clone());
        registry
    }
}
