//! Durability `Replicated`: bodies that are too large for the index, in the write-ahead log of the fleet, on a quorum of its servers.
//!
//! The log keeps them for a while only (the maximal age of its stream): where there is an object store they are copied to it meanwhile,
//! and forgotten. It is opened when a rule of the configuration may need it, or a version is said to be in it: what is never used
//! reserves no storage.

mod read;
pub mod report;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mediaorigin_crds::policy::Durability;
use mediaorigin_crds::units;
use mediaorigin_index::entry::Uid;
use mediaorigin_index::wal::{Label, MESSAGE_BYTES};
use mediaorigin_index::{Config, ConnectError, Held, Kept, Wal, WalError};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use crate::causes;
use crate::clock::Clock;
use crate::tiers::walker::Wish;
use crate::tiers::{ErrorKind, LastError, Record, TierError, TierName};

pub(super) use read::Logged;

/// How long the servers may take to store or give what is asked of them: as long as the index may.
const PATIENCE: Duration = super::COMMIT_PATIENCE;
/// How long after its last message was sent a version may be committed: whoever sweeps the log waits far longer before he takes it
/// for one whose writer is gone.
const COMMIT_WITHIN: Duration = Duration::from_secs(15);
/// Room below which the log counts as full: uploads are refused, or soon will be.
const ROOM_MIN: u64 = 2 * MESSAGE_BYTES as u64;
/// Messages up to which it is short.
const SHORT: u64 = 10_000;
/// Versions that are known to have left the log.
const GONE_MAX: u64 = 65_536;

/// The write-ahead log.
pub(super) struct Log {
    config: Config,
    clock: Clock,
    state: watch::Sender<State>,
    is_wanted: AtomicBool,
    wanted: Notify,
    gone: moka::sync::Cache<u128, ()>,
    held: Mutex<Held>,
    failure: Mutex<Option<LastError>>,
    tally: Tally,
}

#[derive(Clone, Default)]
enum State {
    #[default]
    Closed,
    Open(Wal),
    Failed(Failure),
}

/// Why it is not open.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
struct Failure {
    kind: ErrorKind,
    text: Arc<str>,
}

/// What became of versions in it, since the start of this pod.
#[derive(Debug, Default)]
struct Tally {
    swept: AtomicU64,
    forgotten: AtomicU64,
    refused: AtomicU64,
}

/// A version is in the log since its last message was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since(Instant);

impl Since {
    /// How much of `patience` the commit of a version may take that is in the log, or need not be.
    pub(super) fn bound(this: Option<Self>, patience: Duration) -> Duration {
        this.map_or(patience, |Self(sent)| patience.min(COMMIT_WITHIN.saturating_sub(sent.elapsed())))
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Log").finish_non_exhaustive()
    }
}

impl Log {
    pub(super) fn new(config: Config, clock: Clock) -> Self {
        Self {
            config: Config { patience: PATIENCE, ..config },
            clock,
            state: watch::Sender::default(),
            is_wanted: AtomicBool::new(false),
            wanted: Notify::new(),
            gone: moka::sync::Cache::new(GONE_MAX),
            held: Mutex::default(),
            failure: Mutex::default(),
            tally: Tally::default(),
        }
    }

    /// From now on it is opened by whoever calls [`Self::tend`].
    pub(super) fn want(&self) {
        if !self.is_wanted.swap(true, Ordering::Relaxed) {
            self.wanted.notify_one();
        }
    }

    /// Ends when somebody wants it for the first time.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Whether it can be written to and read.
    pub(super) fn is_open(&self) -> bool {
        matches!(*self.state.borrow(), State::Open(_))
    }

    /// Opens it if it is wanted, and looks how it is. It is opened anew where its stream is gone.
    pub(super) async fn tend(&self) {
        let state = self.state.borrow().clone();
        match state {
            State::Open(wal) => match wal.held(PATIENCE).await {
                Ok(held) => {
                    *lock(&self.held) = held;
                    if held.bytes + ROOM_MIN <= held.bytes_max {
                        *lock(&self.failure) = None;
                    }
                }
                Err(error) => {
                    self.failed(kind(&error), error.to_string());
                    self.open().await;
                }
            },
            State::Closed | State::Failed(_) if self.is_wanted.load(Ordering::Relaxed) => self.open().await,
            State::Closed | State::Failed(_) => {}
        }
    }

    async fn open(&self) {
        let was_open = self.is_open();
        match Wal::connect(&self.config).await {
            Ok(wal) => {
                *lock(&self.failure) = None;
                self.state.send_replace(State::Open(wal));
                tracing::info!("the write-ahead log is open");
            }
            Err(error) => {
                let failure = self.refusal(&error);
                let is_new = self.failed(failure.kind, failure.text.to_string());
                if is_new {
                    tracing::error!(
                        error = &*failure.text,
                        "the write-ahead log cannot be opened, it is tried again"
                    );
                }
                if !was_open {
                    self.state.send_replace(State::Failed(failure));
                }
            }
        }
    }

