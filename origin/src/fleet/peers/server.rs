//! The peer port: answers other pods from this pod's memory.
//!
//! ```text
//! GET /blob/{uid}?path=PATH           200, or with `Range: bytes=a-b` or `bytes=a-` 206; described in `x-mo-version`
//!     complete                        with its length
//!     growing                         to its end, in chunks; an upload that is given up cuts the connection
//!     growing, a range with an end    with the length of the range, as soon as its bytes come
//!     a range within a piece          also where only that piece is held, which was fetched or read from below
//!     … with `&fill=true`             also where it is not held: it is fetched from where it is
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
mod settings;

use accept::accept;
use answer::{Answer, Content};
pub use settings::{Fill, Settings};

/// Last byte position in answers to those who follow what grows (RFC 8673): 2^53 − 1.
const FAR: u64 = (1 << 53) - 1;
/// How long a connection that nobody uses is kept: longer than the other side uses it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long the end of a connection is waited for.
const DISCONNECT: Duration = Duration::from_secs(1);
/// Characters of a question at most: a path in its longest spelling.
const QUESTION_LENGTH_MAX: usize = 900 * 12;

/// What is asked for.
#[derive(Debug, Deserialize)]
struct Question {
    path: String,
    /// Whether what is not held is to be fetched.
    #[serde(default)]
    fill: bool,
}

/// What the workers share.
struct Port {
    memory: Arc<Memory>,
    clock: Clock,
    keys: Arc<OnceLock<Keys>>,
    answers: Arc<Semaphore>,
    follows: Arc<Semaphore>,
    fills: Option<(Arc<dyn Fill>, Arc<Semaphore>)>,
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
        fills,
        answers_max,
        fills_max,
        follows_max,
        connections_max,
        first_byte_wait,
        stall_max,
    } = settings;
    let acceptor =
        is_encrypted.then(|| tls::server(Arc::clone(&keys)).map_err(io::Error::other)).transpose()?;
    let acceptor = acceptor.map(|config| TlsAcceptor::from(Arc::new(config)));
    let fills = fills.map(|fills| (fills, Arc::new(Semaphore::new(fills_max))));
    let (answers, follows) = (Arc::new(Semaphore::new(answers_max)), Arc::new(Semaphore::new(follows_max)));
    let port = Arc::new(Port { memory, clock, keys, answers, follows, fills, first_byte_wait, counters });
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
        Some((held, Some(extent))) => (Some(held), extent),
        Some((_, None)) => return HttpResponse::RangeNotSatisfiable().finish(),
        None => match Extent::of(None, asked).filter(|extent| question.fill && extent.piece().is_some()) {
            Some(extent) => (None, extent),
            None => return HttpResponse::NotFound().finish(),
        },
    };
    let places = match (&port.fills, extent.end) {
        (Some((_, places)), Some(_)) if question.fill => places,
        (_, Some(_)) => &port.answers,
        (_, None) => &port.follows,
    };
    let Ok(place) = Arc::clone(places).try_acquire_owned() else {
        count(&port.counters.refused, 1);
        return HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, 0)).finish();
    };
    let held = match held {
        Some(held) => held,
        None => match port.filled(question.into_inner().path, uid, &extent).await {
            Some(held) => held,
            None => return HttpResponse::NotFound().finish(),
        },
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
        let index = extent.piece()?;
        let piece = self.memory.whole_piece(&PieceKey::new(uid, index), &self.clock)?;
        let start = index * PIECE_BYTES;
        let is_inside = extent.end? - start <= piece.blob.length()?;
        is_inside.then_some((Held { version: piece, piece_at: Some(start) }, Some(extent)))
    }

    /// What is fetched for others, as soon as it has a byte. What it has not got is missed at its end.
    async fn filled(&self, path: String, uid: Uid, extent: &Extent) -> Option<Held> {
        let ((fills, _), index) = (self.fills.as_ref()?, extent.piece()?);
        let version = Arc::clone(fills).fill(path, uid, index).await?;
        count(&self.counters.filled, 1);
        Some(Held { version, piece_at: Some(index * PIECE_BYTES) })
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

    /// The piece that these bytes are in, if they are in one.
    fn piece(&self) -> Option<u64> {
        let (first, last) = (self.first / PIECE_BYTES, self.end?.checked_sub(1)? / PIECE_BYTES);
        (first == last).then_some(first)
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
