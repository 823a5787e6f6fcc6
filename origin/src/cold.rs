//! The read path below memory: find the version in a lower tier, ask the same evaluator, answer from pieces.

use std::sync::Arc;

use actix_web::http::StatusCode;
use mediaorigin_crds::policy::{Class, Treatment};

use crate::clock::Clock;
use crate::http::body::Content;
use crate::http::coding;
use crate::http::evaluate::{self, Extent, Method, Target, Verdict};
use crate::http::request::ReadRequest;
use crate::http::response::{self, Answer};
use crate::origin::Origin;
use crate::outcome::Outcome;
use crate::overload::{self, Decision, Reason};
use crate::tiers::pieces::ReadError;
use crate::tiers::walker::{Cold, Tiers, Wish};
use crate::tiers::{ErrorKind, Record, TierError, TierName};
use crate::trace;

/// Times that a path is looked up again because its version was replaced before its first byte was read.
const ATTEMPTS_MAX: usize = 4;

/// Answers a GET or HEAD from below memory; `None` where no tier has anything.
pub async fn read(
    tiers: &Arc<Tiers>,
    wish: &Wish,
    origin: &Origin,
    request: &ReadRequest,
    treatment: &Treatment<'_>,
) -> Option<Answer> {
    let (path, clock) = (request.path.as_str(), &origin.clock);
    for _ in 0..ATTEMPTS_MAX {
        let cold = match trace::step("tiers.find", None, tiers.find(path, wish)).await {
            Ok(cold) => cold?,
            Err(error) => return Some(unavailable(&error).of(treatment.class)),
        };
        if cold.record.is_expired(clock.now()) {
            if cold.tier.name() == TierName::ObjectStore {
                tiers.expire(&cold.record);
            }
            return Some(response::missing(Outcome::Expired, path, treatment));
        }
        if let Some(answer) = shed_by_load(origin, &cold.record) {
            return Some(answer);
        }
        match answer(tiers, &cold, clock, request, treatment).await {
            Ok(answer) => return Some(answer.of(cold.record.meta.class)),
            Err(error) if error.is_gone() => tiers.doubt(&cold.record.path),
            Err(error) => return Some(failed(origin, &cold.record, &error, treatment)),
        }
    }
    None
}

/// The answer where a version below memory has to wait for what is live. Only where there is one: that there is nothing yet must
/// be said to those who wait at the live edge.
pub(crate) fn shed_by_load(origin: &Origin, record: &Record) -> Option<Answer> {
    let class = || overload::Class::below(record.modified, origin.clock.now().wall);
    match origin.overload.decide(class) {
        (Decision::Admit, _) => None,
        (Decision::Shed(reason), class) => Some(shed(origin, class, reason).of(record.meta.class)),
    }
}

/// The answer where the bytes of a version cannot be had.
pub(crate) fn failed(
    origin: &Origin,
    record: &Record,
    error: &ReadError,
    treatment: &Treatment<'_>,
) -> Answer {
    match error {
        ReadError::Tier(error) => unavailable(error),
        ReadError::Full(_) | ReadError::Busy => {
            let class = overload::Class::below(record.modified, origin.clock.now().wall);
            shed(origin, class, Reason::Fills)
        }
    }
    .of(treatment.class)
}

/// The answer from a version below memory.
pub(crate) async fn answer(
    tiers: &Arc<Tiers>,
    cold: &Cold,
    clock: &Clock,
    request: &ReadRequest,
    treatment: &Treatment<'_>,
) -> Result<Answer, ReadError> {
    let chosen = coding::choose_cold(tiers, clock, cold, request).await?;
    let record = &cold.record;
    let etag = chosen.etag();
    let extent = Extent::Complete(chosen.length());
    let shares_second = record.meta.class == Class::Manifest;
    let target =
        Target { etag: &etag, modified: record.modified, now: clock.now().wall, shares_second, extent };
    let verdict = evaluate::evaluate(request.method, &request.conditions.preconditions(), &target);
    let content = match (request.method, verdict, &chosen.variant) {
        (Method::Head, ..) => Content::Head(Some(chosen.length())),
        (Method::Get, Verdict::Whole, Some(variant)) => Content::Text(variant.bytes.clone()),
        (Method::Get, Verdict::Whole, None) => sized(tiers, cold, 0, record.size).await?,
        (Method::Get, Verdict::Part(span), _) => {
            sized(tiers, cold, span.first, span.last.saturating_add(1)).await?
        }
        (Method::Get, ..) => Content::None,
    };
    let outcome = match cold.tier.name() {
        TierName::ObjectStore => Outcome::ObjectStore,
        TierName::Peer => Outcome::Peer,
        TierName::Disk | TierName::Memory | TierName::Index | TierName::Log => Outcome::Disk,
    };
    Ok(response::cold(request, &chosen, outcome, verdict, content, treatment))
}

async fn sized(tiers: &Arc<Tiers>, cold: &Cold, first: u64, end: u64) -> Result<Content, ReadError> {
    let tier = Some(cold.tier.name());
    let reader = trace::step("tiers.read", tier, tiers.open(cold, first, end)).await?;
    Ok(Content::Cold(Box::new(reader), end - first))
}

/// The answer where a tier cannot do what it is needed for. Its own words are for the log.
pub fn unavailable(error: &TierError) -> Answer {
    tracing::warn!(%error, "a tier does not do what a request needs");
    let text = match (error.tier, error.kind) {
        // What is full somebody must make room for, and a publisher is who notices it first.
        (TierName::Log, ErrorKind::Full) => format!("the write-ahead log is not available: {}", error.source),
        (TierName::Log, kind) => format!("the write-ahead log is not available ({})", kind.as_str()),
        (tier, kind) => format!("the {} is not available ({})", tier.as_str(), kind.as_str()),
    };
    Answer::text(StatusCode::SERVICE_UNAVAILABLE, Outcome::TierUnavailable, &text)
}

fn shed(origin: &Origin, class: overload::Class, reason: Reason) -> Answer {
    origin.metrics.shed(class, reason);
    response::shed(reason)
}
