//! A version in the write-ahead log as a place to read it from, and the tier below, to which it may have been copied meanwhile.

use std::ops::Range;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use mediaorigin_index::entry::Uid;

use super::{Log, PATIENCE, closed, failure};
use crate::tiers::{Bytestream, ErrorKind, Record, Source, TierError, TierName};

/// A version in the log, and the tier below.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct Logged {
    pub(in crate::fleet) log: Arc<Log>,
    pub(in crate::fleet) below: Option<Arc<dyn Source>>,
}

impl Source for Logged {
    fn name(&self) -> TierName {
        TierName::Log
    }

    fn read<'a>(
        &'a self,
        record: &'a Arc<Record>,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<Bytestream, TierError>> {
        async move {
            let (current, below) = match self.first(record, range.clone()).await {
                Ok(bytes) => (bytes, self.below.clone()),
                Err(error) => match &self.below {
                    Some(below) => (below.read(record, range.clone()).await?, None),
                    None => return Err(error),
                },
            };
            let reading = Reading { record: Arc::clone(record), left: range, current, below };
            Ok(stream::try_unfold(reading, Reading::step).boxed())
        }
        .boxed()
    }
}

fn attempt(record: &Record) -> String {
    format!("read {}", record.path)
}

impl Logged {
    /// The bytes, of which the first are there: an empty answer is none.
    async fn first(&self, record: &Arc<Record>, range: Range<u64>) -> Result<Bytestream, TierError> {
        let gone = &self.log.gone;
        if gone.contains_key(&record.uid.0) {
            return Err(TierError::new(
                TierName::Log,
                attempt(record),
                ErrorKind::Gone,
                "it has left the log",
            ));
        }
        let wal = self.log.wal().await.map_err(|error| closed(attempt(record), error))?;
        let of = Arc::clone(record);
        let bytes = wal.read(Uid(record.uid.0), record.size, range, PATIENCE);
        let mut bytes = bytes.map(move |bytes| bytes.map_err(|error| failure(attempt(&of), error))).boxed();
        let first = bytes.next().await.transpose().inspect_err(|error| {
            // What has left it does not come back: nobody need ask again and again.
            if error.kind == ErrorKind::Gone {
                gone.insert(record.uid.0, ());
            }
        })?;
        Ok(stream::iter(first.map(Ok)).chain(bytes).boxed())
    }
}

/// A version that is being read.
struct Reading {
    record: Arc<Record>,
    left: Range<u64>,
    current: Bytestream,
    /// Where it goes on when it leaves the log in the middle.
    below: Option<Arc<dyn Source>>,
}

impl Reading {
    async fn step(mut self) -> Result<Option<(bytes::Bytes, Self)>, TierError> {
        loop {
            match self.current.next().await {
                Some(Ok(bytes)) => {
                    self.left.start += bytes.len() as u64;
                    return Ok(Some((bytes, self)));
                }
                None => return Ok(None),
                Some(Err(error)) => {
                    let Some(below) = self.below.take() else { return Err(error) };
                    self.current = below.read(&self.record, self.left.clone()).await?;
                }
            }
        }
    }
}
