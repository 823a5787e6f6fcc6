//! One line and one count per request, with the same word for what became of it.

mod record;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, USER_AGENT};
use mediaorigin_crds::policy::Class;

use crate::access::token;
use crate::events::{Event, Events, Kind};
use crate::hex::hex_string;
use crate::http::response::Answer;
use crate::http::view::RequestView;
use crate::metrics::{MethodLabel, Metrics};
use crate::outcome::Outcome;
use crate::trace::context::{TRACEPARENT, TraceParent};
use crate::trace::{Open, Parent, Tracer, Value};
use record::Record;

/// Longest path in a log line, in bytes; the rest is left out.
const PATH_BYTES_MAX: usize = 1024;
/// Longest text of a client in a log line, in bytes.
const TEXT_BYTES_MAX: usize = 128;
/// An id that a client or a proxy gave its request.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Takes lines of a log; must not block.
#[derive(Clone)]
pub struct Sink(Arc<dyn Fn(Vec<u8>) + Send + Sync>);

impl Sink {
    /// A sink that hands its lines to `take`.
    pub fn new(take: impl Fn(Vec<u8>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Sink")
    }
}

/// Where the records of one origin's requests go.
#[derive(Debug)]
pub struct Book {
    metrics: Arc<Metrics>,
    /// What happened lately.
    pub events: Events,
    origin: String,
    mediastore: OnceLock<Sink>,
    tracer: OnceLock<Tracer>,
}

impl Book {
    /// The book of the origin of this name.
    pub fn new(metrics: Arc<Metrics>, origin: String) -> Self {
        Self {
            metrics,
            events: Events::default(),
            origin,
            mediastore: OnceLock::new(),
            tracer: OnceLock::new(),
        }
    }

    /// Writes records as `MediaStore` did to `sink` from now on, in place of our own lines.
    pub fn write_as_mediastore(&self, sink: Sink) {
        // Set once, before the first request.
        let _ = self.mediastore.set(sink);
    }

    /// Makes spans of the requests that `tracer` samples from now on.
    pub fn trace_with(&self, tracer: Tracer) {
        // As above.
        let _ = self.tracer.set(tracer);
    }

    /// What makes spans, where somebody collects them.
    pub fn tracer(&self) -> Option<&Tracer> {
        self.tracer.get()
    }
}

/// The record of one request. It is counted when it is answered; the line is written when the last byte of the answer is
/// gone, or when the client is.
#[derive(Debug)]
pub struct Entry {
    book: Arc<Book>,
    method: MethodLabel,
    path: Box<str>,
    peer: Option<IpAddr>,
    id: Box<str>,
    agent: Option<Box<str>>,
    requester: Option<Box<str>>,
    received_at: SystemTime,
    began: Instant,
    last_received: Instant,
    turned_around: Option<Duration>,
    answer: Option<Answered>,
    received: u64,
    sent: u64,
    is_cut: bool,
    is_reading: bool,
    /// Boxed: nearly no request has one.
    span: Option<Box<Open>>,
}

/// What the line says of the answer.
#[derive(Debug)]
struct Answered {
    status: StatusCode,
    outcome: Outcome,
    class: Option<Class>,
    reason: Option<Box<str>>,
    expires_at: Option<SystemTime>,
}

impl Entry {
    /// The record of a request that came in at `received_at`.
    pub fn new(book: Arc<Book>, head: &impl RequestView, received_at: SystemTime) -> Self {
        book.metrics.in_progress.inc();
        let method = MethodLabel::of(head.method());
        let given = head.text(&X_REQUEST_ID).filter(|id| is_id(id));
        let id = given.unwrap_or_else(|| hex_string(fastrand::u128(..))).into();
        // Nobody asks which player read something; which encoder lost an upload everybody does.
        let agent = if method.is_write() { head.text(&USER_AGENT) } else { None };
        let began = Instant::now();
        let span = book.tracer.get().and_then(|tracer| {
            let above = head.text(&TRACEPARENT).and_then(|text| TraceParent::parse(&text));
            tracer.begin(above, received_at).map(Box::new)
        });
        Self {
            book,
            method,
            // Without the token of a signed URL: whoever reads the log must not be able to use it.
            path: cut(token::split(head.path()).1, PATH_BYTES_MAX),
            peer: head.peer(),
            id,
            agent: agent.map(|agent| cut(&agent, TEXT_BYTES_MAX)),
            requester: None,
            received_at,
            began,
            last_received: began,
            turned_around: None,
            answer: None,
            received: 0,
            sent: 0,
            is_cut: false,
            is_reading: false,
            span,
        }
    }

    /// The id of the request: the one that it came with, or a new one.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What spans below that of the request need, where it is sampled.
    pub fn parent(&self) -> Option<Parent> {
        self.span.as_ref().map(|span| span.parent())
    }

