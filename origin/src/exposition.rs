//! What Prometheus reads: the counters of [`crate::metrics`], and a snapshot of everything else.

use std::sync::atomic::Ordering;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use crate::connection::{Counters, Refusal, TimeoutPhase};
use crate::origin::Origin;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TermLabels {
    term: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// All metrics, as they are now.
pub fn registry(origin: &Origin) -> Registry {
    let mut registry = origin.metrics.registry();
    memory(&mut registry, origin);
    connections(&mut registry, &origin.connections);
    let connections_max = signed(origin.config.cold().connections_max);
    registry.register("connections_max", "Connections that may be open", ConstGauge::new(connections_max));
    let report = origin.config.report();
    let mut gauge =
        |name: &str, help: &str, value: i64| registry.register(name, help, ConstGauge::new(value));
    gauge(
        "config_generation",
        "Generation of the configuration in force",
        origin.config.hot().metadata.generation,
    );
    gauge(
        "config_refused",
        "1 while the last configuration is refused",
        i64::from(!report.refused.is_empty()),
    );
    gauge(
        "config_needs_restart",
        "Cold settings that differ from the running ones",
        signed(report.needs_restart.len()),
    );
    let tls_refused = origin.tls.as_ref().is_some_and(|tls| tls.problem().is_some());
    gauge(
        "tls_refused",
        "1 while the media port's certificate is not the one in its folder",
        tls_refused.into(),
    );
    let help = "1 while the publishers' Secret makes no sense; the last good one is in force";
    gauge("secret_refused", help, i64::from(!origin.access.problems().is_empty()));
    gauge("draining", "1 while the origin is about to stop", i64::from(origin.is_draining()));
    gauge("ready", "1 while the origin is ready", i64::from(origin.unready().is_none()));
    registry
}

fn memory(registry: &mut Registry, origin: &Origin) {
    let budget = &origin.budget;
    let terms = Family::<TermLabels, Gauge>::default();
    for (term, bytes) in [
        ("limit", budget.limit),
        ("base", budget.base),
        ("connections", budget.connections),
        ("slack", budget.slack),
        ("objects", budget.objects),
    ] {
        terms.get_or_create(&TermLabels { term }).set(signed(bytes.get()));
    }
    registry.register(
        "memory_budget_bytes",
        "Terms of the memory budget; limit is the sum of the others",
        terms,
    );
    let counts = origin.memory.counts();
    let mut gauge =
        |name: &str, help: &str, value: i64| registry.register(name, help, ConstGauge::new(value));
    gauge("memory_used_bytes", "Bytes that objects, uploads and their readers hold", signed(counts.used));
    gauge("memory_pinned_bytes", "Bytes of objects that must be kept", signed(counts.sizes.live_bytes));
    gauge(
        "memory_evictable_bytes",
        "Bytes of objects that may be evicted",
        signed(counts.sizes.evictable_bytes),
    );
    gauge("objects", "Objects", signed(counts.sizes.live + counts.sizes.evictable));
    gauge("uploads_open", "Uploads that are open", signed(counts.uploads));
    gauge("readers_waiting", "Requests that wait for bytes which are not there yet", signed(counts.held));
    registry.register("evictions", "Objects evicted", ConstCounter::new(counts.evicted));
    registry.register("expirations", "Objects expired", ConstCounter::new(counts.expired));
    registry.register(
        "log_lines_dropped",
        "Log lines dropped because the writer was behind",
        ConstCounter::new(crate::log::dropped()),
    );
}

fn connections(registry: &mut Registry, counters: &Counters) {
    registry.register("connections_open", "Connections open", ConstGauge::new(signed(counters.open())));
    registry.register("connections_accepted", "Connections accepted", ConstCounter::new(counters.accepted()));
    registry.register(
        "connection_received_bytes",
        "Bytes read from clients, heads included",
        ConstCounter::new(counters.received_bytes()),
    );
    registry.register(
        "connection_sent_bytes",
        "Bytes sent to clients, heads included",
        ConstCounter::new(counters.sent_bytes()),
    );
    registry.register(
        "tls_handshakes_failed",
        "TLS handshakes that failed or took too long",
        ConstCounter::new(counters.handshakes_failed()),
    );
    let refused = Family::<ReasonLabels, Counter>::default();
    for reason in Refusal::ALL {
        refused
            .get_or_create(&ReasonLabels { reason: reason.name() })
            .inner()
            .store(counters.refused(reason), Ordering::Relaxed);
    }
    registry.register("connection_refusals", "Requests refused by the connection loop, by reason", refused);
    let timed_out = Family::<ReasonLabels, Counter>::default();
    for phase in TimeoutPhase::ALL {
        timed_out
            .get_or_create(&ReasonLabels { reason: phase.name() })
            .inner()
            .store(counters.timed_out(phase), Ordering::Relaxed);
    }
    registry.register(
        "connection_timeouts",
        "Connections cut because a wait took too long, by reason",
        timed_out,
    );
}

/// Gauges are signed; no count of ours comes near the limit.
fn signed(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
