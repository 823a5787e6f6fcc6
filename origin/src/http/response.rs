//! Answers as data: status, headers, body. Pure but for the reader that an answer may hold.

use std::sync::Arc;
use std::time::SystemTime;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use bytes::Bytes;
use mediaorigin_crds::policy::{CdnProfile, Class, Treatment};

use super::body::Content;
use super::caching;
use super::coding::{ColdRepresentation, Representation};
use super::described::Described;
use super::evaluate::{Method, Verdict};
use super::range::Span;
use super::request::{ALLOW, ReadRequest, Reject};
use super::tags;
use crate::memory::blob::State;
use crate::memory::object::{Reader, Version};
use crate::outcome::Outcome;
use crate::overload::Reason;

/// Bytes of a refusal's reason that are logged and remembered: it may repeat what a client sent.
const REASON_BYTES_MAX: usize = 512;
/// `Cache-Control` of answers that are not about an object.
const NEVER: &str = "no-store";
/// Headers beside the lines of a version that most answers have.
const HEADERS_USUAL: usize = 4;
const CONSISTENCY: HeaderName = HeaderName::from_static("mediaorigin-consistency");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// What became of the request.
    pub outcome: Outcome,
    /// What the object is, where there is one.
    pub class: Option<Class>,
    /// Headers beside `Date`, CORS and framing.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Further headers, which describe a version: whole lines, ready for the wire.
    pub lines: Bytes,
    /// Its body.
    pub content: Content,
    /// Why it is a refusal, for people.
    pub reason: Option<Box<str>>,
    /// Until when the object is there, by the rule in force.
    pub expires_at: Option<SystemTime>,
    /// Whether the connection must end: the rest of the request cannot be trusted.
    pub close: bool,
}

/// The same, of a fleet whose index has not confirmed it.
pub fn eager(mut answer: Answer) -> Answer {
    answer.push(CONSISTENCY, HeaderValue::from_static("eager"));
    answer
}

/// The same, of a fleet whose index is silent: something newer may be there.
pub fn stale(mut answer: Answer) -> Answer {
    // No `Age` (RFC 9111 §5.1): this is the origin's own answer. Caches keep it for as long as any other, which is short for what
    // changes, so their readers do not all come here while there is trouble already.
    answer.push(CONSISTENCY, HeaderValue::from_static("stale"));
    answer
}

impl Answer {
    /// An answer without a body.
    pub fn empty(status: StatusCode, outcome: Outcome) -> Self {
        let content = if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
            Content::None
        } else {
            Content::Text(Bytes::new())
        };
        let mut answer = Self {
            status,
            outcome,
            class: None,
            headers: Vec::with_capacity(HEADERS_USUAL),
            lines: Bytes::new(),
            content,
            reason: None,
            expires_at: None,
            close: false,
        };
        if let Some(value) = outcome.cache_status() {
            answer.push(CACHE_STATUS, HeaderValue::from_static(value));
        }
        answer
    }

    /// An answer with one line of text.
    pub fn text(status: StatusCode, outcome: Outcome, text: &str) -> Self {
        let mut answer = Self::empty(status, outcome);
        answer.content = Content::Text(Bytes::from(format!("{text}\n")));
        answer.reason = Some(text[..text.floor_char_boundary(REASON_BYTES_MAX)].into());
        answer.push(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        answer.push(header::CACHE_CONTROL, HeaderValue::from_static(NEVER));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            answer.push(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        answer
    }

    /// The answer to a request that was not understood.
    pub fn reject(reject: &Reject) -> Self {
        let mut answer = Self::text(reject.status, reject.outcome, &reject.text);
        if reject.status == StatusCode::METHOD_NOT_ALLOWED {
            answer.push(header::ALLOW, HeaderValue::from_static(ALLOW));
        }
        answer
    }

    /// The same with a class, for metrics.
    #[must_use]
    pub fn of(mut self, class: Class) -> Self {
        self.class = Some(class);
        self
    }

    /// The same for readers behind `cdn`: an error of the origin, a range that is not there yet, and a folder, for which no
    /// rule has a word, are soon another answer.
    #[must_use]
    pub fn seen_by(mut self, cdn: CdnProfile) -> Self {
        let is_folder = self.status == StatusCode::NOT_FOUND && self.class.is_none();
        if self.outcome == Outcome::Shed {
            self.replace(header::CACHE_CONTROL, caching::shed(cdn));
        } else if self.status.is_server_error()
            || self.status == StatusCode::RANGE_NOT_SATISFIABLE
            || is_folder
        {
            self.replace(header::CACHE_CONTROL, caching::failure(cdn));
        }
        self
    }

    /// Sets a header in place of one of the same name.
    pub fn replace(&mut self, name: HeaderName, value: HeaderValue) {
        self.headers.retain(|(other, _)| *other != name);
        self.push(name, value);
    }

    /// Adds a header.
    pub fn push(&mut self, name: HeaderName, value: HeaderValue) {
        self.headers.push((name, value));
    }

    /// Adds what there is to say about the version that it is about.
    fn describe(&mut self, described: &Described) {
        self.lines = described.lines(self.status);
        self.expires_at = described.expires_at;
    }

    /// Adds a header whose value comes from outside; what no header may hold is left out.
    pub fn push_text(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.push(name, value);
        }
    }
}

