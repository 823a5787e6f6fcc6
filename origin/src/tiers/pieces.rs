//! Reading what lies below memory: piece by piece, each filled once for all who ask, streamed while it fills.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::walker::{Cold, Tiers};
use super::{ErrorKind, TierError};
use crate::memory::blob::{Read, State};
use crate::memory::fill::{PIECE_BYTES, Piece, PieceKey};
use crate::memory::object::{Reader, Version};
use crate::memory::upload::Upload;
use crate::memory::{Full, Memory};

/// Pieces that are filled at once.
pub const FILLS_MAX: usize = 128;
/// How long a fill waits for its turn: in a storm on what is cold, the rest is told to come again.
const TURN_WAIT: Duration = Duration::from_secs(1);
/// Times that somebody else's fill is followed before it is done oneself.
const FOLLOWS_MAX: usize = 2;

/// Why the bytes of a cold version cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The tier cannot.
    #[error(transparent)]
    Tier(Arc<TierError>),
    /// There is no memory for it: what is live comes first.
    #[error(transparent)]
    Full(#[from] Full),
    /// Too many others want something cold.
    #[error("{FILLS_MAX} fills are going on")]
    Busy,
}

impl ReadError {
    /// Whether the version is gone, so that the path must be looked up again.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Tier(error) if error.kind == ErrorKind::Gone)
    }
}

impl Tiers {
    /// A reader of `first..end` of a version; its first byte is there when this returns.
    pub async fn open(self: &Arc<Self>, cold: &Cold, first: u64, end: u64) -> Result<ColdReader, ReadError> {
        let mut reader = ColdReader {
            tiers: Arc::clone(self),
            cold: cold.clone(),
            position: first,
            end,
            current: None,
            ahead: None,
        };
        if first < end {
            let piece = reader.piece_at(first);
            let version = piece.await.unwrap_or(Err(ReadError::Busy))?;
            reader.enter(version);
        }
        Ok(reader)
    }

    /// All of a version that is no larger than a piece, once its last byte is there.
    pub async fn whole(self: &Arc<Self>, cold: &Cold) -> Result<Arc<Version>, ReadError> {
        let piece = self.runtime.spawn(Arc::clone(self).piece(cold.clone(), 0));
        let version = piece.await.unwrap_or(Err(ReadError::Busy))?;
        match version.blob.reach(u64::MAX).await.state {
            State::Complete => Ok(version),
            State::Open | State::Aborted => Err(ReadError::Busy),
        }
    }

    /// Brings all pieces of a version to memory; what is there, or on its way, is not asked for again.
    pub async fn fill_all(self: &Arc<Self>, cold: &Cold) -> Result<(), ReadError> {
        for index in 0..cold.record.size.div_ceil(PIECE_BYTES) {
            let version = Arc::clone(self).piece(cold.clone(), index).await?;
            if version.blob.reach(u64::MAX).await.state != State::Complete {
                return Err(ReadError::Busy);
            }
        }
        Ok(())
    }

    /// The memory that pieces are brought to.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The piece `index` for somebody who says that there is one, as soon as it has a byte.
    pub(crate) async fn give(self: Arc<Self>, cold: Cold, index: u64) -> Option<Arc<Version>> {
        let count = cold.record.size.div_ceil(PIECE_BYTES);
        if index < count { self.piece(cold, index).await.ok() } else { None }
    }

    /// The piece `index`, as soon as it has a byte.
    async fn piece(self: Arc<Self>, cold: Cold, index: u64) -> Result<Arc<Version>, ReadError> {
        let key = PieceKey::new(cold.record.uid, index);
        for _ in 0..FOLLOWS_MAX {
            let Some(version) = self.memory.piece(&key, &self.clock) else { break };
            // A fill that somebody else began may fail; then it is our turn.
            if version.blob.reach(1).await.state != State::Aborted {
                return Ok(version);
            }
        }
        let turn = tokio::time::timeout(TURN_WAIT, self.fills.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(ReadError::Busy) };
        let start = index * PIECE_BYTES;
        let end = (start + PIECE_BYTES).min(cold.record.size);
        match self.memory.fill(&key, end - start, &self.clock).await? {
            Piece::There(version) => {
                version.blob.reach(1).await;
                Ok(version)
            }
            Piece::Ours(upload) => {
                let version = Arc::clone(upload.version());
                let (tell, told) = oneshot::channel();
                self.runtime.spawn(Arc::clone(&self).fill(cold, start..end, upload, tell));
                tokio::select! {
                    biased;
                    failed = told => match failed {
                        Ok(error) => Err(error),
                        Err(_) => Ok(version),
                    },
                    _ = version.blob.reach(1) => Ok(Arc::clone(&version)),
                }
            }
        }
    }

