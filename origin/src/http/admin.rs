//! The admin port: probes, metrics, status, and the configuration that an operator pushes. Its own thread, so that a busy media port does not look dead.

mod load;
mod push;

use std::sync::Arc;

use actix_web::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, web};
use futures_util::StreamExt;
use serde::Deserialize;

use crate::events::Kind;
use crate::exposition;
use crate::log::LENGTH_MAX;
use crate::origin::Origin;
use crate::status::Status;

/// Adds the admin port's routes to an `App`.
pub fn configure(origin: Arc<Origin>) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        config
            .app_data(web::Data::from(origin))
            .service(reading("/livez", live))
            .service(reading("/readyz", ready))
            .service(reading("/metrics", metrics))
            .service(reading("/-/status", status))
            .service(reading("/-/load", load::load))
            .service(reading("/-/streams", streams))
            .service(reading("/-/events", events))
            .service(web::resource("/-/config").route(web::put().to(push::take)))
            .service(reading("/-/log-level", log_level).route(web::put().to(set_log_level)));
    }
}

/// A path that is only read: by GET, and by HEAD, which some probes use.
fn reading<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path).route(web::get().to(handler.clone())).route(web::head().to(handler))
}

async fn live() -> &'static str {
    "ok\n"
}

async fn ready(origin: web::Data<Origin>) -> HttpResponse {
    match origin.unready() {
        None => HttpResponse::Ok().body("ok\n"),
        Some(reason) => HttpResponse::ServiceUnavailable().body(format!("{reason}\n")),
    }
}

async fn metrics(http: HttpRequest, origin: web::Data<Origin>) -> HttpResponse {
    let accept = http.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    match exposition::text(&origin, accept) {
        Ok((kind, text)) => {
            HttpResponse::Ok().insert_header((CONTENT_TYPE, kind)).insert_header((VARY, "Accept")).body(text)
        }
        Err(error) => HttpResponse::InternalServerError().body(format!("{error}\n")),
    }
}

async fn status(origin: web::Data<Origin>) -> HttpResponse {
    HttpResponse::Ok().json(Status::of(&origin))
}

async fn streams(origin: web::Data<Origin>) -> HttpResponse {
    HttpResponse::Ok().json(origin.streams.report(origin.clock.now().elapsed))
}

/// Where to go on.
#[derive(Debug, Deserialize)]
struct After {
    after: Option<u64>,
}

async fn events(origin: web::Data<Origin>, after: Option<web::Query<After>>) -> HttpResponse {
    let after = after.and_then(|query| query.after).unwrap_or(0);
    HttpResponse::Ok().json(origin.book.events.report(after))
}

async fn log_level(origin: web::Data<Origin>) -> HttpResponse {
    match &origin.log_filter {
        Some(filter) => HttpResponse::Ok().body(filter.text() + "\n"),
        None => no_log(),
    }
}

async fn set_log_level(origin: web::Data<Origin>, body: web::Payload) -> HttpResponse {
    let Some(filter) = &origin.log_filter else { return no_log() };
    let text = match read(body, LENGTH_MAX).await {
        Ok(text) => text,
        Err(refusal) => return refusal,
    };
    let before = filter.text();
    match filter.set(&text) {
        Ok(()) => {
            let now = filter.text();
            tracing::info!(before, now, "the log filter changed");
            origin.tell(Kind::LogLevel, format!("{now}, before: {before}"));
            HttpResponse::Ok().body(now + "\n")
        }
        Err(error) => HttpResponse::BadRequest().body(format!("{error}\n")),
    }
}

/// A body as text, or what to answer to one that is too long, is cut, or is no text.
async fn read(mut body: web::Payload, bytes_max: usize) -> Result<String, HttpResponse> {
    let mut text = Vec::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| HttpResponse::BadRequest().body(format!("{error}\n")))?;
        if text.len() + piece.len() > bytes_max {
            let message = format!("the body has more than {bytes_max} bytes\n");
            return Err(HttpResponse::PayloadTooLarge().body(message));
        }
        text.extend_from_slice(&piece);
    }
    String::from_utf8(text).map_err(|_| HttpResponse::BadRequest().body("the body is not UTF-8\n"))
}

fn no_log() -> HttpResponse {
    HttpResponse::NotFound().body("this process does not own its log\n")
}

#[cfg(test)]
mod tests;
