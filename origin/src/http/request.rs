//! A request as the origin understands it, or the refusal that it earns. Pure.

use actix_web::http::{StatusCode, header};
use mediaorigin_crds::policy::Visibility;

use super::coding;
use super::digests::Digests;
use super::evaluate::{Method, Preconditions};
use super::path::{ObjectPath, PathError};
use super::view::RequestView;
use crate::access::Action;
use crate::mediastore::list::{self, ListRequest};
use crate::mediastore::{self, Dialect};
use crate::outcome::Outcome;

/// What every path allows.
pub const ALLOW: &str = "GET, HEAD, PUT, POST, DELETE, MKCOL, OPTIONS";
/// Characters of a stored header at most; with the path they are charged to the memory budget.
const STORED_HEADER_MAX: usize = 255;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaRequest {
    /// GET or HEAD.
    Read(ReadRequest),
    /// PUT or POST.
    Write(WriteRequest),
    /// DELETE.
    Delete(DeleteRequest),
    /// MKCOL: a folder of this path.
    Folder(ObjectPath),
    /// GET of the names in a folder.
    List(ListRequest),
    /// OPTIONS.
    Options(OptionsRequest),
}

/// GET or HEAD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// With or without the bytes.
    pub method: Method,
    /// Of what.
    pub path: ObjectPath,
    /// Whether the client prefers a compressed manifest.
    pub prefers_gzip: bool,
    /// Under which conditions, and which part.
    pub conditions: Conditions,
    /// Whether a range is passed over while the object is being written.
    pub whole_while_growing: bool,
}

/// PUT or POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteRequest {
    /// Where to.
    pub path: ObjectPath,
    /// Length of the body, where it is announced.
    pub length: Option<u64>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// Digests that the body must have.
    pub digests: Digests,
    /// From when on it can be read, where the request says so.
    pub visibility: Option<Visibility>,
    /// Under which conditions.
    pub conditions: Conditions,
}

/// DELETE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRequest {
    /// What.
    pub path: ObjectPath,
    /// Under which conditions.
    pub conditions: Conditions,
}

/// OPTIONS: a preflight of a page, where it names a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsRequest {
    /// `Access-Control-Request-Method`.
    pub method: Option<String>,
    /// `Access-Control-Request-Headers`.
    pub headers: Option<String>,
}

/// The conditional headers and `Range`, as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
    if_modified_since: Option<String>,
    if_unmodified_since: Option<String>,
    if_range: Option<String>,
    range: Option<String>,
}

/// Why a request is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Status of the answer.
    pub status: StatusCode,
    /// What became of the request.
    pub outcome: Outcome,
    /// A sentence for people.
    pub text: String,
}

impl MediaRequest {
    /// The object that it is about. A folder is none: to make one changes nothing, and encoders make those above theirs, too.
    pub fn path(&self) -> Option<&ObjectPath> {
        match self {
            Self::Read(read) => Some(&read.path),
            Self::Write(write) => Some(&write.path),
            Self::Delete(delete) => Some(&delete.path),
            Self::List(_) | Self::Folder(_) | Self::Options(_) => None,
        }
    }
}

impl Reject {
    /// A request that makes no sense, for this reason.
    pub fn malformed(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, outcome: Outcome::Malformed, text: text.into() }
    }
}

impl Conditions {
    /// As the evaluator takes them.
    pub fn preconditions(&self) -> Preconditions<'_> {
        Preconditions {
            if_match: self.if_match.as_deref(),
            if_none_match: self.if_none_match.as_deref(),
            if_modified_since: self.if_modified_since.as_deref(),
            if_unmodified_since: self.if_unmodified_since.as_deref(),
            if_range: self.if_range.as_deref(),
            range: self.range.as_deref(),
        }
    }

    /// Whether a part is asked for.
    pub fn has_range(&self) -> bool {
        self.range.is_some()
    }

    /// The names of those that are there, for people.
    pub fn names(&self) -> String {
        let Self {
            if_match,
            if_none_match,
            if_modified_since: _,
            if_unmodified_since,
            if_range: _,
            range: _,
        } = self;
        let names = [
            ("If-Match", if_match),
            ("If-None-Match", if_none_match),
            ("If-Unmodified-Since", if_unmodified_since),
        ];
        let names: Vec<_> =
            names.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| *name).collect();
        names.join(", ")
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn of(head: &impl RequestView) -> Self {
        Self {
            if_match: condition(head, &header::IF_MATCH),
            if_none_match: condition(head, &header::IF_NONE_MATCH),
            if_modified_since: condition(head, &header::IF_MODIFIED_SINCE),
            if_unmodified_since: condition(head, &header::IF_UNMODIFIED_SINCE),
            if_range: condition(head, &header::IF_RANGE),
            range: condition(head, &header::RANGE),
        }
    }
}

