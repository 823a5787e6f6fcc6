//! A PUT in a fleet, from its last byte to the moment at which all pods see it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use mediaorigin_crds::policy::{Class, Durability};
use mediaorigin_index::entry::{Entry, Place};
use mediaorigin_index::{Fence, Outcome};
use tokio::time::{Instant, sleep, timeout};

use super::change::{Arrival, Change, Waiting};
use super::log::Since;
use super::overtaking::is_behind;
use super::{COMMIT_PATIENCE, Fleet, INSIDE_BYTES_MAX, SETTLE_FOR, SETTLE_PAUSE, entry};
use crate::clock::Now;
use crate::memory::upload::{Committed, Terms, Upload};
use crate::tiers::walker::{Condition, Tiers, Wish};
use crate::tiers::{ErrorKind, Put, Record, Tier, TierError, TierName};

/// Times that a change begins anew because of what was found in the object store.
const ATTEMPTS_MAX: usize = 3;

impl Tiers {
    /// Commits an upload in a fleet.
    pub(crate) async fn commit_agreed(
        self: &Arc<Self>,
        fleet: &Arc<Fleet>,
        mut upload: Upload,
        wish: Wish,
        condition: Option<Condition>,
        arrival: Arrival,
        waiting: Waiting,
    ) -> Result<Committed, Arc<TierError>> {
        let path = Arc::clone(&upload.version().path);
        let change = Change::new(fleet, &path, condition, waiting, arrival.at);
        // Whose condition must be decided, or who may be too late, cannot be answered without the index.
        let needs_index = change.condition.is_some() || change.may_wait_since(self.clock.now()).is_some();
        let eager_after = wish.eager_after.filter(|_| !needs_index && is_inside(&upload));
        let fence = match eager_after {
            None => change.first_fence(arrival).await?,
            Some(after) => match timeout(after, change.first_fence(arrival)).await {
                Ok(Ok(fence)) => fence,
                Ok(Err(_)) | Err(_) => match self.commit_eagerly(&change, upload, &wish).await? {
                    Settled::Told(committed) => return Ok(committed),
                    Settled::Alone(unsettled) => {
                        upload = *unsettled;
                        change.fence().await?
                    }
                },
            },
        };
        self.commit_behind(&change, fence, upload, &wish, eager_after).await
    }

    /// Commits an upload that began behind `fence`.
    async fn commit_behind(
        self: &Arc<Self>,
        change: &Change,
        mut fence: Fence,
        mut upload: Upload,
        wish: &Wish,
        eager_after: Option<Duration>,
    ) -> Result<Committed, Arc<TierError>> {
        let Change { fleet, path, .. } = change;
        for _ in 0..ATTEMPTS_MAX {
            if let Some(anew) = self.adopt_what_was_before(change, &fence).await? {
                fence = anew;
            }
            let now = self.clock.now();
            change.check_age(&fence, now)?;
            let there = live(&fence)?;
            if !change.is_allowed(there.as_deref(), now) {
                return Ok(Committed::Refused);
            }
            upload.take_place(now);
            upload.pass(fence.stamp().max(fleet.held_stamp(path)));
            if upload.is_empty_or_superseded(now) {
                return Ok(upload.commit(now, wish.terms, |_| true));
            }
            let same =
                upload.same(now).filter(|same| there.as_ref().is_some_and(|there| there.uid.0 == same.uid.0));
            if same.is_some() {
                // What it asks for is what was there when it was asked.
                upload.stand_at(fence.stamp());
                return Ok(upload.commit_as(same.as_ref(), now, wish.terms, |_| true));
            }
            let Some(record) = upload.record(None, wish.terms.expires_at(now)) else {
                return Ok(Committed::Empty);
            };
            let (record, pieces) = (Arc::new(record), upload.pieces());
            let entry = Arc::new(self.describe(fleet, &record, &pieces, wish));
            if there.is_some_and(|there| is_behind(&entry, &there)) {
                return Ok(superseded(upload));
            }
            if self.make_durable_in_store(change, &record, &pieces, wish, now).await? == Put::Superseded {
                // There is a later one, of which the index need not know. Where it did not know the path at all, that one may
                // have been there before us; and what began later may be an earlier state of ours.
                self.adopt_from_store(fleet, path, COMMIT_PATIENCE).await?;
                let was_known = fence.stamp() > 0;
                fence = change.fence().await?;
                if was_known && !live(&fence)?.is_some_and(|there| is_behind(&there, &entry)) {
                    return Ok(superseded(upload));
                }
                continue;
            }
            let logged = fleet.log.promised(wish, is_inside(&upload), &record, &pieces).await?;
            let commit = change.commit(fence, Arc::clone(&entry), now, Since::bound(logged, COMMIT_PATIENCE));
            let Some(outcome) = self.submit(fleet, commit, &entry, wish, eager_after).await else {
                return Ok(hold(upload, self.clock.now(), wish.terms));
            };
            return match outcome {
                Outcome::Committed { replaced, .. } => {
                    let committed = upload.commit_agreed(replaced, self.clock.now(), wish.terms);
                    if let Committed::Created(version) | Committed::Replaced(version) = &committed {
                        self.copy_on(&record, version, &pieces, wish, now, logged.is_some());
                    }
                    Ok(committed)
                }
                Outcome::Superseded | Outcome::Nothing => {
                    if let Some(anew) = self.go_on_behind(change, &entry, wish, now).await? {
                        fence = anew;
                        continue;
                    }
                    self.let_go(fleet, &record, wish, logged);
                    Ok(superseded(upload))
                }
                Outcome::Refused => {
                    self.let_go(fleet, &record, wish, logged);
                    Ok(Committed::Refused)
                }
                outcome => Err(Arc::new(undecided(path, &outcome))),
            };
        }
        Err(Arc::new(unavailable("write", path, "the object store and the index do not agree")))
    }

