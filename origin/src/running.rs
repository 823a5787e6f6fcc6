//! A running origin: its sockets, its threads, its end.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::{io, thread};

use actix_server::Server;
use actix_web::{App, HttpServer};
use mediaorigin_crds::budget::TooSmall;
use mediaorigin_crds::config::Cold;
use mediaorigin_crds::load::Resolved;
use mediaorigin_crds::units::Bytes;
use tokio::sync::oneshot;

use crate::access_log::Sink;
use crate::below::Below;
use crate::clock::Clock;
use crate::connection::{self, Drain, Settings, Shared};
use crate::fleet::Pod;
use crate::fleet::peers::server;
use crate::limit::group::Group;
use crate::listen::{self, LOCAL};
use crate::log::Filter;
use crate::origin::Origin;
use crate::ration::Ration;
use crate::tiers::open::{self, Folders};
use crate::tls::{ClientCertificates, Tls, TlsError};
use crate::trace::export::{ExportError, Exporter};
use crate::{drain, http, tend, trace};

/// What a start needs beside the configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the media port listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the admin port listens.
    pub admin_listen: SocketAddr,
    /// The time.
    pub clock: Clock,
    /// Worker threads of the media port.
    pub workers: usize,
    /// The file that the configuration came from, with its text: it is watched.
    pub file: Option<(PathBuf, String)>,
    /// Folder with the publisher's credentials; wins over the one in the configuration.
    pub publisher_dir: Option<PathBuf>,
    /// The file with the token of whoever may push a configuration to the admin port; without one nobody may.
    pub admin_token_file: Option<PathBuf>,
    /// Folder for the files of the disk tier; wins over the one in the configuration.
    pub disk_dir: Option<PathBuf>,
    /// Folder with the credentials of the object store; wins over the one in the configuration.
    pub object_store_credentials_dir: Option<PathBuf>,
    /// Who this pod is in a fleet.
    pub pod: Pod,
    /// Where to write a line for each request as `MediaStore` did, in place of our own.
    pub mediastore_log: Option<Sink>,
    /// Which lines the process logs, where the admin port may change it.
    pub log_filter: Option<Filter>,
    /// Folder with the certificate of the media port; wins over the one in the configuration. Without either it speaks no TLS.
    pub tls_dir: Option<PathBuf>,
    /// Whether clients are asked for a certificate, as they are where the configuration says so; needs a `tls_dir`.
    pub client_certificates: ClientCertificates,
    /// Bytes of an answer that may lie unsent in the kernel, per connection.
    pub unsent_bytes_max: u32,
    /// Where spans go; without them none are made.
    pub spans: Option<trace::settings::Settings>,
    /// The memory that it may use; wins over what is configured.
    pub memory_limit: Option<Bytes>,
    /// The group of processes whose limit counts where it is lower, and is watched.
    pub group: Option<Group>,
}

impl Default for Options {
    /// Free ports on this machine only, the system's clock, two workers, nothing watched: for tests.
    fn default() -> Self {
        Self {
            listen: LOCAL,
            admin_listen: LOCAL,
            clock: Clock::system(),
            workers: 2,
            file: None,
            publisher_dir: None,
            admin_token_file: None,
            disk_dir: None,
            object_store_credentials_dir: None,
            pod: Pod::default(),
            mediastore_log: None,
            log_filter: None,
            tls_dir: None,
            client_certificates: ClientCertificates::Ignored,
            unsent_bytes_max: Settings::default().unsent_bytes_max,
            spans: None,
            memory_limit: None,
            group: None,
        }
    }
}

