//! A request head as it lies in the connection's buffer: read and checked once, not copied.

use std::{mem::MaybeUninit, net::SocketAddr};

use actix_http::{
    Method, Uri, Version,
    header::{self, HeaderName},
};
use bytes::Bytes;
use httparse::Header;

use super::{framing::Framing, lines::Lines, refusal::Refusal};

/// Most header lines that any setting allows.
pub const HEADERS_CEILING: usize = 256;
/// Longest request target.
pub(super) const TARGET_BYTES_MAX: usize = 8 * 1024;

/// Who sends a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client {
    /// Its address.
    pub peer: Option<SocketAddr>,
    /// Whether it has shown a certificate that was verified. The application finds it as an extension of its request.
    pub is_certified: bool,
}

/// A request head that may be answered.
#[derive(Debug)]
pub struct HeadView<'a> {
    method: Method,
    target: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    /// The target where it is more than a plain path and query.
    uri: Option<Uri>,
    lines: Lines<'a>,
    /// Who sends it.
    pub client: Client,
    pub(super) version: Version,
    pub(super) framing: Framing,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(super) awaits_continue: bool,
    /// Whether the client allows a further request on the connection.
    pub(super) keep_alive: bool,
}

impl<'a> HeadView<'a> {
    /// Reads a complete head.
    pub(super) fn read(
        raw: &'a Bytes,
        room: &'a mut [MaybeUninit<Header<'a>>],
        client: Client,
    ) -> Result<Self, Refusal> {
        let mut parsed = httparse::Request::new(&mut []);
        let status =
            parsed.parse_with_uninit_headers(raw, room).map_err(|error| Refusal::of_parser(error, raw))?;
        let (true, Some(method), Some(target), Some(minor)) =
            (status.is_complete(), parsed.method, parsed.path, parsed.version)
        else {
            return Err(Refusal::RequestLineInvalid);
        };
        let lines = Lines::new(parsed.headers);
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| Refusal::RequestLineInvalid)?;
        let version = if minor == 1 { Version::HTTP_11 } else { Version::HTTP_10 };
        let uri = check_target(&method, target, || uri(raw.slice_ref(target.as_bytes())))?;
        check_host(lines, version)?;
        let framing = body_framing(&method, lines, version)?;
        let awaits_continue = version == Version::HTTP_11
            && framing != Framing::Empty
            && lines.has_token(&header::EXPECT, "100-continue");
        let closes = lines.has_token(&header::CONNECTION, "close");
        let keep_alive =
            !closes && (version == Version::HTTP_11 || lines.has_token(&header::CONNECTION, "keep-alive"));
        Ok(Self {
            version,
            framing,
            awaits_continue,
            keep_alive,
            ..Self::new(method, target, uri, lines, client)
        })
    }

    fn new(method: Method, target: &'a str, uri: Option<Uri>, lines: Lines<'a>, client: Client) -> Self {
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        Self {
            method,
            target,
            path,
            query,
            uri,
            lines,
            client,
            version: Version::HTTP_11,
            framing: Framing::Empty,
            awaits_continue: false,
            keep_alive: true,
        }
    }

    /// A head that came as the fields of an HTTP/2 stream; `is_complete` when no body follows.
    pub(super) fn of_stream(
        method: &Method,
        target: &'a str,
        lines: &'a [Header<'a>],
        client: Client,
        is_complete: bool,
    ) -> Result<Self, Refusal> {
        let lines = Lines::new(lines);
        let uri = check_target(method, target, || uri(Bytes::copy_from_slice(target.as_bytes())))?;
        // Where the body ends is told by the frames; the length that may be announced is checked against them.
        let framing = if is_complete { Framing::Empty } else { Framing::Chunked };
        let awaits_continue = !is_complete && lines.has_token(&header::EXPECT, "100-continue");
        let version = Version::HTTP_2;
        let view = Self::new(method.clone(), target, uri, lines, client);
        Ok(Self { version, framing, awaits_continue, ..view })
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path, still percent-encoded and without its query.
    pub fn path(&self) -> &str {
        match &self.uri {
            Some(uri) => uri.path(),
            None => self.path,
        }
    }

    /// The query, still percent-encoded, where there is one.
    pub fn query(&self) -> Option<&str> {
        match &self.uri {
            Some(uri) => uri.query(),
            None => self.query,
        }
    }

    /// The values of all lines of a header, in order.
    pub fn lines(&self, name: &HeaderName) -> impl Iterator<Item = &[u8]> {
        self.lines.values(name)
    }

    /// All header lines, in order.
    pub(super) fn all(&self) -> &'a [Header<'a>] {
        self.lines.all
    }

    /// The target as the application takes it.
    pub(super) fn uri(&self, raw: &Bytes) -> Result<Uri, Refusal> {
        match &self.uri {
            Some(uri) => Ok(uri.clone()),
            None => uri(raw.slice_ref(self.target.as_bytes())),
        }
    }

    /// Whether the fast part may be asked: a read without a body.
    pub(super) fn is_plain_read(&self) -> bool {
        self.framing == Framing::Empty && [Method::GET, Method::HEAD].contains(&self.method)
    }
}

