//! What a request shows of itself: credentials of several kinds, any of which may be good.

use actix_web::http::header::{AUTHORIZATION, HeaderName};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::token;
use crate::digest::Digest;
use crate::http::view::RequestView;
use crate::mediastore::sigv4::{self, Claim, Refusal};

/// One thing that a request shows.
#[derive(Debug)]
pub enum Shown<'a> {
    /// An AWS signature.
    Signature(Result<Claim, Refusal>),
    /// Digest of `username:password`.
    Basic(Digest),
    /// Digest of a token.
    Bearer(Digest),
    /// `Authorization` of another kind, or one that makes no sense.
    Unknown,
    /// A header of its own, and the digest of its value.
    Header(&'a HeaderName, Digest),
    /// The token of a signed URL.
    Url(&'a str),
}

impl<'a> Shown<'a> {
    /// Everything that `request` shows; `header_names` are the headers that may be credentials.
    pub fn all(request: &'a impl RequestView, header_names: &'a [HeaderName]) -> Vec<Self> {
        let mut all: Vec<Self> = sigv4::claim(request).map(Self::Signature).into_iter().collect();
        if all.is_empty()
            && let Some(value) = request.lines(&AUTHORIZATION).next()
        {
            all.push(std::str::from_utf8(value).map_or(Self::Unknown, Self::authorization));
        }
        for name in header_names {
            let values = request.lines(name).take(1);
            all.extend(values.map(|value| Self::Header(name, Digest::of(value))));
        }
        all.extend(token::of(request.path(), request.query().unwrap_or_default()).map(Self::Url));
        all
    }

    fn authorization(header: &str) -> Self {
        let Some((scheme, value)) = header.trim().split_once(' ') else { return Self::Unknown };
        let value = value.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Self::Bearer(Digest::of(value.as_bytes()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Self::Unknown;
        }
        STANDARD.decode(value).map_or(Self::Unknown, |text| Self::Basic(Digest::of(&text)))
    }
}
