//! The index of a fleet as a pod uses it.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use futures_util::future::join_all;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use crate::answer::Answer;
use crate::barrier;
use crate::commit::{Commit, Kind, Outcome};
use crate::config::{Config, PARTITIONS_MAX};
use crate::entry::{Entry, Rank};
use crate::follower::{Content, Slot};
use crate::key::{self, Key, Layout};
use crate::nats::board::Board;
use crate::nats::commit::{Condition, Order, Rules, barrier as wait_for_barrier, carry_out, forget};
use crate::nats::connect::{ConnectError, connect};
use crate::nats::shared::{Clock, Counts, Shared};
use crate::nats::{partition, stream};
use crate::replica;

/// A change of a path that this pod has learnt of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key of the path.
    pub key: Key,
    /// What is there now.
    pub slot: Slot,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The log did not answer in time.
    #[error("the index did not answer within {0:?}")]
    TimedOut(Duration),
    /// The entry was written by a newer program, or is broken.
    #[error("the entry cannot be read: {0}")]
    Unreadable(Arc<str>),
    /// The entry that was to be adopted cannot be: it is too large, or the servers refuse it for good.
    #[error("the entry cannot be adopted: {0}")]
    Refused(String),
}

/// How one partition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether it answers for what is there.
    pub is_ready: bool,
    /// What somebody must act on.
    pub trouble: Option<String>,
    /// How long there has been no connection.
    pub cut_off: Option<Duration>,
    /// How long ago the last valid barrier came by: what is read without a barrier is not older.
    pub age: Option<Duration>,
    /// The last place that was applied.
    pub last: u64,
    /// Keys that are known, tombstones too.
    pub keys: usize,
    /// What they need in memory, estimated, in bytes.
    pub memory_bytes: usize,
    /// Requests that wait for a barrier.
    pub waiters: usize,
    /// Holes that were met.
    pub holes: u64,
    /// What barriers counted.
    pub barriers: barrier::Counts,
    /// What the replica counted.
    pub replica: replica::Counts,
    /// What the connection counted.
    pub counts: Counts,
}

/// A path as it was behind a barrier that was sent after the request for a change had arrived. Asked for while the body of an
/// upload arrives, it takes no time at its end.
#[derive(Clone, Debug)]
pub struct Fence {
    pub(crate) key: Key,
    pub(crate) slot: Option<Slot>,
}

impl Fence {
    /// What was there: a live entry, if there was one.
    pub fn entry(&self) -> Result<Option<Arc<Entry>>, ReadError> {
        live(self.slot.clone())
    }

    /// The stamp of whatever was there, of a tombstone too; 0 if there was nothing.
    pub fn stamp(&self) -> u64 {
        self.rank().map_or(0, |rank| rank.stamp)
    }

    /// The stamp of a change that begins now, at `clock_micros` microseconds since 1970 by the clock of this pod: it is above that of
    /// whatever was there.
    pub fn stamp_after(&self, clock_micros: u64) -> u64 {
        clock_micros.max(self.stamp().saturating_add(1))
    }

    fn rank(&self) -> Option<Rank> {
        self.slot.as_ref().and_then(Slot::rank)
    }
}

/// The index of a fleet. Dropping it ends its tasks; changes under way go on as far as their futures are driven.
pub struct Index {
    client: Client,
    clock: Clock,
    partitions: Vec<Arc<Shared>>,
    channel_folders: usize,
    mark: Duration,
    tasks: Vec<JoinHandle<()>>,
}

