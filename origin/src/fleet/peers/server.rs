//! The peer port: answers other pods from this pod's memory.
//!
//! ```text
//! GET /blob/{uid}?path=PATH           200, or with `Range: bytes=a-b` or `bytes=a-` 206; described in `x-mo-version`
//!     complete                        with its length
//!     growing                         to its end, in chunks; an upload that is given up cuts the connection
//!     growing, a range with an end    with the length of the range, as soon as its bytes come
//!     a range within a piece          also where only that piece is held, which was fetched or read from below
//! 401 without the token, 404 where this pod does not hold that version, 416, 503 when too many ask, or none can yet: go elsewhere at once
//! ```

use std::net::TcpListener;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{fmt, io};

use actix_http::HttpService;
use actix_server::Server;
use actix_service::{ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::http::header::{CONTENT_RANGE, HeaderValue, RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::{App, HttpRequest, HttpResponse, web};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::wire::{About, DESCRIPTION, Description};
use super::{Counters, Keys, count, tls};
use crate::clock::Clock;
use crate::http::bearer;
use crate::http::range::{self, Span, Spec};
use crate::memory::Memory;
use crate::memory::blob::Uid;
use crate::memory::fill::{PIECE_BYTES, PieceKey};
use crate::memory::object::{Reader, Version};

mod accept;
mod answer;

use accept::accept;
use answer::{Answer, Content};

/// Last byte position in answers to those who follow what grows (RFC 8673): 2^53 − 1.
const FAR: u64 = (1 << 53) - 1;
/// How long a connection that nobody uses is kept: longer than the other side uses it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long the end of a connection is waited for.
const DISCONNECT: Duration = Duration::from_secs(1);
/// Characters of a question at most: a path in its longest spelling.
const QUESTION_LENGTH_MAX: usize = 900 * 12;

/// How the peer port serves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its threads.
    pub workers: usize,
    /// By which other pods are known; while they are not known, none is answered.
    pub keys: Arc<OnceLock<Keys>>,
    /// Whether it speaks TLS, and nothing else.
    pub is_encrypted: bool,
    /// Answers with complete versions at once.
    pub answers_max: usize,
    /// Answers at once that follow what grows: they last as long as its upload, and take no more than comes in.
    pub follows_max: usize,
    /// Connections of each worker.
    pub connections_max: usize,
    /// How long a question for an upload without a byte waits for its first one.
    pub first_byte_wait: Duration,
    /// How long another pod may take nothing, shake hands, or be at its question, before its connection is cut.
    pub stall_max: Duration,
}

impl Settings {
    /// The usual ones.
    pub fn new(keys: Arc<OnceLock<Keys>>, is_encrypted: bool) -> Self {
        Self {
            workers: 1,
            keys,
            is_encrypted,
            answers_max: 64,
            follows_max: 1_024,
            connections_max: 4_096,
            first_byte_wait: Duration::from_secs(3),
            stall_max: Duration::from_secs(10),
        }
    }
}

/// What is asked for.
#[derive(Debug, Deserialize)]
struct Question {
    path: String,
}

/// What the workers share.
struct Port {
    memory: Arc<Memory>,
    clock: Clock,
    keys: Arc<OnceLock<Keys>>,
    answers: Arc<Semaphore>,
    follows: Arc<Semaphore>,
    first_byte_wait: Duration,
    counters: Arc<Counters>,
}

impl fmt::Debug for Port {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Port").finish_non_exhaustive()
    }
}