    /// Brings a piece to memory; who asks for it meanwhile follows.
    async fn fill(
        self: Arc<Self>,
        cold: Cold,
        range: std::ops::Range<u64>,
        mut upload: Upload,
        tell: oneshot::Sender<ReadError>,
    ) {
        match self.stream(&cold, range, &mut upload).await {
            Ok(()) => upload.filled(&self.clock),
            Err(error) => {
                let (tier, path) = (cold.tier.name().as_str(), &*cold.record.path);
                if error.is_gone() {
                    // Who asks looks again what is there.
                    tracing::debug!(%error, tier, path, "a fill found nothing");
                } else {
                    tracing::warn!(%error, tier, path, "a fill failed");
                }
                // Nobody may be waiting any more; readers are cut off when the upload is dropped after this.
                let _ = tell.send(error);
            }
        }
    }

    async fn stream(
        &self,
        cold: &Cold,
        range: std::ops::Range<u64>,
        upload: &mut Upload,
    ) -> Result<(), ReadError> {
        let tier = |error| ReadError::Tier(Arc::new(error));
        let length = range.end - range.start;
        let mut bytes = cold.tier.read(&cold.record, range).await.map_err(tier)?;
        while let Some(bytes) = bytes.next().await {
            upload.write(&bytes.map_err(tier)?, &self.clock).await?;
        }
        if upload.written() == length {
            return Ok(());
        }
        Err(tier(TierError {
            tier: cold.tier.name(),
            attempt: format!("read {}", cold.record.path),
            kind: ErrorKind::Unavailable,
            source: format!("{} of {length} bytes came", upload.written()).into(),
        }))
    }
}

/// Reads a cold version from piece to piece, one ahead.
#[derive(Debug)]
pub struct ColdReader {
    tiers: Arc<Tiers>,
    cold: Cold,
    position: u64,
    end: u64,
    current: Option<Reader>,
    ahead: Option<JoinHandle<Result<Arc<Version>, ReadError>>>,
}

impl ColdReader {
    /// The next bytes, as soon as there are any.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Read> {
        loop {
            if self.position >= self.end {
                return Poll::Ready(Read::End);
            }
            if let Some(reader) = &mut self.current {
                match ready!(reader.poll_next(cx)) {
                    Read::Bytes(bytes) => {
                        self.position += bytes.len() as u64;
                        return Poll::Ready(Read::Bytes(bytes));
                    }
                    Read::End => self.current = None,
                    Read::Aborted => return Poll::Ready(Read::Aborted),
                }
                continue;
            }
            let mut ahead = match self.ahead.take() {
                Some(ahead) => ahead,
                None => self.piece_at(self.position),
            };
            match Pin::new(&mut ahead).poll(cx) {
                Poll::Pending => {
                    self.ahead = Some(ahead);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(Ok(version))) => self.enter(version),
                // The head is gone already: the connection is cut, so that nothing looks complete.
                Poll::Ready(Ok(Err(_)) | Err(_)) => return Poll::Ready(Read::Aborted),
            }
        }
    }

    fn piece_at(&self, position: u64) -> JoinHandle<Result<Arc<Version>, ReadError>> {
        let (tiers, cold) = (Arc::clone(&self.tiers), self.cold.clone());
        self.tiers.runtime.spawn(tiers.piece(cold, position / PIECE_BYTES))
    }

    /// Reads on from `version`, the piece at our position, and asks for the one behind it.
    fn enter(&mut self, version: Arc<Version>) {
        let start = self.position - self.position % PIECE_BYTES;
        let behind = start + PIECE_BYTES;
        self.current = Some(Reader::new(version, self.position - start, self.end.min(behind) - start));
        self.ahead = (behind < self.end).then(|| self.piece_at(behind));
    }
}