/// Understands a request for the object that `key` names (encoded, with its leading slash), or says what is wrong with it.
pub fn parse(head: &impl RequestView, key: &str, dialect: Dialect) -> Result<MediaRequest, Reject> {
    match head.method() {
        "GET" if list::is_list(head, key, dialect) => ListRequest::parse(head).map(MediaRequest::List),
        "GET" => read(Method::Get, head, key, dialect),
        "HEAD" => read(Method::Head, head, key, dialect),
        "PUT" | "POST" => write(head, key, dialect),
        "DELETE" => {
            let path = path(key, StatusCode::NOT_FOUND)?;
            Ok(MediaRequest::Delete(DeleteRequest { path, conditions: Conditions::of(head) }))
        }
        "MKCOL" => folder(head),
        "OPTIONS" => Ok(MediaRequest::Options(OptionsRequest {
            method: head.text(&header::ACCESS_CONTROL_REQUEST_METHOD),
            headers: head.text(&header::ACCESS_CONTROL_REQUEST_HEADERS),
        })),
        other => Err(Reject {
            status: StatusCode::METHOD_NOT_ALLOWED,
            outcome: Outcome::MethodRefused,
            text: format!("{other} is not supported: {ALLOW}"),
        }),
    }
}

/// What the request, understood or not, wants to do to objects; `None` where it is not about any.
pub fn action(head: &impl RequestView, key: &str, dialect: Dialect) -> Option<Action> {
    match head.method() {
        _ if list::is_list(head, key, dialect) => Some(Action::List),
        "PUT" | "POST" | "DELETE" | "MKCOL" => Some(Action::Write),
        "GET" | "HEAD" => Some(Action::Read),
        _ => None,
    }
}

/// A conditional header: a byte that is not ASCII is legal in an entity tag (RFC 9110 §8.8.3). Such a condition must not be
/// passed over; it merely matches nothing of ours.
fn condition(head: &impl RequestView, name: &header::HeaderName) -> Option<String> {
    let mut lines = head.lines(name).map(String::from_utf8_lossy);
    let mut text = lines.next()?.into_owned();
    for line in lines {
        text.push_str(", ");
        text.push_str(&line);
    }
    Some(text)
}

fn read(
    method: Method,
    head: &impl RequestView,
    key: &str,
    dialect: Dialect,
) -> Result<MediaRequest, Reject> {
    let path = path(key, StatusCode::NOT_FOUND)?;
    let (conditions, prefers_gzip) = (Conditions::of(head), coding::prefers_gzip(head));
    let whole_while_growing = dialect == Dialect::Strict;
    Ok(MediaRequest::Read(ReadRequest { method, path, prefers_gzip, conditions, whole_while_growing }))
}

fn write(head: &impl RequestView, key: &str, dialect: Dialect) -> Result<MediaRequest, Reject> {
    let path = path(key, StatusCode::BAD_REQUEST)?;
    if head.has(&header::CONTENT_RANGE) {
        // RFC 9110 §14.5: storing a part as the whole would be wrong bytes.
        return Err(Reject::malformed("a PUT of a part of an object (Content-Range) is not supported"));
    }
    Ok(MediaRequest::Write(WriteRequest {
        path,
        length: length(head)?,
        content_type: stored(head, &header::CONTENT_TYPE)?,
        content_encoding: stored(head, &header::CONTENT_ENCODING)?.filter(|coding| coding != "identity"),
        cache_control: stored(head, &header::CACHE_CONTROL)?,
        digests: Digests::read(head).map_err(Reject::malformed)?,
        visibility: mediastore::visibility(head, dialect)?,
        conditions: Conditions::of(head),
    }))
}

/// `WebDAV` encoders make the folders of a stream first. Folders are there as soon as something lies in them, so nothing
/// is to be done.
fn folder(head: &impl RequestView) -> Result<MediaRequest, Reject> {
    let refused =
        |status, text: &str| Reject { status, outcome: Outcome::MethodRefused, text: text.to_owned() };
    if length(head)? != Some(0) {
        // RFC 4918 §9.3: a body asks for something that this server does not know.
        return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a MKCOL with a body is not supported"));
    }
    let raw = head.path();
    match ObjectPath::parse(raw.strip_suffix('/').unwrap_or(raw)) {
        Ok(path) => Ok(MediaRequest::Folder(path)),
        Err(PathError::Relative | PathError::Folder) => {
            Err(refused(StatusCode::METHOD_NOT_ALLOWED, "the folder is there already"))
        }
        Err(error) => Err(Reject::malformed(error.to_string())),
    }
}

/// The key of the request; `folder` is the status where the path names none.
fn path(key: &str, folder: StatusCode) -> Result<ObjectPath, Reject> {
    ObjectPath::parse(key).map_err(|error| match error {
        PathError::Folder if folder == StatusCode::NOT_FOUND => {
            Reject { status: folder, outcome: Outcome::Missing, text: error.to_string() }
        }
        _ => Reject::malformed(error.to_string()),
    })
}

fn length(head: &impl RequestView) -> Result<Option<u64>, Reject> {
    if head.has(&header::TRANSFER_ENCODING) {
        return Ok(None);
    }
    match head.text(&header::CONTENT_LENGTH) {
        None => Ok(Some(0)),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| Reject::malformed(format!("Content-Length: {text} is not a number"))),
    }
}

fn stored(head: &impl RequestView, name: &header::HeaderName) -> Result<Option<String>, Reject> {
    let value = head.text(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    match value {
        Some(value) if value.len() > STORED_HEADER_MAX => {
            Err(Reject::malformed(format!("{name} is longer than {STORED_HEADER_MAX} characters")))
        }
        value => Ok(value),
    }
}
