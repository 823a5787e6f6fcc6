//! What Prometheus reads: the counters of [`crate::metrics`], and a snapshot of everything else.

mod plain;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use crate::connection::{Counters, Refusal, TimeoutPhase};
use crate::fleet::log::report::LogReport;
use crate::fleet::report::Report as FleetReport;
use crate::origin::Origin;
use crate::streams::State;
use crate::tiers::report::Report;
use crate::tls::Tls;
use crate::trace::Tracer;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TermLabels {
    term: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StreamLabels {
    stream: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// `Content-Type` of OpenMetrics text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// `Content-Type` of the older format.
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Streams that have metrics of their own, those with the newest segments.
const STREAMS_MAX: usize = 100;

/// All metrics as they are now, in the format that `accept` asks for, with its `Content-Type`.
pub fn text(origin: &Origin, accept: &str) -> Result<(&'static str, String), fmt::Error> {
    let mut text = String::new();
    encode(&mut text, &registry(origin))?;
    Ok(if prefers_open_metrics(accept) { (OPEN_METRICS, text) } else { (PLAIN, plain::plain(&text)) })
}

fn prefers_open_metrics(accept: &str) -> bool {
    let quality = |wanted: &str| {
        let ranges = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_it = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
            let quality = parts.find_map(|parameter| parameter.strip_prefix("q=")?.parse::<f32>().ok());
            is_it.then_some(quality.unwrap_or(1.0))
        });
        ranges.fold(0.0, f32::max)
    };
    let open = quality("application/openmetrics-text");
    open > 0.0 && open >= quality("text/plain")
}

/// All metrics, as they are now.
pub fn registry(origin: &Origin) -> Registry {
    let mut registry = origin.metrics.registry();
    memory(&mut registry, origin);
    streams(&mut registry, origin);
    connections(&mut registry, &origin.connections);
    if let Some(below) = &origin.below {
        tiers(&mut registry, &Report::of(below));
    }
    if let Some(seat) = origin.seat() {
        index(&mut registry, &seat.report());
    }
    let help = "Spans dropped because their collector was behind";
    let dropped = origin.book.tracer().map_or(0, Tracer::dropped);
    registry.register("spans_dropped", help, ConstCounter::new(dropped));
    let connections_max = signed(origin.config.cold().connections_max);
    let load = origin.overload.report();
    let help = "Which reads have to wait: 0 none, 1 what is not in memory, 2 recordings too, 3 all";
    registry.register("overload_level", help, ConstGauge::new(load.shedding as i64));
    registry.register("overload_episodes", "Times that reads had to wait", ConstCounter::new(load.episodes));
    let help = "How far the worker that is furthest behind is, steadily";
    let lag = Duration::from_millis(load.worker_lag_millis).as_secs_f64();
    registry.register("worker_lag_seconds", help, ConstGauge::new(lag));
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
    if let Some(expires) = origin.tls.as_ref().and_then(Tls::expires) {
        let help =
            "When the served certificate, or the first of its chain, ends: seconds since 1970; only with TLS";
        let since = expires.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        gauge("tls_certificate_not_after_timestamp_seconds", help, signed(since.as_secs()));
    }
    let help = "1 while the publishers' Secret makes no sense; the last good one is in force";
    gauge("secret_refused", help, i64::from(!origin.access.problems().is_empty()));
    gauge("draining", "1 while the origin is about to stop", i64::from(origin.is_draining()));
    gauge("ready", "1 while the origin is ready", i64::from(origin.unready().is_none()));
    registry
}

