//! How a response is framed and what its head looks like on the wire. Pure.

use actix_http::{
    ConnectionType, Response, StatusCode, Version,
    body::BodySize,
    header::{self, HeaderName, HeaderValue},
};
use bytes::Bytes;

use super::{fast::Reply, hold::Hold, worker::Date};

/// Room for most heads, without the lines that are ready; a longer one grows it.
const HEAD_BYTES: usize = 512;

/// How the body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    /// Not at all.
    Nothing,
    /// Exactly so many bytes.
    Sized(u64),
    /// In chunks.
    Chunked,
    /// Until the connection ends, for HTTP/1.0.
    UntilClose,
}

/// What the head says about the body's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announce {
    /// Nothing.
    Nothing,
    /// `Content-Length`.
    Length(u64),
    /// The `Content-Length` that the handler wrote, if it did.
    Own,
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// Whether the connection serves a further request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persistence {
    /// Yes.
    Keep,
    /// No.
    Close,
}

/// The head of a response, whoever made it.
pub(super) trait Headed {
    /// Its status.
    fn status(&self) -> StatusCode;

    /// The words behind the status.
    fn reason(&self) -> &str;

    /// Its headers.
    fn headers(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)>;

    /// Further headers as lines; none of them is about framing, and none is `Date`.
    fn lines(&self) -> &[u8] {
        b""
    }

    /// Whether a stream may be sent in chunks.
    fn chunked(&self) -> bool;

    /// Whether it wants the connection to end.
    fn asks_to_close(&self) -> bool;

    /// What it keeps in memory, where somebody has said so.
    fn hold(&self) -> Option<Hold>;
}

impl<B> Headed for Response<B> {
    fn status(&self) -> StatusCode {
        self.head().status
    }

    fn reason(&self) -> &str {
        self.head().reason()
    }

    fn headers(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.head().headers().iter()
    }

    fn chunked(&self) -> bool {
        self.head().chunked()
    }

    fn asks_to_close(&self) -> bool {
        let mut options = Headed::headers(self)
            .filter_map(|(name, value)| (name == header::CONNECTION).then(|| value.to_str().ok()).flatten());
        self.head().connection_type() == ConnectionType::Close
            || options.any(|value| value.split(',').any(|option| option.trim().eq_ignore_ascii_case("close")))
    }

    fn hold(&self) -> Option<Hold> {
        self.extensions().get::<Hold>().cloned()
    }
}

/// The head of an answer of the fast part.
#[derive(Debug)]
pub(super) struct QuickHead {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    lines: Bytes,
    close: bool,
    hold: Option<Hold>,
}

impl<B> Reply<B> {
    /// Its head and its body.
    pub(super) fn into_parts(self) -> (QuickHead, B) {
        let Self { status, headers, lines, body, close, hold } = self;
        (QuickHead { status, headers, lines, close, hold }, body)
    }
}

impl Headed for QuickHead {
    fn status(&self) -> StatusCode {
        self.status
    }

    fn reason(&self) -> &str {
        self.status.canonical_reason().unwrap_or_default()
    }

    fn headers(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.headers.iter().map(|(name, value)| (name, value))
    }

    fn lines(&self) -> &[u8] {
        &self.lines
    }

    fn chunked(&self) -> bool {
        true
    }

    fn asks_to_close(&self) -> bool {
        self.close
    }

    fn hold(&self) -> Option<Hold> {
        self.hold.clone()
    }
}

