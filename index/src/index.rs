//! The index of a fleet as a pod uses it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use crate::barrier;
use crate::commit::{Commit, Kind, Outcome};
use crate::config::{Config, PARTITIONS_MAX};
use crate::entry::Entry;
use crate::follower::{Content, Slot};
use crate::key::{self, Key, Layout};
use crate::nats::commit::{Condition, Order, barrier as wait_for_barrier, carry_out};
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

/// The index of a fleet. Dropping it ends its tasks; changes under way go on as far as their futures are driven.
pub struct Index {
    client: Client,
    clock: Clock,
    partitions: Vec<Arc<Shared>>,
    channel_folders: usize,
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
            let shared = Arc::new(Shared::new(layout, clock, config.nonce));
            let run = partition::run(client.clone(), Arc::clone(&shared), events.resubscribe());
            tasks.push(tokio::spawn(run));
            tasks.push(tokio::spawn(partition::guard(client.clone(), Arc::clone(&shared), created)));
            partitions.push(shared);
        }
        Ok(Self { client, clock, partitions, channel_folders: config.channel_folders, tasks })
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

    /// The path as it is now, for [`Self::commit_after`].
    pub async fn fence(&self, path: &str, patience: Duration) -> Result<Fence, ReadError> {
        let key = Key::of(path);
        let fence = wait_for_barrier(self.shared(path), key, self.clock.now() + patience).await;
        fence.ok_or(ReadError::TimedOut(patience))
    }

    /// Puts a version, or a tombstone, under its path: unless `condition` says no to what is there, or somebody changes it
    /// meanwhile. Nothing is sent after `patience`, or once `is_client_here` says no: `patience` is below the time after which
    /// an encoder tries again.
    ///
    /// A caller that drops this future does not know what became of it: a task of its own drives it to its end.
    pub async fn commit(
        &self,
        entry: &Entry,
        condition: Option<Condition>,
        patience: Duration,
        is_client_here: impl Fn() -> bool + Send + Sync,
    ) -> Outcome {
        self.carry_out(entry, None, condition, patience, &is_client_here).await
    }

    /// The same, when the fence was taken before: after the request had arrived.
    pub async fn commit_after(
        &self,
        fence: Fence,
        entry: &Entry,
        condition: Option<Condition>,
        patience: Duration,
        is_client_here: impl Fn() -> bool + Send + Sync,
    ) -> Outcome {
        self.carry_out(entry, Some(fence), condition, patience, &is_client_here).await
    }

    async fn carry_out(
        &self,
        entry: &Entry,
        fence: Option<Fence>,
        condition: Option<Condition>,
        patience: Duration,
        is_client_here: &(dyn Fn() -> bool + Send + Sync),
    ) -> Outcome {
        let body = match entry.encode() {
            Ok(body) => body.into(),
            Err(error) => return Outcome::Failed(error.to_string()),
        };
        let key = Key::of(&entry.path);
        let kind = if entry.is_live() { Kind::Put } else { Kind::Delete };
        let deadline = self.clock.now() + patience;
        let commit = Commit::new(kind, entry.uid, condition.is_some(), deadline);
        // The fence of another path says nothing about this one.
        let fence = fence.filter(|fence| fence.key == key);
        let order = Order { key, uid: entry.uid, body, condition: condition.as_ref(), fence };
        carry_out(&self.client, self.shared(&entry.path), commit, order, is_client_here).await
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

    /// Partitions.
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// Calls `each` with every live entry that this pod knows, in no order. It must be quick: nobody reads meanwhile.
    pub fn for_each(&self, mut each: impl FnMut(&Arc<Entry>)) {
        for shared in &self.partitions {
            shared.slots(|slot| {
                if let Some(entry) = slot.entry().filter(|entry| entry.is_live()) {
                    each(entry);
                }
            });
        }
    }
}

fn live(slot: Option<Slot>) -> Result<Option<Arc<Entry>>, ReadError> {
    match slot.map(|slot| slot.content) {
        Some(Content::Entry(entry)) => Ok(Some(entry).filter(|entry| entry.is_live())),
        Some(Content::Unreadable(reason)) => Err(ReadError::Unreadable(reason)),
        Some(Content::Expired) | None => Ok(None),
    }
}
