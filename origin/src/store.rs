//! The write path: check, reserve, append, commit. Nothing is visible as complete before its last byte, and nothing that
//! went wrong leaves a trace.

use std::fmt::Display;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use mediaorigin_crds::policy::{Policies, Treatment, Visibility};

use crate::access_log::Entry;
use crate::clock::Clock;
use crate::cold;
use crate::fleet::Arrival;
use crate::http::digests::Mismatch;
use crate::http::evaluate;
use crate::http::mime;
use crate::http::request::{Conditions, DeleteRequest, WriteRequest};
use crate::http::response::{self, Answer};
use crate::memory::blob::Uid;
use crate::memory::object::{Meta, Version};
use crate::memory::upload::{Committed, Opening, Upload};
use crate::memory::{Deleted, Full};
use crate::origin::Origin;
use crate::outcome::Outcome;
use crate::tiers::TierError;
use crate::tiers::walker::{Condition, Current, Tiers, Wish};
use crate::trace;

/// Why an upload was given up.
#[derive(Debug)]
enum Failure {
    Full(Full),
    TooLarge,
    Stalled(Duration),
    Broken(String),
    Mismatch(Mismatch),
}

/// Answers a PUT or POST; `uid` names the version that it makes.
pub async fn write<E: Display>(
    origin: &Origin,
    policies: &Policies,
    request: &WriteRequest,
    body: impl Stream<Item = Result<Bytes, E>>,
    uid: Uid,
    entry: &mut Entry,
) -> Answer {
    let (memory, tiers, clock) = (&origin.memory, origin.tiers(), &origin.clock);
    let path = request.path.as_str();
    let treatment = policies.treat(path);
    let limits = policies.limits();
    let bytes_max = limits.object_bytes_max.min(memory.object_bytes_max());
    if request.length.is_some_and(|length| length > bytes_max) {
        return failed(&Failure::TooLarge, bytes_max).of(treatment.class);
    }
    if let Some(text) = no_room_in_index(origin, path) {
        return Answer::text(StatusCode::SERVICE_UNAVAILABLE, Outcome::Full, &text).of(treatment.class);
    }
    let arrival = tiers.map_or_else(Arrival::now, |tiers| tiers.arrive(path));
    let current = memory.committed(path, clock.now());
    // What is not in memory may be in a tier below, and in a fleet another pod may know better: that is asked when the bytes are here.
    let is_known = tiers.is_none() || (current.is_some() && origin.fleet().is_none());
    if is_known && !may_write(&request.conditions, current.as_deref()) {
        return condition_failed(&request.conditions).of(treatment.class);
    }
    let upload = match memory.open(opening(request, &treatment, uid), clock).await {
        Ok(upload) => upload,
        Err(full) => return failed(&Failure::Full(full), bytes_max).of(treatment.class),
    };
    // The others are told before it has a byte: a reader may come to any pod.
    let _announced = origin
        .fleet()
        .filter(|_| upload.version().early)
        .map(|(_, fleet)| fleet.announce(&upload.version().path, uid));
    let received = receive(upload, body, request, bytes_max, limits.upload_idle, clock, entry);
    let answer = match received.await {
        Ok(upload) => {
            let wish = Wish::of(treatment.policy);
            let answer = match commit(upload, (tiers, arrival), clock, wish, &request.conditions).await {
                Ok(result) => committed(&result, &request.conditions),
                Err(error) => cold::unavailable(&error),
            };
            Answer { expires_at: wish.terms.expires_at(clock.now()), ..answer }
        }
        Err(failure) => failed(&failure, bytes_max),
    };
    answer.of(treatment.class)
}

/// Why a fleet has no room for a path that it does not know yet.
fn no_room_in_index(origin: &Origin, path: &str) -> Option<String> {
    let (_, fleet) = origin.fleet()?;
    let (needed, most) = origin.ration.full_index()?;
    if fleet.knows(path) {
        return None;
    }
    Some(format!(
        "no memory for another path: the index of the fleet needs {needed} and may have {most}; \
         raise spec.memory.limit, or let objects expire or go to the object store"
    ))
}

/// Makes an upload the version under its path: in memory, or in all tiers that its rule wants.
async fn commit(
    upload: Upload,
    (tiers, arrival): (Option<&Arc<Tiers>>, Arrival),
    clock: &Clock,
    wish: Wish,
    conditions: &Conditions,
) -> Result<Committed, Arc<TierError>> {
    match tiers {
        Some(tiers) => {
            let commit = tiers.commit(arrival, upload, wish, condition(conditions));
            trace::step("tiers.commit", None, commit).await
        }
        None => Ok(upload.commit(clock.now(), wish.terms, |current| may_write(conditions, current))),
    }
}

/// Answers a DELETE.
pub async fn delete(origin: &Origin, policies: &Policies, request: &DeleteRequest) -> Answer {
    let (memory, tiers, clock) = (&origin.memory, origin.tiers(), &origin.clock);
    let path = request.path.as_str();
    let treatment = policies.treat(path);
    let deleted = match tiers {
        None => Ok(memory.delete(path, clock.now(), |current| may_write(&request.conditions, current))),
        Some(tiers) => {
            let wish = Wish::of(treatment.policy);
            let deleted = tiers.delete(Arc::from(path), wish, condition(&request.conditions));
            trace::step("tiers.delete", None, deleted).await
        }
    };
    let deleted = match deleted {
        Ok(deleted) => deleted,
        Err(error) => return cold::unavailable(&error).of(treatment.class),
    };
    let answer = match deleted {
        Deleted::Gone => Answer::empty(StatusCode::NO_CONTENT, Outcome::Deleted),
        Deleted::Nothing => Answer::text(StatusCode::NOT_FOUND, Outcome::Missing, "no such object"),
        Deleted::Refused => condition_failed(&request.conditions),
    };
    answer.of(treatment.class)
}

