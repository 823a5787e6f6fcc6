//! The read path: find the version, ask the evaluator, wait where it says so, answer.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::{FutureExt, select_all};
use mediaorigin_crds::policy::{Class as MediaClass, Keep, Treatment};

use crate::clock::Now;
use crate::cold;
use crate::config::Hot;
use crate::fleet;
use crate::http::coding::{self, Representation};
use crate::http::described::Described;
use crate::http::evaluate::{self, Extent, Target, Verdict};
use crate::http::request::ReadRequest;
use crate::http::response::{self, Answer};
use crate::memory::Found;
use crate::memory::blob::State;
use crate::memory::object::Version;
use crate::origin::Origin;
use crate::outcome::Outcome;
use crate::overload::{Class, Decision, Reason};
use crate::tiers::walker::{Tiers, Wish};

/// How long a GET waits for the first byte of an upload that is open: an LL-DASH packager opens the next segment's upload
/// before it has a byte of it. Below what CDNs wait for a first byte, and long enough for a segment's first fragment.
pub const FIRST_BYTE_WAIT: Duration = Duration::from_secs(3);
/// Times that a request starts again because the version that it was about went away before anything was sent.
const ATTEMPTS_MAX: usize = 8;

/// Answers a GET or HEAD.
pub async fn read(origin: &Origin, hot: &Arc<Hot>, request: &ReadRequest) -> Answer {
    let (memory, tiers, clock) = (&origin.memory, origin.tiers(), &origin.clock);
    if let Some((tiers, fleet)) = origin.fleet() {
        // Boxed: it is far larger than all else here, and every request of a single pod would be moved about with room for it.
        return Box::pin(fleet::read(origin, tiers, fleet, hot, request)).await;
    }
    let path = request.path.as_str();
    let treatment = hot.policies.treat(path);
    let below = Below { tiers, wish: Wish::of(treatment.policy), origin, request, treatment: &treatment };
    let deadline = tokio::time::Instant::now() + FIRST_BYTE_WAIT;
    for _ in 0..ATTEMPTS_MAX {
        let now = clock.now();
        let version = match memory.find(path, now) {
            Found::Complete(version) => {
                if let Some(answer) = shed(origin, &version, now) {
                    return answer;
                }
                let chosen = coding::choose(memory, clock, &version, request).await;
                return complete(&chosen, origin, hot, request, now);
            }
            Found::Gone(reason) => return below.read_or(reason.into()).await,
            Found::Nothing => return below.read_or(Outcome::Missing).await,
            Found::Growing(version) => match below.read_at_once().await {
                Some(answer) => return answer,
                None => version,
            },
            Found::Announced(uploads) => {
                if let Some(answer) = below.read_at_once().await {
                    return answer;
                }
                let _held = memory.hold();
                if tokio::time::timeout_at(deadline, any_change(&uploads)).await.is_err() {
                    return response::missing(Outcome::Announced, path, &treatment);
                }
                continue;
            }
        };
        if let Some(answer) = answer(origin, &version, request, &treatment).await {
            return answer.of(version.meta.class);
        }
    }
    response::missing(Outcome::Missing, path, &treatment)
}

/// What is asked of the tiers below memory.
struct Below<'a> {
    tiers: Option<&'a Arc<Tiers>>,
    wish: Wish,
    origin: &'a Origin,
    request: &'a ReadRequest,
    treatment: &'a Treatment<'a>,
}

impl Below<'_> {
    /// The answer from a lower tier; without one it is `missing`.
    async fn read_or(&self, missing: Outcome) -> Answer {
        let answer = self.read(&self.wish).await;
        answer.unwrap_or_else(|| response::missing(missing, self.request.path.as_str(), self.treatment))
    }

    /// The same from what is known without asking over a network: a complete version wins over one that is being written,
    /// but nobody at the live edge waits for the news that the object store has none.
    async fn read_at_once(&self) -> Option<Answer> {
        self.read(&Wish { object_store: Keep::Never, ..self.wish }).await
    }

    async fn read(&self, wish: &Wish) -> Option<Answer> {
        cold::read(self.tiers?, wish, self.origin, self.request, self.treatment).await
    }
}

