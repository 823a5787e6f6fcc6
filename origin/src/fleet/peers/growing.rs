//! Uploads that grow on other pods, followed here: one connection for each, however many read it.
//!
//! ```text
//! attach ─→ question to the holder ─first byte→ growing here under its own name ─last byte→ waits for the word of the index
//!                                                 └ breaks: given up, readers are cut        └─→ committed │ ended │ given up
//! ```
//!
//! What came here whole is not complete before the index says so: until then readers have all its bytes and not its end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, Shared};
use futures_util::stream::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::address::Address;
use super::client::{Bytestream, PeerError, Peers};
use super::wire::About;
use crate::clock::Clock;
use crate::memory::blob::Uid;
use crate::memory::object::Version;
use crate::memory::upload::{Opening, Terms, Upload};
use crate::memory::{Full, Memory};

/// Bounds of what is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Uploads that are followed at once.
    pub follows_max: usize,
    /// How long one that came whole waits for the word of the index.
    pub word_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { follows_max: 1_024, word_wait: Duration::from_secs(5) }
    }
}

/// What the index says of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It is the version under its path: at this place in the order, and kept for so long.
    Committed {
        /// Its place.
        sequence: u64,
        /// How long it stays here.
        terms: Terms,
    },
    /// It came whole, and a newer version is the one under its path.
    Superseded,
    /// It was given up.
    Withdrawn,
}

/// Why an upload of another pod is not followed, or not any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// The other pod does not give it.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// There is no memory for it.
    #[error(transparent)]
    Full(#[from] Full),
    /// Too many are followed.
    #[error("too many uploads of other pods are followed")]
    Busy,
    /// It ended without a byte.
    #[error("it ended without a byte")]
    Empty,
    /// It came whole, and the index said nothing.
    #[error("the index did not say that it is committed")]
    Unsaid,
    /// It was given up.
    #[error("it was given up")]
    Withdrawn,
    /// This pod stops.
    #[error("this pod stops")]
    Stopping,
}

type Opened = Result<Arc<Version>, FollowError>;

/// What is followed.
#[derive(Debug)]
pub struct Follows {
    memory: Arc<Memory>,
    clock: Clock,
    peers: Arc<Peers>,
    limits: Limits,
    runtime: Handle,
    open: Mutex<HashMap<Uid, Follow>>,
}

#[derive(Debug)]
struct Follow {
    opened: Shared<BoxFuture<'static, Opened>>,
    /// Taken when the index has spoken.
    word: Option<oneshot::Sender<Word>>,
}

/// A place among what is followed.
struct Place {
    follows: Arc<Follows>,
    uid: Uid,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.follows.open().remove(&self.uid);
    }
}

impl Follows {
    /// Nothing yet. What is followed is followed on `runtime`, into `memory`.
    pub fn new(
        memory: Arc<Memory>,
        clock: Clock,
        peers: Arc<Peers>,
        limits: Limits,
        runtime: Handle,
    ) -> Arc<Self> {
        Arc::new(Self { memory, clock, peers, limits, runtime, open: Mutex::default() })
    }

    /// The version `uid` under `path` as it grows here, from the pod at `address` if nobody asked before; it has a byte when
    /// this returns, and is found in memory like an upload to this pod. Who asks may leave: others may read it by then.
    ///
    /// The index may have spoken of it just before: whoever attaches must look there once more, and call [`Self::finish`].
    pub async fn attach(self: &Arc<Self>, address: Address, path: &Arc<str>, uid: Uid) -> Opened {
        let (opened, task) = {
            let mut open = self.open();
            if let Some(follow) = open.get(&uid) {
                (follow.opened.clone(), None)
            } else if let Some(version) = self.memory.holding(path, uid, self.clock.now()) {
                return Ok(version);
            } else if open.len() >= self.limits.follows_max {
                return Err(FollowError::Busy);
            } else {
                let (follow, task) = self.begin(address, Arc::clone(path), uid);
                let opened = follow.opened.clone();
                open.insert(uid, follow);
                (opened, Some(task))
            }
        };
        if let Some(task) = task {
            // Outside the lock: a runtime that has ended drops it at once.
            self.runtime.spawn(task);
        }
        opened.await
    }

