//! One token that opens a whole port: that of the operator, that of the other pods.

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, HeaderValue};

use crate::digest::Digest;

/// Shortest token that is believed: an empty file must not open the door.
const TOKEN_BYTES_MIN: usize = 16;

/// Whether a request shows `token` (RFC 6750 §2.1).
pub fn shows(http: &HttpRequest, token: &[u8]) -> bool {
    let shown = http.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let shown = shown.strip_prefix(b"Bearer ").unwrap_or_default();
    // By their digests: neither the token nor its length can be guessed from how long the comparison takes.
    token.len() >= TOKEN_BYTES_MIN && Digest::of(shown) == Digest::of(token)
}
