//! What AWS Elemental MediaStore's clients expect: signatures, answers, listings and, in `Strict` mode, its limits.
//!
//! A request is taken for MediaStore's when it is signed or carries one of its headers; in `Strict` mode every one is.

pub mod answer;
pub mod list;
pub mod sigv4;
pub mod strict;
#[cfg(test)]
mod tests;
pub mod upload;

use actix_web::http::header::HeaderName;
use mediaorigin_crds::policy::{MediaStore, Visibility};

use crate::http::request::Reject;
use crate::http::view::RequestView;

/// Headers that only its clients send. `x-amz-cf-id` is not among them: CloudFront adds it to every request.
const HEADERS: [HeaderName; 8] = [
    AVAILABILITY,
    HeaderName::from_static("x-amz-content-sha256"),
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-storage-class"),
    HeaderName::from_static("x-amz-security-token"),
    HeaderName::from_static("x-amz-user-agent"),
    HeaderName::from_static("amz-sdk-invocation-id"),
    HeaderName::from_static("amz-sdk-request"),
];
const AVAILABILITY: HeaderName = HeaderName::from_static("x-amz-upload-availability");

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// As every HTTP server does.
    Plain,
    /// As MediaStore does, because the origin is told to be like it.
    Strict,
    /// As MediaStore does, because its client asks.
    Client,
}

impl Dialect {
    /// That of a request.
    pub fn of(request: &impl RequestView, mode: MediaStore) -> Self {
        if sigv4::is_signed(request) || HEADERS.iter().any(|name| request.has(name)) {
            return Self::Client;
        }
        match mode {
            MediaStore::Relaxed => Self::Plain,
            MediaStore::Strict => Self::Strict,
        }
    }

    /// The path of a request as it names an object. Clients put a slash before a path that already begins with one.
    pub fn key(self, path: &str) -> &str {
        match path.strip_prefix('/') {
            Some(rest) if self != Self::Plain && rest.starts_with('/') => rest,
            _ => path,
        }
    }
}

/// From when on an upload can be read, where the request says so. MediaStore serves an upload before its end only when it is asked to.
pub fn visibility(request: &impl RequestView, dialect: Dialect) -> Result<Option<Visibility>, Reject> {
    match request.text(&AVAILABILITY) {
        Some(word) if word.eq_ignore_ascii_case("streaming") => Ok(Some(Visibility::Early)),
        Some(word) if word.eq_ignore_ascii_case("standard") => Ok(Some(Visibility::Complete)),
        Some(word) => {
            let text = format!("{AVAILABILITY}: {word} is neither STANDARD nor STREAMING");
            Err(Reject::malformed(text))
        }
        None => Ok((dialect != Dialect::Plain).then_some(Visibility::Complete)),
    }
}