/// The answer to a reader: what the evaluator decided about a version.
pub fn read(
    request: &ReadRequest,
    chosen: &Representation<'_>,
    state: (State, u64),
    verdict: Verdict,
    described: impl FnOnce(Outcome) -> Described,
) -> Answer {
    let version = chosen.version;
    let length = (state.0 == State::Complete).then_some(state.1);
    let served = if length.is_some() { Outcome::Hit } else { Outcome::Growing };
    let mut answer = match verdict {
        Verdict::Whole | Verdict::Wait(_) => whole(request.method, chosen, length, served),
        Verdict::Part(span) => part(version, span, length, served),
        Verdict::Follow(first) => follow(version, first, served),
        Verdict::NotModified => Answer::empty(StatusCode::NOT_MODIFIED, Outcome::NotModified),
        Verdict::ConditionFailed => return condition_failed(&request.conditions.names()),
        Verdict::Unsatisfiable => return unsatisfiable(length.unwrap_or(0)),
    };
    answer.describe(&described(served));
    answer
}

/// The answer where a condition of the request does not hold, `names` being those that it has.
pub fn condition_failed(names: &str) -> Answer {
    let text = format!("a condition of the request does not hold ({names})");
    Answer::text(StatusCode::PRECONDITION_FAILED, Outcome::ConditionFailed, &text)
}

/// The answer to a reader from below memory: what the evaluator decided about a complete version, whose bytes are
/// `content`.
pub fn cold(
    request: &ReadRequest,
    chosen: &ColdRepresentation<'_>,
    outcome: Outcome,
    verdict: Verdict,
    content: Content,
    treatment: &Treatment<'_>,
) -> Answer {
    let record = chosen.record;
    let mut answer = match verdict {
        Verdict::Part(span) => {
            let mut answer = Answer::empty(StatusCode::PARTIAL_CONTENT, outcome);
            let range = format!("bytes {}-{}/{}", span.first, span.last, record.size);
            answer.push_text(header::CONTENT_RANGE, &range);
            Answer { content, ..answer }
        }
        Verdict::NotModified => Answer::empty(StatusCode::NOT_MODIFIED, Outcome::NotModified),
        Verdict::ConditionFailed => return condition_failed(&request.conditions.names()),
        Verdict::Unsatisfiable => return unsatisfiable(record.size),
        Verdict::Whole | Verdict::Wait(_) | Verdict::Follow(_) => {
            Answer { content, ..Answer::empty(StatusCode::OK, outcome) }
        }
    };
    answer.describe(&Described::cold(chosen, outcome, treatment));
    answer
}