/// Why an origin does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It cannot listen.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A tier below memory cannot be opened.
    #[error(transparent)]
    Tier(#[from] open::OpenError),
    /// The media port's certificate is not good.
    #[error("the certificate of the media port: {0}")]
    Tls(#[from] TlsError),
    /// Spans cannot be exported.
    #[error(transparent)]
    Spans(#[from] ExportError),
    /// The memory that it may use is not enough for what is fixed.
    #[error(transparent)]
    Memory(#[from] TooSmall),
    /// It cannot start its threads.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// A running origin. Dropping it stops it at once.
#[derive(Debug)]
pub struct Running {
    /// Where the media port listens.
    pub media_addr: SocketAddr,
    /// Where the admin port listens.
    pub admin_addr: SocketAddr,
    origin: Arc<Origin>,
    drain: Drain,
    below: Option<Below>,
    exporter: Option<Exporter>,
    stop: Option<oneshot::Sender<Stop>>,
    ended: Option<oneshot::Receiver<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// Answers in progress are finished.
    Gracefully,
    /// At once.
    Now,
}

struct Parts {
    origin: Arc<Origin>,
    drain: Drain,
    media: TcpListener,
    admin: TcpListener,
    /// Where other pods of a fleet ask.
    peers: Option<TcpListener>,
    settings: Settings,
    file: Option<(PathBuf, String)>,
}

/// Starts an origin; it listens when this returns.
pub async fn start(resolved: Resolved, options: Options) -> Result<Running, StartError> {
    // Nothing in it waits for anything but the start of a thread.
    start_blocking(resolved, options)
}

/// Starts an origin from a plain thread; it listens when this returns.
pub fn start_blocking(resolved: Resolved, options: Options) -> Result<Running, StartError> {
    let Options {
        listen,
        admin_listen,
        clock,
        workers,
        file,
        publisher_dir,
        admin_token_file,
        disk_dir,
        object_store_credentials_dir,
        pod,
        mediastore_log,
        log_filter,
        tls_dir,
        client_certificates,
        unsent_bytes_max,
        spans,
        memory_limit,
        group,
    } = options;
    let ration = Ration::new(&resolved, memory_limit, group)?;
    let resolved = Resolved { budget: ration.terms().budget, ..resolved };
    let tls = tls_of(&resolved.cold, tls_dir, client_certificates)?;
    let (media, media_addr) = listen::bind(listen)?;
    let (admin, admin_addr) = listen::bind(admin_listen)?;
    let (peers, pod) = listen::for_peers(&resolved.cold, pod)?.unzip();
    let folders = Folders { disk: disk_dir, credentials: object_store_credentials_dir, pod };
    let connections_max = usize::try_from(resolved.cold.connections_max).unwrap_or(usize::MAX);
    let settings = Settings { workers, connections_max, unsent_bytes_max, ..Settings::default() };
    let cold = resolved.cold.clone();
    let mut origin = Origin::new(resolved, publisher_dir, clock).with_tls(tls).within(ration);
    let below = Below::start(&cold, &folders, &mut origin)?;
    origin.log_filter = log_filter;
    origin.admin_token_file = admin_token_file;
    let origin = Arc::new(origin);
    if let Some(sink) = mediastore_log {
        origin.book.write_as_mediastore(sink);
    }
    let (exporter, tracer) = spans.map(Exporter::start).transpose()?.unzip();
    if let Some(tracer) = tracer {
        origin.book.trace_with(tracer);
    }
    let drain = Drain::new();
    let below = below.map(|below| below.tend(&origin));
    let parts =
        Parts { origin: Arc::clone(&origin), drain: drain.clone(), media, admin, peers, settings, file };
    let (stop, stopped) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let (tell, told) = mpsc::channel();
    let thread = thread::Builder::new()
        .name("origin".to_owned())
        .spawn(move || {
            run(parts, &tell, stopped);
            // Nobody may be waiting for the end.
            let _ = end.send(());
        })
        .map_err(StartError::Thread)?;
    let gone = || Err(io::Error::other("the thread ended before it served"));
    told.recv().unwrap_or_else(|_| gone()).map_err(StartError::Thread)?;
    Ok(Running {
        media_addr,
        admin_addr,
        origin,
        drain,
        below,
        exporter,
        stop: Some(stop),
        ended: Some(ended),
        thread: Some(thread),
    })
}

/// The certificate of the media port, from the folder that was given or the one that the configuration names.
fn tls_of(cold: &Cold, dir: Option<PathBuf>, clients: ClientCertificates) -> Result<Option<Tls>, TlsError> {
    let named = cold.tls.as_ref();
    let is_needed = named.is_some_and(|tls| tls.requires_client_certificates);
    let clients = if is_needed { ClientCertificates::NeededToWrite } else { clients };
    let dir = dir.or_else(|| named.map(|tls| PathBuf::from(&tls.dir)));
    dir.map(|dir| Tls::load(&dir, clients)).transpose()
}

impl Running {
    /// The time of this origin.
    pub fn clock(&self) -> &Clock {
        &self.origin.clock
    }

    /// What its workers share.
    pub fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    /// Frees what is expired now, without waiting for the next sweep.
    pub fn sweep(&self) {
        self.origin.memory.sweep(self.origin.clock.now());
    }

    /// Asks readers to go elsewhere and waits for uploads, within `limits`. Everything is still accepted and answered.
    pub async fn drain(&self, limits: drain::Limits) {
        self.origin.begin_drain();
        self.drain.begin();
        drain::wait(&self.origin, limits).await;
    }

    /// Stops: new connections are refused, answers in progress are finished.
    pub async fn finish(mut self) {
        self.end(Stop::Gracefully).await;
    }

    /// Stops at once.
    pub async fn stop(mut self) {
        self.end(Stop::Now).await;
    }

    async fn end(&mut self, how: Stop) {
        self.ask(how);
        if let Some(ended) = self.ended.take() {
            // An error means that the thread is gone, which is what was wanted.
            let _ = ended.await;
        }
        self.join();
        if let Some(below) = self.below.take() {
            below.close().await;
        }
        if let Some(exporter) = self.exporter.take() {
            // It waits for its last post.
            let _ = tokio::task::spawn_blocking(move || drop(exporter)).await;
        }
    }

    fn ask(&mut self, how: Stop) {
        self.drain.finish();
        if let Some(stop) = self.stop.take() {
            // It fails only when the thread has ended.
            let _ = stop.send(how);
        }
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ask(Stop::Now);
        self.join();
    }
}

/// The thread of an origin: an actix system with both servers and the housekeeping.
fn run(parts: Parts, tell: &mpsc::Sender<io::Result<()>>, stop: oneshot::Receiver<Stop>) {
    let result = actix_rt::System::new().block_on(serve(parts, tell, stop));
    if let Err(error) = result {
        // Nobody listens any more only when the start has failed already.
        let _ = tell.send(Err(error));
    }
}

async fn serve(
    parts: Parts,
    tell: &mpsc::Sender<io::Result<()>>,
    stop: oneshot::Receiver<Stop>,
) -> io::Result<()> {
    let Parts { origin, drain, media, admin, peers, settings, file } = parts;
    let state = Arc::clone(&origin);
    let app = move || App::new().configure(http::app::configure(Arc::clone(&state)));
    let (counters, pressure) = (Arc::clone(&origin.connections), origin.memory.pressure().clone());
    let tls = origin.tls.as_ref().map(|tls| Arc::clone(tls.served()));
    let balance = origin.seat().map(|seat| seat.balance()).unwrap_or_default();
    let shared = Shared { drain, balance, counters, pressure, tls };
    let fast = http::fast::Memory(Arc::clone(&origin));
    let media = connection::serve(media, settings, shared, app, fast)?;
    let state = Arc::clone(&origin);
    let admin = HttpServer::new(move || App::new().configure(http::admin::configure(Arc::clone(&state))))
        .workers(1)
        .disable_signals()
        .listen(admin)?
        .run();
    let peers = match (peers, origin.seat()) {
        (Some(listener), Some(seat)) => {
            let (mut settings, counters) = seat.port();
            settings.fills = origin.tiers().cloned().map(|tiers| tiers as Arc<dyn server::Fill>);
            let memory = Arc::clone(&origin.memory);
            Some(server::serve(listener, settings, memory, origin.clock.clone(), counters)?)
        }
        _ => None,
    };
    let peers_handle = peers.as_ref().map(Server::handle);
    let (media_handle, admin_handle) = (media.handle(), admin.handle());
    let servers = [Some(media), Some(admin), peers].into_iter().flatten().map(actix_rt::spawn);
    let servers: Vec<_> = servers.collect();
    let (file, text) = file.map_or((None, String::new()), |(file, text)| (Some(file), text));
    let tending = actix_rt::spawn(tend::run(origin, file, text));
    // The receiver waits for exactly this.
    let _ = tell.send(Ok(()));
    let how = stop.await.unwrap_or(Stop::Now);
    media_handle.stop(how == Stop::Gracefully).await;
    admin_handle.stop(false).await;
    if let Some(handle) = peers_handle {
        handle.stop(false).await;
    }
    tending.abort();
    for server in servers {
        // They end because they were stopped; how is of no interest any more.
        let _ = server.await;
    }
    Ok(())
}
