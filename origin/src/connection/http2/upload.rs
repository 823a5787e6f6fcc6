//! The body of a request on a stream: flow control follows the handler, which is all the back-pressure that there is.

use std::{
    cell::{Cell, RefCell},
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_http::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;
use h2::{RecvStream, server::SendResponse};

/// The payload that a handler reads. Everything but a complete body ends in an error.
pub(super) struct Upload {
    body: RecvStream,
    /// Where `100 Continue` is owed, it is sent when the handler asks for the body.
    owed: Option<Rc<RefCell<SendResponse<Bytes>>>>,
    is_complete: Rc<Cell<bool>>,
}

impl Upload {
    pub(super) fn new(
        body: RecvStream,
        owed: Option<Rc<RefCell<SendResponse<Bytes>>>>,
        is_complete: Rc<Cell<bool>>,
    ) -> Self {
        Self { body, owed, is_complete }
    }

    fn consent(&mut self) {
        let Some(respond) = self.owed.take() else { return };
        let mut interim = http_types::Response::new(());
        *interim.status_mut() = http_types::StatusCode::CONTINUE;
        // Fails when the response has begun or the client is gone, and then nobody waits for it.
        let _ = respond.borrow_mut().send_informational(interim);
    }
}

impl Stream for Upload {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.consent();
        Poll::Ready(match ready!(this.body.poll_data(context)) {
            Some(Ok(data)) => {
                // Fails when the stream is gone, which the next read tells.
                let _ = this.body.flow_control().release_capacity(data.len());
                Some(Ok(data))
            }
            Some(Err(error)) => Some(Err(PayloadError::Incomplete(Some(io::Error::other(error))))),
            // A body of another length than announced is an error of the stream, it never comes here.
            None => {
                this.is_complete.set(true);
                None
            }
        })
    }
}