fn memory(registry: &mut Registry, origin: &Origin) {
    let budget = origin.ration.terms().budget;
    let terms = Family::<TermLabels, Gauge>::default();
    for (term, bytes) in [
        ("limit", budget.limit),
        ("base", budget.base),
        ("connections", budget.connections),
        ("index", budget.index),
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
    if let Some(container) = origin.ration.look() {
        gauge("memory_container_limit_bytes", "What the container may use", signed(container.limit.get()));
        let help = "What it uses and cannot be taken back at once";
        gauge("memory_working_set_bytes", help, signed(container.working_set.get()));
    }
    let help = "What objects may not use for now, because the container has hardly any memory left";
    gauge("memory_squeezed_bytes", help, signed(origin.ration.squeezed()));
    let help = "What objects may not use, because the index of the fleet has it";
    gauge("memory_indexed_bytes", help, signed(origin.ration.indexed()));
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
    let help = "Times that the container had hardly any memory left";
    registry.register("memory_squeezes", help, ConstCounter::new(origin.ration.squeezes()));
    registry.register("evictions", "Objects evicted", ConstCounter::new(counts.evicted));
    registry.register("expirations", "Objects expired", ConstCounter::new(counts.expired));
    registry.register(
        "log_lines_dropped",
        "Log lines dropped because the writer was behind",
        ConstCounter::new(crate::log::dropped()),
    );
}

fn tiers(registry: &mut Registry, report: &Report) {
    let mut gauge =
        |name: &str, help: &str, value: u64| registry.register(name, help, ConstGauge::new(signed(value)));
    gauge("copies_owed", "Copies that a lower tier is owed", report.copies.owed);
    if let Some(disk) = &report.disk {
        gauge("disk_files", "Versions on the disk", disk.files);
        gauge("disk_bytes", "What they occupy", disk.bytes);
        gauge("disk_limit_bytes", "What they may occupy", disk.limit);
        gauge("disk_index_bytes", "Memory of the disk tier's index, estimated", disk.index_bytes);
        let help = "What its entries may need; when they do, versions that may go make room";
        gauge("disk_index_limit_bytes", help, disk.index_limit);
    }
    if let Some(store) = &report.object_store {
        gauge("object_store_requests_in_flight", "Requests to the object store under way", store.in_flight);
    }
    let mut counter =
        |name: &str, help: &str, value: u64| registry.register(name, help, ConstCounter::new(value));
    counter("copies", "Copies made in the background", report.copies.done);
    counter("copies_failed", "Attempts of copies that failed", report.copies.failed);
    counter("copies_given_up", "Copies given up for want of room", report.copies.given_up);
    if let Some(disk) = &report.disk {
        counter("disk_corrupt", "Files of the disk tier found damaged", disk.corrupt);
        counter("disk_evictions", "Versions that left the disk for want of space", disk.evicted);
        counter("disk_syncs", "Syncs of a folder", disk.syncs);
    }
    if let Some(store) = &report.object_store {
        counter("object_store_read_bytes", "Bytes read from the object store", store.read_bytes);
        counter("object_store_written_bytes", "Bytes written to the object store", store.written_bytes);
        counter("object_store_retries", "Requests to the object store that were repeated", store.retries);
        counter("object_store_hedges", "Requests to the object store that were doubled", store.hedges);
    }
}

fn index(registry: &mut Registry, report: &FleetReport) {
    let mut gauge =
        |name: &str, help: &str, value: f64| registry.register(name, help, ConstGauge::new(value));
    gauge(
        "index_ready",
        "1 while the index of the fleet answers for what is there",
        f64::from(u8::from(report.ready)),
    );
    if let Some(age) = report.age_seconds {
        gauge("index_age_seconds", "Seconds since the index last proved to be up to date", age);
    }
    gauge(
        "fleet_pods",
        "Pods of the fleet that are there to stay, this one among them; 0 while not known",
        report.pods as f64,
    );
    if let Some(warmed) = &report.warmed {
        let help = "Bytes of the live edge that came from other pods before this pod was ready";
        gauge("fleet_warmed_bytes", help, warmed.bytes as f64);
        let help = "Versions of the live edge that did not come before this pod was ready";
        gauge("fleet_warmed_missed", help, warmed.missed as f64);
        let help = "How long the live edge kept this pod from being ready";
        gauge("fleet_warmed_seconds", help, warmed.seconds);
    }
    gauge("index_paths", "Paths that the index knows, deleted ones too", report.paths as f64);
    let help = "What the index of the fleet needs in the memory of this pod, estimated";
    gauge("index_memory_bytes", help, report.memory_bytes as f64);
    gauge("index_waiting", "Requests that wait for the index", report.waiting as f64);
    let mut counter =
        |name: &str, help: &str, value: u64| registry.register(name, help, ConstCounter::new(value));
    counter("index_barriers", "Barriers sent to prove that the index is up to date", report.barriers);
    counter(
        "index_conflicts",
        "Attempts to change a path that found somebody had come first",
        report.conflicts,
    );
    let help = "Entries taken out of the index because nobody needs to find them there";
    counter("index_forgotten", help, report.forgotten);
    let help = "Uploads acknowledged because another pod held them, while the index was silent";
    counter("index_eager_uploads", help, report.eager_uploads);
    counter("index_eager_reads", "Reads answered while the index was silent", report.eager_reads);
    let help = "Reads shown what there was when the index last answered, while it was silent";
    counter("index_stale_reads", help, report.stale_reads);
    counter("peer_fetches", "Versions, or parts of them, that other pods were asked for", report.fetches);
    counter(
        "peer_fetches_failed",
        "Those of them that brought nothing, or ended early",
        report.fetches_failed,
    );
    counter("peer_received_bytes", "Bytes from other pods", report.fetched_bytes);
    counter("peer_sent_bytes", "Bytes to other pods", report.given_bytes);
    let help = "Pieces that were not here, fetched for another pod of the zone";
    counter("peer_filled_pieces", help, report.filled);
    counter("index_disconnects", "Connections to NATS that were lost", report.disconnects);
    log(registry, &report.log);
    let changes = Family::<OutcomeLabels, Counter>::default();
    for (outcome, count) in [
        ("committed", report.committed),
        ("superseded", report.superseded),
        ("unknown", report.unknown),
        ("abandoned", report.abandoned),
    ] {
        changes.get_or_create(&OutcomeLabels { outcome }).inner().store(count, Ordering::Relaxed);
    }
    registry.register(
        "index_changes",
        "Changes of paths that were asked of the index, by their end",
        changes,
    );
}

fn log(registry: &mut Registry, report: &LogReport) {
    let mut gauge =
        |name: &str, help: &str, value: u64| registry.register(name, help, ConstGauge::new(value as f64));
    gauge("index_log_open", "1 while the write-ahead log is open", u64::from(report.open));
    gauge("index_log_messages", "Messages in the write-ahead log, of all pods", report.messages);
    gauge("index_log_bytes", "Bytes in the write-ahead log, of all pods", report.bytes);
    gauge("index_log_limit_bytes", "Bytes that the write-ahead log may take", report.limit);
    let mut counter =
        |name: &str, help: &str, value: u64| registry.register(name, help, ConstCounter::new(value));
    let help = "Versions in the write-ahead log whose writers were gone, brought to the object store";
    counter("index_log_swept", help, report.swept);
    counter("index_log_forgotten", "Versions taken out of the write-ahead log", report.forgotten);
    counter("index_log_refused", "Uploads that the write-ahead log could not take", report.refused);
}

fn streams(registry: &mut Registry, origin: &Origin) {
    let report = origin.streams.report(origin.clock.now().elapsed);
    let ages = Family::<StreamLabels, Gauge<f64, AtomicU64>>::default();
    let (missing, late) =
        (Family::<StreamLabels, Gauge>::default(), Family::<StreamLabels, Gauge>::default());
    for stream in report.streams.iter().take(STREAMS_MAX) {
        let labels = StreamLabels { stream: stream.name.clone() };
        ages.get_or_create(&labels).set(stream.last_segment_age_seconds);
        missing.get_or_create(&labels).set(signed(stream.missing));
        late.get_or_create(&labels).set(i64::from(stream.state == State::Late));
    }
    registry.register(
        "stream_live_edge_age_seconds",
        "Seconds since the newest segment of a stream was complete",
        ages,
    );
    registry.register(
        "stream_missing_segments",
        "Numbers that were left out and did not come later, in all renditions of a stream",
        missing,
    );
    registry.register("stream_late", "1 while the next segment of a rendition is overdue", late);
    registry.register("streams", "Streams that are followed", ConstGauge::new(signed(report.streams.len())));
    registry.register(
        "streams_overflow",
        "Segments of renditions that are not followed because there are too many",
        ConstCounter::new(report.overflow),
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
