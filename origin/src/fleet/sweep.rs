//! What pods that are gone have left undone: versions in the write-ahead log that no bucket has, and bytes in the bucket that were deleted.
//!
//! Each pod copies what it took, and deletes what it was told to. One pod looks after the rest ([`super::members`] says which). When two
//! do for a moment, the second copy is the first one again: the object store orders versions by stamp and uid.
//!
//! ```text
//! in the log ─┬ the index has this version ─→ object store → looked at again → forgotten
//!             ├ the index has a later one, or that it is deleted ─→ forgotten
//!             └ the index has an earlier one ─→ a writer may be about to commit it: forgotten after a minute
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use mediaorigin_crds::policy::{Durability, Keep};
use mediaorigin_index::entry::{Entry, Place, Uid};
use mediaorigin_index::wal::Label;
use mediaorigin_index::{Fence, Kept};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::commit::live;
use super::log::{Logged, Since};
use super::seat::Seat;
use super::{Fleet, entry};
use crate::config::Hot;
use crate::tiers::walker::{Tiers, Wish};
use crate::tiers::{Record, Source, Tier, TierError, TierName};

/// How often the log is looked at.
const TICK: Duration = Duration::from_secs(3);
/// Pods that only want to know how it is look every so many times.
const OTHERS_LOOK_EVERY: u32 = 10;
/// How long a version stays in the log before anybody but its writer cares: many copies take less.
const SETTLED: Duration = Duration::from_secs(10);
/// How long a writer that is there has for its copy. It may have given it up for want of room.
const WRITER_MAX: Duration = Duration::from_mins(5);
/// How long a version that was never committed may yet be: far beyond what its writer allows itself.
const UNDECIDED_MAX: Duration = Duration::from_mins(1);
/// Versions that are brought to the object store at once.
const AT_ONCE: usize = 4;
/// Deletions of this age and less are finished when a pod has gone.
const DELETED_WITHIN: Duration = Duration::from_mins(2);

/// What is in the log, and since when it looks like that.
#[derive(Debug, Default)]
struct Seen(HashMap<Uid, (u64, Instant)>);

/// What is done about a version in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Wait,
    Copy,
    Forget,
}

/// What the index has under the path of a version in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum There {
    /// The version.
    This { is_writer_here: bool },
    /// A later one, or that there is nothing.
    Later,
    /// An earlier one, or it has never heard of the path.
    Earlier,
}

/// Runs until it is aborted, or until there is no configuration any more.
pub(crate) async fn run(
    tiers: Arc<Tiers>,
    seat: Arc<Seat>,
    hot: impl Fn() -> Option<Arc<Hot>> + Send + 'static,
) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let fleet = loop {
        ticks.tick().await;
        if let Some(fleet) = seat.fleet() {
            break Arc::clone(fleet);
        }
    };
    let (mut seen, mut is_new) = (Seen::default(), true);
    for turn in (0..OTHERS_LOOK_EVERY).cycle() {
        tokio::select! {
            _ = ticks.tick() => {}
            () = fleet.log.wanted() => {}
        }
        let Some(hot) = hot() else { return };
        if hot.policies.may_be(Durability::Replicated) {
            fleet.log.want();
        }
        let is_first = fleet.open.is_first();
        if is_first || turn == 0 || !fleet.log.is_open() {
            fleet.log.tend().await;
        }
        if is_first {
            if fleet.log.is_open()
                && (turn == 0 || fleet.log.is_short())
                && let Err(error) = tiers.sweep_log(&fleet, &mut seen, &hot).await
            {
                tracing::warn!(%error, "the write-ahead log cannot be swept, it is tried again");
            }
            // Of those that went before there was anybody to notice nothing is known.
            if fleet.open.take_gone() > 0 || std::mem::take(&mut is_new) {
                tiers.owe_deletions(&fleet, &hot);
            }
        } else {
            seen.0.clear();
        }
        tiers.delete_leftovers(&fleet).await;
    }
}

impl Seen {
    /// Takes note of what there is; versions that have not changed for a while, the oldest first.
    fn settled(&mut self, kept: &[Kept], now: Instant) -> Vec<(Uid, Duration)> {
        let mut before = std::mem::take(&mut self.0);
        for Kept { uid, messages } in kept {
            let same = before.remove(uid).filter(|(count, _)| count == messages);
            self.0.insert(*uid, same.unwrap_or((*messages, now)));
        }
        let age = |(uid, (_, since)): (&Uid, &(u64, Instant))| (*uid, now.saturating_duration_since(*since));
        let mut settled: Vec<_> = self.0.iter().map(age).filter(|(_, age)| *age >= SETTLED).collect();
        settled.sort_by_key(|(uid, age)| (std::cmp::Reverse(*age), *uid));
        settled
    }
}

fn judge(age: Duration, there: There) -> Verdict {
    match there {
        There::This { is_writer_here: true } if age < WRITER_MAX => Verdict::Wait,
        There::This { .. } => Verdict::Copy,
        There::Earlier if age < UNDECIDED_MAX => Verdict::Wait,
        There::Earlier | There::Later => Verdict::Forget,
    }
}

