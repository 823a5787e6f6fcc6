//! The bytes of a connection, with or without TLS.

#[cfg(test)]
mod tests;

use std::{
    cell::RefCell,
    future::{Future as _, poll_fn},
    io::{self, IoSlice, Read as _},
    net::Shutdown,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use actix_web::rt::net::TcpStream;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use socket2::SockRef;
use tokio::io::{AsyncRead as _, AsyncWrite as _, Interest, ReadBuf};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// What TLS connections are accepted with. A new configuration is for new connections, those that are open keep theirs.
pub type TlsConfig = Arc<ArcSwap<ServerConfig>>;

/// A socket, or the TLS session on it.
pub(super) enum Transport {
    Plain(TcpStream),
    Tls(Box<RefCell<TlsStream<TcpStream>>>),
}

impl Transport {
    /// Shakes hands; to be dropped when it takes too long.
    pub(super) async fn accept(socket: TcpStream, config: &TlsConfig) -> io::Result<Self> {
        let stream = TlsAcceptor::from(config.load_full()).accept(socket).await?;
        Ok(Self::Tls(Box::new(RefCell::new(stream))))
    }

    /// Whether the client has asked for HTTP/2.
    pub(super) fn is_http_2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.borrow().get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// Whether the client has shown a certificate; one that does not verify never gets so far.
    pub(super) fn is_certified(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => {
                stream.borrow().get_ref().1.peer_certificates().is_some_and(|chain| !chain.is_empty())
            }
        }
    }

    /// Looks at the socket below.
    pub(super) fn socket<T>(&self, look: impl FnOnce(&TcpStream) -> T) -> T {
        match self {
            Self::Plain(socket) => look(socket),
            Self::Tls(stream) => look(stream.borrow().get_ref().0),
        }
    }

    /// Reads once; 0 is the end of the client's direction.
    pub(super) fn poll_read(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => poll_read(socket, context, buffer),
            Self::Tls(stream) => {
                let mut buffer = ReadBuf::new(buffer);
                ready!(Pin::new(&mut *stream.borrow_mut()).poll_read(context, &mut buffer))?;
                Poll::Ready(Ok(buffer.filled().len()))
            }
        }
    }

    /// As [`Self::poll_read`], without waiting. Who waits must ask again afterwards.
    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.poll_read(&mut Context::from_waker(Waker::noop()), buffer) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Writes once. TLS may keep some of it until [`Self::poll_flush`].
    pub(super) fn poll_write(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => poll_write(socket, context, slices),
            Self::Tls(stream) => Pin::new(&mut *stream.borrow_mut()).poll_write_vectored(context, slices),
        }
    }

    /// Waits until the kernel has everything.
    pub(super) fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(&mut *stream.borrow_mut()).poll_flush(context),
        }
    }

    /// Ends our direction and leaves the client's open. TLS says so in its own words, if the kernel takes them now.
    pub(super) fn end_writing(&self) {
        if let Self::Tls(stream) = self {
            // Whatever is left of the task's turn: with nothing left tokio would have the last words wait, and they would never be sent.
            let goodbye = poll_fn(|context| Pin::new(&mut *stream.borrow_mut()).poll_shutdown(context));
            let goodbye = pin!(tokio::task::unconstrained(goodbye));
            let _ = goodbye.poll(&mut Context::from_waker(Waker::noop()));
        }
        // Fails when the client is gone already, which the reads that follow will show.
        self.socket(|socket| drop(SockRef::from(socket).shutdown(Shutdown::Write)));
    }
}

/// Reads once. After a short read the next call waits for the kernel without asking it first, as tokio's own reads do: nothing
/// is left, and what comes later wakes up. The end of the client's direction stays known.
fn poll_read(socket: &TcpStream, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_read_ready(context))?;
        let mut read = None;
        let result = socket.try_io(Interest::READABLE, || {
            let length = (&*SockRef::from(socket)).read(buffer)?;
            read = Some(length);
            // Makes tokio forget that the socket is readable.
            if 0 < length && length < buffer.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match (read, result) {
            (Some(length), _) => return Poll::Ready(Ok(length)),
            (None, Err(error)) if error.kind() != io::ErrorKind::WouldBlock => {
                return Poll::Ready(Err(error));
            }
            (None, _) => {}
        }
    }
}

/// Writes once. After a short write the next call waits for the kernel without asking it first, as tokio's own writes do:
/// a short write to a TCP socket always ends in a wake-up.
fn poll_write(
    socket: &TcpStream,
    context: &mut Context<'_>,
    slices: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    let size_bytes: usize = slices.iter().map(|slice| slice.len()).sum();
    loop {
        ready!(socket.poll_write_ready(context))?;
        let mut length = 0;
        let result = socket.try_io(Interest::WRITABLE, || {
            length = SockRef::from(socket).send_vectored(slices)?;
            // Makes tokio forget that the socket is writable.
            if length < size_bytes { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match result {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
            Err(_) if length == 0 => {}
            Ok(()) | Err(_) => return Poll::Ready(Ok(length)),
        }
    }
}
