//! The admin port: probes, metrics, status. Its own thread, so that a busy media port does not look dead.

use std::sync::Arc;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder, web};
use prometheus_client::encoding::text::encode;

use crate::exposition;
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
            .service(reading("/-/status", status));
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

async fn metrics(origin: web::Data<Origin>) -> HttpResponse {
    let mut text = String::new();
    match encode(&mut text, &exposition::registry(&origin)) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            HttpResponse::Ok().insert_header((CONTENT_TYPE, kind)).body(text)
        }
        Err(error) => HttpResponse::InternalServerError().body(format!("{error}\n")),
    }
}

async fn status(origin: web::Data<Origin>) -> HttpResponse {
    HttpResponse::Ok().json(Status::of(&origin))
}
