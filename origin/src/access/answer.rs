//! Denials as answers: 401 with a challenge where nothing was shown, 403 where it does not suffice, 503 where we cannot tell.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use mediaorigin_crds::policy::ReadAccess;

use super::{Action, Denial};
use crate::http::response::Answer;
use crate::mediastore::Dialect;
use crate::mediastore::answer::ERROR_TYPE;
use crate::outcome::Outcome;

/// The answer to a request that is not let in.
pub fn denied(denial: Denial, action: Action, read: ReadAccess, dialect: Dialect) -> Answer {
    let text = denial.to_string();
    if denial == Denial::Unavailable {
        return Answer::text(StatusCode::SERVICE_UNAVAILABLE, Outcome::CredentialsUnreadable, &text);
    }
    if denial == Denial::Missing && is_asked_for(action, read, dialect) {
        let mut answer = Answer::text(StatusCode::UNAUTHORIZED, Outcome::Unauthenticated, &text);
        let challenge = HeaderValue::from_static("Basic realm=\"mediaorigin\", charset=\"UTF-8\"");
        answer.push(header::WWW_AUTHENTICATE, challenge);
        return answer;
    }
    let mut answer = Answer::text(StatusCode::FORBIDDEN, Outcome::Forbidden, &text);
    let error_type = match denial {
        Denial::Signature(refusal) => refusal.error_type(),
        Denial::Wrong => "UnrecognizedClientException",
        _ => "AccessDeniedException",
    };
    if dialect != Dialect::Plain {
        answer.push(ERROR_TYPE, HeaderValue::from_static(error_type));
    }
    answer
}

/// Whether a client is asked for credentials. Encoders answer a challenge and take a refusal for the end; a viewer with a
/// bad link must not see a browser's dialogue, and MediaStore never asks readers.
fn is_asked_for(action: Action, read: ReadAccess, dialect: Dialect) -> bool {
    match action {
        Action::Write => true,
        Action::List => dialect == Dialect::Plain,
        Action::Read => read == ReadAccess::Authenticated && dialect != Dialect::Strict,
    }
}