    /// Whose credentials were accepted.
    pub fn requested_by(&mut self, name: &str) {
        self.requester = Some(cut(name, TEXT_BYTES_MAX));
    }

    /// Bytes of the request's body came in.
    pub fn received(&mut self, bytes: usize) {
        self.last_received = Instant::now();
        self.received += bytes as u64;
        self.book.metrics.received.inc_by(bytes as u64);
    }

    /// Bytes of the answer's body were given to the connection.
    pub fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
        self.book.metrics.sent.inc_by(bytes as u64);
    }

    /// The answer is known.
    pub fn answered(&mut self, answer: &Answer) {
        let Answer { status, outcome, class, reason, expires_at, .. } = answer;
        self.turned_around = self.book.mediastore.get().map(|_| self.last_received.elapsed());
        self.answer = Some(Answered {
            status: *status,
            outcome: *outcome,
            class: *class,
            reason: reason.clone(),
            expires_at: *expires_at,
        });
        self.book.metrics.count(self.method, *class, *outcome, status.as_u16());
    }

    /// The answer has bytes of an object.
    pub fn reads(&mut self) {
        self.is_reading = true;
        self.book.metrics.readers.inc();
    }

    /// The answer was cut off: its writer is gone.
    pub fn cut(&mut self) {
        self.is_cut = true;
    }

    fn log(&self, answer: &Answered, is_lost: bool) {
        let Answered { status, outcome, class, .. } = answer;
        let (method, path, id, status) = (self.method.as_str(), &*self.path, &*self.id, status.as_u16());
        let (outcome, class) = (outcome.as_str(), class.map_or("none", Class::as_str));
        // Looked at only by who logs the line.
        let micros = || u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let (received, sent, cut) = (self.received, self.sent, self.is_cut);
        let peer = self.peer.map(tracing::field::display);
        let (reason, agent) = (answer.reason.as_deref(), self.agent.as_deref());
        if is_lost {
            tracing::warn!(target: "access", method, path, status, outcome, class, received, sent, micros = micros(), reason, agent, peer, id);
        } else if self.book.mediastore.get().is_none() {
            tracing::info!(target: "access", method, path, status, outcome, class, received, sent, micros = micros(), cut, peer, id);
        }
    }

    /// Names as OpenTelemetry's conventions for HTTP have them.
    fn end(&self, span: &Open, answer: &Answered) {
        let text = |text: &str| Value::Text(text.into());
        let status = answer.status.as_u16();
        let attributes = vec![
            ("http.request.method", text(self.method.as_str())),
            ("url.path", text(&self.path)),
            ("http.response.status_code", Value::Number(status.into())),
            ("http.request.body.size", Value::Number(self.received)),
            ("http.response.body.size", Value::Number(self.sent)),
            ("mediaorigin.outcome", text(answer.outcome.as_str())),
            ("mediaorigin.class", text(answer.class.map_or("none", Class::as_str))),
            ("mediaorigin.request_id", text(&self.id)),
        ];
        span.end(self.method.as_str(), attributes, status >= 500 || self.is_cut);
    }

    fn event(&self, answer: &Answered) -> Event {
        let is_refused = !matches!(answer.outcome, Outcome::Vanished | Outcome::Broken | Outcome::Stalled);
        Event {
            kind: if is_refused { Kind::UploadRefused } else { Kind::UploadLost },
            path: self.path.to_string(),
            status: Some(answer.status.as_u16()),
            outcome: Some(answer.outcome.as_str()),
            reason: answer.reason.as_deref().unwrap_or("the client was gone before the answer").to_owned(),
            peer: self.peer,
            agent: self.agent.as_deref().map(str::to_owned),
            request_id: Some(self.id.to_string()),
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.book.metrics.in_progress.dec();
        if self.is_reading {
            self.book.metrics.readers.dec();
        }
        let answer = self.answer.take().unwrap_or_else(|| {
            // 499 as others log it: there was nobody to answer.
            self.book.metrics.count(self.method, None, Outcome::Vanished, 499);
            let status = StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST);
            Answered { status, outcome: Outcome::Vanished, class: None, reason: None, expires_at: None }
        });
        // Encoders do not report a refused upload (ffmpeg exits 0 without a word): it is a warning and an event here.
        let is_lost = self.method.is_write() && answer.outcome.lost_upload();
        if is_lost {
            self.book.events.add(self.received_at, self.event(&answer));
        }
        self.log(&answer, is_lost);
        if let Some(span) = &self.span {
            self.end(span, &answer);
        }
        if let Some(sink) = self.book.mediastore.get() {
            sink.0(Record::of(self, &answer).line());
        }
    }
}

/// The beginning of a text.
fn cut(text: &str, bytes_max: usize) -> Box<str> {
    text[..text.floor_char_boundary(bytes_max)].into()
}

/// Ids of others go into logs and back to the client: short, and nothing that is a language somewhere.
fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte);
    (1..=TEXT_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests;
