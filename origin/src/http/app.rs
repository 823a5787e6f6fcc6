//! actix wiring: every request of the media port goes through [`handle`], or through [`at_once`] with the same rules.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use mediaorigin_crds::policy::{MediaStore, Policies};

use super::body::MediaBody;
use super::request::{self, ALLOW, MediaRequest, OptionsRequest, Reject, WriteRequest};
use super::response::Answer;
use super::view::RequestView;
use super::{cmcd, cors};
use crate::access::{self, Action, Admission, Denial, token};
use crate::access_log::{Entry, X_REQUEST_ID};
use crate::chance::NoChance;
use crate::clock::Now;
use crate::config::Hot;
use crate::connection::{Hold, Reply};
use crate::mediastore::upload::{Demands, Watched};
use crate::mediastore::{self, Dialect, strict};
use crate::memory::blob::Uid;
use crate::origin::Origin;
use crate::outcome::Outcome;
use crate::{serve, store, trace};

/// The name under which AWS' SDKs look for a request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Adds the media port's one route to an `App`.
pub fn configure(origin: Arc<Origin>) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        config.app_data(web::Data::from(origin)).default_service(web::to(handle));
    }
}

/// Answers one request of the media port.
pub async fn handle(
    http: HttpRequest,
    payload: web::Payload,
    origin: web::Data<Origin>,
) -> HttpResponse<MediaBody> {
    let head = &http;
    let (hot, now) = (origin.config.hot(), origin.clock.now());
    let mut entry = entry(head, &origin, now);
    let parent = entry.parent();
    // Boxed: what waits for tiers and pods is large, and the frameworks move this future several times before it runs.
    let answer = Box::pin(answer(head, payload, &origin, &hot, &mut entry, now));
    let answer = trace::scope(parent, answer).await;
    entry.answered(&answer);
    let reply = reply(head, &hot.policies, answer, entry).spelled_out();
    let Reply { status, headers, lines: _, body, close, hold } = reply;
    let mut response = HttpResponse::with_body(status, body);
    for (name, value) in headers {
        response.headers_mut().append(name, value);
    }
    if let Some(hold) = hold {
        response.extensions_mut().insert(hold);
    }
    if close {
        response.head_mut().set_connection_type(actix_http::ConnectionType::Close);
    }
    response
}

/// The answer to a read that needs no waiting: a complete object lies in memory. `None` means that the application must be
/// asked, which comes to the same answer where there is one here.
pub fn at_once(head: &impl RequestView, origin: &Origin, hot: &Arc<Hot>, now: Now) -> Option<Answer> {
    let dialect = Dialect::of(head, hot.policies.media_store());
    let Ok((MediaRequest::Read(read), _)) = admit(head, dialect, origin, &hot.policies, now) else {
        return None;
    };
    let answer = serve::at_once(origin, hot, &read, now)?;
    Some(mediastore::answer::speak(answer, dialect, None))
}

/// What goes on the wire: the answer with the headers for pages, and a body whose end writes `entry`.
pub fn reply(
    head: &impl RequestView,
    policies: &Policies,
    answer: Answer,
    mut entry: Box<Entry>,
) -> Reply<MediaBody> {
    let Answer { status, outcome, mut headers, lines, content, close, .. } = answer.seen_by(policies.cdn());
    headers.extend(HeaderValue::from_str(entry.id()).map(|id| (REQUEST_ID, id)));
    if let Some(id) = head.text(&X_REQUEST_ID).filter(|id| *id == entry.id()) {
        headers.extend(HeaderValue::from_str(&id).map(|id| (X_REQUEST_ID, id)));
    }
    if content.reader().is_some() || content.is_cold() {
        entry.reads();
    }
    if outcome != Outcome::Options {
        let origin = head.text(&header::ORIGIN);
        append(&mut headers, cors::headers(policies.cors(), origin.as_deref(), head.method()));
    }
    let hold = content.reader().map(|reader| Hold::new(reader.kept()));
    Reply { status, headers, lines, body: MediaBody::new(content, entry), close, hold }
}

/// The record of a request that came in at `now`.
pub fn entry(head: &impl RequestView, origin: &Origin, now: Now) -> Box<Entry> {
    origin.metrics.tell(cmcd::read(head));
    Box::new(Entry::new(Arc::clone(&origin.book), head, now.wall))
}

async fn answer(
    head: &impl RequestView,
    payload: web::Payload,
    origin: &Origin,
    hot: &Arc<Hot>,
    entry: &mut Entry,
    now: Now,
) -> Answer {
    let policies = &hot.policies;
    let dialect = Dialect::of(head, policies.media_store());
    let admitted = admit(head, dialect, origin, policies, now);
    if let Ok((_, admission)) = &admitted
        && let Some(name) = admission.name()
    {
        entry.requested_by(name);
    }
    let answer = match admitted.map(|(request, _)| request) {
        Err(answer) => *answer,
        Ok(MediaRequest::Read(read)) => serve::read(origin, hot, &read).await,
        Ok(MediaRequest::Write(write)) => {
            return put(head, payload, &write, dialect, origin, policies, entry).await;
        }
        Ok(MediaRequest::Delete(delete)) => store::delete(origin, policies, &delete).await,
        Ok(MediaRequest::Folder(path))
            if origin.memory.committed(path.as_str(), origin.clock.now()).is_none() =>
        {
            Answer::empty(StatusCode::CREATED, Outcome::Folder)
        }
        Ok(MediaRequest::Folder(_)) => {
            let text = "an object of this name is there already".to_owned();
            let status = StatusCode::METHOD_NOT_ALLOWED;
            Answer::reject(&Reject { status, outcome: Outcome::MethodRefused, text })
        }
        Ok(MediaRequest::List(list)) => list.answer(origin, policies).await,
        Ok(MediaRequest::Options(options)) => {
            options_answer(policies, head.text(&header::ORIGIN).as_deref(), &options)
        }
    };
    mediastore::answer::speak(answer, dialect, None)
}

