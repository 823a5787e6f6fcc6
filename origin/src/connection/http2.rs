//! HTTP/2, over TLS (ALPN) and in clear text (prior knowledge): one task per connection, one future per stream.
//!
//! The crate `h2` speaks the protocol; requests go the same way as HTTP/1.1's: the fast part first, then the application.
//! The connection's row in the registry has the time-outs of the socket (idle, handshake, a peer that takes nothing), each
//! stream has a row of its own for a peer that opens no window.

mod fields;
mod io;
mod sending;
mod stream;
mod upload;

use std::{
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_http::{Request, Response, body::MessageBody};
use actix_service::Service;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use h2::{
    RecvStream,
    server::{Builder, Connection as Session, SendResponse},
};

use self::{io::Io, stream::answer};
use super::{
    TimeoutPhase,
    fast::Fast,
    rules::{Phase, Traffic, Verdict},
    run::Connection,
};

/// What a client sends before its first frame.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes that a client may send ahead of the handler that reads them, per stream and per connection.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Bytes of one response that wait for the socket.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

type Incoming = (http_types::Request<RecvStream>, SendResponse<Bytes>);

/// What happened on a connection.
enum Event {
    Request(Box<Incoming>),
    /// A response is over.
    Answered,
    /// The connection is.
    Ended,
    Verdict(Verdict),
}

/// Serves a connection until it ends.
pub(super) async fn serve<S, B, Q>(app: &S, fast: &Q, connection: Connection)
where
    S: Service<Request>,
    S::Error: Into<actix_web::Error>,
    S::Response: Into<Response<B>>,
    B: MessageBody + 'static,
    Q: Fast,
{
    let connection = Rc::new(connection);
    let Some(mut session) = handshake(&connection).await else { return };
    let mut streams = FuturesUnordered::new();
    let mut is_closing = false;
    loop {
        settle(&connection, streams.is_empty(), is_closing);
        match next(&connection, &mut session, &mut streams).await {
            Event::Request(incoming) => {
                let (request, respond) = *incoming;
                streams.push(answer::<S, B, Q>(app, fast, &connection, request, respond));
            }
            Event::Answered => {}
            Event::Ended => break,
            Event::Verdict(Verdict::Drained) => {
                session.graceful_shutdown();
                is_closing = true;
            }
            Event::Verdict(verdict) if connection.is_blocked() => {
                connection.wire.worker.counters.add_timed_out(verdict.phase());
                connection.wire.reset_on_close();
                break;
            }
            Event::Verdict(_) if is_closing => break,
            Event::Verdict(_) => {
                connection.wire.worker.counters.add_timed_out(TimeoutPhase::Idle);
                session.graceful_shutdown();
                is_closing = true;
            }
        }
        if !is_closing && leaves(&connection) {
            session.graceful_shutdown();
            is_closing = true;
        }
    }
    // Streams hear of the end; an upload that is complete is stored all the same.
    drop(session);
    while streams.next().await.is_some() {}
}

/// Whether the client is sent away. One that has asked nothing yet is left to the sweeper.
fn leaves(connection: &Connection) -> bool {
    connection.slot.traffic() != Traffic::Nothing && !connection.stays()
}

/// Sets the phase that fits; a phase that goes on keeps its age.
fn settle(connection: &Connection, is_idle: bool, is_closing: bool) {
    if connection.is_blocked() {
        return;
    }
    connection.slot.enter_anew(match (is_idle, is_closing) {
        (true, true) => Phase::Lingering,
        (true, false) => Phase::Idle,
        (false, _) => Phase::Busy,
    });
}

async fn handshake(connection: &Rc<Connection>) -> Option<Session<Io, Bytes>> {
    let settings = &connection.wire.worker.settings;
    connection.slot.enter(Phase::Head);
    let handshake = Builder::new()
        .max_concurrent_streams(settings.streams_max)
        .max_header_list_size(u32::try_from(settings.head_bytes_max).unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .handshake(Io::new(Rc::clone(connection)));
    let mut handshake = pin!(handshake);
    let result = poll_fn(|context| match handshake.as_mut().poll(context) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => connection.slot.poll_verdict(context).map_or(Poll::Pending, |_| Poll::Ready(None)),
    });
    match result.await {
        Some(Ok(session)) => Some(session),
        Some(Err(error)) => {
            tracing::debug!(%error, "no HTTP/2 handshake");
            None
        }
        None => {
            connection.wire.worker.counters.add_timed_out(TimeoutPhase::Head);
            None
        }
    }
}

/// Waits for something to happen, and drives the connection and its streams meanwhile.
async fn next<F: Future<Output = ()>>(
    connection: &Connection,
    session: &mut Session<Io, Bytes>,
    streams: &mut FuturesUnordered<F>,
) -> Event {
    poll_fn(|context: &mut Context<'_>| {
        if let Poll::Ready(Some(())) = streams.poll_next_unpin(context) {
            return Poll::Ready(Event::Answered);
        }
        match session.poll_accept(context) {
            Poll::Ready(Some(Ok(incoming))) => return Poll::Ready(Event::Request(Box::new(incoming))),
            Poll::Ready(Some(Err(error))) => {
                tracing::debug!(%error, "an HTTP/2 connection broke");
                return Poll::Ready(Event::Ended);
            }
            Poll::Ready(None) => return Poll::Ready(Event::Ended),
            Poll::Pending => {}
        }
        connection
            .slot
            .poll_verdict(context)
            .map_or(Poll::Pending, |verdict| Poll::Ready(Event::Verdict(verdict)))
    })
    .await
}
