//! The holders of one version as a place to read it from. A pod that has not got it, has no time, or goes away is followed by the
//! next one, also in the middle: a uid names the same bytes everywhere. When there is none left the tier below is read.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};

use super::address::Address;
use super::client::{PeerError, Peers};
use crate::tiers::{Bytestream, ErrorKind, Record, Source, TierError, TierName};

/// Pods that hold a version, the best one first, and what may have it when they do not.
#[derive(Clone, Debug)]
pub struct Holders {
    peers: Arc<Peers>,
    addresses: Vec<Address>,
    fallback: Option<Arc<dyn Source>>,
    /// Whether they need not have it, but fetch it.
    are_parents: bool,
}

impl Holders {
    /// The pods at `addresses`, asked in this order, and then `fallback`.
    pub fn new(peers: Arc<Peers>, addresses: Vec<Address>, fallback: Option<Arc<dyn Source>>) -> Self {
        Self { peers, addresses, fallback, are_parents: false }
    }

    /// The pods at `parents`, which fetch what they have not got from `below`, and then `below`. What they answer says nothing of what is
    /// there.
    pub fn through(peers: Arc<Peers>, parents: Vec<Address>, below: Arc<dyn Source>) -> Self {
        Self { peers, addresses: parents, fallback: Some(below), are_parents: true }
    }
}

impl Source for Holders {
    fn name(&self) -> TierName {
        TierName::Peer
    }

    fn read<'a>(
        &'a self,
        record: &'a Arc<Record>,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<Bytestream, TierError>> {
        let reading = Reading {
            holders: self.clone(),
            record: Arc::clone(record),
            addresses: self.addresses.iter().copied().collect(),
            left: range,
            current: None,
            is_last: false,
            failure: None,
        };
        // The first bytes are there when this returns: until then there is nothing to be cut.
        async move {
            let (first, reading) = reading.step().await?;
            let rest = stream::try_unfold(reading, async |reading| {
                let (bytes, reading) = reading.step().await?;
                Ok(bytes.map(|bytes| (bytes, reading)))
            });
            Ok(stream::iter(first.map(Ok)).chain(rest).boxed())
        }
        .boxed()
    }
}

/// A version that is being read.
struct Reading {
    holders: Holders,
    record: Arc<Record>,
    /// Those that were not asked yet.
    addresses: VecDeque<Address>,
    left: Range<u64>,
    current: Option<Bytestream>,
    /// Whether it is the tier below that is read.
    is_last: bool,
    /// The last error of a pod that may still hold it, or of any.
    failure: Option<PeerError>,
}

impl Reading {
    /// The next bytes; `None` behind the last one.
    async fn step(mut self) -> Result<(Option<Bytes>, Self), TierError> {
        while !self.left.is_empty() {
            let Some(current) = &mut self.current else {
                self.open().await?;
                continue;
            };
            match current.next().await {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) => {
                    let bytes = self.take(bytes);
                    return Ok((Some(bytes), self));
                }
                Some(Err(error)) if self.is_last => return Err(error),
                None if self.is_last => return Err(self.error(ErrorKind::Unavailable, "it ended early")),
                Some(Err(_)) | None => {
                    self.current = None;
                    self.failed(PeerError::Broken("its bytes ended early".to_owned()));
                }
            }
        }
        Ok((None, self))
    }

    /// Goes on with the next pod, or below.
    async fn open(&mut self) -> Result<(), TierError> {
        let record = Arc::clone(&self.record);
        let (path, uid) = (&record.path, record.uid);
        while let Some(address) = self.addresses.pop_front() {
            let (peers, range) = (&self.holders.peers, self.left.clone());
            let answer = if self.holders.are_parents {
                peers.fill(address, path, uid, range).await
            } else {
                peers.fetch(address, path, uid, Some(range)).await
            };
            match answer {
                Ok(fetched) => {
                    let record = Arc::clone(&record);
                    let bytes = fetched.bytes.map(move |bytes| {
                        bytes.map_err(|error| {
                            tracing::debug!(%error, %address, path = &*record.path, "another pod broke off");
                            tier_error(&record, ErrorKind::Unavailable, error)
                        })
                    });
                    self.current = Some(bytes.boxed());
                    return Ok(());
                }
                Err(error) => {
                    tracing::debug!(%error, %address, path = &**path, "another pod was asked in vain");
                    self.failed(error);
                }
            }
        }
        self.below().await
    }

    /// That one of them may have it counts for more than that another one has not.
    fn failed(&mut self, error: PeerError) {
        if !self.holders.are_parents && (error != PeerError::Gone || self.failure.is_none()) {
            self.failure = Some(error);
        }
    }

    async fn below(&mut self) -> Result<(), TierError> {
        let failure = self.failure.take();
        let is_gone = failure.as_ref().is_none_or(|failure| *failure == PeerError::Gone);
        let Some(fallback) = &self.holders.fallback else {
            let kind = if is_gone { ErrorKind::Gone } else { ErrorKind::Unavailable };
            let failure = failure.map_or_else(|| "no pod holds it".to_owned(), |failure| failure.to_string());
            return Err(self.error(kind, failure));
        };
        match fallback.read(&self.record, self.left.clone()).await {
            Ok(bytes) => (self.current, self.is_last) = (Some(bytes), true),
            // It may be where we could not look.
            Err(TierError { kind: ErrorKind::Gone, .. }) if !is_gone => {
                let failure = failure.map(|failure| failure.to_string()).unwrap_or_default();
                return Err(self.error(ErrorKind::Unavailable, failure));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn take(&mut self, mut bytes: Bytes) -> Bytes {
        let wanted = usize::try_from(self.left.end - self.left.start).unwrap_or(usize::MAX);
        bytes.truncate(wanted);
        self.left.start += bytes.len() as u64;
        bytes
    }

    fn error(
        &self,
        kind: ErrorKind,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> TierError {
        tier_error(&self.record, kind, source)
    }
}

fn tier_error(
    record: &Record,
    kind: ErrorKind,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> TierError {
    TierError::new(TierName::Peer, format!("read {}", record.path), kind, source)
}
