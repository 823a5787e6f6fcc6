//! AWS Signature Version 4 as MediaStore's clients use it: is a request signed, by which key, and is the signature right? Pure.
//!
//! Service `mediastore`, any region. Two rules differ from S3's, so that no verifier for S3 would do: the path is encoded a
//! second time and loses empty segments, and a request without `x-amz-content-sha256` has the digest of nothing. Both forms are known: the `Authorization` header, and
//! a presigned URL. The body is not looked at here: its digest, where one is given, is compared when it has been received.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

mod canonical;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use actix_web::http::header::{AUTHORIZATION, HOST, HeaderName};

pub(crate) use self::canonical::{CONTENT_DIGEST, UNSIGNED, parameters};
use crate::digest::Digest;
use crate::http::view::RequestView;

/// How far a client's clock may be off.
pub const SKEW_MAX: Duration = Duration::from_mins(5);
/// How long a presigned URL may be valid.
pub const PRESIGNED_MAX: Duration = Duration::from_hours(7 * 24);
/// The service of a credential scope.
const SERVICE: &str = "mediastore";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Headers that a signature may cover at most.
const SIGNED_HEADERS_MAX: usize = 64;

/// What a signed request says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The name of the key.
    pub key_id: String,
    /// Where the signature is.
    form: Form,
    /// `YYYYMMDD` and the region.
    date: String,
    region: String,
    /// `YYYYMMDDThhmmssZ`, as it came.
    timestamp: String,
    time: SystemTime,
    /// Names in lower case, in their order.
    signed: Vec<HeaderName>,
    signature: Digest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Header,
    Presigned(Duration),
}

/// Why a signature is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A part is missing or makes no sense.
    #[error("the signature is incomplete: {0}")]
    Incomplete(&'static str),
    /// Nobody has such a key.
    #[error("the access key is not known")]
    UnknownKey,
    /// Signed too long ago, or in the future.
    #[error("the signature is not of now: clocks may differ by 5 minutes")]
    Skewed,
    /// A presigned URL whose time is over.
    #[error("the presigned URL has expired")]
    Expired,
    /// Signed with another key, or something was changed on the way.
    #[error(
        "the signature does not match: another secret key, or a request that was changed on its way (Host, path, query)"
    )]
    Mismatch,
}

impl Refusal {
    /// The name of the error for AWS's SDKs, in `x-amzn-ErrorType`. The first makes them correct their clock by our `Date`.
    pub const fn error_type(self) -> &'static str {
        match self {
            Self::Skewed => "RequestTimeTooSkewed",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::UnknownKey => "UnrecognizedClientException",
            Self::Expired | Self::Mismatch => "InvalidSignatureException",
        }
    }
}

/// Whether the request says that it is signed.
pub fn is_signed(request: &impl RequestView) -> bool {
    let in_header = request.lines(&AUTHORIZATION).any(|line| line.starts_with(ALGORITHM.as_bytes()));
    in_header || query(request).contains("X-Amz-Signature=")
}

/// What the request says of its signature; `None` where it has none.
pub fn claim(request: &impl RequestView) -> Option<Result<Claim, Refusal>> {
    if !is_signed(request) {
        return None;
    }
    let header = request.text(&AUTHORIZATION);
    Some(match header.as_deref().and_then(|header| header.strip_prefix(ALGORITHM)) {
        Some(fields) => in_header(request, fields),
        None => in_query(request),
    })
}

fn query(request: &impl RequestView) -> &str {
    request.query().unwrap_or_default()
}

