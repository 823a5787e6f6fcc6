//! The fast part: answers that need neither the application nor any waiting.
//!
//! It is asked before the application and may always pass: it never refuses anything, so there is one place for refusals.
//! Its answers take the same way to the wire as the application's.

use actix_http::{
    StatusCode,
    body::{BoxBody, MessageBody},
    header::{HeaderName, HeaderValue},
};

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
    /// Its body.
    pub body: B,
    /// Whether the connection must end after it.
    pub close: bool,
    /// What it keeps in memory.
    pub hold: Option<Hold>,
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
