//! actix wiring: every request of the media port goes through [`handle`].

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use mediaorigin_crds::policy::Policies;

use super::body::{Content, MediaBody};
use super::cors;
use super::request::{self, ALLOW, MediaRequest, OptionsRequest};
use super::response::Answer;
use crate::access::Grant;
use crate::access_log::Entry;
use crate::memory::blob::Uid;
use crate::metrics::MethodLabel;
use crate::origin::Origin;
use crate::outcome::Outcome;
use crate::{serve, store};

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
    let method = MethodLabel::of(http.method().as_str());
    let peer = http.peer_addr().map(|peer| peer.ip().to_canonical());
    let mut entry = Entry::new(Arc::clone(&origin.metrics), method, http.uri().path(), peer);
    let hot = origin.config.hot();
    let answer = answer(&http, payload, &origin, &hot.policies, &mut entry).await;
    entry.answered(answer.status, answer.outcome, answer.class);
    respond(&http, &hot.policies, answer, entry)
}

async fn answer(
    http: &HttpRequest,
    payload: web::Payload,
    origin: &Origin,
    policies: &Policies,
    entry: &mut Entry,
) -> Answer {
    let head = http.head();
    // Before anything of the body, and before `100 Continue`: an encoder that is told to go on takes a later 401 for
    // nothing, and every object is lost without a word.
    if request::is_write(head)
        && let Some(refusal) = refusal(origin, request::text(head, &header::AUTHORIZATION).as_deref())
    {
        return refusal;
    }
    let (memory, clock) = (&origin.memory, &origin.clock);
    match request::parse(head) {
        Err(reject) => Answer::reject(&reject),
        Ok(MediaRequest::Read(read)) => serve::read(memory, clock, policies, &read).await,
        Ok(MediaRequest::Write(write)) => {
            let uid = Uid(fastrand::u128(..));
            store::write(memory, clock, policies, &write, payload, uid, entry).await
        }
        Ok(MediaRequest::Delete(delete)) => store::delete(memory, clock, policies, &delete),
        Ok(MediaRequest::Options(options)) => {
            options_answer(policies, request::text(head, &header::ORIGIN).as_deref(), &options)
        }
    }
}

fn refusal(origin: &Origin, authorization: Option<&str>) -> Option<Answer> {
    match origin.access.load().check(authorization) {
        Grant::Granted => None,
        Grant::Challenge => {
            let text = "writing needs credentials";
            let mut answer = Answer::text(StatusCode::UNAUTHORIZED, Outcome::Unauthenticated, text);
            let challenge = HeaderValue::from_static("Basic realm=\"mediaorigin\", charset=\"UTF-8\"");
            answer.push(header::WWW_AUTHENTICATE, challenge);
            Some(answer)
        }
        Grant::Denied => {
            Some(Answer::text(StatusCode::FORBIDDEN, Outcome::Forbidden, "these credentials may not write"))
        }
        Grant::Unavailable(_) => {
            let text = "the publisher's credentials cannot be read";
            Some(Answer::text(StatusCode::SERVICE_UNAVAILABLE, Outcome::CredentialsUnreadable, text))
        }
    }
}

fn options_answer(policies: &Policies, origin: Option<&str>, options: &OptionsRequest) -> Answer {
    let (Some(origin), Some(method)) = (origin, &options.method) else {
        let mut answer = Answer::empty(StatusCode::NO_CONTENT, Outcome::Options);
        answer.push(header::ALLOW, HeaderValue::from_static(ALLOW));
        return answer;
    };
    let Some(headers) = cors::preflight(policies.cors(), origin, method, options.headers.as_deref()) else {
        let text = "no rule allows this page to do so";
        return Answer::text(StatusCode::FORBIDDEN, Outcome::OriginRefused, text);
    };
    let mut answer = Answer::empty(StatusCode::NO_CONTENT, Outcome::Options);
    for (name, value) in headers {
        answer.push_text(HeaderName::from_static(name), &value);
    }
    answer
}

fn respond(
    http: &HttpRequest,
    policies: &Policies,
    answer: Answer,
    mut entry: Entry,
) -> HttpResponse<MediaBody> {
    let Answer { status, outcome, class: _, headers, content, close } = answer;
    if matches!(content, Content::Sized(..) | Content::Stream(_)) {
        entry.reads();
    }
    let mut response = HttpResponse::with_body(status, MediaBody::new(content, entry));
    for (name, value) in headers {
        response.headers_mut().append(name, value);
    }
    if outcome != Outcome::Options {
        let origin = request::text(http.head(), &header::ORIGIN);
        append(
            response.headers_mut(),
            cors::headers(policies.cors(), origin.as_deref(), http.method().as_str()),
        );
    }
    if close {
        response.head_mut().set_connection_type(actix_http::ConnectionType::Close);
    }
    response
}

fn append(map: &mut HeaderMap, headers: cors::Headers) {
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            map.append(HeaderName::from_static(name), value);
        }
    }
}