fn opening(request: &WriteRequest, treatment: &Treatment<'_>, uid: Uid) -> Opening {
    let path = request.path.as_str();
    Opening {
        path: Arc::from(path),
        uid,
        meta: Meta {
            content_type: mime::content_type(path, request.content_type.as_deref()),
            content_encoding: request.content_encoding.clone(),
            cache_control: request.cache_control.clone(),
            class: treatment.class,
        },
        early: request.visibility.unwrap_or(treatment.visibility) == Visibility::Early,
        length: request.length,
    }
}

/// Appends the body. A failure drops the upload, which cuts its readers off.
async fn receive<E: Display>(
    mut upload: Upload,
    body: impl Stream<Item = Result<Bytes, E>>,
    request: &WriteRequest,
    bytes_max: u64,
    idle: Duration,
    clock: &Clock,
    entry: &mut Entry,
) -> Result<Upload, Failure> {
    let mut body = pin!(body);
    let (length, mut check) = (request.length, request.digests.check());
    // The first poll is what lets the connection loop answer `100 Continue`: the memory is reserved by now.
    loop {
        let item = tokio::time::timeout(idle, body.next()).await.map_err(|_| Failure::Stalled(idle))?;
        let Some(item) = item else { break };
        let bytes = item.map_err(|error| broken(&error, upload.written(), length))?;
        entry.received(bytes.len());
        if upload.written() + bytes.len() as u64 > length.unwrap_or(bytes_max) {
            return Err(match length {
                Some(length) => {
                    Failure::Broken(format!("the body goes on behind the announced {length} bytes"))
                }
                None => Failure::TooLarge,
            });
        }
        check.update(&bytes);
        upload.write(&bytes, clock).await.map_err(Failure::Full)?;
    }
    match length {
        Some(length) if length != upload.written() => {
            let text = format!("the body ended after {} of {length} bytes", upload.written());
            Err(Failure::Broken(text))
        }
        _ => check.finish().map(|()| upload).map_err(Failure::Mismatch),
    }
}

/// A body that was cut off; the library's own words are for the log.
fn broken(error: &impl Display, written: u64, length: Option<u64>) -> Failure {
    tracing::debug!(%error, "a body broke off");
    Failure::Broken(match length {
        Some(length) => format!("the body ended after {written} of {length} bytes"),
        None => format!("the body broke off after {written} bytes, before its last chunk"),
    })
}

/// The condition of a request, to be decided where nothing can come in between.
fn condition(conditions: &Conditions) -> Option<Condition> {
    if conditions.is_empty() {
        return None;
    }
    let conditions = conditions.clone();
    Some(Box::new(move |current: Option<&Current>| {
        let current = current.map(|current| (current.etag.as_str(), current.modified));
        evaluate::may_write(&conditions.preconditions(), current)
    }))
}

fn may_write(conditions: &Conditions, current: Option<&Version>) -> bool {
    if conditions.is_empty() {
        return true;
    }
    let etag = current.map(Version::etag);
    let current = current.and_then(Version::started).map(|started| started.modified);
    evaluate::may_write(&conditions.preconditions(), etag.as_deref().zip(current))
}

/// 201 for a new path and 204 for one that held something, as `WebDAV` servers do; encoders accept every 2xx.
fn committed(committed: &Committed, conditions: &Conditions) -> Answer {
    match committed {
        Committed::Created(version) => response::stored(StatusCode::CREATED, Outcome::Created, version),
        Committed::Replaced(version) => response::stored(StatusCode::NO_CONTENT, Outcome::Replaced, version),
        Committed::Unchanged(version) => {
            response::stored(StatusCode::NO_CONTENT, Outcome::Unchanged, version)
        }
        Committed::Superseded(version) => {
            response::stored(StatusCode::NO_CONTENT, Outcome::Superseded, version)
        }
        Committed::Held(version) => {
            response::eager(response::stored(StatusCode::NO_CONTENT, Outcome::Held, version))
        }
        Committed::Empty => Answer::empty(StatusCode::NO_CONTENT, Outcome::Empty),
        Committed::Refused => condition_failed(conditions),
    }
}

fn condition_failed(conditions: &Conditions) -> Answer {
    response::condition_failed(&conditions.names())
}

fn failed(failure: &Failure, bytes_max: u64) -> Answer {
    match failure {
        Failure::Full(full) => {
            Answer::text(StatusCode::SERVICE_UNAVAILABLE, Outcome::Full, &full.to_string())
        }
        Failure::TooLarge => {
            let text = format!("the object is larger than the limit of {bytes_max} bytes");
            Answer::text(StatusCode::PAYLOAD_TOO_LARGE, Outcome::TooLarge, &text)
        }
        Failure::Stalled(idle) => {
            let text = format!("no byte of the body came for {} seconds", idle.as_secs());
            let answer = Answer::text(StatusCode::REQUEST_TIMEOUT, Outcome::Stalled, &text);
            Answer { close: true, ..answer }
        }
        Failure::Mismatch(mismatch) => {
            Answer::text(StatusCode::BAD_REQUEST, Outcome::DigestMismatch, &mismatch.to_string())
        }
        Failure::Broken(text) => {
            let answer = Answer::text(StatusCode::BAD_REQUEST, Outcome::Broken, text);
            Answer { close: true, ..answer }
        }
    }
}