    /// Asks the index to commit; `None` where it was silent, and another pod holds the version too.
    async fn submit(
        self: &Arc<Self>,
        fleet: &Arc<Fleet>,
        commit: impl Future<Output = Outcome> + Send + 'static,
        entry: &Arc<Entry>,
        wish: &Wish,
        eager_after: Option<Duration>,
    ) -> Option<Outcome> {
        let Some(after) = eager_after else { return Some(commit.await) };
        let mut commit = self.runtime.spawn(commit);
        // The origin stops where a task does not come to its end.
        if let Ok(outcome) = timeout(after, &mut commit).await {
            return Some(outcome.unwrap_or(Outcome::Unknown));
        }
        if fleet.eager.hold(entry).await {
            self.settle(fleet, Arc::clone(entry), *wish);
            return None;
        }
        Some(commit.await.unwrap_or(Outcome::Unknown))
    }

    /// Makes an upload count without the index, which is silent, where another pod holds it too.
    async fn commit_eagerly(
        self: &Arc<Self>,
        change: &Change,
        mut upload: Upload,
        wish: &Wish,
    ) -> Result<Settled, Arc<TierError>> {
        let Change { fleet, path, .. } = change;
        let now = self.clock.now();
        upload.take_place(now);
        upload.pass(fleet.index.peek(path).stamp().max(fleet.held_stamp(path)));
        if upload.is_empty_or_superseded(now) {
            return Ok(Settled::Alone(Box::new(upload)));
        }
        let Some(record) = upload.record(None, wish.terms.expires_at(now)) else {
            return Ok(Settled::Alone(Box::new(upload)));
        };
        let (record, pieces) = (Arc::new(record), upload.pieces());
        let entry = Arc::new(self.describe(fleet, &record, &pieces, wish));
        let known = [live(&fleet.index.peek(path))?, fleet.eager.newer(path, None)];
        if known.iter().flatten().any(|there| is_behind(&entry, there)) {
            return Ok(Settled::Told(superseded(upload)));
        }
        if self.make_durable_in_store(change, &record, &pieces, wish, now).await? == Put::Superseded {
            return Ok(Settled::Alone(Box::new(upload)));
        }
        if !fleet.eager.hold(&entry).await {
            return Ok(Settled::Alone(Box::new(upload)));
        }
        self.settle(fleet, entry, *wish);
        Ok(Settled::Told(hold(upload, now, wish.terms)))
    }