/// Answers on `listener` from `memory`; what is returned must be driven.
pub fn serve(
    listener: TcpListener,
    settings: Settings,
    memory: Arc<Memory>,
    clock: Clock,
    counters: Arc<Counters>,
) -> io::Result<Server> {
    let Settings {
        workers,
        keys,
        is_encrypted,
        answers_max,
        follows_max,
        connections_max,
        first_byte_wait,
        stall_max,
    } = settings;
    let acceptor =
        is_encrypted.then(|| tls::server(Arc::clone(&keys)).map_err(io::Error::other)).transpose()?;
    let acceptor = acceptor.map(|config| TlsAcceptor::from(Arc::new(config)));
    let (answers, follows) = (Arc::new(Semaphore::new(answers_max)), Arc::new(Semaphore::new(follows_max)));
    let port = Arc::new(Port { memory, clock, keys, answers, follows, first_byte_wait, counters });
    let service = move || {
        let blob = web::resource("/blob/{uid}").route(web::get().to(blob)).route(web::head().to(blob));
        let app = App::new().app_data(web::Data::from(Arc::clone(&port))).service(blob);
        let http = HttpService::build()
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(stall_max)
            .client_disconnect_timeout(DISCONNECT)
            // A pod that ends its direction is gone, and its place is free.
            .h1_allow_half_closed(false)
            .h1(map_config(app, |()| AppConfig::default()));
        let acceptor = acceptor.clone();
        fn_service(move |socket| accept(socket, acceptor.clone(), stall_max)).and_then(http)
    };
    Ok(Server::build()
        .workers(workers)
        .max_concurrent_connections(connections_max)
        .disable_signals()
        .listen("peers", listener, service)?
        .run())
}

async fn blob(
    http: HttpRequest,
    uid: web::Path<String>,
    question: Option<web::Query<Question>>,
    port: web::Data<Port>,
) -> HttpResponse {
    let Some(keys) = port.keys.get() else {
        return HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, 1)).finish();
    };
    if !bearer::shows(&http, keys.token.as_bytes()) {
        return HttpResponse::Unauthorized().insert_header((WWW_AUTHENTICATE, "Bearer")).finish();
    }
    let uid = u128::from_str_radix(&uid, 16).ok().map(Uid);
    let question = question.filter(|_| http.query_string().len() <= QUESTION_LENGTH_MAX);
    let Some((uid, question)) = uid.zip(question) else { return HttpResponse::NotFound().finish() };
    let asked = http.headers().get(RANGE).and_then(|range| range.to_str().ok());
    let (held, extent) = match port.held(&question.path, uid, asked) {
        Some((held, Some(extent))) => (held, extent),
        Some((_, None)) => return HttpResponse::RangeNotSatisfiable().finish(),
        None => return HttpResponse::NotFound().finish(),
    };
    let places = if extent.end.is_some() { &port.answers } else { &port.follows };
    let Ok(place) = Arc::clone(places).try_acquire_owned() else {
        count(&port.counters.refused, 1);
        return HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, 0)).finish();
    };
    if held.version.started().is_none() {
        // Whoever asks has heard of an upload that is open: its first byte is near, or it will never come.
        let _ = tokio::time::timeout(port.first_byte_wait, held.version.blob.reach(1)).await;
    }
    let Some(description) = held.describe(&extent) else { return HttpResponse::NotFound().finish() };
    let mut answer = HttpResponse::build(extent.status());
    answer.insert_header((DESCRIPTION, description));
    if let Some(range) = extent.content_range(held.size()) {
        answer.insert_header((CONTENT_RANGE, range));
    }
    let length = extent.length();
    if http.method() == Method::HEAD {
        return answer.body(Answer { content: Content::Head(length), place: None, counters: None });
    }
    count(&port.counters.answers, 1);
    let content = Content::Version { reader: held.reader(&extent), left: length };
    answer.body(Answer { content, place: Some(place), counters: Some(Arc::clone(&port.counters)) })
}

/// What this pod has of a version.
struct Held {
    version: Arc<Version>,
    /// Where it lies in the version that is asked for, if it is only a piece of it.
    piece_at: Option<u64>,
}

impl Port {
    /// What this pod has of what is asked for, and which bytes of it those are, if it has them.
    fn held(&self, path: &str, uid: Uid, asked: Option<&str>) -> Option<(Held, Option<Extent>)> {
        if let Some(version) = self.memory.holding(path, uid, self.clock.now()) {
            let extent = Extent::of(version.blob.length(), asked);
            return Some((Held { version, piece_at: None }, extent));
        }
        // Only a piece that is here to its end: one that is being filled may come from whoever asks.
        let extent = Extent::of(None, asked)?;
        let (index, last) = (extent.first / PIECE_BYTES, extent.end?.checked_sub(1)?);
        let piece = self.memory.whole_piece(&PieceKey::new(uid, index), &self.clock)?;
        let start = index * PIECE_BYTES;
        let is_inside = last - start < piece.blob.length()?;
        is_inside.then_some((Held { version: piece, piece_at: Some(start) }, Some(extent)))
    }
}