fn in_header(request: &impl RequestView, fields: &str) -> Result<Claim, Refusal> {
    let field = |name: &str| {
        let mut all = fields.split(',').filter_map(|field| field.trim().split_once('='));
        all.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let timestamp = canonical::header(request, &DATE).ok_or(Refusal::Incomplete("x-amz-date"))?;
    Claim::new(
        field("Credential").ok_or(Refusal::Incomplete("Credential"))?,
        field("SignedHeaders").ok_or(Refusal::Incomplete("SignedHeaders"))?,
        field("Signature").ok_or(Refusal::Incomplete("Signature"))?,
        timestamp,
        Form::Header,
    )
}

fn in_query(request: &impl RequestView) -> Result<Claim, Refusal> {
    let all = parameters(query(request));
    let parameter = |name: &'static str| {
        let found = all.iter().find(|(key, _)| key.as_slice() == name.as_bytes());
        found.and_then(|(_, value)| std::str::from_utf8(value).ok()).ok_or(Refusal::Incomplete(name))
    };
    if parameter("X-Amz-Algorithm")? != ALGORITHM {
        return Err(Refusal::Incomplete("X-Amz-Algorithm"));
    }
    let expires = parameter("X-Amz-Expires")?.parse().map(Duration::from_secs).ok();
    let expires = expires.filter(|expires| !expires.is_zero() && *expires <= PRESIGNED_MAX);
    Claim::new(
        parameter("X-Amz-Credential")?,
        parameter("X-Amz-SignedHeaders")?,
        parameter("X-Amz-Signature")?,
        parameter("X-Amz-Date")?.to_owned(),
        Form::Presigned(expires.ok_or(Refusal::Incomplete("X-Amz-Expires is 1 to 604800 seconds"))?),
    )
}

impl Claim {
    fn new(
        credential: &str,
        signed: &str,
        signature: &str,
        timestamp: String,
        form: Form,
    ) -> Result<Self, Refusal> {
        let scope = Refusal::Incomplete("Credential is KEY/DATE/REGION/mediastore/aws4_request");
        // A key's name may hold a slash, nothing behind it does.
        let mut parts = credential.rsplitn(5, '/');
        let mut part = || parts.next().ok_or(scope);
        let (terminator, service, region, date, key_id) = (part()?, part()?, part()?, part()?, part()?);
        if terminator != "aws4_request" || service != SERVICE || key_id.is_empty() {
            return Err(scope);
        }
        let time = canonical::time(&timestamp).ok_or(Refusal::Incomplete("the date is YYYYMMDDThhmmssZ"))?;
        if !timestamp.starts_with(date) {
            return Err(Refusal::Incomplete("the date of Credential is another one"));
        }
        let signed = signed.split(';').map(|name| HeaderName::from_bytes(name.as_bytes()));
        let signed: Vec<HeaderName> =
            signed.collect::<Result<_, _>>().map_err(|_| Refusal::Incomplete("SignedHeaders"))?;
        if signed.len() > SIGNED_HEADERS_MAX || !signed.contains(&HOST) {
            return Err(Refusal::Incomplete("SignedHeaders must name host"));
        }
        Ok(Self {
            key_id: key_id.to_owned(),
            form,
            date: date.to_owned(),
            region: region.to_owned(),
            timestamp,
            time,
            signed,
            signature: Digest::from_hex(signature)
                .ok_or(Refusal::Incomplete("Signature has 64 hexadecimal digits"))?,
        })
    }

    /// Whether the request was signed with `secret`, at a time that is good at `now`.
    pub fn verify(&self, request: &impl RequestView, secret: &str, now: SystemTime) -> Result<(), Refusal> {
        self.check_time(now)?;
        let key = signing_key(secret, &self.date, &self.region, SERVICE);
        let scope = format!("{}/{}/{SERVICE}/aws4_request", self.date, self.region);
        let canonical = canonical::requests(request, &self.signed, self.form == Form::Header)?;
        let matches = canonical.iter().any(|canonical| {
            let digest = Digest::of(canonical.as_bytes());
            let text = format!("{ALGORITHM}\n{}\n{scope}\n{digest}", self.timestamp);
            Digest::keyed(key.bytes(), text.as_bytes()) == self.signature
        });
        if matches { Ok(()) } else { Err(Refusal::Mismatch) }
    }

    fn check_time(&self, now: SystemTime) -> Result<(), Refusal> {
        if self.time > now + SKEW_MAX {
            return Err(Refusal::Skewed);
        }
        match self.form {
            Form::Header if self.time + SKEW_MAX < now => Err(Refusal::Skewed),
            Form::Presigned(expires) if self.time + expires < now => Err(Refusal::Expired),
            _ => Ok(()),
        }
    }
}

/// The key of one day, region and service.
fn signing_key(secret: &str, date: &str, region: &str, service: &str) -> Digest {
    let mut key = Digest::keyed(format!("AWS4{secret}").as_bytes(), date.as_bytes());
    for part in [region, service, "aws4_request"] {
        key = Digest::keyed(key.bytes(), part.as_bytes());
    }
    key
}