    /// Commits what was acknowledged eagerly as soon as the log does.
    fn settle(self: &Arc<Self>, fleet: &Arc<Fleet>, entry: Arc<Entry>, wish: Wish) {
        let (tiers, fleet) = (Arc::clone(self), Arc::clone(fleet));
        self.runtime.spawn(async move {
            let deadline = Instant::now() + SETTLE_FOR;
            while Instant::now() < deadline {
                match tiers.commit_held(&fleet, &entry, &wish, tiers.clock.now()).await {
                    Ok(()) => return fleet.eager.settled(&entry),
                    Err(error) => tracing::debug!(%error, path = &*entry.path, "not committed yet"),
                }
                sleep(SETTLE_PAUSE).await;
            }
            tracing::error!(path = &*entry.path, "what was acknowledged eagerly could not be committed");
        });
    }

    pub(super) async fn make_durable_in_store(
        &self,
        change: &Change,
        record: &Arc<Record>,
        pieces: &[Bytes],
        wish: &Wish,
        now: Now,
    ) -> Result<Put, Arc<TierError>> {
        if self.promised_store(wish).is_some() && !change.is_awaited() {
            return Err(Arc::new(unavailable("write", &change.path, "the client is gone")));
        }
        self.put_where_durable(record, pieces, wish, now).await
    }

    /// The same, for nobody who waits.
    pub(super) async fn put_where_durable(
        &self,
        record: &Arc<Record>,
        pieces: &[Bytes],
        wish: &Wish,
        now: Now,
    ) -> Result<Put, Arc<TierError>> {
        let Some(store) = self.promised_store(wish) else { return Ok(Put::Stored) };
        let until: Option<SystemTime> = wish.until(TierName::ObjectStore, now);
        self.put_in_store(store, &record.until(until), pieces, now).await.map_err(Arc::new)
    }

    /// The object store, where a 2xx promises that it has the version.
    fn promised_store(&self, wish: &Wish) -> Option<&Arc<dyn Tier>> {
        self.object_store.as_ref().filter(|_| wish.durability == Durability::Durable)
    }

    /// What the index is told of a version: small manifests whole, of others where they are.
    fn describe(&self, fleet: &Fleet, record: &Record, pieces: &[Bytes], wish: &Wish) -> Entry {
        if record.meta.class == Class::Manifest && record.size <= INSIDE_BYTES_MAX {
            return entry::of_record(record, Vec::new(), Some(pieces.concat().into()));
        }
        let mut places = vec![Place::Pod(fleet.address().to_owned())];
        if wish.durability == Durability::Replicated {
            places.push(Place::Log);
        }
        if self.promised_store(wish).is_some() {
            places.push(Place::ObjectStore(record.path.to_string()));
        }
        entry::of_record(record, places, None)
    }
}

/// What became of an upload while the index was silent.
enum Settled {
    /// Another pod holds it too, or a later state of it is there.
    Told(Committed),
    /// No other pod does.
    Alone(Box<Upload>),
}

/// Whether an upload would ride inside its entry.
fn is_inside(upload: &Upload) -> bool {
    upload.version().meta.class == Class::Manifest && upload.written() <= INSIDE_BYTES_MAX
}

fn hold(upload: Upload, now: Now, terms: Terms) -> Committed {
    match upload.commit_agreed(true, now, terms) {
        Committed::Replaced(version) => Committed::Held(version),
        committed => committed,
    }
}

/// Its readers have all of it; it is not what lies under its path.
fn superseded(upload: Upload) -> Committed {
    let version = Arc::clone(upload.version());
    upload.end();
    Committed::Superseded(version)
}

pub(super) fn live(fence: &Fence) -> Result<Option<Arc<Entry>>, Arc<TierError>> {
    fence.entry().map_err(|error| Arc::new(unavailable("read", "the index", &error.to_string())))
}

pub(super) fn undecided(path: &str, outcome: &Outcome) -> TierError {
    let why = match outcome {
        Outcome::Failed(text) => text.clone(),
        Outcome::Abandoned => "it did not answer in time; nothing was changed".to_owned(),
        _ => "it did not answer in time; whether the change was made is not known".to_owned(),
    };
    unavailable("commit", path, &why)
}

pub(super) fn unavailable(what: &str, path: &str, why: &str) -> TierError {
    TierError::new(TierName::Index, format!("{what} {path}"), ErrorKind::Unavailable, why)
}
