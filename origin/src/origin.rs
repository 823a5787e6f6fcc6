//! What all workers share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mediaorigin_crds::load::Resolved;

use crate::access::Access;
use crate::access_log::Book;
use crate::clock::Clock;
use crate::config::Live;
use crate::connection::Counters;
use crate::events::{Event, Kind};
use crate::fleet::Fleet;
use crate::fleet::seat::Seat;
use crate::log::Filter;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::overload::Overload;
use crate::ration::Ration;
use crate::streams::Streams;
use crate::tiers::open::Opened;
use crate::tiers::walker::Tiers;
use crate::tls::{ClientCertificates, Tls};

/// The state of one origin. Built once, outside of what is built per worker.
#[derive(Debug)]
pub struct Origin {
    /// The time.
    pub clock: Clock,
    /// The memory tier.
    pub memory: Arc<Memory>,
    /// The tiers below it, where there are any.
    pub below: Option<Opened>,
    /// The memory that it may use, and the terms of its budget.
    pub ration: Ration,
    /// The configuration in force.
    pub config: Live,
    /// Who may write, list and read.
    pub access: Access,
    /// The certificate of the media port, where it speaks TLS.
    pub tls: Option<Tls>,
    /// Counters of requests.
    pub metrics: Arc<Metrics>,
    /// The streams that are being published.
    pub streams: Streams,
    /// Where the records of requests go.
    pub book: Arc<Book>,
    /// Which lines the process logs, where that can be changed.
    pub log_filter: Option<Filter>,
    /// The file with the token of whoever may push a configuration; without one nobody may.
    pub admin_token_file: Option<PathBuf>,
    /// What waits when there is too much to do.
    pub overload: Overload,
    /// Counters of connections.
    pub connections: Arc<Counters>,
    draining: AtomicBool,
}

impl Origin {
    /// The origin of a configuration; `publisher_dir` wins over the one in it.
    pub fn new(resolved: Resolved, publisher_dir: Option<PathBuf>, clock: Clock) -> Self {
        let publisher_dir = publisher_dir.or_else(|| resolved.cold.publisher_dir.as_ref().map(PathBuf::from));
        let (metrics, name) = (Metrics::new(), resolved.metadata.name.clone());
        Self {
            clock,
            memory: Arc::new(Memory::new(resolved.budget.objects.get())),
            below: None,
            ration: Ration::of(&resolved),
            access: Access::load(publisher_dir),
            config: Live::new(resolved),
            tls: None,
            metrics: Arc::clone(&metrics),
            book: Arc::new(Book::new(metrics, name)),
            streams: Streams::default(),
            log_filter: None,
            admin_token_file: None,
            overload: Overload::default(),
            connections: Arc::new(Counters::default()),
            draining: AtomicBool::new(false),
        }
    }

    /// The tiers below memory, where there are any.
    pub fn tiers(&self) -> Option<&Arc<Tiers>> {
        self.below.as_ref().map(|below| &below.tiers)
    }

    /// The other pods and the tiers that are shared with them, in a fleet that is joined.
    pub fn fleet(&self) -> Option<(&Arc<Tiers>, &Arc<Fleet>)> {
        let tiers = self.tiers()?;
        Some((tiers, self.seat()?.fleet()?))
    }

    /// The place in a fleet, of a pod that is one of many.
    pub fn seat(&self) -> Option<&Arc<Seat>> {
        self.tiers()?.seat.as_ref()
    }

    /// Whether it belongs to a fleet that it has not joined: nothing may be answered then, as nothing is known.
    pub fn is_outside(&self) -> bool {
        self.seat().is_some_and(|seat| seat.fleet().is_none())
    }

    /// The same with a certificate for the media port.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// The same, which may use as much memory as `ration` says; tells where that is not what was configured.
    #[must_use]
    pub fn within(self, ration: Ration) -> Self {
        let limit = ration.terms().limit;
        if let Some(surprise) = limit.surprise() {
            tracing::warn!(
                limit = limit.bytes.get(),
                configured = limit.configured.get(),
                "the container's memory limit is lower than what is configured, and counts"
            );
            self.tell(Kind::MemoryLimit, surprise);
        }
        Self { ration, ..self }
    }

    /// Adds an event that is about no request.
    pub fn tell(&self, kind: Kind, reason: impl Into<String>) {
        self.book.events.add(self.clock.now().wall, Event::of(kind, reason));
    }

    /// Whether who writes must show a client certificate.
    pub fn needs_certificate(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.clients() == ClientCertificates::NeededToWrite)
    }

    /// Why it is not ready to serve, if it is not. A draining origin is ready: Kubernetes takes a terminating pod out by
    /// itself, and refusing here would drop encoders that have nowhere else to go.
    pub fn unready(&self) -> Option<String> {
        self.access.unready().or_else(|| self.seat().and_then(|seat| seat.unready()))
    }

    /// Whether it is about to stop.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// From now on it is about to stop.
    pub fn begin_drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        if let Some((_, fleet)) = self.fleet() {
            fleet.leave();
        }
    }
}
