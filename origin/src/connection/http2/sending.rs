//! A response on its way to a stream: no faster than the client opens its window, and not slower than the rules allow.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use actix_http::body::{BodySize, MessageBody};
use bytes::Bytes;
use h2::{Reason, SendStream};

use super::{fields, stream::Stream};
use crate::connection::{
    refusal::Refusal,
    registry::Slot,
    respond::{Headed, Transfer},
    rules::Phase,
    run::Connection,
};

/// Where a response goes.
pub(super) struct Outgoing<'a> {
    connection: &'a Connection,
    stream: &'a Stream,
    slot: Slot,
}

/// How a wait ended without what was waited for.
enum Failure {
    /// The client has reset the stream, or its connection is over.
    ClientGone,
    /// The handler's body failed or had the wrong length.
    Body,
    /// The sweeper has cut the client.
    Cut,
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(connection: &'a Connection, stream: &'a Stream, slot: Slot) -> Self {
        Self { connection, stream, slot }
    }

    /// Answers in place of the application.
    pub(super) fn refuse(&self, reason: Refusal) {
        let worker = &self.connection.wire.worker;
        worker.counters.add_refused(reason);
        let (head, text) = reason.reply();
        let size = BodySize::Sized(text.len() as u64);
        let (head, transfer) = fields::response(&self.stream.method, &head, size, &worker.date());
        let has_body = transfer != Transfer::Nothing;
        let sent = self.stream.respond.borrow_mut().send_response(head, !has_body);
        if let (Ok(mut stream), true) = (sent, has_body) {
            // Short enough for any window; a client without one does not read the reason.
            let _ = stream.send_data(text, true);
        }
    }

    /// Sends a response.
    pub(super) async fn send<H: Headed, B: MessageBody>(&self, response: H, body: B) {
        let worker = &self.connection.wire.worker;
        let (head, transfer) = fields::response(&self.stream.method, &response, body.size(), &worker.date());
        self.slot.begin(response.hold());
        drop(response);
        let is_empty = transfer == Transfer::Nothing;
        let sent = self.stream.respond.borrow_mut().send_response(head, is_empty);
        let mut stream = match sent {
            Ok(stream) if !is_empty => stream,
            Ok(_) => return,
            Err(error) => return tracing::debug!(%error, "client left before the response"),
        };
        match self.send_body(&mut stream, pin!(body), transfer).await {
            Ok(()) => {}
            Err(Failure::ClientGone) => tracing::debug!("client left during a response"),
            // Whatever has not left yet is dropped with it, and nobody takes the rest for a whole.
            Err(Failure::Body) => stream.send_reset(Reason::INTERNAL_ERROR),
            Err(Failure::Cut) => stream.send_reset(Reason::ENHANCE_YOUR_CALM),
        }
    }

    async fn send_body<B: MessageBody>(
        &self,
        stream: &mut SendStream<Bytes>,
        mut body: Pin<&mut B>,
        transfer: Transfer,
    ) -> Result<(), Failure> {
        let mut left = match transfer {
            Transfer::Sized(length) => Some(length),
            _ => None,
        };
        loop {
            self.slot.enter_anew(Phase::Busy);
            let item = poll_fn(|context| self.poll_item(context, stream, body.as_mut())).await?;
            let Some(data) = item else { break };
            if let Some(left) = &mut left {
                *left = left.checked_sub(data.len() as u64).ok_or(Failure::Body)?;
            }
            self.send_data(stream, data, left == Some(0)).await?;
            if left == Some(0) {
                return Ok(());
            }
        }
        match left {
            Some(1..) => Err(Failure::Body),
            _ => stream.send_data(Bytes::new(), true).map_err(|_| Failure::ClientGone),
        }
    }

    fn poll_item<B: MessageBody>(
        &self,
        context: &mut Context<'_>,
        stream: &mut SendStream<Bytes>,
        body: Pin<&mut B>,
    ) -> Poll<Result<Option<Bytes>, Failure>> {
        match body.poll_next(context) {
            Poll::Ready(Some(Ok(data))) => Poll::Ready(Ok(Some(data))),
            Poll::Ready(Some(Err(error))) => {
                let error: Box<dyn std::error::Error> = error.into();
                tracing::debug!(%error, "a response body failed");
                Poll::Ready(Err(Failure::Body))
            }
            Poll::Ready(None) => Poll::Ready(Ok(None)),
            Poll::Pending if self.stream.ends_with_client() => {
                stream.poll_reset(context).map(|_| Err(Failure::ClientGone))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Hands bytes over as fast as the client's window opens and the socket takes them.
    async fn send_data(
        &self,
        stream: &mut SendStream<Bytes>,
        mut data: Bytes,
        is_last: bool,
    ) -> Result<(), Failure> {
        if data.is_empty() && !is_last {
            return Ok(());
        }
        while !data.is_empty() {
            stream.reserve_capacity(data.len());
            self.slot.enter_anew(Phase::Sending);
            let capacity = poll_fn(|context| self.poll_capacity(context, stream)).await?;
            let part = data.split_to(capacity.min(data.len()));
            self.slot.took(part.len());
            let ends = is_last && data.is_empty();
            stream.send_data(part, ends).map_err(|_| Failure::ClientGone)?;
        }
        Ok(())
    }

    fn poll_capacity(
        &self,
        context: &mut Context<'_>,
        stream: &mut SendStream<Bytes>,
    ) -> Poll<Result<usize, Failure>> {
        if stream.capacity() > 0 {
            return Poll::Ready(Ok(stream.capacity()));
        }
        let mut granted = stream.poll_capacity(context);
        while let Poll::Ready(Some(Ok(0))) = granted {
            granted = stream.poll_capacity(context);
        }
        match granted {
            Poll::Ready(Some(Ok(capacity))) => Poll::Ready(Ok(capacity)),
            Poll::Ready(Some(Err(_)) | None) => Poll::Ready(Err(Failure::ClientGone)),
            Poll::Pending => match self.slot.poll_verdict(context) {
                Some(verdict) => {
                    self.connection.wire.worker.counters.add_timed_out(verdict.phase());
                    Poll::Ready(Err(Failure::Cut))
                }
                None => Poll::Pending,
            },
        }
    }
}

impl Drop for Outgoing<'_> {
    fn drop(&mut self) {
        self.slot.end();
    }
}
