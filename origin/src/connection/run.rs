//! The life of a connection: heads, one exchange after the other, and the end.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    io,
    marker::PhantomData,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use actix_http::{Request, Response, body::MessageBody};
use actix_service::Service;

use super::{
    Counters, Socket, TimeoutPhase,
    balance::Share,
    delivery::{After, drain_keeps},
    exchange::{Quick, exchange, hand_out},
    fast::Fast,
    head::{Head, HeadLimits, HeadReader, Taken},
    http2::{self, PREFACE},
    linger::linger,
    outbox::Outbox,
    refusal::Refusal,
    registry::Slot,
    rules::{Phase, Traffic, Verdict},
    transport::Transport,
    view::{Client, HeadView},
    wire::{Wire, prepare},
    worker::{HEAD_READ_BYTES_MAX, Sweeper, Worker},
};

/// Requests after which a pipelining client lets others have the worker.
const BURST_REQUESTS_MAX: usize = 64;

/// The `actix_server` service of one worker.
pub(super) struct ConnectionService<S, B, Q> {
    app: Rc<S>,
    fast: Rc<Q>,
    worker: Rc<Worker>,
    _sweeper: Sweeper,
    body: PhantomData<B>,
}

impl<S, B, Q> ConnectionService<S, B, Q> {
    pub(super) fn new(app: S, fast: Q, (worker, sweeper): (Rc<Worker>, Sweeper)) -> Self {
        Self { app: Rc::new(app), fast: Rc::new(fast), worker, _sweeper: sweeper, body: PhantomData }
    }
}

impl<S, B, Q> Service<Socket> for ConnectionService<S, B, Q>
where
    S: Service<Request> + 'static,
    S::Error: Into<actix_web::Error>,
    S::Response: Into<Response<B>>,
    B: MessageBody + 'static,
    Q: Fast,
{
    type Response = ();
    type Error = ();
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<(), ()>>>>;

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        // The application is asked before each request, not before each connection.
        Poll::Ready(Ok(()))
    }

    fn call(&self, socket: Socket) -> Self::Future {
        let (app, fast, worker) = (Rc::clone(&self.app), Rc::clone(&self.fast), Rc::clone(&self.worker));
        Box::pin(async move {
            if let Some(connection) = Connection::open(socket, worker).await {
                run::<S, B, Q>(&app, &fast, connection).await;
            }
            Ok(())
        })
    }
}

/// A client's connection.
pub(super) struct Connection {
    // Leaves the table before the socket closes: fields are dropped in this order.
    pub(super) slot: Slot,
    pub(super) wire: Rc<Wire>,
    reader: HeadReader,
    /// Whether the peer must be waited for before more can be written; of HTTP/2 only.
    is_blocked: Cell<bool>,
    share: Share,
    /// Whether a request has been taken.
    is_used: bool,
    _open: OpenCount,
}

/// What came of waiting for a head.
enum Next<B> {
    /// The fast part has answered.
    Quick(Quick<B>),
    Head(Head),
    /// The client speaks HTTP/2 without having asked.
    Http2,
    Refused(Refusal),
    /// The client left, or its time is over, or the port is drained.
    Closed,
}

/// Why a response could not be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("cannot write to the client: {0}")]
    Write(#[from] io::Error),
    #[error("the client took nothing for too long, too little, or too much memory")]
    Cut,
}

/// Serves requests until the connection ends.
async fn run<S, B, Q>(app: &S, fast: &Q, mut connection: Connection)
where
    Q: Fast,
    S: Service<Request>,
    S::Error: Into<actix_web::Error>,
    S::Response: Into<Response<B>>,
    B: MessageBody + 'static,
{
    if connection.wire.is_http_2() {
        return Box::pin(http2::serve::<S, B, Q>(app, fast, connection)).await;
    }
    let mut burst = 0;
    loop {
        let after = match connection.next_head(fast).await {
            Next::Quick(quick) => hand_out(&connection, quick).await,
            Next::Head(head) => exchange::<S, B>(app, &connection, head).await,
            // Boxed, so that connections of HTTP/1.1 do not pay for it.
            Next::Http2 => return Box::pin(http2::serve::<S, B, Q>(app, fast, connection)).await,
            Next::Refused(reason) => After::Refuse(reason),
            Next::Closed => After::Close,
        };
        match after {
            After::Next => {}
            After::Refuse(reason) => break connection.refuse(reason).await,
            After::Linger => break linger(&connection.wire, &connection.slot).await,
            After::Close => break connection.wire.say_goodbye(),
            After::Reset => break connection.wire.reset_on_close(),
        }
        burst += 1;
        if burst == BURST_REQUESTS_MAX {
            burst = 0;
            tokio::task::yield_now().await;
        }
    }
}