/// Decides the framing. A handler may write `Content-Length` itself for answers to HEAD, for 304, and, together with
/// `no_chunking`, for a stream of known length.
pub(super) fn framing(
    is_head: bool,
    version: Version,
    response: &impl Headed,
    size: BodySize,
) -> (Announce, Transfer) {
    let own_length = own_length(response);
    let (announce, transfer) = match (response.status(), size) {
        (StatusCode::NO_CONTENT, _) => (Announce::Nothing, Transfer::Nothing),
        (status, _) if status.is_informational() => (Announce::Nothing, Transfer::Nothing),
        (StatusCode::NOT_MODIFIED, _) => (Announce::Own, Transfer::Nothing),
        (_, BodySize::None | BodySize::Sized(0)) if is_head && own_length.is_some() => {
            (Announce::Own, Transfer::Nothing)
        }
        (_, BodySize::None | BodySize::Sized(0)) => (Announce::Length(0), Transfer::Nothing),
        (_, BodySize::Sized(length)) => (Announce::Length(length), Transfer::Sized(length)),
        (_, BodySize::Stream) => match own_length {
            Some(length) if is_head || !response.chunked() => (Announce::Own, Transfer::Sized(length)),
            _ if version == Version::HTTP_11 && response.chunked() => (Announce::Chunked, Transfer::Chunked),
            _ => (Announce::Nothing, Transfer::UntilClose),
        },
    };
    (announce, if is_head { Transfer::Nothing } else { transfer })
}