/// Stores a body that is watched on its way.
async fn put(
    head: &impl RequestView,
    payload: web::Payload,
    write: &WriteRequest,
    dialect: Dialect,
    origin: &Origin,
    policies: &Policies,
    entry: &mut Entry,
) -> Answer {
    let is_strict = policies.media_store() == MediaStore::Strict;
    let (answer, digest) = match Demands::of(head, write, dialect, is_strict) {
        Err(reject) => (Answer::reject(&reject), None),
        Ok(demands) => {
            let (body, findings) = Watched::new(payload, demands);
            let stored = match Uid::draw() {
                Ok(uid) => store::write(origin, policies, write, body, uid, entry).await,
                Err(error) => no_name(&error),
            };
            if let (Outcome::Created | Outcome::Replaced | Outcome::Unchanged, Some(class), None) =
                (stored.outcome, stored.class, origin.seat())
            {
                // In a fleet the index tells of it, to every pod.
                origin.streams.committed(write.path.as_str(), class, origin.clock.now().elapsed);
            }
            (findings.judge(stored), findings.digest())
        }
    };
    mediastore::answer::speak(answer, dialect, digest)
}

/// The answer where a version cannot be given a name.
fn no_name(error: &NoChance) -> Answer {
    Answer::text(StatusCode::SERVICE_UNAVAILABLE, Outcome::TierUnavailable, &error.to_string())
}

/// Understands a request and decides whether its client may ask this, from the head alone.
fn admit(
    head: &impl RequestView,
    dialect: Dialect,
    origin: &Origin,
    policies: &Policies,
    now: Now,
) -> Result<(MediaRequest, Admission), Box<Answer>> {
    let reject = |reject: Reject| Box::new(Answer::reject(&reject));
    let (_, rest) = token::split(head.path());
    let key = dialect.key(if head.method() == "GET" || head.method() == "HEAD" { rest } else { head.path() });
    let Some(action) = request::action(head, key, dialect) else {
        let request = request::parse(head, head.path(), dialect).map_err(reject)?;
        return Ok((request, Admission::Anybody));
    };
    let read = policies.read_access();
    let denied = |denial| Box::new(access::answer::denied(denial, action, read, dialect));
    // Before anything of the body, and before `100 Continue`: an encoder that is told to go on takes a later 401 for
    // nothing, and every object is lost without a word.
    let admission = origin.access.admit(head, action, read, now.wall).map_err(denied)?;
    if action == Action::Write && origin.needs_certificate() && !head.client().is_certified {
        let text = "writing needs a client certificate";
        return Err(Box::new(Answer::text(StatusCode::FORBIDDEN, Outcome::Forbidden, text)));
    }
    if origin.is_outside() {
        // What is there is not known, and nobody else would learn of a change.
        let text = "this pod has not joined its fleet yet";
        return Err(Box::new(Answer::text(StatusCode::SERVICE_UNAVAILABLE, Outcome::TierUnavailable, text)));
    }
    let request = request::parse(head, key, dialect);
    let request = request.and_then(|request| match policies.media_store() {
        MediaStore::Strict => strict::check(&request).map(|()| request),
        MediaStore::Relaxed => Ok(request),
    });
    let request = request.map_err(reject)?;
    let reaches = match &request {
        MediaRequest::List(list) => admission.covers_folder(&list.folder),
        other => other.path().is_none_or(|path| admission.covers(path.as_str())),
    };
    if reaches { Ok((request, admission)) } else { Err(denied(Denial::Forbidden)) }
}

fn options_answer(policies: &Policies, origin: Option<&str>, options: &OptionsRequest) -> Answer {
    let (Some(origin), Some(method)) = (origin, &options.method) else {
        let mut answer = Answer::empty(StatusCode::NO_CONTENT, Outcome::Options);
        answer.push(header::ALLOW, HeaderValue::from_static(ALLOW));
        return answer;
    };
    let Some(headers) = cors::preflight(policies.cors(), origin, method, options.headers.as_deref()) else {
        let headers = options.headers.as_deref().unwrap_or("none");
        let text = format!(
            "no rule of spec.access.cors allows pages of {origin} (Origin) to {method} (Access-Control-Request-Method) \
             with these headers (Access-Control-Request-Headers): {headers}"
        );
        return Answer::text(StatusCode::FORBIDDEN, Outcome::OriginRefused, &text);
    };
    let mut answer = Answer::empty(StatusCode::NO_CONTENT, Outcome::Options);
    for (name, value) in headers {
        answer.push_text(HeaderName::from_static(name), &value);
    }
    answer
}

fn append(list: &mut Vec<(HeaderName, HeaderValue)>, headers: cors::Headers) {
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            list.push((HeaderName::from_static(name), value));
        }
    }
}
