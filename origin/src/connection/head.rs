//! From the bytes of a connection to a request head, or to the reason why not.
//!
//! Nothing that a proxy in front of us could understand differently gets through: what RFC 9112 leaves to the taste of the
//! receiver (bare line feeds, repeated lengths, odd transfer codings) is refused.

#[cfg(test)]
mod tests;

use std::{mem, mem::MaybeUninit};

use actix_http::{
    Method, Uri, Version,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memchr;

use super::{
    framing::Framing,
    refusal::Refusal,
    view::{Client, HEADERS_CEILING, HeadView, TARGET_BYTES_MAX},
};

/// Bytes of a request line beside its target.
const REQUEST_LINE_EXTRA_BYTES: usize = 64;
/// Empty lines tolerated before a request line (RFC 9112 section 2.2).
const BLANK_LINES_MAX: usize = 4;

/// A request head that may be given to the application.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) target: Uri,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) framing: Framing,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(super) awaits_continue: bool,
    /// Whether the client allows a further request on the connection.
    pub(super) keep_alive: bool,
}

/// The limits that apply to a head.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadLimits {
    pub(super) size_bytes_max: usize,
    pub(super) headers_max: usize,
}

/// Looks for the end of one head; remembers how far it has looked, so that a head sent byte by byte costs no more.
#[derive(Debug, Default)]
pub(super) struct HeadReader {
    scanned: usize,
    line_start: usize,
    blank_lines: usize,
    /// Length from which an incomplete head is looked at again; doubles each time.
    check_at: usize,
    is_head: bool,
}

/// A head that was taken.
#[derive(Debug)]
pub(super) enum Taken<T> {
    /// `quick` has answered it.
    Quick(T),
    /// For the application.
    Head(Head),
}

impl HeadReader {
    /// Takes a head out of `inbox` if it is complete, and shows it to `quick` first.
    pub(super) fn take<T>(
        &mut self,
        inbox: &mut BytesMut,
        limits: HeadLimits,
        client: Client,
        quick: impl FnOnce(&HeadView<'_>) -> Option<T>,
    ) -> Result<Option<Taken<T>>, Refusal> {
        while self.scanned == 0 && inbox.starts_with(b"\r\n") {
            self.blank_lines += 1;
            if self.blank_lines > BLANK_LINES_MAX {
                return Err(Refusal::RequestLineInvalid);
            }
            inbox.advance(2);
        }
        self.is_head = inbox.starts_with(b"HEAD ");
        if let Some(end) = self.find_end(inbox)? {
            if end > limits.size_bytes_max {
                return Err(too_long(inbox));
            }
            // Nothing behind it is the common case, and saves a reference count.
            let raw = if end == inbox.len() { mem::take(inbox) } else { inbox.split_to(end) }.freeze();
            *self = Self { is_head: self.is_head, ..Self::default() };
            let mut room = [const { MaybeUninit::uninit() }; HEADERS_CEILING];
            let view = HeadView::read(&raw, &mut room[..limits.headers_max.min(HEADERS_CEILING)], client)?;
            return match quick(&view) {
                Some(answer) => Ok(Some(Taken::Quick(answer))),
                None => Head::new(&view, &raw).map(Taken::Head).map(Some),
            };
        }
        self.check_incomplete(inbox, limits)?;
        Ok(None)
    }

    /// Whether the head last looked at is one of a HEAD request, whose answer has no body even if it is a refusal.
    pub(super) fn is_head(&self) -> bool {
        self.is_head
    }

    /// The length of the head, through its empty line.
    fn find_end(&mut self, inbox: &[u8]) -> Result<Option<usize>, Refusal> {
        while let Some(offset) = memchr(b'\n', &inbox[self.scanned..]) {
            let line_feed = self.scanned + offset;
            if line_feed == 0 || inbox[line_feed - 1] != b'\r' {
                return Err(bare_line_feed(inbox));
            }
            self.scanned = line_feed + 1;
            if line_feed == self.line_start + 1 {
                return Ok(Some(self.scanned));
            }
            self.line_start = self.scanned;
        }
        // A lone CR at the very end must be seen again together with the LF that may follow.
        self.scanned = inbox.len().saturating_sub(usize::from(inbox.ends_with(b"\r")));
        Ok(None)
    }

    /// Refuses what can no longer become a valid head, before the time-out does.
    fn check_incomplete(&mut self, inbox: &[u8], limits: HeadLimits) -> Result<(), Refusal> {
        let in_request_line = self.line_start == 0;
        if inbox.len() >= limits.size_bytes_max
            || in_request_line && inbox.len() > TARGET_BYTES_MAX + REQUEST_LINE_EXTRA_BYTES
        {
            return Err(too_long(inbox));
        }
        if inbox.len() >= self.check_at {
            self.check_at = inbox.len() * 2;
            let mut headers = [const { MaybeUninit::uninit() }; HEADERS_CEILING];
            let headers = &mut headers[..limits.headers_max.min(HEADERS_CEILING)];
            httparse::Request::new(&mut [])
                .parse_with_uninit_headers(inbox, headers)
                .map_err(|error| Refusal::of_parser(error, inbox))?;
        }
        Ok(())
    }
}

/// A head above the limit is called after its longest part.
fn too_long(inbox: &[u8]) -> Refusal {
    let line = inbox.iter().position(|byte| *byte == b'\n').unwrap_or(inbox.len());
    if line <= TARGET_BYTES_MAX {
        Refusal::HeadTooLong
    } else if inbox.contains(&b' ') {
        Refusal::TargetTooLong
    } else {
        Refusal::RequestLineInvalid
    }
}

/// Garbage often holds a line feed; only what begins like HTTP is told about it.
fn bare_line_feed(inbox: &[u8]) -> Refusal {
    let line = inbox.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_http = line.windows(6).any(|window| window == b" HTTP/");
    if is_http { Refusal::LineFeedBare } else { Refusal::RequestLineInvalid }
}

impl Head {
    /// Makes the application's head.
    fn new(view: &HeadView<'_>, raw: &Bytes) -> Result<Self, Refusal> {
        let mut headers = HeaderMap::with_capacity(view.all().len());
        for line in view.all() {
            let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Refusal::HeaderInvalid)?;
            let value = HeaderValue::from_maybe_shared(raw.slice_ref(line.value));
            headers.append(name, value.map_err(|_| Refusal::HeaderInvalid)?);
        }
        Ok(Self {
            method: view.method().clone(),
            target: view.uri(raw)?,
            version: view.version,
            headers,
            framing: view.framing,
            awaits_continue: view.awaits_continue,
            keep_alive: view.keep_alive,
        })
    }
}
