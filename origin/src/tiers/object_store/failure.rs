//! What an error of the client means for us: whose fault it is, and whether the request may have taken effect.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use object_store::client::{HttpError, HttpErrorKind};

use crate::causes;
use crate::tiers::ErrorKind;

/// Why a request did not do what it was sent for.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) fault: Fault,
    text: String,
}

/// What a caller does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A condition was not met: something else is there than was thought. Nothing changed.
    Conflict,
    /// There is no such object.
    Absent,
    /// The object is another one by now.
    Changed,
    /// We may not, or the bucket is not there: somebody must act. Nothing changed.
    Denied,
    /// The bytes are not what was stored.
    Corrupt,
    /// There is no space left.
    Full,
    /// The request was not sent, or turned away before it did anything: later it may be done.
    Undone,
    /// No answer, or one that leaves open whether it was done, or will be.
    Unclear,
}

impl Failure {
    pub(super) fn new(fault: Fault, text: impl Into<String>) -> Self {
        Self { fault, text: text.into() }
    }

    /// No answer within `limit`.
    pub(super) fn slow(limit: Duration) -> Self {
        Self::new(Fault::Unclear, format!("no answer within {} ms", limit.as_millis()))
    }

    /// What a caller of the tier is told.
    pub(super) fn kind(&self) -> ErrorKind {
        match self.fault {
            Fault::Denied => ErrorKind::Denied,
            Fault::Absent | Fault::Changed => ErrorKind::Gone,
            Fault::Corrupt => ErrorKind::Corrupt,
            Fault::Full => ErrorKind::Full,
            Fault::Conflict | Fault::Undone | Fault::Unclear => ErrorKind::Unavailable,
        }
    }

    /// Whether the same request may succeed if it is sent again.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self.fault, Fault::Undone | Fault::Unclear)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl Error for Failure {}

impl From<object_store::Error> for Failure {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error as E;
        let text = explain(&causes::text(&error));
        let fault = match &error {
            E::NotFound { .. } if is_no_bucket(&error.to_string()) => Fault::Denied,
            E::NotFound { .. } => Fault::Absent,
            E::AlreadyExists { .. } | E::Precondition { .. } | E::NotModified { .. } => Fault::Conflict,
            E::PermissionDenied { .. }
            | E::Unauthenticated { .. }
            | E::InvalidPath { .. }
            | E::NotSupported { .. }
            | E::NotImplemented { .. } => Fault::Denied,
            _ => fault(&error),
        };
        Self::new(fault, text)
    }
}

/// Of an error that the client has no name for.
fn fault(error: &object_store::Error) -> Fault {
    if let Some(status) = status(&error.to_string()) {
        return match status {
            429 => Fault::Undone,
            // The range is not in the object: it is not the one that was asked for.
            416 => Fault::Changed,
            // A store that is full (RFC 4918, 11.5).
            507 => Fault::Full,
            300..=499 if status != 408 => Fault::Denied,
            _ => Fault::Unclear,
        };
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            return match http.kind() {
                HttpErrorKind::Connect => Fault::Undone,
                _ => Fault::Unclear,
            };
        }
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return local_fault(io.kind());
        }
        cause = error.source();
    }
    Fault::Unclear
}

/// Of an error of the file system, for a local bucket.
fn local_fault(kind: std::io::ErrorKind) -> Fault {
    use std::io::ErrorKind as K;
    match kind {
        K::StorageFull | K::QuotaExceeded | K::FileTooLarge => Fault::Full,
        // The last three: there is a folder where an object should be, or the other way round.
        K::PermissionDenied
        | K::ReadOnlyFilesystem
        | K::InvalidFilename
        | K::NotADirectory
        | K::IsADirectory
        | K::DirectoryNotEmpty => Fault::Denied,
        _ => Fault::Unclear,
    }
}

fn is_no_bucket(text: &str) -> bool {
    ["NoSuchBucket", "ContainerNotFound"].iter().any(|code| text.contains(code))
}

/// The status of an answer: the client keeps it in a type that it does not export, and says it in its text.
fn status(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("non-2xx status code: ")?;
    rest.get(..3)?.parse().ok()
}

/// How long a text for a log is at most.
const TEXT_MAX: usize = 400;

/// What an operator needs of the client's text: of a service's XML only its code and message (some repeat the request
/// with its signature), of anything else the beginning.
fn explain(text: &str) -> String {
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(inside, _)| inside)
    };
    let plain = match (text.split_once('<'), element("Code")) {
        (Some((head, _)), Some(code)) => {
            format!("{}{code}: {}", head.trim_end_matches(|c| c != ' '), element("Message").unwrap_or(""))
        }
        _ => text.to_owned(),
    };
    let end = plain.char_indices().nth(TEXT_MAX).map_or(plain.len(), |(at, _)| at);
    plain[..end].replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::{Failure, Fault, explain};

    fn generic(text: &str) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: text.into() }
    }

    #[test]
    fn a_status_tells_whether_a_request_may_have_been_done() {
        let cases = [
            (500, Fault::Unclear),
            (502, Fault::Unclear),
            (503, Fault::Unclear),
            (408, Fault::Unclear),
            (429, Fault::Undone),
            (400, Fault::Denied),
            (301, Fault::Denied),
            (416, Fault::Changed),
            (507, Fault::Full),
        ];
        for (status, expected) in cases {
            let error = generic(&format!("Server returned non-2xx status code: {status} x: <Error/>"));
            assert_eq!(Failure::from(error).fault, expected, "{status}");
        }
        assert_eq!(Failure::from(generic("who knows")).fault, Fault::Unclear);
    }

    #[test]
    fn a_text_has_the_code_and_no_signature() {
        let text = "Error performing GET http://s/b in 3ms - Server returned non-2xx status code: 403 Forbidden: \
                    <?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>wrong</Message>\
                    <StringToSign>AWS4-HMAC</StringToSign></Error>";
        let short = explain(text);
        assert!(short.ends_with("403 Forbidden: SignatureDoesNotMatch: wrong"), "{short}");
        assert_eq!(explain(&"x".repeat(5_000)).len(), 400);
    }
}
