//! Answers as MediaStore gives them: an error has its type in a header and its text as JSON, an upload is answered with its digest.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use bytes::Bytes;
use serde::Serialize;

use super::Dialect;
use crate::digest::Digest;
use crate::http::body::Content;
use crate::http::response::Answer;
use crate::outcome::Outcome;

/// The header by which SDKs tell errors apart.
pub const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
/// The one storage class that MediaStore has.
const STORAGE_CLASS: &str = "TEMPORAL";

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorBody<'a> {
    message: &'a str,
}

#[derive(Serialize)]
struct PutBody<'a> {
    #[serde(rename = "ContentSHA256", skip_serializing_if = "Option::is_none")]
    content_sha256: Option<String>,
    /// As the `ETag` header has it, quotes included, so that the two can be compared.
    #[serde(rename = "ETag", skip_serializing_if = "Option::is_none")]
    etag: Option<&'a str>,
    #[serde(rename = "StorageClass")]
    storage_class: &'static str,
}

/// The same answer in a dialect; `digest` is that of the body which was uploaded.
pub fn speak(answer: Answer, dialect: Dialect, digest: Option<Digest>) -> Answer {
    match (dialect, answer.outcome) {
        (Dialect::Plain, _) => answer,
        (_, Outcome::Created | Outcome::Replaced | Outcome::Unchanged | Outcome::Superseded) => {
            stored(answer, digest)
        }
        (Dialect::Strict, Outcome::Empty) => stored(answer, digest),
        // Nothing was stored, and a client that means an object must know.
        (Dialect::Client, Outcome::Empty) => {
            let text = "an object has at least one byte: nothing was stored";
            error(Answer {
                class: answer.class,
                ..Answer::text(StatusCode::BAD_REQUEST, answer.outcome, text)
            })
        }
        (_, Outcome::Deleted) => with_text(answer, StatusCode::OK, Bytes::new()),
        _ if answer.status.as_u16() >= 400 => error(answer),
        _ => answer,
    }
}

fn stored(answer: Answer, digest: Option<Digest>) -> Answer {
    let etag = answer.headers.iter().find(|(name, _)| *name == header::ETAG).map(|(_, value)| value.clone());
    let body = PutBody {
        content_sha256: digest.map(|digest| digest.to_string()),
        etag: etag.as_ref().and_then(|value| value.to_str().ok()),
        storage_class: STORAGE_CLASS,
    };
    let mut answer = with_text(answer, StatusCode::OK, json(&body));
    answer.replace(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn error(mut answer: Answer) -> Answer {
    let Content::Text(text) = &answer.content else { return answer };
    let message = String::from_utf8_lossy(text);
    let body = json(&ErrorBody { message: message.trim_end() });
    answer.content = Content::Text(body);
    answer.replace(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if answer.status == StatusCode::GONE {
        // MediaStore knows no difference between what is over and what never was (CP-08).
        answer.status = StatusCode::NOT_FOUND;
    }
    if !answer.headers.iter().any(|(name, _)| *name == ERROR_TYPE) {
        answer.push(ERROR_TYPE, HeaderValue::from_static(error_type(answer.status)));
    }
    answer
}

/// The name of an error, from MediaStore's model where it has one.
fn error_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        404 | 410 => "ObjectNotFoundException",
        416 => "RequestedRangeNotSatisfiableException",
        401 => "MissingAuthenticationTokenException",
        403 => "AccessDeniedException",
        405 => "MethodNotAllowedException",
        408 => "RequestTimeoutException",
        412 => "PreconditionFailedException",
        413 => "PayloadTooLargeException",
        503 => "ServiceUnavailableException",
        500.. => "InternalServerError",
        _ => "ValidationException",
    }
}

fn with_text(mut answer: Answer, status: StatusCode, text: Bytes) -> Answer {
    answer.status = status;
    answer.content = Content::Text(text);
    answer
}

/// Our own structures always have a JSON form.
pub(super) fn json(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).map_or_else(|_| Bytes::new(), Bytes::from)
}
