//! The socket as `h2` wants it: what was read already comes first, everything is counted, and a peer that takes nothing
//! is told to the registry.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Buf as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::{rules::Phase, run::Connection};

/// A connection's bytes.
pub(super) struct Io(Rc<Connection>);

impl Io {
    pub(super) fn new(connection: Rc<Connection>) -> Self {
        Self(connection)
    }

    /// Notes that the peer took bytes, or that it must be waited for.
    fn note(&self, written: &Poll<io::Result<usize>>) {
        let Self(connection) = self;
        match written {
            Poll::Pending if !connection.is_blocked() => {
                connection.set_blocked(true);
                connection.slot.enter(Phase::Sending);
            }
            Poll::Ready(Ok(length)) if connection.is_blocked() => {
                connection.slot.took(*length);
                connection.set_blocked(false);
                connection.slot.enter(Phase::Busy);
            }
            Poll::Ready(Ok(length)) => connection.slot.took(*length),
            Poll::Pending | Poll::Ready(Err(_)) => {}
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = &self.0.wire;
        let mut inbox = wire.inbox.borrow_mut();
        if inbox.is_empty() {
            drop(inbox);
            ready!(wire.poll_read_into(context, buffer))?;
            return Poll::Ready(Ok(()));
        }
        let length = inbox.len().min(buffer.remaining());
        buffer.put_slice(&inbox[..length]);
        inbox.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.0.wire.poll_write(context, slices);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.wire.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.wire.end_writing();
        Poll::Ready(Ok(()))
    }
}