impl fmt::Debug for Index {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Index").field("partitions", &self.partitions.len()).finish_non_exhaustive()
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Index {
    /// Connects, makes the streams if nobody has, and begins to follow them. It is ready a little later.
    pub async fn connect(config: &Config) -> Result<Self, ConnectError> {
        if config.partitions == 0 || config.partitions > PARTITIONS_MAX {
            let text = format!("an index has 1 to {PARTITIONS_MAX} partitions, not {}", config.partitions);
            return Err(ConnectError::Config(text));
        }
        let (client, events) = connect(config).await?;
        let clock = Clock::new();
        let (mut partitions, mut tasks) = (Vec::new(), Vec::new());
        for number in 0..config.partitions {
            let layout = Layout::new(config.scope.clone(), number);
            let created = stream::ensure(&client, &layout, config).await?;
            let shared = Arc::new(Shared::new(layout, clock, config.nonce, config.mark));
            let run = partition::run(client.clone(), Arc::clone(&shared), events.resubscribe());
            tasks.push(tokio::spawn(run));
            tasks.push(tokio::spawn(partition::guard(client.clone(), Arc::clone(&shared), created)));
            partitions.push(shared);
        }
        let (channel_folders, mark) = (config.channel_folders, config.mark);
        Ok(Self { client, clock, partitions, channel_folders, mark, tasks })
    }

    fn shared(&self, path: &str) -> &Shared {
        let count = u16::try_from(self.partitions.len()).unwrap_or(PARTITIONS_MAX);
        &self.partitions[usize::from(key::partition(path, self.channel_folders, count))]
    }

    /// What this pod knows of a path, without asking anybody: it may be older than what others were told.
    pub fn get(&self, path: &str) -> Result<Option<Arc<Entry>>, ReadError> {
        live(self.shared(path).slot(Key::of(path)))
    }

    /// What is under a path, not older than anything that anybody was told before this call.
    pub async fn strict_get(&self, path: &str, patience: Duration) -> Result<Option<Arc<Entry>>, ReadError> {
        live(self.fence(path, patience).await?.slot)
    }

    /// A path as this pod knows it, without asking anybody: not good enough for a commit.
    pub fn peek(&self, path: &str) -> Fence {
        let key = Key::of(path);
        Fence { key, slot: self.shared(path).slot(key) }
    }

    /// The path as it is now, for [`Self::commit_after`].
    pub async fn fence(&self, path: &str, patience: Duration) -> Result<Fence, ReadError> {
        let key = Key::of(path);
        let fence = wait_for_barrier(self.shared(path), key, self.clock.now() + patience).await;
        fence.ok_or(ReadError::TimedOut(patience))
    }

    /// Waits until this pod knows all that anybody was told before this call, of every path.
    pub async fn catch_up(&self, patience: Duration) -> Result<(), ReadError> {
        let (key, deadline) = (Key::of(""), self.clock.now() + patience);
        let barriers = self.partitions.iter().map(|shared| wait_for_barrier(shared, key, deadline));
        let is_known = join_all(barriers).await.iter().all(Option::is_some);
        if is_known { Ok(()) } else { Err(ReadError::TimedOut(patience)) }
    }

    /// Puts a version, or a tombstone, under its path: unless `condition` says no to what is there, or somebody changes it
    /// meanwhile. Its stamp is raised above that of what is there now. Nothing is sent after `patience`, or once `is_client_here`
    /// says no: `patience` is below the time after which an encoder tries again.
    ///
    /// A caller that drops this future does not know what became of it: a task of its own drives it to its end.
    pub async fn commit(
        &self,
        entry: &Entry,
        condition: Option<Condition>,
        patience: Duration,
        is_client_here: impl Fn() -> bool + Send + Sync,
    ) -> Outcome {
        let deadline = self.clock.now() + patience;
        let (shared, key) = (self.shared(&entry.path), Key::of(&entry.path));
        let Some(fence) = wait_for_barrier(shared, key, deadline).await else {
            shared.count(|counts| counts.abandoned += 1);
            return Outcome::Abandoned;
        };
        let entry = Entry { stamp: fence.stamp_after(entry.stamp), ..entry.clone() };
        self.carry_out(&entry, fence, &condition.into(), deadline, &is_client_here).await.0
    }

    /// The same, when the fence was taken before: after the request had arrived. The stamp of the entry is above that of the fence,
    /// which [`Fence::stamp_after`] sees to; otherwise it fails. It is committed with that stamp and no other, so whatever else is
    /// ordered by stamps, as the object store is, agrees with the log about who came last.
    pub async fn commit_after(
        &self,
        fence: Fence,
        entry: &Entry,
        rules: impl Into<Rules>,
        patience: Duration,
        is_client_here: impl Fn() -> bool + Send + Sync,
    ) -> Outcome {
        if fence.key != Key::of(&entry.path) {
            return Outcome::Failed("the fence is one of another path".to_owned());
        }
        if entry.stamp <= fence.stamp() {
            let (is, fence) = (entry.stamp, fence.stamp());
            return Outcome::Failed(format!("the stamp {is} is not above {fence}, that of the fence"));
        }
        let deadline = self.clock.now() + patience;
        self.carry_out(entry, fence, &rules.into(), deadline, &is_client_here).await.0
    }

    /// Commits the entry of somebody who died before he did, unless what is there has a rank at least as high; the answer is what is
    /// there then, not older than anything that anybody was told before this call. Nobody was told what became of that change, so
    /// it may take effect now. He may be alive, and commit it too: it is one change all the same.
    ///
    /// Whoever adopts decides no condition of a client: an entry that had one must not be adopted before it was committed. Where the
    /// entry gives way to what is there, that is the answer.
    pub async fn adopt(
        &self,
        entry: &Entry,
        yields: Option<Condition>,
        patience: Duration,
    ) -> Result<Option<Arc<Entry>>, ReadError> {
        let deadline = self.clock.now() + patience;
        let fence = wait_for_barrier(self.shared(&entry.path), Key::of(&entry.path), deadline).await;
        let fence = fence.ok_or(ReadError::TimedOut(patience))?;
        // What cannot be read is not overwritten by somebody whom nobody asked to.
        let there = fence.entry()?;
        if fence.rank() >= Some(entry.rank()) {
            return Ok(there);
        }
        match self.carry_out(entry, fence, &Rules { allows: None, yields }, deadline, &|| true).await {
            (Outcome::Committed { .. }, _) => Ok(entry.is_live().then(|| Arc::new(entry.clone()))),
            (Outcome::Superseded | Outcome::Nothing | Outcome::Refused, slot) => live(slot),
            (Outcome::Unknown | Outcome::Abandoned, _) => Err(ReadError::TimedOut(patience)),
            (Outcome::Failed(reason), _) => Err(ReadError::Refused(reason)),
        }
    }

    async fn carry_out(
        &self,
        entry: &Entry,
        fence: Fence,
        rules: &Rules,
        deadline: Duration,
        is_client_here: &(dyn Fn() -> bool + Send + Sync),
    ) -> (Outcome, Option<Slot>) {
        let body = match entry.encode() {
            Ok(body) => body.into(),
            Err(error) => return (Outcome::Failed(error.to_string()), fence.slot),
        };
        let kind = if entry.is_live() { Kind::Put } else { Kind::Delete };
        let commit = Commit::new(kind, entry.rank(), rules.allows.is_some(), deadline);
        let order = Order { key: fence.key, uid: entry.uid, stamp: entry.stamp, body, rules, fence };
        carry_out(&self.client, self.shared(&entry.path), commit, order, is_client_here).await
    }

    /// Takes `entry`, a tombstone too, out of the index, if it is what lies under its path; whether it did. From then on the path is one
    /// that the index has never heard of: whoever calls this knows that all that asks for it is answered the same without the index. What
    /// is left is a mark, which the servers drop after half an hour and pods after an hour.
    pub async fn forget(&self, entry: &Entry) -> bool {
        let (shared, key) = (self.shared(&entry.path), Key::of(&entry.path));
        let Some(slot) = shared.slot(key).filter(|slot| slot.rank() == Some(entry.rank())) else {
            return false;
        };
        let answer = forget(&self.client, shared, key, slot.seq, self.mark).await;
        let is_forgotten = matches!(answer, Answer::Stored { .. });
        shared.count(|counts| counts.forgotten += u64::from(is_forgotten));
        is_forgotten
    }

    /// What this pod needs in memory for what it knows, estimated, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.partitions.iter().map(|shared| shared.memory_bytes()).sum()
    }