impl There {
    /// What `fence` says of the version `uid` with this stamp; nothing where this program cannot read what is there.
    fn of(fence: &Fence, uid: Uid, stamp: u64, fleet: &Fleet) -> Option<Self> {
        match fence.entry().ok()? {
            Some(entry) if entry.uid == uid => Some(Self::this(&entry, fleet)),
            _ if fence.stamp() >= stamp => Some(Self::Later),
            _ => Some(Self::Earlier),
        }
    }

    fn this(entry: &Entry, fleet: &Fleet) -> Self {
        Self::This { is_writer_here: writer(entry).is_some_and(|writer| fleet.open.is_here(writer)) }
    }
}

/// A version in the log that the index has, as far as this pod knows.
struct Known {
    label: Label,
    there: There,
}

fn known(fleet: &Fleet, settled: &[(Uid, Duration)]) -> HashMap<Uid, Known> {
    let wanted: HashSet<Uid> = settled.iter().map(|(uid, _)| *uid).collect();
    let mut entries = Vec::new();
    if !wanted.is_empty() {
        fleet.index.for_each(|entry| {
            if wanted.contains(&entry.uid) {
                entries.push(Arc::clone(entry));
            }
        });
    }
    let known = |entry: Arc<Entry>| {
        let label = Label { path: Arc::clone(&entry.path), stamp: entry.stamp };
        (entry.uid, Known { label, there: There::this(&entry, fleet) })
    };
    entries.into_iter().map(known).collect()
}

fn writer(entry: &Entry) -> Option<&str> {
    entry.version()?.places.iter().find_map(|place| match place {
        Place::Pod(address) => Some(address.as_str()),
        _ => None,
    })
}

impl Tiers {
    /// Brings to the object store what is in the log and should have been brought there by somebody else.
    async fn sweep_log(
        self: &Arc<Self>,
        fleet: &Arc<Fleet>,
        seen: &mut Seen,
        hot: &Arc<Hot>,
    ) -> Result<(), TierError> {
        if fleet.log.is_empty() {
            seen.0.clear();
            return Ok(());
        }
        let settled = seen.settled(&fleet.log.list().await?, Instant::now());
        let known = known(fleet, &settled);
        // What is as it should be, as far as this pod knows, costs nothing.
        let needs_look = |(uid, age): &(Uid, Duration)| {
            known.get(uid).is_none_or(|Known { label, there }| {
                judge(*age, *there) == Verdict::Copy && self.is_kept_in_store(hot, &label.path)
            })
        };
        let look = |(uid, age)| {
            let (tiers, fleet, hot) = (Arc::clone(self), Arc::clone(fleet), Arc::clone(hot));
            let label = known.get(&uid).map(|known| known.label.clone());
            async move { tiers.look_after(&fleet, &hot, (uid, label), age).await }
        };
        let settled = settled.into_iter().filter(needs_look);
        stream::iter(settled.map(look).collect::<Vec<_>>())
            .buffer_unordered(AT_ONCE)
            .try_for_each(|()| std::future::ready(Ok(())))
            .await
    }

    async fn look_after(
        self: &Arc<Self>,
        fleet: &Arc<Fleet>,
        hot: &Hot,
        (uid, label): (Uid, Option<Label>),
        age: Duration,
    ) -> Result<(), TierError> {
        let label = match label {
            Some(label) => Some(label),
            None => fleet.log.label(uid).await?,
        };
        let Some(label) = label else {
            // Its writer ended before it was whole.
            if age >= UNDECIDED_MAX {
                fleet.log.forget(uid).await;
            }
            return Ok(());
        };
        let fence = fleet.fence(&label.path).await?;
        let verdict = There::of(&fence, uid, label.stamp, fleet).map_or(Verdict::Wait, |it| judge(age, it));
        let is_done = match verdict {
            Verdict::Wait => false,
            Verdict::Forget => {
                // Whoever copied it may have gone before he looked whether it had been deleted meanwhile.
                self.take_back_deleted(fleet, &label.path, label.stamp).await?;
                true
            }
            Verdict::Copy => match fence.entry().ok().flatten().and_then(|entry| entry::record(&entry)) {
                Some(record) => self.bring(fleet, hot, &Arc::new(record)).await?,
                None => false,
            },
        };
        if is_done {
            fleet.log.forget(uid).await;
        }
        Ok(())
    }

    fn is_kept_in_store(&self, hot: &Hot, path: &str) -> bool {
        self.object_store.is_some() && Wish::of(hot.policies.treat(path).policy).object_store != Keep::Never
    }