    fn refusal(&self, error: &ConnectError) -> Failure {
        let size = units::Bytes(self.config.wal_bytes_max);
        let (kind, text) = match error {
            ConnectError::NoRoom { reason, .. } => {
                (ErrorKind::Full, format!("NATS has no room for the write-ahead log of {size}: {reason}"))
            }
            ConnectError::Unreachable { .. } => (ErrorKind::Unavailable, causes::text(error)),
            error => {
                (ErrorKind::Unavailable, format!("the write-ahead log of {size}: {}", causes::text(error)))
            }
        };
        Failure { kind, text: text.into() }
    }

    /// Remembers what it could not do; whether that is news.
    fn failed(&self, kind: ErrorKind, text: String) -> bool {
        let mut failure = lock(&self.failure);
        let is_new = failure.as_ref().is_none_or(|before| before.text != text);
        *failure = Some(LastError { at: self.clock.now().wall, kind, text });
        is_new
    }

    /// The log, as soon as it is open, or why it is not.
    async fn wal(&self) -> Result<Wal, Failure> {
        self.want();
        let mut state = self.state.subscribe();
        let settled =
            async { state.wait_for(|state| !matches!(state, State::Closed)).await.map(|it| it.clone()) };
        match timeout(PATIENCE, settled).await {
            Ok(Ok(State::Open(wal))) => Ok(wal),
            Ok(Ok(State::Failed(failure))) => Err(failure),
            _ => Err(Failure { kind: ErrorKind::Unavailable, text: "it is not open yet".into() }),
        }
    }

    /// Keeps the body of a version, where a 2xx promises that and it does not ride inside the index; a quorum has it when this
    /// returns.
    pub(super) async fn promised(
        &self,
        wish: &Wish,
        is_inside: bool,
        record: &Record,
        pieces: &[Bytes],
    ) -> Result<Option<Since>, Arc<TierError>> {
        if wish.durability != Durability::Replicated || is_inside {
            return Ok(None);
        }
        let kept = self.write(record, pieces).await;
        if kept.is_err() {
            self.tally.refused.fetch_add(1, Ordering::Relaxed);
        }
        kept.map(Some).map_err(Arc::new)
    }

    async fn write(&self, record: &Record, pieces: &[Bytes]) -> Result<Since, TierError> {
        let attempt = || format!("write {}", record.path);
        let wal = self.wal().await.map_err(|error| closed(attempt(), error))?;
        let failed = |error: WalError| {
            self.failed(kind(&error), error.to_string());
            failure(attempt(), error)
        };
        let label = Label { path: Arc::clone(&record.path), stamp: record.sequence };
        let mut writer = wal.writer(Uid(record.uid.0), label, PATIENCE);
        for piece in pieces {
            writer.write(piece.clone()).await.map_err(failed)?;
        }
        let since = Since(Instant::now());
        writer.finish().await.map_err(failed)?;
        *lock(&self.failure) = None;
        Ok(since)
    }

    /// Versions of which something is in it.
    pub(super) async fn list(&self) -> Result<Vec<Kept>, TierError> {
        let wal = self.wal().await.map_err(|error| closed("list", error))?;
        wal.list(PATIENCE).await.map_err(|error| failure("list", error))
    }

    /// What the writer of a version said of it; `None` where its first message is not there, or says nothing.
    pub(super) async fn label(&self, uid: Uid) -> Result<Option<Label>, TierError> {
        let attempt = || format!("read {uid}");
        let wal = self.wal().await.map_err(|error| closed(attempt(), error))?;
        match wal.label(uid, PATIENCE).await {
            Ok(label) => Ok(label),
            Err(WalError::Missing { .. } | WalError::Damaged { .. }) => Ok(None),
            Err(error) => Err(failure(attempt(), error)),
        }
    }

    /// Forgets a version that nobody needs the log for any more. Where that fails, whoever sweeps the log does it.
    pub(super) async fn forget(&self, uid: Uid) {
        let State::Open(wal) = self.state.borrow().clone() else { return };
        match wal.forget(uid, PATIENCE).await {
            Ok(0) => {}
            Ok(_) => {
                self.tally.forgotten.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                tracing::debug!(%error, %uid, "what is not needed stays in the write-ahead log for now");
            }
        }
    }

    /// A version whose writer is gone was brought to the object store.
    pub(super) fn swept(&self) {
        self.tally.swept.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether what is in it is quickly listed.
    pub(super) fn is_short(&self) -> bool {
        lock(&self.held).messages <= SHORT
    }

    /// Whether there was anything in it when it was last looked at.
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.held).messages == 0
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The error of an attempt for which the log is not open.
fn closed(attempt: impl Into<String>, failure: Failure) -> TierError {
    TierError::new(TierName::Log, attempt, failure.kind, failure)
}

/// The error of an attempt at which it failed.
fn failure(attempt: impl Into<String>, error: WalError) -> TierError {
    TierError::new(TierName::Log, attempt, kind(&error), error)
}

fn kind(error: &WalError) -> ErrorKind {
    match error {
        WalError::Full(_) => ErrorKind::Full,
        WalError::Missing { .. } => ErrorKind::Gone,
        WalError::Damaged { .. } => ErrorKind::Corrupt,
        WalError::NotStored { .. } | WalError::NotRead { .. } | WalError::Silent(_) => ErrorKind::Unavailable,
    }
}
