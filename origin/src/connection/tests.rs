//! The connection loop over real loopback sockets.

mod app;
mod basics;
mod client;
mod departures;
mod draining;
mod fuzz;
mod http2;
mod limits;
mod refusals;
mod streams;
mod uploads;

use std::{net::TcpListener, sync::Arc, thread::JoinHandle, time::Duration};

use actix_server::ServerHandle;

use self::client::Client;
use super::{Balance, Counters, Drain, Never, Settings, Shared, TlsConfig, serve};

/// How long any single wait of a test may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server on a port of its own, with the toy application of [`app`].
pub(crate) struct TestServer {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) counters: Arc<Counters>,
    drain: Drain,
    balance: Balance,
    probe: app::Probe,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl TestServer {
    fn start() -> Self {
        Self::with(Settings { workers: 1, ..Settings::default() })
    }

    fn with(settings: Settings) -> Self {
        Self::begin(settings, Shared::default())
    }

    /// The same behind TLS.
    pub(crate) fn with_tls(settings: Settings, tls: TlsConfig) -> Self {
        Self::begin(settings, Shared { tls: Some(tls), ..Shared::default() })
    }

    fn begin(settings: Settings, shared: Shared) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let probe = app::Probe::default();
        let (send_handle, handle) = std::sync::mpsc::channel();
        let thread = std::thread::spawn({
            let (shared, probe) = (shared.clone(), probe.clone());
            move || {
                actix_web::rt::System::new().block_on(async move {
                    let factory = move || app::app(probe.clone());
                    let server = serve(listener, settings, shared, factory, Never).unwrap();
                    send_handle.send(server.handle()).unwrap();
                    server.await.unwrap();
                });
            }
        });
        let handle = handle.recv().unwrap();
        let Shared { drain, balance, counters, .. } = shared;
        Self { address, counters, drain, balance, probe, handle, thread: Some(thread) }
    }

    fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// One request on a connection of its own.
    fn ask(&self, request: &str) -> client::Answer {
        let mut client = self.connect();
        client.send(request);
        client.answer()
    }

    /// Waits until the server has no open connection; the counters are the only thing to look at from outside.
    pub(crate) fn wait_until_empty(&self) {
        self.wait_for("no open connection", || self.counters.open() == 0);
    }

    fn wait_for(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let start = std::time::Instant::now();
        while !condition() {
            assert!(start.elapsed() < PATIENCE, "waited in vain for {what}; {:?}", self.counters);
            std::thread::yield_now();
        }
    }

    /// As [`Self::wait_for`], and lets the clients of this thread work.
    async fn wait_for_async(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let start = std::time::Instant::now();
        while !condition() {
            assert!(start.elapsed() < PATIENCE, "waited in vain for {what}; {:?}", self.counters);
            tokio::task::yield_now().await;
        }
    }

    /// Stops gracefully and returns how long that took.
    fn stop(mut self) -> Duration {
        let start = std::time::Instant::now();
        drop(self.handle.stop(true));
        self.thread.take().unwrap().join().unwrap();
        start.elapsed()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            drop(self.handle.stop(false));
            let result = thread.join();
            assert!(result.is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}
