//! From the bytes of a connection to a request head, or to the reason why not.
//!
//! Nothing that a proxy in front of us could understand differently gets through: what RFC 9112 leaves to the taste of the
//! receiver (bare line feeds, repeated lengths, odd transfer codings) is refused.

#[cfg(test)]
mod tests;

use std::mem::MaybeUninit;

use actix_http::{
    Method, Uri, Version,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use bytes::{Buf as _, Bytes, BytesMut};

use super::{framing::Framing, refusal::Refusal};

/// Most header lines that any setting allows.
pub const HEADERS_CEILING: usize = 256;
/// Longest request target.
const TARGET_BYTES_MAX: usize = 8 * 1024;
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

impl HeadReader {
    /// Takes a head out of `inbox` if it is complete.
    pub(super) fn take(&mut self, inbox: &mut BytesMut, limits: HeadLimits) -> Result<Option<Head>, Refusal> {
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
            let raw = inbox.split_to(end).freeze();
            *self = Self { is_head: self.is_head, ..Self::default() };
            return parse(&raw, limits.headers_max).map(Some);
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
        while let Some(offset) = inbox[self.scanned..].iter().position(|byte| *byte == b'\n') {
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
                .map_err(|error| reason(error, inbox))?;
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

fn reason(error: httparse::Error, raw: &[u8]) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal::HeadersTooMany,
        httparse::Error::HeaderName | httparse::Error::HeaderValue => Refusal::HeaderInvalid,
        httparse::Error::Version if raw.windows(6).any(|window| window == b" HTTP/") => {
            Refusal::VersionUnsupported
        }
        // httparse does not say which token: after a method and a space it can only be the target.
        httparse::Error::Token if begins_with_method(raw) => Refusal::TargetInvalid,
        _ => Refusal::RequestLineInvalid,
    }
}

fn begins_with_method(raw: &[u8]) -> bool {
    let method = raw.split(|byte| *byte == b' ').next().unwrap_or_default();
    method.len() < raw.len() && !method.is_empty() && method.iter().all(u8::is_ascii_uppercase)
}

/// Reads a complete head.
fn parse(raw: &Bytes, headers_max: usize) -> Result<Head, Refusal> {
    let mut lines = [const { MaybeUninit::uninit() }; HEADERS_CEILING];
    let mut parsed = httparse::Request::new(&mut []);
    let status = parsed
        .parse_with_uninit_headers(raw, &mut lines[..headers_max.min(HEADERS_CEILING)])
        .map_err(|error| reason(error, raw))?;
    let (true, Some(method), Some(target), Some(minor)) =
        (status.is_complete(), parsed.method, parsed.path, parsed.version)
    else {
        return Err(Refusal::RequestLineInvalid);
    };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Refusal::RequestLineInvalid)?;
    let version = if minor == 1 { Version::HTTP_11 } else { Version::HTTP_10 };
    let target = parse_target(&method, raw.slice_ref(target.as_bytes()))?;

    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for line in parsed.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Refusal::HeaderInvalid)?;
        let value = HeaderValue::from_maybe_shared(raw.slice_ref(line.value));
        headers.append(name, value.map_err(|_| Refusal::HeaderInvalid)?);
    }
    check_host(&headers, version)?;
    let framing = body_framing(&method, &headers, version)?;
    let awaits_continue = version == Version::HTTP_11
        && framing != Framing::Empty
        && has_token(&headers, &header::EXPECT, "100-continue");
    let keep_alive = match version {
        Version::HTTP_11 => !has_token(&headers, &header::CONNECTION, "close"),
        _ => {
            has_token(&headers, &header::CONNECTION, "keep-alive")
                && !has_token(&headers, &header::CONNECTION, "close")
        }
    };
    Ok(Head { method, target, version, headers, framing, awaits_continue, keep_alive })
}

/// The path and query; an absolute target loses its scheme and host (RFC 9112 section 3.2).
fn parse_target(method: &Method, target: Bytes) -> Result<Uri, Refusal> {
    if *method == Method::CONNECT {
        return Err(Refusal::TunnelUnsupported);
    }
    if target.len() > TARGET_BYTES_MAX {
        return Err(Refusal::TargetTooLong);
    }
    // Control bytes and spaces never get here; a raw UTF-8 path does, and proxies disagree about it. A fragment is never
    // sent, and `Uri` would silently cut it off.
    if target.iter().any(|byte| !byte.is_ascii() || *byte == b'#') {
        return Err(Refusal::TargetInvalid);
    }
    let is_path = target.starts_with(b"/");
    let is_server = *target == *b"*" && *method == Method::OPTIONS;
    let uri = Uri::from_maybe_shared(target).map_err(|_| Refusal::TargetInvalid)?;
    if is_path || is_server {
        return Ok(uri);
    }
    let (Some("http" | "https"), Some(_)) = (uri.scheme_str(), uri.authority()) else {
        return Err(Refusal::TargetInvalid);
    };
    uri.into_parts().path_and_query.map(Uri::from).ok_or(Refusal::TargetInvalid)
}

fn check_host(headers: &HeaderMap, version: Version) -> Result<(), Refusal> {
    let mut hosts = headers.get_all(header::HOST);
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => Err(Refusal::HostRepeated),
        (None, None) if version == Version::HTTP_11 => Err(Refusal::HostMissing),
        (Some(host), None) if !host.as_bytes().iter().all(|byte| is_host_byte(*byte)) => {
            Err(Refusal::HostInvalid)
        }
        _ => Ok(()),
    }
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=:[]%".contains(&byte)
}

/// The one place where the end of a request body is decided (RFC 9112 section 6.3).
fn body_framing(method: &Method, headers: &HeaderMap, version: Version) -> Result<Framing, Refusal> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH);
    let mut encodings = headers.get_all(header::TRANSFER_ENCODING);
    match (lengths.next(), encodings.next()) {
        (Some(_), Some(_)) => Err(Refusal::LengthWithEncoding),
        (None, Some(encoding)) => {
            let is_chunked = encoding.as_bytes().eq_ignore_ascii_case(b"chunked");
            if !is_chunked || encodings.next().is_some() || version != Version::HTTP_11 {
                return Err(Refusal::EncodingUnsupported);
            }
            Ok(Framing::Chunked)
        }
        (Some(_), None) if lengths.next().is_some() => Err(Refusal::LengthRepeated),
        (Some(length), None) => Ok(match parse_length(length)? {
            0 => Framing::Empty,
            length => Framing::Length(length),
        }),
        (None, None) if version == Version::HTTP_10 && [Method::PUT, Method::POST].contains(method) => {
            Err(Refusal::LengthMissing)
        }
        (None, None) => Ok(Framing::Empty),
    }
}

/// Digits only: `str::parse` alone would accept a plus sign.
fn parse_length(value: &HeaderValue) -> Result<u64, Refusal> {
    let text = value.to_str().unwrap_or_default();
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::LengthInvalid);
    }
    text.parse().map_err(|_| Refusal::LengthInvalid)
}

/// Whether a list header names `token`.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
}
