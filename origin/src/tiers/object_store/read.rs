//! Find and read: exactly the version that was asked for, its body taken up again where it broke off.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use object_store::path::Path;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::bucket::Pieces;
use super::counters::Request;
use super::decide::{State, There};
use super::failure::{Failure, Fault};
use super::fields::{self, Content, Entry};
use super::{Certainty, Shared, tier_error};
use crate::tiers::{Bytestream, Record};

/// How often a body is taken up again at most.
const RESUMES_MAX: u32 = 5;

impl Shared {
    /// What lies under a key.
    pub(super) async fn look(&self, path: &str, key: &Path) -> Result<Option<There>, Failure> {
        let key = key.clone();
        let head = move |bucket: Arc<super::bucket::Bucket>| {
            let key = key.clone();
            let absent = || Failure::new(Fault::Absent, "there is no such object");
            async move { bucket.head(&key).await?.ok_or_else(absent) }.boxed()
        };
        match self.requests.read(Request::Head, head).await {
            Ok((entry, _)) => Ok(Some(self.there(path, &entry))),
            Err(failure) if failure.fault == Fault::Absent => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// What an entry is; a version is remembered, a marker is noted.
    pub(super) fn there(&self, path: &str, entry: &Entry) -> There {
        let content = fields::content(self.requests.place.scheme, path, entry);
        let state = entry.state(content.likeness());
        match &content {
            Content::Version { record, .. } => self.remember(state.clone(), record, Certainty::Seen),
            Content::Deleted { .. } => self.note_marker(path),
        }
        There { content, state }
    }

    pub(super) async fn find(&self, path: &str) -> Result<Option<Arc<Record>>, Failure> {
        let Some(key) = self.requests.place.key(path) else { return Ok(None) };
        Ok(match self.look(path, &key).await? {
            Some(There { content: Content::Version { record, .. }, .. }) => Some(record),
            _ => None,
        })
    }

    pub(super) async fn read(
        self: &Arc<Self>,
        record: &Arc<Record>,
        range: Range<u64>,
    ) -> Result<Bytestream, Failure> {
        let gone = || Failure::new(Fault::Changed, "it is not there any more");
        let key = self.requests.place.key(&record.path).ok_or_else(gone)?;
        if range.is_empty() {
            let found = self.find(&record.path).await?;
            let is_there = found.is_some_and(|found| found.uid == record.uid);
            return if is_there { Ok(stream::empty().boxed()) } else { Err(gone()) };
        }
        let is_whole = range == (0..record.size);
        let (opened, place) = self.open(&key, (!is_whole).then(|| range.clone()), None).await?;
        let (entry, pieces) = opened;
        let there = self.there(&record.path, &entry);
        let checksum = match there.content {
            Content::Version { record: found, checksum } if found.uid == record.uid => checksum,
            _ => return Err(gone()),
        };
        let body = Body {
            shared: Arc::clone(self),
            record: Arc::clone(record),
            key,
            state: there.state,
            left: range,
            pieces,
            place,
            resumes: 0,
            check: checksum.filter(|_| is_whole).map(|wanted| (fields::digest(), wanted)),
        };
        Ok(body.stream())
    }

    async fn open(
        &self,
        key: &Path,
        range: Option<Range<u64>>,
        pinned: Option<Arc<str>>,
    ) -> Result<((Entry, Pieces), OwnedSemaphorePermit), Failure> {
        let key = key.clone();
        let get = move |bucket: Arc<super::bucket::Bucket>| {
            let (key, range, pinned) = (key.clone(), range.clone(), pinned.clone());
            async move { bucket.get(&key, range, pinned.as_deref()).await }.boxed()
        };
        let opened = self.requests.read(Request::Get, get).await;
        // Only a pinned GET has a condition.
        opened.map_err(|failure| match failure.fault {
            Fault::Conflict | Fault::Absent => Failure::new(Fault::Changed, "it is not there any more"),
            _ => failure,
        })
    }
}

/// A body that is being read.
struct Body {
    shared: Arc<Shared>,
    record: Arc<Record>,
    key: Path,
    state: State,
    left: Range<u64>,
    pieces: Pieces,
    place: OwnedSemaphorePermit,
    resumes: u32,
    check: Option<(crc_fast::Digest, u64)>,
}

impl Body {
    fn stream(self) -> Bytestream {
        let body = stream::try_unfold(Some(self), async |body| {
            let Some(mut body) = body else { return Ok(None) };
            match body.next().await {
                Ok(piece) => {
                    let is_end = body.left.is_empty();
                    Ok(Some((piece, (!is_end).then_some(body))))
                }
                Err(failure) => {
                    Err(tier_error(format!("read bytes {:?} of {}", body.left, body.record.path), failure))
                }
            }
        });
        body.boxed()
    }

    /// The next bytes; there are some left.
    async fn next(&mut self) -> Result<Bytes, Failure> {
        let stall = self.shared.requests.limits.stall;
        loop {
            let failure = match timeout(stall, self.pieces.next()).await {
                Ok(Some(Ok(piece))) if piece.is_empty() => continue,
                Ok(Some(Ok(piece))) => return self.take(piece),
                Ok(Some(Err(failure))) => failure,
                Ok(None) => Failure::new(Fault::Unclear, "the body ended early"),
                Err(_) => Failure::slow(stall),
            };
            self.shared.requests.counters.failed(&failure, self.shared.requests.clock.now().wall);
            if !failure.may_pass() || self.resumes >= RESUMES_MAX {
                return Err(failure);
            }
            self.resumes += 1;
            self.shared.requests.counters.retried();
            self.resume().await?;
        }
    }

    async fn resume(&mut self) -> Result<(), Failure> {
        // The place of the broken body is free first: otherwise readers could wait for each other.
        self.pieces = stream::empty().boxed();
        let pinned = (!self.state.etag.is_empty()).then(|| Arc::clone(&self.state.etag));
        let ((entry, pieces), place) = self.shared.open(&self.key, Some(self.left.clone()), pinned).await?;
        if !self.state.has_bytes_of(&self.shared.there(&self.record.path, &entry).state) {
            return Err(Failure::new(Fault::Changed, "it is not there any more"));
        }
        (self.pieces, self.place) = (pieces, place);
        Ok(())
    }

    fn take(&mut self, mut piece: Bytes) -> Result<Bytes, Failure> {
        let wanted = usize::try_from(self.left.end - self.left.start).unwrap_or(usize::MAX);
        piece.truncate(wanted);
        self.shared.requests.counters.read(piece.len());
        self.left.start += piece.len() as u64;
        if let Some((digest, wanted)) = &mut self.check {
            digest.update(&piece);
            if self.left.is_empty() && digest.finalize() != *wanted {
                return Err(Failure::new(Fault::Corrupt, "the bytes are not those that were stored"));
            }
        }
        Ok(piece)
    }
}