/// The path and query where there is more to them than plain bytes; an absolute target loses its scheme and host (RFC 9112
/// section 3.2).
fn check_target(
    method: &Method,
    target: &str,
    parse: impl FnOnce() -> Result<Uri, Refusal>,
) -> Result<Option<Uri>, Refusal> {
    if *method == Method::CONNECT {
        return Err(Refusal::TunnelUnsupported);
    }
    if target.len() > TARGET_BYTES_MAX {
        return Err(Refusal::TargetTooLong);
    }
    if target.starts_with('/') && target.bytes().all(|byte| PLAIN[usize::from(byte)]) {
        return Ok(None);
    }
    // Control bytes and spaces never get here; a raw UTF-8 path does, and proxies disagree about it. A fragment is never
    // sent, and `Uri` would silently cut it off.
    if target.bytes().any(|byte| !byte.is_ascii() || byte == b'#') {
        return Err(Refusal::TargetInvalid);
    }
    let uri = parse()?;
    let is_server = target == "*" && *method == Method::OPTIONS;
    if target.starts_with('/') || is_server {
        return Ok(Some(uri));
    }
    let (Some("http" | "https"), Some(_)) = (uri.scheme_str(), uri.authority()) else {
        return Err(Refusal::TargetInvalid);
    };
    uri.into_parts().path_and_query.map(Uri::from).map(Some).ok_or(Refusal::TargetInvalid)
}

fn uri(target: Bytes) -> Result<Uri, Refusal> {
    Uri::from_maybe_shared(target).map_err(|_| Refusal::TargetInvalid)
}

/// The bytes of a path or query that mean themselves in every reading of RFC 3986.
const PLAIN: [bool; 256] = alphanumeric_and(b"/-._~%!$&'()*+,;=:@?");
const HOST: [bool; 256] = alphanumeric_and(b"-._~!$&'()*+;=:[]%");

/// A table of bytes: letters, digits and `others`.
const fn alphanumeric_and(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
}

fn check_host(lines: Lines<'_>, version: Version) -> Result<(), Refusal> {
    let mut hosts = lines.values(&header::HOST);
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => Err(Refusal::HostRepeated),
        (None, None) if version == Version::HTTP_11 => Err(Refusal::HostMissing),
        (Some(host), None) if !host.iter().all(|byte| HOST[usize::from(*byte)]) => Err(Refusal::HostInvalid),
        _ => Ok(()),
    }
}

/// The one place where the end of a request body is decided (RFC 9112 section 6.3).
fn body_framing(method: &Method, lines: Lines<'_>, version: Version) -> Result<Framing, Refusal> {
    let mut lengths = lines.values(&header::CONTENT_LENGTH);
    let mut encodings = lines.values(&header::TRANSFER_ENCODING);
    match (lengths.next(), encodings.next()) {
        (Some(_), Some(_)) => Err(Refusal::LengthWithEncoding),
        (None, Some(encoding)) => {
            let is_chunked = encoding.eq_ignore_ascii_case(b"chunked");
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
fn parse_length(value: &[u8]) -> Result<u64, Refusal> {
    let text = std::str::from_utf8(value).map_err(|_| Refusal::LengthInvalid)?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::LengthInvalid);
    }
    text.parse().map_err(|_| Refusal::LengthInvalid)
}
