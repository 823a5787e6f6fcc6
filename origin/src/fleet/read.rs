//! A GET in a fleet: which version it is about, then its bytes from the nearest place.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mediaorigin_crds::policy::{Class, Treatment};
use mediaorigin_index::entry::Entry;
use mediaorigin_index::{Fence, ReadError};
use tokio::time::{Instant, timeout};

use super::open::Elsewhere;
use super::{Fleet, READ_PATIENCE, STALE_AFTER, entry};
use crate::clock::Now;
use crate::cold;
use crate::config::Hot;
use crate::http::coding;
use crate::http::request::ReadRequest;
use crate::http::response::{self, Answer};
use crate::memory::Found;
use crate::memory::blob::State;
use crate::memory::object::Version;
use crate::memory::upload::Opening;
use crate::origin::Origin;
use crate::outcome::Outcome;
use crate::serve::{self, FIRST_BYTE_WAIT};
use crate::tiers::walker::{Cold, Tiers, Wish};
use crate::tiers::{Record, TierError};

/// Times that a path is looked at again because what was found went away before a byte was sent.
const ATTEMPTS_MAX: usize = 8;

/// What a read has in its hands.
struct Reading<'a> {
    origin: &'a Origin,
    tiers: &'a Arc<Tiers>,
    fleet: &'a Arc<Fleet>,
    hot: &'a Arc<Hot>,
    request: &'a ReadRequest,
    treatment: &'a Treatment<'a>,
    wish: Wish,
}

/// Answers a GET or HEAD of a pod in a fleet.
pub async fn read(
    origin: &Origin,
    tiers: &Arc<Tiers>,
    fleet: &Arc<Fleet>,
    hot: &Arc<Hot>,
    request: &ReadRequest,
) -> Answer {
    let path = request.path.as_str();
    let treatment = hot.policies.treat(path);
    let wish = Wish::of(treatment.policy);
    let reading = Reading { origin, tiers, fleet, hot, request, treatment: &treatment, wish };
    let deadline = Instant::now() + FIRST_BYTE_WAIT;
    let eager_after = wish.eager_after.filter(|_| treatment.class == Class::Manifest);
    let silence = Silence { eager_after, serve_stale: wish.serve_stale };
    let mut lost = None;
    for attempt in 0..ATTEMPTS_MAX {
        let now = origin.clock.now();
        // What was known is not there any more: then it is asked what is.
        let is_settled = attempt == 0 && matches!(treatment.class, Class::Segment | Class::Part);
        let look = match fleet.look(path, is_settled, silence).await {
            Ok(look) => look,
            Err(error) => return cold::unavailable(&error).of(treatment.class),
        };
        let found = match &look.entry {
            Some(entry) => reading.version(entry, now).await,
            None => reading.nothing(&look, deadline).await,
        };
        if let Some(answer) = found {
            return match look.standing {
                Standing::Agreed => answer,
                Standing::Eager => response::eager(answer),
                Standing::Stale => response::stale(answer),
            };
        }
        let uid = look.entry.map(|entry| entry.uid);
        if uid.is_some() && uid == lost {
            // It is still what lies there, and all who could have its bytes say that they have not.
            return response::missing(Outcome::Evicted, path, &treatment);
        }
        lost = uid;
    }
    // Whatever is there is replaced again and again while it is looked for. That nothing is there would not be true.
    cold::unavailable(&super::commit::unavailable("read", path, "it changes all the time"))
        .of(treatment.class)
}

/// What a rule allows while the index is silent.
#[derive(Clone, Copy)]
struct Silence {
    eager_after: Option<Duration>,
    serve_stale: Option<Duration>,
}

/// What lies under a path.
struct Look {
    entry: Option<Arc<Entry>>,
    /// Nothing ever has.
    is_unheard_of: bool,
    standing: Standing,
}

/// How far what was found is what all pods agree on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The index has confirmed it.
    Agreed,
    /// It is the newest that two pods, or this one, know.
    Eager,
    /// It was the newest a while ago.
    Stale,
}

impl Look {
    fn of(path: &str, fence: &Fence) -> Result<Self, TierError> {
        let entry = fence.entry().map_err(|error| unavailable(path, &error))?;
        Ok(Self { entry, is_unheard_of: fence.stamp() == 0, standing: Standing::Agreed })
    }

    /// Something was there once, and nothing is now.
    fn was_deleted(&self) -> bool {
        self.entry.is_none() && !self.is_unheard_of
    }
}

fn confirmed(path: &str, fence: Result<Fence, ReadError>) -> Result<Look, TierError> {
    Look::of(path, &fence.map_err(|error| unavailable(path, &error))?)
}