impl Connection {
    /// Takes a socket over; `None` when the TLS handshake fails or takes too long.
    async fn open(socket: Socket, worker: Rc<Worker>) -> Option<Self> {
        let (slot, open) = (worker.registry.add(), OpenCount::new(&worker.counters));
        prepare(&socket, &worker);
        let transport = match &worker.tls {
            None => Transport::Plain(socket),
            Some(config) => {
                slot.enter(Phase::Head);
                let Some(transport) = handshake(Transport::accept(socket, config), &slot).await else {
                    worker.counters.add_handshake_failed();
                    return None;
                };
                slot.enter(Phase::Idle);
                transport
            }
        };
        let share = Share::new(&worker.balance);
        let wire = Rc::new(Wire::new(transport, worker));
        let reader = HeadReader::default();
        Some(Self { slot, wire, reader, is_blocked: Cell::new(false), share, is_used: false, _open: open })
    }

    /// Whether the client may stay after the response that is under way: no drain sends it away, and no server that has just come waits for
    /// it. Encoders stay as long as they can.
    pub(super) fn stays(&self) -> bool {
        let (worker, traffic) = (&self.wire.worker, self.slot.traffic());
        let moves_on = traffic != Traffic::Uploads && self.share.moves_on(&worker.balance);
        drain_keeps(worker.drain.stage(), traffic) && !moves_on
    }