    /// Gives the word of the index to whoever waits for it, now or when the last byte is here; whether `uid` is followed. Only
    /// the first word counts.
    pub fn finish(&self, uid: Uid, word: Word) -> bool {
        let mut open = self.open();
        let Some(follow) = open.get_mut(&uid) else { return false };
        if let Some(tell) = follow.word.take() {
            // It may just have ended.
            let _ = tell.send(word);
        }
        true
    }

    /// How many are followed now.
    pub fn count(&self) -> usize {
        self.open().len()
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Uid, Follow>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(
        self: &Arc<Self>,
        address: Address,
        path: Arc<str>,
        uid: Uid,
    ) -> (Follow, impl Future<Output = ()> + use<>) {
        let (tell, told) = oneshot::channel();
        let (word, said) = oneshot::channel();
        let place = Place { follows: Arc::clone(self), uid };
        let task = async move {
            if let Err(error) = place.run(address, &path, tell, said).await {
                tracing::debug!(%error, %address, path = &*path, "an upload to another pod is not followed any more");
            }
        };
        let opened = async { told.await.unwrap_or(Err(FollowError::Stopping)) };
        (Follow { opened: opened.boxed().shared(), word: Some(word) }, task)
    }
}

impl Place {
    async fn run(
        &self,
        address: Address,
        path: &Arc<str>,
        tell: oneshot::Sender<Opened>,
        said: oneshot::Receiver<Word>,
    ) -> Result<(), FollowError> {
        let opened = self.open(address, path).await;
        // Those who asked may have left; the upload goes on for those who come.
        let (upload, bytes) = match opened {
            Ok((upload, bytes)) => {
                let _ = tell.send(Ok(Arc::clone(upload.version())));
                (upload, bytes)
            }
            Err(error) => {
                let _ = tell.send(Err(error.clone()));
                return Err(error);
            }
        };
        self.pump(upload, bytes, said).await
    }

    /// Asks for it; its first bytes are here when this returns.
    async fn open(&self, address: Address, path: &Arc<str>) -> Result<(Upload, Bytestream), FollowError> {
        let Follows { memory, clock, peers, .. } = &*self.follows;
        let mut fetched = peers.follow(address, path, self.uid).await?;
        let first = fetched.bytes.next().await.ok_or(FollowError::Empty)??;
        let nothing = || PeerError::Broken("it says nothing of what it gives".to_owned());
        let About { meta, started } = fetched.description.about.ok_or_else(nothing)?;
        let length = fetched.description.size;
        let opening = Opening { path: Arc::clone(path), uid: self.uid, meta, early: true, length };
        // Only what is here and over has this name: otherwise it would have been found.
        let mut upload = memory.follow(opening, started, clock).await?.ok_or(FollowError::Withdrawn)?;
        upload.write(&first, clock).await?;
        Ok((upload, fetched.bytes))
    }

    /// Brings the rest. An error drops the upload, which cuts its readers off.
    async fn pump(
        &self,
        mut upload: Upload,
        mut bytes: Bytestream,
        mut said: oneshot::Receiver<Word>,
    ) -> Result<(), FollowError> {
        let mut word = None;
        loop {
            tokio::select! {
                biased;
                told = &mut said, if word.is_none() => match told {
                    Ok(Word::Withdrawn) | Err(_) => return Err(FollowError::Withdrawn),
                    Ok(told) => word = Some(told),
                },
                next = bytes.next() => match next {
                    Some(next) => upload.write(&next?, &self.follows.clock).await?,
                    None => break,
                },
            }
        }
        let word = if let Some(word) = word {
            word
        } else {
            let told = timeout(self.follows.limits.word_wait, said).await;
            told.map_err(|_| FollowError::Unsaid)?.map_err(|_| FollowError::Withdrawn)?
        };
        match word {
            Word::Committed { sequence, terms } => {
                upload.commit_at(sequence, self.follows.clock.now(), terms);
            }
            Word::Superseded => upload.end(),
            Word::Withdrawn => return Err(FollowError::Withdrawn),
        }
        Ok(())
    }
}
