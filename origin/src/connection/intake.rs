//! The body of one request on its way in: read from the socket only when the handler asks for it.

use std::{
    cell::{Cell, RefCell},
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_http::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;

use super::{
    framing::{Decoder, Framing, Piece},
    wire::Wire,
    worker::BODY_READ_BYTES_MAX,
};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Whether the client still waits to be told to send its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consent {
    /// `100 Continue` is owed; so much of it is written, and none of it surely on its way.
    Owed { sent: usize },
    /// The client was told, never asked, or did not wait.
    Settled,
}

/// The reading end of one request's body, shared by the handler's [`Upload`] and the connection's task.
pub(super) struct Intake {
    wire: Rc<Wire>,
    decoder: RefCell<Decoder>,
    consent: Cell<Consent>,
    /// Whether the handler still has its [`Upload`].
    held: Cell<bool>,
    /// Whether bytes came of which the client may not know yet: it is told where more are waited for, and by the answer.
    unacknowledged: Cell<bool>,
    /// Set when the exchange is over: a payload that a detached task kept must not read the next request.
    closed: Cell<bool>,
}

impl Intake {
    pub(super) fn new(wire: Rc<Wire>, framing: Framing, awaits_continue: bool) -> Rc<Self> {
        let consent = if awaits_continue { Consent::Owed { sent: 0 } } else { Consent::Settled };
        Rc::new(Self {
            wire,
            decoder: RefCell::new(Decoder::new(framing)),
            consent: Cell::new(consent),
            held: Cell::new(true),
            unacknowledged: Cell::new(true),
            closed: Cell::new(false),
        })
    }

    /// Whether the whole body has been read.
    pub(super) fn is_complete(&self) -> bool {
        self.decoder.borrow().is_complete()
    }

    /// Whether the body broke the chunked coding.
    pub(super) fn is_broken(&self) -> bool {
        self.decoder.borrow().is_broken()
    }

    /// Whether the handler may still read.
    pub(super) fn is_held(&self) -> bool {
        self.held.get()
    }

    /// Whether the client waits for a `100 Continue` that was not sent in full.
    pub(super) fn owes_continue(&self) -> bool {
        self.consent.get() != Consent::Settled
    }

    /// Bytes still to come, when that is known.
    pub(super) fn rest(&self) -> Option<u64> {
        self.decoder.borrow().rest()
    }

    /// From now on no `100 Continue` is sent, since the final response begins. If one was cut by a full socket, its rest
    /// must go first.
    pub(super) fn withhold_continue(&self) -> Bytes {
        match self.consent.replace(Consent::Settled) {
            Consent::Owed { sent: sent @ 1.. } => Bytes::from_static(&CONTINUE[sent..]),
            Consent::Owed { sent: 0 } | Consent::Settled => Bytes::new(),
        }
    }

    /// Takes the body away from the handler.
    pub(super) fn close(&self) {
        self.closed.set(true);
    }

    /// Looks at bytes that have arrived without waiting for more, and drops them.
    pub(super) fn discard_arrived(&self) {
        let mut inbox = self.wire.inbox.borrow_mut();
        while let Ok(Piece::Data(_)) = self.decoder.borrow_mut().decode(&mut inbox) {}
    }

    /// The next piece; `None` is the end of a complete body, and only that.
    pub(super) fn poll_piece(&self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, PayloadError>> {
        loop {
            let piece = self.decoder.borrow_mut().decode(&mut self.wire.inbox.borrow_mut());
            match piece {
                Ok(Piece::Data(data)) => {
                    self.consent.set(Consent::Settled);
                    return Poll::Ready(Ok(Some(data)));
                }
                Ok(Piece::End) => return Poll::Ready(Ok(None)),
                Ok(Piece::NeedMore) => {}
                Err(malformed) => {
                    tracing::debug!(%malformed, "malformed request body");
                    return Poll::Ready(Err(PayloadError::EncodingCorrupted));
                }
            }
            if self.wire.is_ended() {
                return Poll::Ready(Err(PayloadError::Incomplete(None)));
            }
            ready!(self.poll_consent(context)).map_err(PayloadError::Io)?;
            let Poll::Ready(read) = self.wire.poll_fill(context, BODY_READ_BYTES_MAX) else {
                if self.unacknowledged.replace(false) {
                    self.wire.acknowledge_at_once();
                }
                return Poll::Pending;
            };
            self.unacknowledged.set(read.map_err(PayloadError::Io)? > 0);
        }
    }

    fn poll_consent(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Consent::Owed { sent } = self.consent.get() {
            if sent < CONTINUE.len() {
                let length = ready!(self.wire.poll_write(context, &[IoSlice::new(&CONTINUE[sent..])]))?;
                self.consent.set(Consent::Owed { sent: sent + length });
            } else {
                ready!(self.wire.poll_flush(context))?;
                self.consent.set(Consent::Settled);
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// The payload that a handler reads. Everything but a complete body ends in an error, also when polled again.
pub(super) struct Upload(pub(super) Rc<Intake>);

impl Stream for Upload {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.0.closed.get() && !self.0.is_complete() {
            return Poll::Ready(Some(Err(PayloadError::Incomplete(None))));
        }
        self.0.poll_piece(context).map(Result::transpose)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.0.held.set(false);
    }
}