/// The answer to a reader of a path with nothing to read.
pub fn missing(outcome: Outcome, path: &str, treatment: &Treatment<'_>) -> Answer {
    let (status, text) = match outcome {
        Outcome::Expired => (StatusCode::GONE, "the object's time is over"),
        Outcome::Evicted => (StatusCode::GONE, "the object had to make room for newer ones"),
        Outcome::Announced => (StatusCode::NOT_FOUND, "the object's upload is open and has no byte yet"),
        _ => (StatusCode::NOT_FOUND, "no such object"),
    };
    let mut answer = Answer::text(status, outcome, text).of(treatment.class);
    answer.headers.retain(|(name, _)| *name != header::CACHE_CONTROL);
    answer.headers.extend(match outcome {
        Outcome::Expired | Outcome::Evicted => caching::gone(treatment, path),
        _ => caching::missing(treatment),
    });
    answer.headers.extend(tags::headers(path, treatment.cdn));
    answer
}

/// The answer to a read that has to wait.
pub fn shed(reason: Reason) -> Answer {
    let text = format!("there is too much to do, this has to wait: {}", reason.text());
    let mut answer = Answer::text(StatusCode::SERVICE_UNAVAILABLE, Outcome::Shed, &text);
    // Its place is for somebody who watches live.
    answer.close = reason == Reason::Connections;
    answer
}

/// The answer to an upload that left `version` under its path.
pub fn stored(status: StatusCode, outcome: Outcome, version: &Version) -> Answer {
    let mut answer = Answer::empty(status, outcome);
    answer.push_text(header::ETAG, &version.etag());
    if let Some(started) = version.started() {
        answer.push_text(header::LAST_MODIFIED, &httpdate::fmt_http_date(started.modified));
    }
    answer
}

fn whole(method: Method, chosen: &Representation<'_>, length: Option<u64>, outcome: Outcome) -> Answer {
    let mut answer = Answer::empty(StatusCode::OK, outcome);
    let reader = |end| Reader::new(Arc::clone(chosen.version), 0, end);
    answer.content = match (method, length, &chosen.variant) {
        (Method::Head, length, _) => Content::Head(length),
        (Method::Get, _, Some(variant)) => Content::Text(variant.bytes.clone()),
        (Method::Get, Some(length), None) => Content::Sized(reader(length), length),
        (Method::Get, None, None) => Content::Stream(reader(u64::MAX)),
    };
    answer
}

fn part(version: &Arc<Version>, span: Span, length: Option<u64>, outcome: Outcome) -> Answer {
    let mut answer = Answer::empty(StatusCode::PARTIAL_CONTENT, outcome);
    let length = length.map_or_else(|| "*".to_owned(), |length| length.to_string());
    answer.push_text(header::CONTENT_RANGE, &format!("bytes {}-{}/{length}", span.first, span.last));
    let reader = Reader::new(Arc::clone(version), span.first, span.last.saturating_add(1));
    answer.content = Content::Sized(reader, span.length());
    answer
}

fn follow(version: &Arc<Version>, first: u64, outcome: Outcome) -> Answer {
    let mut answer = Answer::empty(StatusCode::PARTIAL_CONTENT, outcome);
    answer.push_text(header::CONTENT_RANGE, &format!("bytes {first}-{}/*", super::evaluate::VERY_LARGE));
    answer.content = Content::Stream(Reader::new(Arc::clone(version), first, u64::MAX));
    answer
}

fn unsatisfiable(length: u64) -> Answer {
    let text = format!("the range lies behind the end of the object, it has {length} bytes");
    let mut answer = Answer::text(StatusCode::RANGE_NOT_SATISFIABLE, Outcome::Unsatisfiable, &text);
    answer.push_text(header::CONTENT_RANGE, &format!("bytes */{length}"));
    answer
}
