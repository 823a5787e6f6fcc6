//! One socket: its options, reads into the worker's buffer, vectored writes, and its ends.

use std::{
    cell::{Cell, RefCell},
    io::{self, IoSlice},
    net::{Shutdown, SocketAddr},
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::BytesMut;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::ReadBuf;

use super::{
    Socket,
    transport::Transport,
    worker::{HEAD_READ_BYTES_MAX, Worker},
};

/// TCP keep-alive finds peers that vanished without a word, such as an encoder that lost power during an open PUT.
const KEEPALIVE_TIME: Duration = Duration::from_mins(1);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 4;

/// Most bytes of further requests that are taken in while a response is awaited; after them the client counts as present.
const WATCH_BYTES_MAX: usize = HEAD_READ_BYTES_MAX;

/// A client's socket and the bytes that arrived and were not used yet.
///
/// All methods take `&self`, since the handler's payload and the connection's task share the socket. They never wait for
/// the same direction at once: the payload reads until its body is complete, the task reads before and after that.
pub(super) struct Wire {
    transport: Transport,
    pub(super) peer: Option<SocketAddr>,
    /// Whether the client has shown a certificate that was verified.
    pub(super) is_certified: bool,
    pub(super) inbox: RefCell<BytesMut>,
    /// Whether the client has ended its direction.
    ended: Cell<bool>,
    /// Whether the close is to be a reset.
    resets: Cell<bool>,
    pub(super) worker: Rc<Worker>,
}

/// Sets a socket's options; those that the kernel refuses are left as they were, none is needed for right answers.
pub(super) fn prepare(socket: &Socket, worker: &Worker) {
    let options = SockRef::from(socket);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_TIME)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    let results = [
        options.set_tcp_nodelay(true),
        options.set_tcp_notsent_lowat(worker.settings.unsent_bytes_max),
        options.set_tcp_keepalive(&keepalive),
    ];
    for error in results.into_iter().filter_map(Result::err) {
        tracing::debug!(%error, "cannot set a socket option");
    }
}

impl Wire {
    /// Takes a connection over.
    pub(super) fn new(transport: Transport, worker: Rc<Worker>) -> Self {
        Self {
            peer: transport.socket(|socket| socket.peer_addr().ok()),
            is_certified: transport.is_certified(),
            transport,
            inbox: RefCell::default(),
            ended: Cell::new(false),
            resets: Cell::new(false),
            worker,
        }
    }

    /// Whether the client has asked for HTTP/2 in the TLS handshake.
    pub(super) fn is_http_2(&self) -> bool {
        self.transport.is_http_2()
    }

    /// Reads once into somebody else's buffer, past the inbox.
    pub(super) fn poll_read_into(
        &self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = ready!(self.transport.poll_read(context, buffer.initialize_unfilled()))?;
        self.worker.counters.add_received(length);
        buffer.advance(length);
        Poll::Ready(Ok(()))
    }

    /// Reads once, at most `size_bytes_max`, to the end of the inbox; 0 is the end of the client's direction.
    pub(super) fn poll_fill(
        &self,
        context: &mut Context<'_>,
        size_bytes_max: usize,
    ) -> Poll<io::Result<usize>> {
        let mut scratch = self.worker.scratch.borrow_mut();
        let limit = size_bytes_max.min(scratch.len());
        let length = ready!(self.transport.poll_read(context, &mut scratch[..limit]))?;
        self.keep(&scratch[..length]);
        Poll::Ready(Ok(length))
    }

    /// As [`Wire::poll_fill`], without waiting.
    pub(super) fn try_fill(&self, size_bytes_max: usize) -> io::Result<usize> {
        let mut scratch = self.worker.scratch.borrow_mut();
        let limit = size_bytes_max.min(scratch.len());
        let length = self.transport.try_read(&mut scratch[..limit])?;
        self.keep(&scratch[..length]);
        Ok(length)
    }