fn unavailable(path: &str, error: &ReadError) -> TierError {
    super::commit::unavailable("look at", path, &error.to_string())
}

impl Fleet {
    /// What lies under `path`. What can change is asked behind a barrier; a media segment that is known is not: its name is used
    /// once. Of a manifest the newest version counts that is known, where the index is silent and its rule says so.
    async fn look(&self, path: &str, is_settled: bool, silence: Silence) -> Result<Look, TierError> {
        if is_settled {
            let known = Look::of(path, &self.index.peek(path))?;
            if known.entry.is_some() {
                return Ok(known);
            }
        }
        match silence {
            Silence { eager_after: Some(after), .. } => self.look_eagerly(path, after).await,
            Silence { serve_stale: Some(age_max), .. } => self.look_back(path, age_max).await,
            Silence { .. } => confirmed(path, self.index.fence(path, READ_PATIENCE).await),
        }
    }

    /// The same, or after that time of silence the newest version that is known.
    async fn look_eagerly(&self, path: &str, after: Duration) -> Result<Look, TierError> {
        let mut strict = pin!(self.index.fence(path, READ_PATIENCE));
        let look = match timeout(after, &mut strict).await {
            Ok(fence) => confirmed(path, fence)?,
            Err(_) => Look { standing: Standing::Eager, ..Look::of(path, &self.index.peek(path))? },
        };
        // Nobody is told an older version than he may have been told while the index was silent.
        if let Some(held) = self.eager.newer(path, look.entry.as_deref()).filter(|held| held.is_live()) {
            self.eager.was_read();
            return Ok(Look { entry: Some(held), standing: Standing::Eager, ..look });
        }
        if look.standing == Standing::Eager {
            if look.entry.is_none() {
                // That there is nothing only the index can say.
                return confirmed(path, strict.await);
            }
            self.eager.was_read();
        }
        Ok(look)
    }

    /// The same, or what there was when the index last answered, where that is no longer ago than `age_max`.
    async fn look_back(&self, path: &str, age_max: Duration) -> Result<Look, TierError> {
        let mut strict = pin!(self.index.fence(path, READ_PATIENCE));
        let refused = match timeout(STALE_AFTER, &mut strict).await {
            Ok(Err(error)) => Some(error),
            Ok(fence) => return confirmed(path, fence),
            Err(_) => None,
        };
        if self.index.age(path).is_some_and(|age| age <= age_max) {
            let known = Look::of(path, &self.index.peek(path))?;
            // That there is nothing only the index can say.
            if known.entry.is_some() {
                self.stale_reads.fetch_add(1, Ordering::Relaxed);
                return Ok(Look { standing: Standing::Stale, ..known });
            }
        }
        match refused {
            Some(error) => Err(unavailable(path, &error)),
            None => confirmed(path, strict.await),
        }
    }
}