    /// Whether the peer of an HTTP/2 connection must be waited for before more can be written.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked.get()
    }

    /// Notes whether it must.
    pub(super) fn set_blocked(&self, is_blocked: bool) {
        self.is_blocked.set(is_blocked);
    }

    /// Waits for the next request.
    async fn next_head<Q: Fast>(&mut self, fast: &Q) -> Next<Q::Body> {
        let settings = &self.wire.worker.settings;
        let limits =
            HeadLimits { size_bytes_max: settings.head_bytes_max, headers_max: settings.headers_max };
        self.wire.shrink();
        let mut phase = None;
        loop {
            let has_bytes = !self.wire.inbox.borrow().is_empty();
            let preface = self.preface();
            if preface == Some(Preface::Whole) {
                return Next::Http2;
            }
            if has_bytes && preface.is_none() {
                let quick = |view: &HeadView<'_>| settings.fast.then(|| ask(fast, view)).flatten();
                let mut inbox = self.wire.inbox.borrow_mut();
                let client = Client { peer: self.wire.peer, is_certified: self.wire.is_certified };
                match self.reader.take(&mut inbox, limits, client, quick) {
                    Ok(Some(taken)) => {
                        drop(inbox);
                        self.is_used = true;
                        return match taken {
                            Taken::Quick(quick) => Next::Quick(quick),
                            Taken::Head(head) => Next::Head(head),
                        };
                    }
                    Ok(None) => {}
                    Err(reason) => return Next::Refused(reason),
                }
            }
            let next = if has_bytes || phase == Some(Phase::Head) { Phase::Head } else { Phase::Idle };
            if phase != Some(next) {
                self.slot.enter(next);
                phase = Some(next);
            }
            match self.fill().await {
                Ok(Filled::Bytes) => {}
                Ok(Filled::Verdict(verdict)) => match self.judge(next, verdict) {
                    Some(end) => return end,
                    None => phase = None,
                },
                Ok(Filled::End) | Err(_) => return Next::Closed,
            }
        }
    }

    /// How much of the preface of HTTP/2 lies in the inbox, if nothing else does.
    fn preface(&self) -> Option<Preface> {
        let inbox = self.wire.inbox.borrow();
        let length = inbox.len().min(PREFACE.len());
        match inbox[..length] == PREFACE[..length] {
            _ if self.is_used || length == 0 => None,
            true if length == PREFACE.len() => Some(Preface::Whole),
            true => Some(Preface::Part),
            false => None,
        }
    }

    /// Waits for bytes or for the sweeper.
    async fn fill(&self) -> io::Result<Filled> {
        poll_fn(|context| match self.wire.poll_fill(context, HEAD_READ_BYTES_MAX) {
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(Filled::End)),
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(Filled::Bytes)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => match self.slot.poll_verdict(context) {
                Some(verdict) => Poll::Ready(Ok(Filled::Verdict(verdict))),
                None => Poll::Pending,
            },
        })
        .await
    }

    /// Ends the wait for a head, unless a request arrived at the last moment.
    fn judge<B>(&self, phase: Phase, verdict: Verdict) -> Option<Next<B>> {
        let counters = &self.wire.worker.counters;
        match (phase, verdict) {
            (Phase::Head, _) => {
                counters.add_timed_out(TimeoutPhase::Head);
                Some(Next::Refused(Refusal::HeadTimeout))
            }
            _ if matches!(self.wire.try_fill(HEAD_READ_BYTES_MAX), Ok(1..)) => None,
            (_, Verdict::Drained) => Some(Next::Closed),
            // Only who reads a response is too slow or pressed.
            (_, Verdict::TimedOut | Verdict::TooSlow | Verdict::Pressed) => {
                counters.add_timed_out(TimeoutPhase::Idle);
                Some(Next::Closed)
            }
        }
    }

    /// Answers in place of the application and ends the connection.
    async fn refuse(&self, reason: Refusal) {
        let worker = &self.wire.worker;
        worker.counters.add_refused(reason);
        tracing::debug!(reason = reason.name(), peer = ?self.wire.peer, "request refused");
        let mut outbox = Outbox::default();
        outbox.push(reason.response(&worker.date(), self.reader.is_head()));
        if self.send(&mut outbox).await.is_ok() {
            linger(&self.wire, &self.slot).await;
        }
    }

    /// Writes everything; a client that the sweeper cuts is an error.
    pub(super) async fn send(&self, outbox: &mut Outbox) -> Result<(), SendError> {
        self.slot.enter(Phase::Sending);
        poll_fn(|context| {
            while !outbox.is_empty() {
                match outbox.poll_write(context, &self.wire) {
                    Poll::Ready(Ok(length)) => self.slot.took(length),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                    Poll::Pending => return self.poll_cut(context),
                }
            }
            match self.wire.poll_flush(context) {
                Poll::Ready(result) => Poll::Ready(result.map_err(SendError::from)),
                Poll::Pending => self.poll_cut(context),
            }
        })
        .await?;
        self.slot.enter(Phase::Busy);
        Ok(())
    }

    /// Waits for the sweeper's verdict.
    fn poll_cut(&self, context: &Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(verdict) = self.slot.poll_verdict(context) else { return Poll::Pending };
        self.wire.worker.counters.add_timed_out(verdict.phase());
        Poll::Ready(Err(SendError::Cut))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A payload that a detached task kept must not keep the socket open.
        if Rc::strong_count(&self.wire) > 1 {
            self.wire.end();
        }
    }
}

/// Waits for a handshake or for the sweeper.
async fn handshake(accepted: impl Future<Output = io::Result<Transport>>, slot: &Slot) -> Option<Transport> {
    let mut accepted = pin!(accepted);
    poll_fn(|context| match accepted.as_mut().poll(context) {
        Poll::Ready(result) => {
            Poll::Ready(result.inspect_err(|error| tracing::debug!(%error, "no TLS handshake")).ok())
        }
        Poll::Pending => slot.poll_verdict(context).map_or(Poll::Pending, |_| Poll::Ready(None)),
    })
    .await
}

/// Asks the fast part about what it may be asked about.
pub(super) fn ask<Q: Fast>(fast: &Q, view: &HeadView<'_>) -> Option<Quick<Q::Body>> {
    let reply = view.is_plain_read().then(|| fast.answer(view)).flatten()?;
    Some(Quick { method: view.method().clone(), version: view.version, keep_alive: view.keep_alive, reply })
}

/// The preface of HTTP/2, as far as it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preface {
    Part,
    Whole,
}

/// What came of waiting for bytes.
enum Filled {
    Bytes,
    End,
    Verdict(Verdict),
}

/// Counts a connection while it is open, also when its task panics or is aborted.
struct OpenCount(Arc<Counters>);

impl OpenCount {
    fn new(counters: &Arc<Counters>) -> Self {
        counters.add_opened();
        Self(Arc::clone(counters))
    }
}

impl Drop for OpenCount {
    fn drop(&mut self) {
        self.0.add_closed();
    }
}