    /// Puts what was read behind the inbox.
    fn keep(&self, data: &[u8]) {
        self.worker.counters.add_received(data.len());
        self.ended.set(data.is_empty());
        let mut inbox = self.inbox.borrow_mut();
        if inbox.is_empty() {
            // A fresh block of the right size: what handlers keep of it pins no slack.
            *inbox = BytesMut::from(data);
        } else {
            inbox.extend_from_slice(data);
        }
    }

    /// Reads once and forgets the bytes; 0 is the end.
    pub(super) fn poll_discard(&self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let result = ready!(self.transport.poll_read(context, &mut self.worker.scratch.borrow_mut()));
        self.worker.counters.add_received(*result.as_ref().unwrap_or(&0));
        Poll::Ready(result)
    }

    /// Resolves when the client ended its direction or reset the connection. Requests that it sends meanwhile are kept.
    pub(super) fn poll_gone(&self, context: &mut Context<'_>) -> Poll<()> {
        while self.inbox.borrow().len() < WATCH_BYTES_MAX {
            match ready!(self.poll_fill(context, HEAD_READ_BYTES_MAX)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
        Poll::Pending
    }

    /// Whether a read has met the end of the client's direction.
    pub(super) fn is_ended(&self) -> bool {
        self.ended.get()
    }

    /// Writes once.
    pub(super) fn poll_write(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = ready!(self.transport.poll_write(context, slices))?;
        self.worker.counters.add_sent(length);
        Poll::Ready(Ok(length))
    }

    /// Waits until the kernel has all that was written.
    pub(super) fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.poll_flush(context)
    }

    /// Asks the kernel to acknowledge at once. Encoders that wait for the acknowledgement of a head before they send the
    /// body lose 40 ms per object otherwise. Linux forgets it, so it is asked each time that an upload is waited for.
    pub(super) fn acknowledge_at_once(&self) {
        #[cfg(target_os = "linux")]
        self.transport.socket(|socket| {
            if let Err(error) = SockRef::from(socket).set_tcp_quickack(true) {
                tracing::trace!(%error, "cannot set TCP_QUICKACK");
            }
        });
    }

    /// Gives back the inbox's memory when nothing is in it.
    pub(super) fn shrink(&self) {
        let mut inbox = self.inbox.borrow_mut();
        if inbox.is_empty() {
            *inbox = BytesMut::new();
        }
    }

    /// Ends our direction and leaves the client's open.
    pub(super) fn end_writing(&self) {
        self.transport.end_writing();
    }

    /// Says goodbye before a plain close, where the transport has words for it.
    pub(super) fn say_goodbye(&self) {
        if !self.resets.get() && matches!(self.transport, Transport::Tls(_)) {
            self.transport.end_writing();
        }
    }

    /// Ends both directions, also for a payload that a detached task still holds.
    pub(super) fn end(&self) {
        self.transport.socket(|socket| drop(SockRef::from(socket).shutdown(Shutdown::Both)));
    }

    /// Lets the close that follows reset the connection: the client cannot take what it has for a whole response, and the
    /// kernel frees what it has not sent.
    pub(super) fn reset_on_close(&self) {
        self.resets.set(true);
        self.transport.socket(|socket| drop(SockRef::from(socket).set_linger(Some(Duration::ZERO))));
    }

    /// Takes [`Self::reset_on_close`] back.
    pub(super) fn close_cleanly(&self) {
        self.resets.set(false);
        self.transport.socket(|socket| drop(SockRef::from(socket).set_linger(None)));
    }
}

#[cfg(test)]
mod tests {
    use actix_web::rt;

    use super::*;
    use crate::connection::{Settings, Shared};

    #[test]
    fn a_socket_gets_its_options() {
        rt::System::new().block_on(async {
            let stopping = actix_server::Server::build().graceful_shutdown_signal();
            let (worker, _sweeper) = Worker::start(Settings::default(), Shared::default(), stopping);
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let socket = Socket::connect(listener.local_addr().unwrap()).await.unwrap();
            prepare(&socket, &worker);
            let options = SockRef::from(&socket);
            assert!(options.tcp_nodelay().unwrap() && options.keepalive().unwrap());
            assert_eq!(options.tcp_notsent_lowat().unwrap(), 32 * 1024);
        });
    }
}
