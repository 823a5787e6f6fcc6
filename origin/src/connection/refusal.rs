//! The reasons for which the connection loop itself answers, and the answers.

use actix_http::{
    StatusCode,
    header::{self, HeaderValue},
};
use bytes::Bytes;

use super::{fast::Reply, respond::QuickHead};

/// Why a request never reached the application (or, for [`Refusal::BodyMalformed`], why its answer was replaced).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No HTTP request line.
    RequestLineInvalid,
    /// A line that ends in LF without CR.
    LineFeedBare,
    /// A version other than 1.0 and 1.1, or what only looks like the preface of HTTP/2.
    VersionUnsupported,
    /// `CONNECT`: this is no tunnel.
    TunnelUnsupported,
    /// A target that is no path and no absolute `http` address.
    TargetInvalid,
    /// A target above the limit.
    TargetTooLong,
    /// A header name or value with a forbidden byte.
    HeaderInvalid,
    /// A head above the limit.
    HeadTooLong,
    /// More header lines than the limit.
    HeadersTooMany,
    /// HTTP/1.1 without `Host`.
    HostMissing,
    /// More than one `Host`.
    HostRepeated,
    /// A `Host` that is no host.
    HostInvalid,
    /// A `Content-Length` that is no number.
    LengthInvalid,
    /// More than one `Content-Length`.
    LengthRepeated,
    /// `Content-Length` beside `Transfer-Encoding`.
    LengthWithEncoding,
    /// An HTTP/1.0 upload without `Content-Length`.
    LengthMissing,
    /// A `Transfer-Encoding` other than one `chunked`, or in HTTP/1.0.
    EncodingUnsupported,
    /// A chunk that breaks the chunked coding.
    BodyMalformed,
    /// A head that did not end in time; also counted as a time-out.
    HeadTimeout,
}

impl Refusal {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 19] = [
        Self::RequestLineInvalid,
        Self::LineFeedBare,
        Self::VersionUnsupported,
        Self::TunnelUnsupported,
        Self::TargetInvalid,
        Self::TargetTooLong,
        Self::HeaderInvalid,
        Self::HeadTooLong,
        Self::HeadersTooMany,
        Self::HostMissing,
        Self::HostRepeated,
        Self::HostInvalid,
        Self::LengthInvalid,
        Self::LengthRepeated,
        Self::LengthWithEncoding,
        Self::LengthMissing,
        Self::EncodingUnsupported,
        Self::BodyMalformed,
        Self::HeadTimeout,
    ];

    /// The word for metrics labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::RequestLineInvalid => "request_line_invalid",
            Self::LineFeedBare => "line_feed_bare",
            Self::VersionUnsupported => "version_unsupported",
            Self::TunnelUnsupported => "tunnel_unsupported",
            Self::TargetInvalid => "target_invalid",
            Self::TargetTooLong => "target_too_long",
            Self::HeaderInvalid => "header_invalid",
            Self::HeadTooLong => "head_too_long",
            Self::HeadersTooMany => "headers_too_many",
            Self::HostMissing => "host_missing",
            Self::HostRepeated => "host_repeated",
            Self::HostInvalid => "host_invalid",
            Self::LengthInvalid => "length_invalid",
            Self::LengthRepeated => "length_repeated",
            Self::LengthWithEncoding => "length_with_encoding",
            Self::LengthMissing => "length_missing",
            Self::EncodingUnsupported => "encoding_unsupported",
            Self::BodyMalformed => "body_malformed",
            Self::HeadTimeout => "head_timeout",
        }
    }

    /// What the parser's error about `raw` means.
    pub(super) fn of_parser(error: httparse::Error, raw: &[u8]) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::HeadersTooMany,
            httparse::Error::HeaderName | httparse::Error::HeaderValue => Self::HeaderInvalid,
            httparse::Error::Version if raw.windows(6).any(|window| window == b" HTTP/") => {
                Self::VersionUnsupported
            }
            // httparse does not say which token: after a method and a space it can only be the target.
            httparse::Error::Token if begins_with_method(raw) => Self::TargetInvalid,
            _ => Self::RequestLineInvalid,
        }
    }

    /// Status line and one sentence for the client.
    fn answer(self) -> (&'static str, &'static str) {
        const BAD: &str = "400 Bad Request";
        match self {
            Self::RequestLineInvalid => (BAD, "not an HTTP request line"),
            Self::LineFeedBare => (BAD, "a line of the head ends in LF without CR"),
            Self::VersionUnsupported => (
                "505 HTTP Version Not Supported",
                "this port speaks HTTP/1.0, HTTP/1.1 and HTTP/2, the latter by TLS or by prior knowledge",
            ),
            Self::TunnelUnsupported => ("405 Method Not Allowed", "CONNECT is not served, this is no proxy"),
            Self::TargetInvalid => (BAD, "the request target must be a percent-encoded path or http address"),
            Self::TargetTooLong => ("414 URI Too Long", "the request target is too long"),
            Self::HeaderInvalid => (BAD, "a header name or value holds a forbidden byte"),
            Self::HeadTooLong => ("431 Request Header Fields Too Large", "the request head is too long"),
            Self::HeadersTooMany => ("431 Request Header Fields Too Large", "too many header lines"),
            Self::HostMissing => (BAD, "an HTTP/1.1 request needs a Host header"),
            Self::HostRepeated => (BAD, "more than one Host header"),
            Self::HostInvalid => (BAD, "the Host header is not a host"),
            Self::LengthInvalid => (BAD, "Content-Length is not a number"),
            Self::LengthRepeated => (BAD, "more than one Content-Length"),
            Self::LengthWithEncoding => (BAD, "Content-Length and Transfer-Encoding exclude each other"),
            Self::LengthMissing => ("411 Length Required", "an HTTP/1.0 upload needs Content-Length"),
            Self::EncodingUnsupported => {
                (BAD, "the only transfer coding accepted is one chunked, in HTTP/1.1")
            }
            Self::BodyMalformed => (BAD, "the chunked body is malformed"),
            Self::HeadTimeout => ("408 Request Timeout", "the request head did not arrive in time"),
        }
    }

    /// The answer on an HTTP/2 stream.
    pub(super) fn reply(self) -> (QuickHead, Bytes) {
        let (status, text) = self.answer();
        let code = status.split(' ').next().and_then(|code| code.parse().ok());
        let reply = Reply {
            status: code.unwrap_or(StatusCode::BAD_REQUEST),
            headers: vec![
                (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ],
            lines: Bytes::new(),
            body: Bytes::from(format!("{text}\n")),
            close: false,
            hold: None,
        };
        reply.into_parts()
    }

    /// The whole response; it always announces the end of the connection.
    pub(super) fn response(self, date: &[u8; 29], to_head: bool) -> Bytes {
        let (status, text) = self.answer();
        let date = String::from_utf8_lossy(date);
        let body = if to_head { String::new() } else { format!("{text}\n") };
        Bytes::from(format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\ncontent-type: text/plain; charset=utf-8\r\n\
             cache-control: no-store\r\nconnection: close\r\ndate: {date}\r\n\r\n{body}",
            text.len() + 1,
        ))
    }
}

fn begins_with_method(raw: &[u8]) -> bool {
    let method = raw.split(|byte| *byte == b' ').next().unwrap_or_default();
    method.len() < raw.len() && !method.is_empty() && method.iter().all(u8::is_ascii_uppercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_all_reasons_is_in_the_order_of_the_enum() {
        for (index, reason) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{reason:?}");
        }
    }
}