    /// Brings a version from the log to the object store; whether it need not be in the log any more.
    async fn bring(
        self: &Arc<Self>,
        fleet: &Arc<Fleet>,
        hot: &Hot,
        record: &Arc<Record>,
    ) -> Result<bool, TierError> {
        let now = self.clock.now();
        if record.is_expired(now) {
            return Ok(true);
        }
        let wish = Wish::of(hot.policies.treat(&record.path).policy);
        let Some(store) = self.object_store.as_ref().filter(|_| wish.object_store != Keep::Never) else {
            return Ok(false);
        };
        if store.find(&record.path).await?.is_none_or(|there| there.uid != record.uid) {
            let Some(_room) = self.memory.try_reserve(record.size, now) else { return Ok(false) };
            let logged = Logged { log: Arc::clone(&fleet.log), below: None };
            let pieces: Vec<Bytes> = logged.read(record, 0..record.size).await?.try_collect().await?;
            let until = wish.until(TierName::ObjectStore, now);
            self.put_in_store(store, &record.until(until), &pieces, now).await?;
            fleet.log.swept();
        }
        self.take_back_deleted(fleet, &record.path, record.sequence).await?;
        Ok(true)
    }

    /// Behind a copy with this stamp: what was deleted while it was made is taken away again.
    pub(crate) async fn take_back_deleted(
        &self,
        fleet: &Fleet,
        path: &Arc<str>,
        stamp: u64,
    ) -> Result<(), TierError> {
        let Some(store) = &self.object_store else { return Ok(()) };
        let fence = fleet.fence(path).await?;
        let is_deleted = fence.stamp() > stamp && matches!(live(&fence), Ok(None));
        if is_deleted {
            store.delete(path, fence.stamp()).await?;
            self.known.changed(path, None, self.clock.now());
        }
        Ok(())
    }

    /// A version was kept somewhere before the index said no to it: it is only garbage there.
    pub(super) fn let_go(
        self: &Arc<Self>,
        fleet: &Arc<Fleet>,
        record: &Arc<Record>,
        wish: &Wish,
        logged: Option<Since>,
    ) {
        let (tiers, fleet, record) = (Arc::clone(self), Arc::clone(fleet), Arc::clone(record));
        if logged.is_some() {
            self.runtime.spawn(async move { fleet.forget(record.uid).await });
        } else if wish.durability == Durability::Durable {
            self.runtime.spawn(async move {
                let taken = tiers.take_back_deleted(&fleet, &record.path, record.sequence).await;
                if let Err(error) = taken {
                    tracing::warn!(%error, "what was deleted meanwhile stays in the object store, where nobody finds it");
                }
            });
        }
    }

    /// A pod has gone, perhaps between a deletion in the index and that in the object store.
    fn owe_deletions(&self, fleet: &Fleet, hot: &Hot) {
        let from = self.clock.now().wall.checked_sub(DELETED_WITHIN).map_or(0, crate::times::micros);
        let mut deleted = Vec::new();
        fleet.index.for_each_deleted(|tombstone| {
            if tombstone.stamp >= from {
                deleted.push((Arc::clone(&tombstone.path), tombstone.stamp));
            }
        });
        for (path, stamp) in deleted {
            if self.is_kept_in_store(hot, &path) {
                fleet.leftovers.owe(&path, stamp);
            }
        }
    }

    /// Deletes in the object store what the index has deleted, and whoever was told to could not.
    async fn delete_leftovers(&self, fleet: &Fleet) {
        let Some(store) = &self.object_store else { return };
        let owed = fleet.leftovers.take();
        let delete = |(path, stamp): (Arc<str>, u64)| {
            let store: Arc<dyn Tier> = Arc::clone(store);
            async move { (store.delete(&path, stamp).await, path, stamp) }
        };
        let deleted: Vec<_> = stream::iter(owed.into_iter().map(delete).collect::<Vec<_>>())
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (deleted, path, stamp) in deleted {
            match deleted {
                Ok(_) => self.known.changed(&path, None, self.clock.now()),
                Err(error) => {
                    tracing::debug!(%error, %path, "what was deleted stays in the object store for now");
                    fleet.leftovers.owe(&path, stamp);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_writer_should_have_done_is_done_by_another() {
        let (this, gone) = (There::This { is_writer_here: true }, There::This { is_writer_here: false });
        for (seconds, there, expected) in [
            (10, this, Verdict::Wait),
            (299, this, Verdict::Wait),
            (300, this, Verdict::Copy),
            (10, gone, Verdict::Copy),
            (10, There::Later, Verdict::Forget),
            (59, There::Earlier, Verdict::Wait),
            (60, There::Earlier, Verdict::Forget),
        ] {
            assert_eq!(judge(Duration::from_secs(seconds), there), expected, "{seconds} s, {there:?}");
        }
    }

    #[test]
    fn a_version_is_settled_when_it_has_not_changed_for_a_while() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        let kept = |uid, messages| Kept { uid: Uid(uid), messages };
        assert_eq!(seen.settled(&[kept(1, 1), kept(2, 1)], start), []);
        assert_eq!(seen.settled(&[kept(1, 1), kept(2, 2), kept(3, 1)], start + SETTLED / 2), []);
        let later = start + SETTLED;
        assert_eq!(seen.settled(&[kept(1, 1), kept(2, 2)], later), [(Uid(1), SETTLED)]);
        // What has gone and comes back is new.
        let later = start + SETTLED * 2;
        let settled = seen.settled(&[kept(2, 2), kept(1, 1), kept(3, 1)], later);
        assert_eq!(settled, [(Uid(1), SETTLED * 2), (Uid(2), SETTLED * 3 / 2)]);
    }
}