    /// Whether all partitions answer for what is there.
    pub fn is_ready(&self) -> bool {
        self.partitions.iter().all(|shared| shared.health().is_ready)
    }

    /// How each partition is.
    pub fn health(&self) -> Vec<Health> {
        self.partitions.iter().map(|shared| shared.health()).collect()
    }

    /// Changes of one partition from now on, in their order. A listener that is too slow is told how many he missed.
    pub fn watch(&self, partition: usize) -> Option<broadcast::Receiver<Change>> {
        Some(self.partitions.get(partition)?.changes.subscribe())
    }

    /// Where the pods of this index leave notices of one kind for each other.
    pub fn board(&self, kind: key::Kind) -> Board {
        let subject = self.partitions.first().map_or_else(String::new, |shared| shared.layout.notices(kind));
        Board::new(self.client.clone(), subject)
    }

    /// Partitions.
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// How long ago what this pod knows of `path` was all that anybody had been told; `None` before it ever was.
    pub fn age(&self, path: &str) -> Option<Duration> {
        self.shared(path).age()
    }

    /// Calls `each` with every live entry that this pod knows, in no order. It must be quick: nobody reads meanwhile.
    pub fn for_each(&self, mut each: impl FnMut(&Arc<Entry>)) {
        self.entries(|entry| entry.is_live().then(|| each(entry)));
    }

    /// The same with every tombstone.
    pub fn for_each_deleted(&self, mut each: impl FnMut(&Arc<Entry>)) {
        self.entries(|entry| (!entry.is_live()).then(|| each(entry)));
    }

    fn entries(&self, mut each: impl FnMut(&Arc<Entry>) -> Option<()>) {
        for shared in &self.partitions {
            shared.slots(|slot| {
                slot.entry().and_then(&mut each);
            });
        }
    }
}

fn live(slot: Option<Slot>) -> Result<Option<Arc<Entry>>, ReadError> {
    match slot.map(|slot| slot.content) {
        Some(Content::Entry(entry)) => Ok(Some(entry).filter(|entry| entry.is_live())),
        Some(Content::Unreadable { reason, .. }) => Err(ReadError::Unreadable(reason)),
        Some(Content::Expired) | None => Ok(None),
    }
}