impl Reading<'_> {
    /// The answer from the version of `entry`; `None` where it went away meanwhile.
    async fn version(&self, entry: &Entry, now: Now) -> Option<Answer> {
        let path = self.request.path.as_str();
        let record = entry::record(entry)?;
        if record.is_expired(now) {
            return Some(response::missing(Outcome::Expired, path, self.treatment));
        }
        if let Some(version) = self.origin.memory.wanted(path, record.uid) {
            return self.memory_answer(&version, now).await;
        }
        if let Some(body) = entry.version().and_then(|version| version.body.as_ref()) {
            return self.inside_answer(&record, body, now).await;
        }
        self.distant_answer(entry, record).await
    }

    async fn memory_answer(&self, version: &Arc<Version>, now: Now) -> Option<Answer> {
        let Self { origin, hot, request, treatment, .. } = self;
        if version.blob.progress().state == State::Complete {
            if let Some(answer) = serve::shed(origin, version, now) {
                return Some(answer);
            }
            let chosen = coding::choose(&origin.memory, &origin.clock, version, request).await;
            return Some(serve::complete(&chosen, origin, hot, request, now));
        }
        // It is in the index already: only its end is missing here, or that it was heard of.
        let Self { fleet, .. } = self;
        if let Ok(Some(entry)) = fleet.index.peek(request.path.as_str()).entry() {
            super::heard(&fleet.follows, &entry, now);
        }
        let answer = serve::answer(origin, version, request, treatment).await?;
        Some(answer.of(version.meta.class))
    }

    /// A small body comes with the entry: it is brought to memory, and served from there.
    async fn inside_answer(&self, record: &Record, body: &[u8], now: Now) -> Option<Answer> {
        let (memory, clock) = (&self.origin.memory, &self.origin.clock);
        let opening = Opening {
            path: Arc::clone(&record.path),
            uid: record.uid,
            meta: record.meta.clone(),
            early: false,
            length: Some(record.size),
        };
        let shed = || Some(serve::shed_fill(self.origin, record.modified, now).of(record.meta.class));
        let Ok(mut upload) = memory.open(opening, clock).await else { return shed() };
        upload.stand_for(record);
        if upload.write(body, clock).await.is_err() {
            return shed();
        }
        let version = Arc::clone(upload.version());
        upload.commit_agreed(true, clock.now(), self.wish.terms);
        self.memory_answer(&version, now).await
    }

    /// From another pod or the object store.
    async fn distant_answer(&self, entry: &Entry, record: Record) -> Option<Answer> {
        let Self { origin, tiers, fleet, request, treatment, .. } = self;
        let record = Arc::new(record);
        let cold = Cold { record: Arc::clone(&record), tier: tiers.source(fleet, entry) };
        if let Some(answer) = cold::shed_by_load(origin, &record) {
            return Some(answer);
        }
        match cold::answer(tiers, &cold, &origin.clock, request, treatment).await {
            Ok(answer) => Some(answer.of(record.meta.class)),
            Err(error) if error.is_gone() => {
                // Where the store has a later version than the index, its writer ended before he could say so.
                match tiers.adopt_from_store(fleet, &record.path, READ_PATIENCE).await {
                    Ok(_) => None,
                    Err(error) => Some(cold::unavailable(&error).of(treatment.class)),
                }
            }
            Err(error) => Some(cold::failed(origin, &record, &error, treatment)),
        }
    }

    /// The answer where the index has nothing.
    async fn nothing(&self, look: &Look, deadline: Instant) -> Option<Answer> {
        let Self { origin, fleet, request, treatment, .. } = self;
        let path = request.path.as_str();
        if look.was_deleted() && !matches!(treatment.class, Class::Segment | Class::Part) {
            // What grows here may be older than the deletion, which memory and announcements learn of after the index: its
            // upload is about to hear that it is over, or that it came too late.
            return Some(response::missing(Outcome::Missing, path, treatment));
        }
        match origin.memory.growing(path) {
            Found::Growing(version) => {
                let answer = serve::answer(origin, &version, request, treatment).await?;
                return Some(answer.of(version.meta.class));
            }
            Found::Announced(uploads) => {
                let _held = origin.memory.hold();
                if tokio::time::timeout_at(deadline, serve::any_change(&uploads)).await.is_err() {
                    return Some(response::missing(Outcome::Announced, path, treatment));
                }
                return None;
            }
            _ => {}
        }
        if let Some(Elsewhere { uid, holder }) = fleet.open.elsewhere(path) {
            let named: Arc<str> = Arc::from(path);
            let attached = match holder.parse() {
                Ok(address) => fleet.follows.attach(address, &named, uid).await.ok(),
                Err(_) => None,
            };
            if let Some(version) = attached {
                let now = origin.clock.now();
                return self.memory_answer(&version, now).await;
            }
            fleet.open.doubt(path, uid);
        }
        if look.was_deleted() {
            return Some(response::missing(Outcome::Missing, path, treatment));
        }
        self.unheard_of(path).await
    }

    /// The answer where the index has never heard of a path. Somebody else may have written it straight into the bucket, or it is
    /// older than the fleet. What was written by a pod just now is told to the index first, which may not have been asked to
    /// commit it yet, or ever: who reads it next, wherever, finds it too.
    async fn unheard_of(&self, path: &str) -> Option<Answer> {
        let Self { origin, tiers, fleet, request, treatment, wish, .. } = self;
        let missing = || Some(response::missing(Outcome::Missing, path, treatment));
        let unavailable = |error: Arc<TierError>| Some(cold::unavailable(&error).of(treatment.class));
        let cold = match tiers.find(path, wish).await {
            Err(error) => return unavailable(error),
            Ok(None) => return missing(),
            Ok(Some(cold)) => cold,
        };
        let age = origin.clock.now().wall.duration_since(cold.record.modified).unwrap_or_default();
        // Nobody can be about to commit what is half as old as what the index forgets: that is far beyond every time-out of an upload.
        if cold.record.sequence == 0 || age > fleet.forget_after / 2 {
            return cold::read(tiers, wish, origin, request, treatment).await.or_else(missing);
        }
        tiers.doubt(&cold.record.path);
        match tiers.adopt_from_store(fleet, &cold.record.path, READ_PATIENCE).await {
            Ok(Some(_)) => None,
            Ok(None) => missing(),
            Err(error) => unavailable(error),
        }
    }
}
