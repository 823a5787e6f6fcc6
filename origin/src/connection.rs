//! The connection loop: our own HTTP/1.1 request loop, run as an `actix_server` service, in front of an actix-web `App`.
//!
//! Why not actix's own dispatcher: it copies every body into a write buffer, answers `Expect: 100-continue` before the
//! handler could refuse, has no time-out for bodies, second heads or stalled readers, and never cancels a long poll whose
//! client went away. Here the head is parsed once (`head`), one function decides the framing, bodies are pulled by the
//! handler (`intake`) and answered by vectored writes of the very `Bytes` that the handler yields (`outbox`).
//!
//! `actix_http::h1::Codec` is not used, only actix-http's types are. The codec reads a body with `Upgrade: websocket` until
//! the connection ends whatever its `Content-Length` says, accepts bare line feeds in trailers, does not limit chunk
//! extensions, and its encoder takes the facts of the request from its own decoder only; together with the strict check
//! that must come before it every head would be parsed twice, by two opinions.
//!
//! One connection is one task:
//!
//! ```text
//! wait for a head ─┬► fast part: the answer, at once ───────► delivery: body out ─┬► rest of the request's body ─► wait for a head
//!                  ├► exchange: App, body in ──────────────►                      └► close, lingering close
//!                  └► refusal ─► lingering close
//! ```

mod balance;
mod call;
mod counters;
mod delivery;
mod drain;
mod exchange;
mod fast;
mod framing;
mod head;
mod hold;
mod http2;
mod intake;
mod lag;
mod lines;
mod linger;
mod outbox;
mod refusal;
mod registry;
mod respond;
mod rules;
mod run;
mod transport;
mod view;
mod wire;
mod worker;

#[cfg(test)]
pub(crate) mod tests;

use std::{fmt, io, net::TcpListener, sync::Arc, time::Duration};

use actix_http::{Request, Response, body::MessageBody};
use actix_server::Server;
use actix_service::{IntoServiceFactory, Service, ServiceFactory, fn_factory, map_config};
use actix_web::{dev::AppConfig, rt::net::TcpStream};

use crate::pressure::Pressure;

pub use self::{
    balance::Balance,
    counters::{Counters, TimeoutPhase},
    drain::Drain,
    fast::{Fast, Never, Reply},
    hold::Hold,
    refusal::Refusal,
    transport::TlsConfig,
    view::{Client, HEADERS_CEILING, HeadView},
};

/// Most worker threads that [`serve`] accepts; `actix_server` itself would panic above it.
pub const WORKERS_MAX: usize = 512;

/// Limits and time-outs of the media port's connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Worker threads, 1 to [`WORKERS_MAX`].
    pub workers: usize,
    /// Open connections of all workers together; further ones wait in the kernel's backlog. Each worker gets an equal
    /// share, and at least one.
    pub connections_max: usize,
    /// Time for a whole request head, from its first byte.
    pub head_timeout: Duration,
    /// Time that a connection may wait for the first byte of a request. Long, since encoders lose playlists when an idle
    /// connection is closed under them. Request bodies have no time-out here: an encoder may hold a PUT open for its
    /// whole session; a dead peer is found by TCP keep-alive.
    pub idle_timeout: Duration,
    /// Time without any progress while a response is sent, after which the reader is cut.
    pub write_stall_timeout: Duration,
    /// Bytes per second that a client must take of a response, on average over [`Self::rate_window`]; 0 allows any rate.
    /// Only the time counts in which the response waits for the client.
    pub rate_bytes_min: u32,
    /// Over which time the rate is averaged, in whole seconds.
    pub rate_window: Duration,
    /// Time that is added to the first window of a response, for slow starts.
    pub rate_grace: Duration,
    /// Time that a response has waited for its client before the client may be cut because memory is needed.
    pub slow_reader_wait: Duration,
    /// `TCP_NOTSENT_LOWAT`: bytes of a response that may lie unsent in the kernel per connection.
    pub unsent_bytes_max: u32,
    /// Longest request head, request line included.
    pub head_bytes_max: usize,
    /// Most header lines of a request, at most [`HEADERS_CEILING`].
    pub headers_max: usize,
    /// Requests of one HTTP/2 connection that are answered at the same time.
    pub streams_max: u32,
    /// Whether the fast part is asked; without it the application answers everything, alike and slower.
    pub fast: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(2, usize::from),
            connections_max: 25_000,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(10),
            write_stall_timeout: Duration::from_secs(20),
            rate_bytes_min: 5 * 1024,
            rate_window: Duration::from_secs(20),
            rate_grace: Duration::from_secs(10),
            slow_reader_wait: Duration::from_secs(1),
            unsent_bytes_max: 32 * 1024,
            head_bytes_max: 32 * 1024,
            headers_max: 96,
            streams_max: 128,
            fast: true,
        }
    }
}

/// What the connections of all workers share with the rest of the program.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    /// Empties the port.
    pub drain: Drain,
    /// Sends readers to servers that have just come.
    pub balance: Balance,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Heard when memory is needed: slow readers make way.
    pub pressure: Pressure,
    /// With it every connection begins with a TLS handshake.
    pub tls: Option<TlsConfig>,
}

/// Serves `app` on `listener` until the returned server is stopped; must be called inside a Tokio or actix runtime.
///
/// `app` is called once per worker and returns an actix-web `App` (anything that `HttpServer::new` takes); shared state is
/// created outside and cloned in. `fast` is asked first, [`Never`] leaves all to the application. Signals are left to the caller. Stop with [`Drain::begin`], [`Drain::finish`] and
/// `server.handle().stop(true)`; `stop(true)` alone also closes idle connections at once.
pub fn serve<F, I, S, B, Q>(
    listener: TcpListener,
    settings: Settings,
    shared: Shared,
    app: F,
    fast: Q,
) -> io::Result<Server>
where
    Q: Fast + Send + Clone,
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    S::Service: 'static,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    if !(1..=WORKERS_MAX).contains(&settings.workers) {
        let text = format!("workers must be 1 to {WORKERS_MAX}, not {}", settings.workers);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let builder = Server::build()
        .disable_signals()
        .workers(settings.workers)
        // Rounded down, so that the sum never exceeds the limit.
        .max_concurrent_connections((settings.connections_max / settings.workers).max(1))
        .shutdown_timeout(SHUTDOWN_SECS);
    let stopping = builder.graceful_shutdown_signal();

    let factory = move || {
        let (app, fast) = (app.clone(), fast.clone());
        let (settings, shared, stopping) = (settings.clone(), shared.clone(), stopping.clone());
        fn_factory(move || {
            // `AppConfig::new` is private to actix-web; the default only matters to `ConnectionInfo` fall-backs.
            let app = map_config(app().into_factory(), |()| AppConfig::default());
            let (fast, settings) = (fast.clone(), settings.clone());
            let (shared, stopping) = (shared.clone(), stopping.clone());
            async move {
                let app = app.new_service(()).await.map_err(|error| {
                    tracing::error!(?error, "cannot build the application of a worker");
                })?;
                let worker = worker::Worker::start(settings, shared, stopping);
                Ok::<_, ()>(run::ConnectionService::new(app, fast, worker))
            }
        })
    };
    Ok(builder.listen::<_, _>("media", listener, factory)?.run())
}

/// Seconds that answers in progress have at a graceful stop. With the longest drain (45 s) it stays below the 60 s after
/// which Kubernetes kills the pod.
const SHUTDOWN_SECS: u64 = 10;

/// The socket type that `actix_server` hands to a service.
type Socket = TcpStream;
