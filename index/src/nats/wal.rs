//! The write-ahead log over NATS: messages out, messages back. What they hold is decided in [`crate::wal`].
//!
//! It has a connection of its own: half a megabyte on its way would hold up the barriers of the index.

mod exchange;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout};

use self::exchange::Exchange;
use super::connect::{ConnectError, connect};
use super::stream::ensure_wal;
use crate::config::Config;
use crate::entry::Uid;
use crate::wal::{Cutter, Damage, Frame, Joiner, Label, MESSAGE_BYTES, Names, numbers};

/// Bytes of one version that are sent and not acknowledged; whoever writes faster waits.
pub const OUTSTANDING_BYTES_MAX: usize = 8 << 20;
const OUTSTANDING_MAX: usize = OUTSTANDING_BYTES_MAX / MESSAGE_BYTES;
/// The same for all versions of a pod.
const OUTSTANDING_OF_ALL_MAX: usize = 16 * OUTSTANDING_MAX;
/// Messages that are asked for at once by one reader.
const READ_AHEAD: usize = 4;

/// Why bytes are not in the log, or not out of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalError {
    /// There is no room for a message.
    #[error("the write-ahead log is full: {0}")]
    Full(String),
    /// A message was not acknowledged in time, or refused.
    #[error("message {number} of {uid} is not in the write-ahead log: {reason}")]
    NotStored {
        /// Of which version.
        uid: Uid,
        /// Which one.
        number: u64,
        /// The last answer.
        reason: String,
    },
    /// A message is not in the log: it never was, or it was forgotten, or is too old.
    #[error("message {number} of {uid} is not in the write-ahead log")]
    Missing {
        /// Of which version.
        uid: Uid,
        /// Which one.
        number: u64,
    },
    /// Nobody gave a message in time.
    #[error("message {number} of {uid} cannot be read from the write-ahead log: {reason}")]
    NotRead {
        /// Of which version.
        uid: Uid,
        /// Which one.
        number: u64,
        /// The last answer.
        reason: String,
    },
    /// A message is not what was written.
    #[error("message {number} of {uid} in the write-ahead log is damaged: {damage}")]
    Damaged {
        /// Of which version.
        uid: Uid,
        /// Which one.
        number: u64,
        /// What is wrong with it.
        damage: Damage,
    },
    /// The servers did not do what they were asked for.
    #[error("the write-ahead log does not answer: {0}")]
    Silent(String),
}

/// A version of which something is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Which one.
    pub uid: Uid,
    /// Messages of it.
    pub messages: u64,
}

/// What is in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Messages.
    pub messages: u64,
    /// What they take, in bytes.
    pub bytes: u64,
    /// What they may take, in bytes.
    pub bytes_max: u64,
}

/// The write-ahead log of a fleet.
#[derive(Clone)]
pub struct Wal {
    exchange: Arc<Exchange>,
    outstanding: Arc<Semaphore>,
}

impl fmt::Debug for Wal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Wal").field("names", &self.exchange.names).finish_non_exhaustive()
    }
}

impl Wal {
    /// Connects, and makes the stream if nobody has.
    pub async fn connect(config: &Config) -> Result<Self, ConnectError> {
        let (client, _) = connect(config).await?;
        let names = Names::new(config.scope.clone());
        ensure_wal(&client, &names, config).await?;
        let outstanding = Arc::new(Semaphore::new(OUTSTANDING_OF_ALL_MAX));
        Ok(Self { exchange: Arc::new(Exchange { client, names }), outstanding })
    }

    /// Begins to write version `uid`, of which `label` says whose it is. Each message has to be acknowledged within `patience`.
    pub fn writer(&self, uid: Uid, label: Label, patience: Duration) -> Writer {
        let wal = self.clone();
        Writer { wal, uid, patience, cutter: Cutter::new(label), sent: JoinSet::new() }
    }

    /// What the writer of version `uid` said of it; `None` if it said nothing.
    pub async fn label(&self, uid: Uid, patience: Duration) -> Result<Option<Label>, WalError> {
        Ok(self.exchange.get(uid, 0, patience).await?.label)
    }

    /// What is in it now.
    pub async fn held(&self, patience: Duration) -> Result<Held, WalError> {
        let stream = self.exchange.names.stream();
        let answer = self.exchange.ask(&format!("STREAM.INFO.{stream}"), &Value::Null, patience).await?;
        let number = |pointer: &str| answer.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
        Ok(Held {
            messages: number("/state/messages"),
            bytes: number("/state/bytes"),
            bytes_max: number("/config/max_bytes"),
        })
    }

