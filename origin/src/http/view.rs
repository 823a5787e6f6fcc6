//! A request head, whoever has parsed it: the rules of `http` read it through this trait and nothing else, so that the
//! application and the fast part cannot come to different opinions.

#[cfg(test)]
pub(crate) mod sample;

use std::net::IpAddr;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest};

use crate::connection::Client;

/// What the rules may know of a request.
pub trait RequestView {
    /// The method, as it was sent.
    fn method(&self) -> &str;

    /// The path, still percent-encoded and without its query.
    fn path(&self) -> &str;

    /// The query, still percent-encoded, where there is one.
    fn query(&self) -> Option<&str>;

    /// The values of all lines of a header, in order.
    fn lines<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]>;

    /// Who sends it.
    fn client(&self) -> Client;

    /// The client's address; an IPv4 client of an IPv6 socket has an IPv4 address.
    fn peer(&self) -> Option<IpAddr> {
        self.client().peer.map(|peer| peer.ip().to_canonical())
    }

    /// Whether there is a line of this header.
    fn has(&self, name: &HeaderName) -> bool {
        self.lines(name).next().is_some()
    }

    /// All lines of a header, with commas between them; lines that are not visible ASCII are passed over.
    fn text(&self, name: &HeaderName) -> Option<String> {
        let mut lines = self.lines(name).filter_map(visible);
        let mut text = lines.next()?.to_owned();
        for line in lines {
            text.push_str(", ");
            text.push_str(line);
        }
        Some(text)
    }
}

impl RequestView for HttpRequest {
    fn method(&self) -> &str {
        self.head().method.as_str()
    }

    fn path(&self) -> &str {
        self.head().uri.path()
    }

    fn query(&self) -> Option<&str> {
        self.head().uri.query()
    }

    fn lines<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        self.head().headers.get_all(name).map(HeaderValue::as_bytes)
    }

    fn client(&self) -> Client {
        self.extensions().get().copied().unwrap_or_default()
    }
}

/// A line of visible ASCII characters, spaces and tabs.
fn visible(line: &[u8]) -> Option<&str> {
    let is_visible = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    line.iter().all(is_visible).then(|| std::str::from_utf8(line).ok()).flatten()
}
