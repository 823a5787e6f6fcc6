//! The housekeeping of a running origin: one task that sweeps memory and looks after files. Owned by [`crate::Running`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{MissedTickBehavior, interval};

use crate::access;
use crate::config::{self, Way};
use crate::events::Kind;
use crate::origin::Origin;
use crate::overload::{Level, Signals};
use crate::ration;
use crate::ration::squeeze::Squeeze;
use crate::reload;
use crate::times;
use crate::tls::Look;

/// How often memory is swept. Expiry is exact at every read; this only frees the bytes.
const SWEEP_TICK: Duration = Duration::from_millis(100);
/// What the container uses of memory is looked at in every so many ticks: five times a second.
const MEMORY_TICKS: u32 = 2;
/// Files are looked at in every so many ticks: once a second.
const FILES_TICKS: u32 = 10;
/// So long before its end a certificate should have been renewed: whoever renews them has tried for weeks by then.
const CERTIFICATE_WARNING: Duration = Duration::from_hours(24);

/// Runs until it is dropped. `served` is the text of the configuration that the origin was started with.
pub(crate) async fn run(origin: Arc<Origin>, file: Option<PathBuf>, mut served: String) {
    let mut ticks = interval(SWEEP_TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut is_full, mut calls, mut told_of) = (false, 0, None);
    let mut squeeze = Squeeze::default();
    for tick in (0..FILES_TICKS).cycle() {
        ticks.tick().await;
        origin.memory.sweep(origin.clock.now());
        if tick % MEMORY_TICKS == 0 {
            ration::replan(&origin);
            ration::make_room_for_index(&origin);
            ration::look(&origin, &mut squeeze);
        }
        while origin.memory.trim(origin.clock.now()) {
            tokio::task::yield_now().await;
        }
        look_at_connections(&origin, &mut is_full);
        look_at_load(&origin, &mut calls, squeeze.is_full());
        if tick == 0 {
            look_at_access(&origin);
            look_at_certificate(&origin, &mut told_of);
            if let Some(file) = &file {
                look_at_config(&origin, file, &mut served);
            }
        }
    }
}

fn look_at_access(origin: &Origin) {
    match origin.access.reload() {
        access::Change::None => {}
        access::Change::Swapped => {
            tracing::info!(parties = origin.access.parties(), "the publishers' credentials changed");
            origin.tell(Kind::Credentials, "they changed");
        }
        access::Change::Refused(problems) => {
            origin.metrics.secret_refusals.inc();
            let text = problems.join("; ");
            origin.tell(
                Kind::Credentials,
                format!("they make no sense, the last good ones are in force: {text}"),
            );
            tracing::error!(
                ?problems,
                "the publishers' credentials make no sense, the last good ones are in force"
            );
        }
    }
}

/// `told_of` is the end that was told of.
fn look_at_certificate(origin: &Origin, told_of: &mut Option<SystemTime>) {
    let Some(tls) = &origin.tls else { return };
    match tls.look() {
        Look::Same => {}
        Look::Renewed => {
            tracing::info!("the certificate of the media port changed");
            origin.tell(Kind::Certificate, "it changed");
        }
        Look::Refused(reason) => {
            tracing::error!(
                reason,
                "the certificate of the media port is refused, the last good one is served"
            );
            origin.tell(Kind::Certificate, format!("it is refused, the last good one is served: {reason}"));
        }
    }
    let expires = tls.expires();
    let is_near = expires.is_some_and(|expires| origin.clock.now().wall + CERTIFICATE_WARNING > expires);
    if let Some(end) = expires.filter(|_| is_near && *told_of != expires) {
        let end = times::text(end);
        tracing::error!(end, "the certificate of the media port ends in less than a day, or has ended");
        origin.tell(Kind::Certificate, format!("it has less than a day left: it ends at {end}"));
        *told_of = expires;
    }
}

fn look_at_config(origin: &Origin, file: &Path, served: &mut String) {
    let text = match config::read(file) {
        Ok(text) => text,
        Err(error) => {
            // Reported until it can be read again; logged once.
            let before = origin.config.report();
            origin.config.unreadable(&error);
            if before != origin.config.report() {
                tracing::error!(%error, "the configuration cannot be read, the last good one is served");
            }
            served.clear();
            return;
        }
    };
    if text == *served {
        return;
    }
    reload::take(origin, &text, Way::File);
    *served = text;
}

/// Tells once each time that all connections are taken.
fn look_at_connections(origin: &Origin, was_full: &mut bool) {
    let (open, max) = (origin.connections.open(), u64::from(origin.config.cold().connections_max));
    let is_full = open >= max;
    if is_full && !*was_full {
        origin.metrics.connections_full.inc();
        tracing::warn!(open, max, "all connections are taken, further ones wait to be accepted");
        origin.tell(Kind::ConnectionsFull, format!("{open} of {max} (spec.limits.connections) are open"));
    }
    *was_full = is_full;
}

/// Decides which reads have to wait, and tells once each time that some do. `calls` is how often memory was short before.
fn look_at_load(origin: &Origin, calls: &mut u64, container_is_full: bool) {
    let before = std::mem::replace(calls, origin.memory.pressure().calls());
    let signals = Signals {
        lag: origin.connections.lag(),
        connections_open: origin.connections.open(),
        connections_max: u64::from(origin.config.cold().connections_max),
        memory_is_short: *calls != before,
        container_is_full,
    };
    let Some(change) = origin.overload.observe(origin.clock.now().elapsed, signals) else { return };
    let (waits, reason) = (change.now.text(), change.reason.text());
    if change.now == Level::Nothing {
        tracing::info!("reads need not wait any more");
        return;
    }
    tracing::warn!(waits, reason, ?signals, "there is too much to do: reads have to wait");
    if change.before == Level::Nothing {
        origin.tell(Kind::Overload, format!("{reason}: {waits} has to wait (503)"));
    }
}