/// As [`read`], where a complete version is there and nothing must be waited for.
pub fn at_once(origin: &Origin, hot: &Arc<Hot>, request: &ReadRequest, now: Now) -> Option<Answer> {
    let path = request.path.as_str();
    match origin.memory.find(path, now) {
        Found::Complete(version) if is_settled(origin, path, &version) => {
            if let Some(answer) = shed(origin, &version, now) {
                return Some(answer);
            }
            let chosen = coding::at_once(&version, request)?;
            Some(complete(&chosen, origin, hot, request, now))
        }
        _ => None,
    }
}

/// Whether a complete version in memory is the one to be served, without asking anybody. In a fleet that can be said of
/// media segments alone: their names are used once.
fn is_settled(origin: &Origin, path: &str, version: &Version) -> bool {
    origin.fleet().is_none_or(|(_, fleet)| {
        matches!(version.meta.class, MediaClass::Segment | MediaClass::Part)
            && fleet.is_current(path, version.uid)
    })
}

/// The answer where a read of a complete version has to wait. What is being written never has to: it is the live edge itself.
pub(crate) fn shed(origin: &Origin, version: &Version, now: Now) -> Option<Answer> {
    let modified = || version.started().map(|started| started.modified);
    let class = || Class::of(version.meta.class, modified(), now.wall);
    match origin.overload.decide(class) {
        (Decision::Admit, _) => None,
        (Decision::Shed(reason), class) => {
            origin.metrics.shed(class, reason);
            Some(response::shed(reason).of(version.meta.class))
        }
    }
}

/// The answer where there is no memory to bring something back.
pub(crate) fn shed_fill(origin: &Origin, modified: SystemTime, now: Now) -> Answer {
    let (reason, class) = (Reason::Fills, Class::below(modified, now.wall));
    origin.metrics.shed(class, reason);
    response::shed(reason)
}

/// The answer from a version whose last byte is there.
pub(crate) fn complete(
    chosen: &Representation<'_>,
    origin: &Origin,
    hot: &Arc<Hot>,
    request: &ReadRequest,
    now: Now,
) -> Answer {
    let length = chosen.length().unwrap_or(0);
    let verdict = verdict(chosen, now, request, Extent::Complete(length));
    let state = (State::Complete, length);
    let described = |_| Described::complete(&origin.memory, hot, chosen, now);
    response::read(request, chosen, state, verdict, described).of(chosen.version.meta.class)
}

fn verdict(chosen: &Representation<'_>, now: Now, request: &ReadRequest, extent: Extent) -> Verdict {
    // Most requests have no condition, and for these nothing has to be compared.
    if request.conditions.is_empty() {
        return Verdict::Whole;
    }
    let version = chosen.version;
    let now = now.wall;
    let modified = version.started().map_or(now, |started| started.modified);
    let shares_second = version.derived.shares_second();
    let target = Target { etag: &chosen.etag(), modified, now, shares_second, extent };
    let mut preconditions = request.conditions.preconditions();
    if request.whole_while_growing && matches!(extent, Extent::Growing(_)) {
        preconditions.range = None;
    }
    evaluate::evaluate(request.method, &preconditions, &target)
}

/// The answer from `version`, or `None` where its writer went away while the request was held.
pub(crate) async fn answer(
    origin: &Origin,
    version: &Arc<Version>,
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
        let verdict = verdict(&chosen, origin.clock.now(), request, extent);
        if let (Verdict::Wait(length), Extent::Growing(_)) = (verdict, extent) {
            let _held = origin.memory.hold();
            progress = version.blob.reach(length).await;
            continue;
        }
        let state = (progress.state, progress.length);
        let described = |served| Described::new(&chosen, served, treatment);
        return Some(response::read(request, &chosen, state, verdict, described));
    }
}

/// Waits until one of the uploads has a byte or ends, or another one opens.
pub(crate) async fn any_change(uploads: &[(Arc<Version>, u64)]) {
    if !uploads.is_empty() {
        select_all(uploads.iter().map(|(version, seen)| version.blob.changed(*seen).boxed_local())).await;
    }
}
