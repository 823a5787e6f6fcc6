//! `/-/status`: what this origin is and how it does, as JSON for the operator, for people and for tests.

use std::sync::atomic::Ordering;

use serde::Serialize;

use crate::fleet::report::Report as FleetReport;
use crate::limit::Source;
use crate::memory::Counts;
use crate::origin::Origin;
use crate::overload;
use crate::ration::Terms;
use crate::tiers::report::Report;
use crate::tls::Tls;

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The origin's name.
    pub name: String,
    /// Its namespace; empty outside a cluster.
    pub namespace: String,
    /// Its uid; empty outside a cluster.
    pub uid: String,
    /// Version of the program.
    pub version: &'static str,
    /// Generation of the configuration in force.
    pub generation: i64,
    /// The state of the configuration file.
    pub config: Config,
    /// The publishers' Secret.
    pub access: Access,
    /// Why it is not ready; empty when it is.
    pub unready: String,
    /// Why the media port's certificate is not the one in its folder; empty when it is.
    pub tls_refused: String,
    /// Whether it is about to stop.
    pub draining: bool,
    /// Memory in bytes.
    pub memory: Memory,
    /// The tiers below memory, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tiers: Option<Report>,
    /// The index of the fleet, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<FleetReport>,
    /// Objects.
    pub objects: usize,
    /// Seconds since the newest media segment was complete; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_segment_age_seconds: Option<f64>,
    /// Streams that are being published.
    pub streams: usize,
    /// Uploads that are open.
    pub uploads_open: usize,
    /// Answers with bytes of an object that are being read.
    pub readers: i64,
    /// Requests that wait for bytes which are not there yet.
    pub readers_waiting: usize,
    /// Requests answered.
    pub requests: u64,
    /// Bytes of request bodies.
    pub received_bytes: u64,
    /// Bytes of answers' bodies.
    pub sent_bytes: u64,
    /// Connections open.
    pub connections_open: u64,
    /// What has to wait because there is too much to do.
    pub overload: overload::Report,
}

/// The state of the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Problems of the file that was refused; empty when the file is what is served.
    pub refused: Vec<String>,
    /// Cold settings that differ from the running ones: they are in force after a restart.
    pub needs_restart: Vec<&'static str>,
}

/// The publishers' Secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// Publishers and readers with credentials.
    pub parties: usize,
    /// What is wrong with the Secret now: the last good one is in force. Empty when nothing is.
    pub refused: Vec<String>,
}

/// Memory in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// The limit that the terms below add up to.
    pub limit: u64,
    /// Where that comes from.
    pub limit_source: Source,
    /// What is configured; more than `limit` where the container may not use as much.
    pub configured_limit: u64,
    /// What objects may use.
    pub objects: u64,
    /// Reserved for the process.
    pub base: u64,
    /// Reserved for connections.
    pub connections: u64,
    /// Reserved for the index of the disk tier.
    pub index: u64,
    /// Reserved for fragmentation.
    pub slack: u64,
    /// What the container may use; absent where it has no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_limit: Option<u64>,
    /// What it uses and cannot be taken back at once: the kernel ends the process when that is more than it may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_set: Option<u64>,
    /// What of `objects` is not used, because the container has hardly any memory left.
    pub squeezed: u64,
    /// What of `objects` is not used, because the index of the fleet has it.
    pub indexed: u64,
    /// What objects, uploads and their readers hold.
    pub used: u64,
    /// Of objects that must be kept.
    pub pinned: u64,
    /// Of objects that may be evicted.
    pub evictable: u64,
}

impl Status {
    /// The status now.
    pub fn of(origin: &Origin) -> Self {
        let hot = origin.config.hot();
        let report = origin.config.report();
        let counts = origin.memory.counts();
        let newest = origin.memory.newest_segment();
        let now = origin.clock.now().elapsed;
        Self {
            name: hot.metadata.name.clone(),
            namespace: hot.metadata.namespace.clone().unwrap_or_default(),
            uid: hot.metadata.uid.clone(),
            version: env!("CARGO_PKG_VERSION"),
            generation: hot.metadata.generation,
            config: Config { refused: report.refused, needs_restart: report.needs_restart },
            access: Access { parties: origin.access.parties(), refused: origin.access.problems() },
            unready: origin.unready().unwrap_or_default(),
            tls_refused: origin.tls.as_ref().and_then(Tls::problem).unwrap_or_default(),
            draining: origin.is_draining(),
            memory: memory(origin, &counts),
            tiers: origin.below.as_ref().map(Report::of),
            index: origin.seat().map(|seat| seat.report()),
            objects: counts.sizes.live + counts.sizes.evictable,
            newest_segment_age_seconds: newest.map(|newest| now.saturating_sub(newest).as_secs_f64()),
            streams: origin.streams.count(),
            uploads_open: counts.uploads,
            readers: origin.metrics.readers.get(),
            readers_waiting: counts.held,
            requests: origin.metrics.total.load(Ordering::Relaxed),
            received_bytes: origin.metrics.received.get(),
            sent_bytes: origin.metrics.sent.get(),
            connections_open: origin.connections.open(),
            overload: origin.overload.report(),
        }
    }
}

fn memory(origin: &Origin, counts: &Counts) -> Memory {
    let Terms { limit, budget } = *origin.ration.terms();
    let container = origin.ration.look();
    Memory {
        limit: budget.limit.get(),
        limit_source: limit.source,
        configured_limit: limit.configured.get(),
        objects: budget.objects.get(),
        base: budget.base.get(),
        connections: budget.connections.get(),
        index: budget.index.get(),
        slack: budget.slack.get(),
        container_limit: container.map(|container| container.limit.get()),
        working_set: container.map(|container| container.working_set.get()),
        squeezed: origin.ration.squeezed(),
        indexed: origin.ration.indexed(),
        used: counts.used,
        pinned: counts.sizes.live_bytes,
        evictable: counts.sizes.evictable_bytes,
    }
}