fn own_length(response: &impl Headed) -> Option<u64> {
    let (_, value) = response.headers().find(|(name, _)| *name == header::CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}

/// Writes a head. The version is always ours, HTTP/1.1 (RFC 9110 section 6.2); an HTTP/1.0 client understands it.
pub(super) fn write_head(
    response: &impl Headed,
    announce: Announce,
    persistence: Persistence,
    version: Version,
    date: &Date,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES + response.lines().len());
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(response.status().as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(response.reason().as_bytes());
    out.extend_from_slice(b"\r\n");
    match announce {
        Announce::Nothing | Announce::Own => {}
        Announce::Length(length) => write_header(b"content-length", decimal(length, &mut [0; 20]), &mut out),
        Announce::Chunked => write_header(b"transfer-encoding", b"chunked", &mut out),
    }
    match (persistence, version) {
        (Persistence::Close, _) => write_header(b"connection", b"close", &mut out),
        (Persistence::Keep, Version::HTTP_11) => {}
        (Persistence::Keep, _) => write_header(b"connection", b"keep-alive", &mut out),
    }
    let mut has_date = false;
    for (name, value) in response.headers() {
        if !is_ours(name, announce) {
            has_date |= name == header::DATE;
            write_header(name.as_str().as_bytes(), value.as_bytes(), &mut out);
        }
    }
    out.extend_from_slice(response.lines());
    if !has_date {
        write_header(b"date", date, &mut out);
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Whether the connection loop alone says this header.
fn is_ours(name: &HeaderName, announce: Announce) -> bool {
    match *name {
        header::CONNECTION | header::TRANSFER_ENCODING => true,
        header::CONTENT_LENGTH => announce != Announce::Own,
        _ => false,
    }
}

fn write_header(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// The digits of a number, at the end of `room`.
fn decimal(mut number: u64, room: &mut [u8; 20]) -> &[u8] {
    let mut start = room.len();
    loop {
        start -= 1;
        room[start] = b"0123456789"[(number % 10) as usize];
        number /= 10;
        if number == 0 {
            return &room[start..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: StatusCode, own_length: Option<u64>, chunked: bool) -> Response<()> {
        let mut response = Response::with_body(status, ());
        response.head_mut().no_chunking(!chunked);
        if let Some(length) = own_length {
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }

    #[test]
    fn framings() {
        use BodySize::{None as Empty, Sized, Stream};
        const OK: StatusCode = StatusCode::OK;
        for (is_head, version, status, own, chunked, size, expected) in [
            (false, 1, OK, None, true, Sized(5), (Announce::Length(5), Transfer::Sized(5))),
            (true, 1, OK, None, true, Sized(5), (Announce::Length(5), Transfer::Nothing)),
            (false, 1, OK, Some(9), true, Sized(5), (Announce::Length(5), Transfer::Sized(5))),
            (false, 1, OK, None, true, Empty, (Announce::Length(0), Transfer::Nothing)),
            (true, 1, OK, Some(9), true, Empty, (Announce::Own, Transfer::Nothing)),
            (true, 1, OK, Some(9), true, Sized(0), (Announce::Own, Transfer::Nothing)),
            (false, 1, OK, Some(9), true, Sized(0), (Announce::Length(0), Transfer::Nothing)),
            (false, 1, OK, None, true, Stream, (Announce::Chunked, Transfer::Chunked)),
            (true, 1, OK, None, true, Stream, (Announce::Chunked, Transfer::Nothing)),
            (true, 1, OK, Some(9), true, Stream, (Announce::Own, Transfer::Nothing)),
            (false, 1, OK, Some(9), true, Stream, (Announce::Chunked, Transfer::Chunked)),
            (false, 1, OK, Some(9), false, Stream, (Announce::Own, Transfer::Sized(9))),
            (false, 1, OK, None, false, Stream, (Announce::Nothing, Transfer::UntilClose)),
            (false, 0, OK, None, true, Stream, (Announce::Nothing, Transfer::UntilClose)),
            (false, 1, StatusCode::NO_CONTENT, Some(9), true, Stream, (Announce::Nothing, Transfer::Nothing)),
            (false, 1, StatusCode::NOT_MODIFIED, Some(9), true, Empty, (Announce::Own, Transfer::Nothing)),
            (false, 1, StatusCode::NOT_MODIFIED, None, true, Sized(5), (Announce::Own, Transfer::Nothing)),
        ] {
            let version = if version == 1 { Version::HTTP_11 } else { Version::HTTP_10 };
            let head = response(status, own, chunked);
            assert_eq!(
                framing(is_head, version, &head, size),
                expected,
                "{is_head} {version:?} {head:?} {size:?}"
            );
        }
    }

    #[test]
    fn heads() {
        let mut head = response(StatusCode::OK, Some(7), true);
        for (name, value) in
            [(header::CONNECTION, "x"), (header::TRANSFER_ENCODING, "gzip"), (header::ETAG, "\"a\"")]
        {
            head.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        let date = b"Sun, 06 Nov 1994 08:49:37 GMT";
        for (announce, persistence, version, lines) in [
            (Announce::Nothing, Persistence::Keep, Version::HTTP_11, ""),
            (
                Announce::Length(5),
                Persistence::Keep,
                Version::HTTP_10,
                "content-length: 5\r\nconnection: keep-alive\r\n",
            ),
            (
                Announce::Chunked,
                Persistence::Close,
                Version::HTTP_11,
                "transfer-encoding: chunked\r\nconnection: close\r\n",
            ),
        ] {
            let out = write_head(&head, announce, persistence, version, date);
            let expected = format!(
                "HTTP/1.1 200 OK\r\n{lines}etag: \"a\"\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"
            );
            assert_eq!(out, expected.as_bytes());
        }
    }

    #[test]
    fn lines_are_sent_as_they_are_or_spelled_out() {
        let reply = |lines| Reply {
            status: StatusCode::OK,
            headers: vec![(header::VARY, HeaderValue::from_static("Origin"))],
            lines: Bytes::from_static(lines),
            body: (),
            close: false,
            hold: None,
        };
        let lines = b"etag: \"a: b\"\r\ncache-control: no-store \r\nx: \r\n";
        let head = |reply: Reply<()>| {
            let (head, ()) = reply.into_parts();
            let date = b"Sun, 06 Nov 1994 08:49:37 GMT";
            let out = write_head(&head, Announce::Nothing, Persistence::Keep, Version::HTTP_11, date);
            String::from_utf8(out).unwrap()
        };
        let expected = "HTTP/1.1 200 OK\r\nvary: Origin\r\netag: \"a: b\"\r\ncache-control: no-store \r\nx: \r\n\
                        date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";
        assert_eq!(head(reply(lines)), expected);
        assert_eq!(head(reply(lines).spelled_out()), expected.replace("no-store ", "no-store"));
    }

    #[test]
    fn numbers_are_as_the_standard_library_formats_them() {
        for number in [0, 7, 10, 4_194_304, u64::MAX] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }
}
