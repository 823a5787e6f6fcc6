//! The fast part: answers that need neither the application nor any waiting.
//!
//! It is asked before the application and may always pass: it never refuses anything, so there is one place for refusals.
//! Its answers take the same way to the wire as the application's.

use std::mem;

use actix_http::{
    StatusCode,
    body::{BoxBody, MessageBody},
    header::{HeaderName, HeaderValue},
};

use bytes::Bytes;

use super::{hold::Hold, view::HeadView};

/// Answers reads in place of the application.
pub trait Fast: 'static {
    /// The body of its answers.
    type Body: MessageBody + 'static;

    /// The answer to a GET or HEAD without a body, or `None`, after which the application is asked. Must not block.
    fn answer(&self, head: &HeadView<'_>) -> Option<Reply<Self::Body>>;
}

/// An answer on its way to the wire.
#[derive(Debug)]
pub struct Reply<B> {
    /// Its status.
    pub status: StatusCode,
    /// Headers beside those of the framing and `Date`, which the connection loop writes.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Further ones, none of them `Date` or about the connection: whole lines, ready for the wire of HTTP/1.1.
    pub lines: Bytes,
    /// Its body.
    pub body: B,
    /// Whether the connection must end after it.
    pub close: bool,
    /// What it keeps in memory.
    pub hold: Option<Hold>,
}

impl<B> Reply<B> {
    /// The same with all headers in the list, for who cannot use lines.
    #[must_use]
    pub fn spelled_out(mut self) -> Self {
        let lines = mem::take(&mut self.lines);
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let Some(at) = line.windows(2).position(|two| two == b": ") else { continue };
            let name = HeaderName::from_bytes(&line[..at]);
            let value = HeaderValue::from_maybe_shared(lines.slice_ref(line[at + 2..].trim_ascii_end()));
            if let (Ok(name), Ok(value)) = (name, value) {
                self.headers.push((name, value));
            }
        }
        self
    }
}

/// No fast part: every request goes to the application.
#[derive(Clone, Copy, Debug, Default)]
pub struct Never;

impl Fast for Never {
    type Body = BoxBody;

    fn answer(&self, _: &HeadView<'_>) -> Option<Reply<BoxBody>> {
        None
    }
}
