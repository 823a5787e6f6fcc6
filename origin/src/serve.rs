//! The read path: find the version, ask the evaluator, wait where it says so, answer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{FutureExt, select_all};
use mediaorigin_crds::policy::{Class, Policies, Treatment};

use crate::clock::Clock;
use crate::http::coding::{self, Representation};
use crate::http::evaluate::{self, Extent, Target, Verdict};
use crate::http::request::ReadRequest;
use crate::http::response::{self, Answer};
use crate::memory::blob::State;
use crate::memory::object::Version;
use crate::memory::{Found, Memory};
use crate::outcome::Outcome;

/// How long a GET waits for the first byte of an upload that is open: an LL-DASH packager opens the next segment's upload
/// before it has a byte of it. Below what CDNs wait for a first byte, and long enough for a segment's first fragment.
pub const FIRST_BYTE_WAIT: Duration = Duration::from_secs(3);
/// Times that a request starts again because the version that it was about went away before anything was sent.
const ATTEMPTS_MAX: usize = 8;

/// Answers a GET or HEAD.
pub async fn read(memory: &Memory, clock: &Clock, policies: &Policies, request: &ReadRequest) -> Answer {
    let path = request.path.as_str();
    let treatment = policies.treat(path);
    let deadline = tokio::time::Instant::now() + FIRST_BYTE_WAIT;
    for _ in 0..ATTEMPTS_MAX {
        let version = match memory.find(path, clock.now()) {
            Found::Complete(version) => {
                let chosen = coding::choose(memory, clock, &version, request).await;
                return complete(&chosen, clock, request, &treatment);
            }
            Found::Growing(version) => version,
            Found::Gone(reason) => return response::missing(reason.into(), path, &treatment),
            Found::Nothing => return response::missing(Outcome::Missing, path, &treatment),
            Found::Announced(uploads) => {
                let _held = memory.hold();
                if tokio::time::timeout_at(deadline, any_change(&uploads)).await.is_err() {
                    return response::missing(Outcome::Announced, path, &treatment);
                }
                continue;
            }
        };
        if let Some(answer) = answer(memory, &version, clock, request, &treatment).await {
            return answer.of(version.meta.class);
        }
    }
    response::missing(Outcome::Missing, path, &treatment)
}

/// As [`read`], where a complete version is there and nothing must be waited for.
pub fn at_once(memory: &Memory, clock: &Clock, policies: &Policies, request: &ReadRequest) -> Option<Answer> {
    let path = request.path.as_str();
    match memory.find(path, clock.now()) {
        Found::Complete(version) => {
            let chosen = coding::at_once(&version, request)?;
            Some(complete(&chosen, clock, request, &policies.treat(path)))
        }
        _ => None,
    }
}

/// The answer from a version whose last byte is there.
fn complete(
    chosen: &Representation<'_>,
    clock: &Clock,
    request: &ReadRequest,
    treatment: &Treatment<'_>,
) -> Answer {
    let length = chosen.length().unwrap_or(0);
    let verdict = verdict(chosen, clock, request, Extent::Complete(length));
    let state = (State::Complete, length);
    response::read(request, chosen, state, verdict, treatment).of(chosen.version.meta.class)
}

fn verdict(chosen: &Representation<'_>, clock: &Clock, request: &ReadRequest, extent: Extent) -> Verdict {
    let version = chosen.version;
    let now = clock.now().wall;
    let modified = version.started().map_or(now, |started| started.modified);
    let shares_second = version.meta.class == Class::Manifest || version.derived.overwrote();
    let target = Target { etag: &chosen.etag(), modified, now, shares_second, extent };
    let mut preconditions = request.conditions.preconditions();
    if request.whole_while_growing && matches!(extent, Extent::Growing(_)) {
        preconditions.range = None;
    }
    evaluate::evaluate(request.method, &preconditions, &target)
}

/// The answer from `version`, or `None` where its writer went away while the request was held.
async fn answer(
    memory: &Memory,
    version: &Arc<Version>,
    clock: &Clock,
    request: &ReadRequest,
    treatment: &Treatment<'_>,
) -> Option<Answer> {
    let chosen = Representation { version, variant: None };
    let mut progress = version.blob.progress();
    loop {
        let extent = match progress.state {
            State::Open => Extent::Growing(progress.length),
            State::Complete => Extent::Complete(progress.length),
            State::Aborted => return None,
        };
        let verdict = verdict(&chosen, clock, request, extent);
        if let (Verdict::Wait(length), Extent::Growing(_)) = (verdict, extent) {
            let _held = memory.hold();
            progress = version.blob.reach(length).await;
            continue;
        }
        let state = (progress.state, progress.length);
        return Some(response::read(request, &chosen, state, verdict, treatment));
    }
}

/// Waits until one of the uploads has a byte or ends, or another one opens.
async fn any_change(uploads: &[(Arc<Version>, u64)]) {
    if !uploads.is_empty() {
        select_all(uploads.iter().map(|(version, seen)| version.blob.changed(*seen).boxed_local())).await;
    }
}
