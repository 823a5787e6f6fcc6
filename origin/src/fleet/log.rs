//! Durability `Replicated`: bodies that are too large for the index, in the write-ahead log of the fleet, on a quorum of its servers.
//!
//! The log keeps them for a while only (the maximal age of its stream): where there is an object store they are copied to it meanwhile.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use mediaorigin_index::entry::Uid;
use mediaorigin_index::{Config, ConnectError, Wal, WalError};
use tokio::sync::OnceCell;

use crate::tiers::{Bytestream, ErrorKind, Record, Source, TierError, TierName};

/// How long the servers may take to store or give what is asked of them.
const PATIENCE: Duration = Duration::from_secs(5);

/// The write-ahead log; connected when it is first needed.
pub(super) struct Log {
    config: Config,
    wal: OnceCell<Wal>,
}

/// A version in the log, and the tier below, to which it may have been copied.
#[derive(Debug)]
pub(super) struct Logged {
    pub(super) log: Arc<Log>,
    pub(super) below: Option<Arc<dyn Source>>,
}

impl fmt::Debug for Log {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Log").finish_non_exhaustive()
    }
}

impl Log {
    pub(super) fn new(config: Config) -> Self {
        Self { config: Config { patience: PATIENCE, ..config }, wal: OnceCell::new() }
    }

    async fn wal(&self) -> Result<&Wal, ConnectError> {
        self.wal.get_or_try_init(|| Wal::connect(&self.config)).await
    }

    /// Keeps the body of a version; a quorum has it when this returns.
    pub(super) async fn keep(&self, record: &Record, pieces: &[Bytes]) -> Result<(), TierError> {
        let wal = self.wal().await.map_err(|error| unavailable("write", record, error))?;
        let failed = |error| failure("write", record, error);
        let mut writer = wal.writer(Uid(record.uid.0), PATIENCE);
        for piece in pieces {
            writer.write(piece.clone()).await.map_err(failed)?;
        }
        writer.finish().await.map_err(failed)
    }
}

impl Source for Logged {
    fn name(&self) -> TierName {
        TierName::Index
    }

    fn read<'a>(
        &'a self,
        record: &'a Arc<Record>,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<Bytestream, TierError>> {
        async move {
            let error = match self.first(record, range.clone()).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => error,
            };
            match &self.below {
                Some(below) => below.read(record, range).await,
                None => Err(error),
            }
        }
        .boxed()
    }
}

impl Logged {
    /// The bytes, of which the first are there: an empty answer is none.
    async fn first(&self, record: &Arc<Record>, range: Range<u64>) -> Result<Bytestream, TierError> {
        let wal = self.log.wal().await.map_err(|error| unavailable("read", record, error))?;
        let of = Arc::clone(record);
        let bytes = wal.read(Uid(record.uid.0), record.size, range, PATIENCE);
        let mut bytes = bytes.map(move |bytes| bytes.map_err(|error| failure("read", &of, error))).boxed();
        let first = bytes.next().await.transpose()?;
        Ok(futures_util::stream::iter(first.map(Ok)).chain(bytes).boxed())
    }
}

fn unavailable(what: &str, record: &Record, error: ConnectError) -> TierError {
    TierError::new(TierName::Index, format!("{what} {}", record.path), ErrorKind::Unavailable, error)
}

fn failure(what: &str, record: &Record, error: WalError) -> TierError {
    let kind = match error {
        WalError::Full(_) => ErrorKind::Full,
        WalError::Missing { .. } => ErrorKind::Gone,
        WalError::Damaged { .. } => ErrorKind::Corrupt,
        _ => ErrorKind::Unavailable,
    };
    TierError::new(TierName::Index, format!("{what} {}", record.path), kind, error)
}