impl Held {
    /// The size of the version that is asked for, as far as it is known.
    fn size(&self) -> Option<u64> {
        self.version.blob.length().filter(|_| self.piece_at.is_none())
    }

    /// The header about it; `None` while it has no byte.
    fn describe(&self, extent: &Extent) -> Option<HeaderValue> {
        let about = About { meta: self.version.meta.clone(), started: self.version.started()? };
        let about = Some(about).filter(|_| self.piece_at.is_none());
        let text = Description { about, size: self.size(), first: extent.first }.encode();
        HeaderValue::from_bytes(text.as_bytes()).ok()
    }

    fn reader(&self, extent: &Extent) -> Reader {
        let start = self.piece_at.unwrap_or(0);
        let end = extent.end.map_or(u64::MAX, |end| end - start);
        Reader::new(Arc::clone(&self.version), extent.first - start, end)
    }
}

/// Which bytes an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    first: u64,
    /// Behind the last one; `None` follows the version to its end.
    end: Option<u64>,
    is_part: bool,
}

impl Extent {
    /// Of a version of `length` bytes, or one that grows; `None` where it has none of those that are asked for.
    fn of(length: Option<u64>, asked: Option<&str>) -> Option<Self> {
        let specs = asked.and_then(range::parse).unwrap_or_default();
        let [spec] = specs[..] else { return Some(Self { first: 0, end: length, is_part: false }) };
        let part = |span: Span| Self { first: span.first, end: span.last.checked_add(1), is_part: true };
        match (length, spec) {
            (Some(length), spec) => spec.within(length).map(part),
            (None, Spec::Closed(span)) => Some(part(span)),
            (None, Spec::From(first)) => Some(Self { first, end: None, is_part: true }),
            (None, Spec::Last(_)) => None,
        }
    }

    fn length(&self) -> Option<u64> {
        self.end.map(|end| end - self.first)
    }

    fn status(&self) -> StatusCode {
        if self.is_part { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK }
    }

    fn content_range(&self, size: Option<u64>) -> Option<String> {
        let last = self.end.map_or(FAR, |end| end - 1);
        let size = size.map_or_else(|| "*".to_owned(), |size| size.to_string());
        self.is_part.then(|| format!("bytes {}-{last}/{size}", self.first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(first: u64, end: Option<u64>) -> Extent {
        Extent { first, end, is_part: true }
    }

    #[test]
    fn of_a_complete_version_there_is_what_it_has() {
        let all = Some(Extent { first: 0, end: Some(10), is_part: false });
        for (asked, expected) in [
            (None, all),
            (Some("bytes=nonsense"), all),
            (Some("bytes=1-2,4-5"), all),
            (Some("bytes=0-9"), Some(part(0, Some(10)))),
            (Some("bytes=3-"), Some(part(3, Some(10)))),
            (Some("bytes=3-100"), Some(part(3, Some(10)))),
            (Some("bytes=-4"), Some(part(6, Some(10)))),
            (Some("bytes=10-"), None),
        ] {
            assert_eq!(Extent::of(Some(10), asked), expected, "{asked:?}");
        }
    }

    #[test]
    fn of_a_growing_version_there_is_what_will_come() {
        for (asked, expected) in [
            (None, Some(Extent { first: 0, end: None, is_part: false })),
            (Some("bytes=3-"), Some(part(3, None))),
            (Some("bytes=3-100"), Some(part(3, Some(101)))),
            (Some("bytes=-4"), None),
        ] {
            assert_eq!(Extent::of(None, asked), expected, "{asked:?}");
        }
    }
}
