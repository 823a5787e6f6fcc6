//! Heads between the types of `h2` and ours. Pure.

use actix_http::{
    Method, Uri,
    body::BodySize,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use http_types::{Response, StatusCode, request::Parts};
use httparse::Header;

use crate::connection::{
    framing::Framing,
    refusal::Refusal,
    respond::{Announce, Headed, Transfer, framing},
    view::HeadView,
    worker::Date,
};

/// The path and query; `CONNECT` has none and is refused by its method.
pub(super) fn target(head: &Parts) -> &str {
    match head.uri.path_and_query() {
        Some(target) => target.as_str(),
        None => "*",
    }
}

/// The header lines as the parser of HTTP/1.1 has them.
pub(super) fn lines(head: &Parts) -> Vec<Header<'_>> {
    head.headers.iter().map(|(name, value)| Header { name: name.as_str(), value: value.as_bytes() }).collect()
}

/// The headers for the application, with those that HTTP/2 has other means for: `Host`, and the sign of a body whose length
/// is not known.
pub(super) fn headers(view: &HeadView<'_>, head: &Parts) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::with_capacity(view.all().len() + 1);
    for line in view.all() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Refusal::HeaderInvalid)?;
        let value = HeaderValue::from_bytes(line.value).map_err(|_| Refusal::HeaderInvalid)?;
        headers.append(name, value);
    }
    if let Some(authority) = head.uri.authority()
        && !headers.contains_key(header::HOST)
    {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Refusal::HostInvalid)?;
        headers.insert(header::HOST, host);
    }
    if view.framing == Framing::Chunked && !headers.contains_key(header::CONTENT_LENGTH) {
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    Ok(headers)
}

/// The target for the application.
pub(super) fn uri(target: &str) -> Result<Uri, Refusal> {
    target.parse().map_err(|_| Refusal::TargetInvalid)
}

/// The head of a response, and how its body is sent.
pub(super) fn response(
    method: &Method,
    response: &impl Headed,
    size: BodySize,
    date: &Date,
) -> (Response<()>, Transfer) {
    let is_head = *method == Method::HEAD;
    let (announce, transfer) = framing(is_head, actix_http::Version::HTTP_2, response, size);
    let mut head = Response::new(());
    *head.status_mut() = StatusCode::from_u16(response.status().as_u16()).unwrap_or_default();
    let headers = head.headers_mut();
    if let Announce::Length(length) = announce {
        headers.insert(http_types::header::CONTENT_LENGTH, length.into());
    }
    for (name, value) in response.headers().filter(|(name, _)| is_sent(name, announce)) {
        let name = http_types::HeaderName::from_bytes(name.as_str().as_bytes());
        let value = http_types::HeaderValue::from_bytes(value.as_bytes());
        // They are valid: the types of both versions accept the same.
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    if let (http_types::header::Entry::Vacant(entry), Ok(date)) =
        (headers.entry(http_types::header::DATE), http_types::HeaderValue::from_bytes(date))
    {
        entry.insert(date);
    }
    (head, transfer)
}

/// Whether a header of the handler goes on the wire: none that is about an HTTP/1.1 connection (RFC 9113 section 8.2.2).
fn is_sent(name: &HeaderName, announce: Announce) -> bool {
    match *name {
        header::CONNECTION | header::TRANSFER_ENCODING | header::UPGRADE => false,
        header::CONTENT_LENGTH => announce == Announce::Own,
        _ => !["keep-alive", "proxy-connection"].contains(&name.as_str()),
    }
}
