//! What the connections of one worker thread share: limits, counters, the read buffer, the date, and the sweeper.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::{Instant, SystemTime},
};

use actix_server::GracefulShutdownSignal;
use actix_web::rt;

use super::{
    Balance, Counters, Drain, Settings, Shared,
    lag::Lag,
    registry::Registry,
    rules::{Limits, TICK},
    transport::TlsConfig,
};
use crate::pressure::Listener;

/// Most bytes taken from a socket at once while a body is read.
pub(super) const BODY_READ_BYTES_MAX: usize = 64 * 1024;
/// Most bytes taken from a socket at once while a head is awaited.
pub(super) const HEAD_READ_BYTES_MAX: usize = 16 * 1024;

/// The date as HTTP writes it.
pub(super) type Date = [u8; 29];

/// The shared part of one worker thread.
pub(super) struct Worker {
    pub(super) settings: Settings,
    pub(super) counters: Arc<Counters>,
    pub(super) drain: Drain,
    pub(super) balance: Balance,
    pub(super) tls: Option<TlsConfig>,
    pub(super) registry: Rc<Registry>,
    /// The only read buffer: a waiting connection owns none.
    pub(super) scratch: RefCell<Box<[u8]>>,
    date: Cell<Date>,
}

impl Worker {
    /// Makes the worker's part and starts its sweeper; must run on the worker's thread.
    pub(super) fn start(
        settings: Settings,
        shared: Shared,
        stopping: GracefulShutdownSignal,
    ) -> (Rc<Self>, Sweeper) {
        let Shared { drain, balance, counters, pressure, tls } = shared;
        let worker = Rc::new(Self {
            registry: Registry::new(Limits::new(&settings)),
            settings,
            counters,
            drain,
            balance,
            tls,
            scratch: RefCell::new(vec![0; BODY_READ_BYTES_MAX].into_boxed_slice()),
            date: Cell::new(date(SystemTime::now())),
        });
        let sweeper = Sweeper(rt::spawn(sweep(Rc::clone(&worker), pressure.listen(), stopping)));
        (worker, sweeper)
    }

    /// The date for a response, at most one tick old.
    pub(super) fn date(&self) -> Date {
        self.date.get()
    }
}

/// Ends the sweeper with its worker.
pub(super) struct Sweeper(rt::task::JoinHandle<()>);

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The worker's only timer.
async fn sweep(worker: Rc<Worker>, mut pressure: Listener, stopping: GracefulShutdownSignal) {
    let start = Instant::now();
    let mut lag = Lag::new(worker.counters.add_worker());
    let mut ticker = rt::time::interval(TICK);
    ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let stopped = stopping.notified();
    tokio::pin!(stopped);
    let mut is_stopped = false;
    loop {
        tokio::select! {
            due = ticker.tick() => lag.ticked(start.elapsed(), due.elapsed()),
            bytes = pressure.called() => {
                worker.registry.press(bytes);
                continue;
            }
            // A server stopped without `Drain::finish` must not wait 30 s for idle connections either.
            () = &mut stopped, if !is_stopped => {
                is_stopped = true;
                worker.drain.finish();
            }
        }
        worker.date.set(date(SystemTime::now()));
        worker.registry.sweep(start.elapsed(), worker.drain.stage());
    }
}

fn date(now: SystemTime) -> Date {
    let mut date = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    let text = httpdate::fmt_http_date(now);
    if text.len() == date.len() {
        date.copy_from_slice(text.as_bytes());
    }
    date
}
