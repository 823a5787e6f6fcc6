//! `PUT /-/config`: the operator's way to have a hot edit served at once, where the kubelet needs up to minutes to refresh the file.
//!
//! Only with the token that is in a file of the pod; without such a file the path does not exist. The body is what the file will say. It
//! is taken whole or not at all, and never replaces a newer generation or another origin's configuration.

use actix_web::http::header::{CACHE_CONTROL, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use crate::config::{Change, FILE_BYTES_MAX, Way};
use crate::http::bearer;
use crate::origin::Origin;
use crate::reload;

/// What is served after a push.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Served {
    /// Generation of the configuration in force.
    generation: i64,
    /// Problems of what was pushed; empty when it is in force.
    refused: Vec<String>,
    /// Cold settings that differ from the running ones: they are in force after a restart.
    needs_restart: Vec<&'static str>,
}

pub(super) async fn take(http: HttpRequest, origin: web::Data<Origin>, body: web::Payload) -> HttpResponse {
    let Some(token) = token(&origin) else {
        return HttpResponse::NotFound().body("this origin was started without --admin-token-file\n");
    };
    if !bearer::shows(&http, &token) {
        return HttpResponse::Unauthorized()
            .insert_header((WWW_AUTHENTICATE, "Bearer"))
            .body("the token of --admin-token-file is needed\n");
    }
    let text = match super::read(body, usize::try_from(FILE_BYTES_MAX).unwrap_or(usize::MAX)).await {
        Ok(text) => text,
        Err(refusal) => return refusal,
    };
    let change = reload::take(&origin, &text, Way::Push);
    let mut answer = match change {
        Change::Swapped | Change::Same => HttpResponse::Ok(),
        Change::Refused => HttpResponse::UnprocessableEntity(),
        Change::Older { .. } | Change::Foreign => HttpResponse::Conflict(),
    };
    let report = origin.config.report();
    let refused = match change {
        Change::Swapped | Change::Same => Vec::new(),
        Change::Refused => report.refused,
        Change::Older { served } => vec![format!("metadata.generation: {served} is newer, and served")],
        Change::Foreign => vec!["metadata.uid: another origin is served".to_owned()],
    };
    let generation = origin.config.hot().metadata.generation;
    answer.insert_header((CACHE_CONTROL, "no-store")).json(Served {
        generation,
        refused,
        needs_restart: report.needs_restart,
    })
}

/// Read each time: the kubelet replaces the file when its Secret changes, and pushes are rare.
fn token(origin: &Origin) -> Option<Vec<u8>> {
    let file = origin.admin_token_file.as_ref()?;
    match std::fs::read(file) {
        Ok(token) => Some(token.trim_ascii().to_vec()),
        Err(error) => {
            tracing::warn!(%error, file = %file.display(), "the token of the admin port cannot be read");
            Some(Vec::new())
        }
    }
}