    /// The bytes in `range` of version `uid`, which has `size` bytes, in order and checked; its end is the first error. Any server that
    /// has a copy answers; for each message, what is not there yet is waited for within `patience`.
    pub fn read(
        &self,
        uid: Uid,
        size: u64,
        range: Range<u64>,
        patience: Duration,
    ) -> impl Stream<Item = Result<Bytes, WalError>> + Send + use<> {
        let exchange = Arc::clone(&self.exchange);
        let messages = stream::iter(numbers(size, &range)).map(move |number| {
            let exchange = Arc::clone(&exchange);
            async move { exchange.get(uid, number, patience).await }
        });
        let mut joiner = Joiner::new(size, range);
        let join = move |frame: Result<Frame, WalError>| {
            let frame = frame?;
            let number = frame.number;
            joiner.take(frame).map_err(|damage| WalError::Damaged { uid, number, damage })
        };
        let mut is_over = false;
        let parts = messages.buffered(READ_AHEAD).map(join);
        let until_error = parts.take_while(move |part| {
            let goes_on = !is_over;
            is_over = part.is_err();
            std::future::ready(goes_on)
        });
        until_error.filter(|part| std::future::ready(part.as_ref().map_or(true, |bytes| !bytes.is_empty())))
    }

    /// Removes what there is of version `uid`, once the object store has it; how many messages there were.
    pub async fn forget(&self, uid: Uid, patience: Duration) -> Result<u64, WalError> {
        let Exchange { names, .. } = &*self.exchange;
        let body = json!({ "filter": names.version(uid) });
        let answer = self.exchange.ask(&format!("STREAM.PURGE.{}", names.stream()), &body, patience).await?;
        Ok(answer.get("purged").and_then(Value::as_u64).unwrap_or_default())
    }

    /// Versions of which something is in the log, in the order of their uids: for whoever brings them to the object store when their own
    /// pods are gone.
    pub async fn list(&self, patience: Duration) -> Result<Vec<Kept>, WalError> {
        let Exchange { names, .. } = &*self.exchange;
        let mut kept = BTreeMap::<Uid, u64>::new();
        let mut offset = 0;
        loop {
            let body = json!({ "subjects_filter": names.all(), "offset": offset });
            let answer =
                self.exchange.ask(&format!("STREAM.INFO.{}", names.stream()), &body, patience).await?;
            let subjects = answer.pointer("/state/subjects").and_then(Value::as_object);
            let count = subjects.map_or(0, Map::len);
            for subject in subjects.into_iter().flat_map(Map::keys) {
                if let Some(uid) = names.uid(subject) {
                    *kept.entry(uid).or_default() += 1;
                }
            }
            offset += count;
            let total = answer.get("total").and_then(Value::as_u64).unwrap_or_default();
            if count == 0 || offset as u64 >= total {
                return Ok(kept.into_iter().map(|(uid, messages)| Kept { uid, messages }).collect());
            }
        }
    }
}

/// Writes one version. Dropped before its end it leaves what was sent, which [`Wal::forget`] removes.
#[derive(Debug)]
pub struct Writer {
    wal: Wal,
    uid: Uid,
    patience: Duration,
    cutter: Cutter,
    sent: JoinSet<Result<(), WalError>>,
}

impl Writer {
    /// Takes the next bytes: sends what makes whole messages, and waits only if too much is on its way. An error says that the
    /// version will not be in the log.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), WalError> {
        while let Some(frame) = self.cutter.push(&mut bytes) {
            self.send(frame).await?;
        }
        Ok(())
    }

    /// Sends the rest, and waits until all of it is acknowledged.
    pub async fn finish(mut self) -> Result<(), WalError> {
        let last = self.cutter.finish();
        self.send(last).await?;
        while let Some(done) = self.sent.join_next().await {
            told(done)?;
        }
        Ok(())
    }

    async fn send(&mut self, frame: Frame) -> Result<(), WalError> {
        while let Some(done) = self.sent.try_join_next() {
            told(done)?;
        }
        // Each of them ends within its patience.
        while self.sent.len() >= OUTSTANDING_MAX {
            self.sent.join_next().await.map_or(Ok(()), told)?;
        }
        let (uid, number) = (self.uid, frame.number);
        let permit = timeout(self.patience, Arc::clone(&self.wal.outstanding).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            let reason = "too much is on its way to the servers".to_owned();
            return Err(WalError::NotStored { uid, number, reason });
        };
        let (exchange, deadline) = (Arc::clone(&self.wal.exchange), Instant::now() + self.patience);
        self.sent.spawn(async move {
            let stored = exchange.store(uid, frame, deadline).await;
            drop(permit);
            stored
        });
        Ok(())
    }
}

fn told(done: Result<Result<(), WalError>, JoinError>) -> Result<(), WalError> {
    done.unwrap_or_else(|error| Err(WalError::Silent(error.to_string())))
}
