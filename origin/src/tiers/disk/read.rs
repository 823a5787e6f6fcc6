//! The bytes of a file, checked block by block before anybody sees them.
//!
//! A file is opened once and read through that handle: whatever replaces or removes it, the reader gets the bytes that it
//! began with. Opening it brings its first piece too, so that a small object is one job.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use tokio::sync::OwnedSemaphorePermit;

use super::format::{BLOCK_BYTES, Damage, FOOTER_BYTES, Footer, Metadata, Name, decode_table};
use super::inner::{Answer, Inner, failed, refused};
use super::sum;
use super::threads::Lane;
use crate::tiers::{Bytestream, ErrorKind, Record, TierError};

/// Bytes of a piece of a stream at most.
const PIECE_BYTES: u64 = 4 * BLOCK_BYTES as u64;
/// What is read from the end of a file at first: metadata and footer of most.
const END_BYTES: u64 = 4_096;
/// How often a file is looked up again that got another name between look-up and opening.
const LOOKUPS_MAX: u32 = 4;

/// Why bytes cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("{0}")]
    Damaged(#[from] Damage),
    #[error("{0}")]
    Failed(#[from] io::Error),
}

/// The end of a file, understood.
pub(super) struct End {
    pub(super) footer: Footer,
    pub(super) metadata: Metadata,
    pub(super) file_bytes: u64,
}

/// A file open for a reader.
struct Open {
    file: Option<File>,
    name: Name,
    record: Arc<Record>,
    footer: Footer,
    table: Vec<u32>,
    inner: Arc<Inner>,
    _place: OwnedSemaphorePermit,
}

/// A stream's place in a file.
struct Reading {
    open: Arc<Open>,
    next: u64,
    end: u64,
    /// The sum of all bytes so far, if all of them are read.
    whole: Option<u32>,
    first: Option<Piece>,
}

/// Bytes that were checked.
struct Piece {
    bytes: Bytes,
    /// The sum of all bytes up to their end, if all of them are read.
    whole: Option<u32>,
}

/// Reads and checks everything behind the body but the table.
pub(super) fn read_end(file: &File, name: &Name) -> Result<End, Unreadable> {
    let file_bytes = file.metadata()?.len();
    let end = read_range(file, file_bytes.saturating_sub(END_BYTES)..file_bytes)?;
    let footer = Footer::decode(&end, file_bytes)?;
    let metadata_bytes = footer.metadata_bytes as usize;
    let from_metadata = FOOTER_BYTES + metadata_bytes;
    let metadata = if let Some(start) = end.len().checked_sub(from_metadata) {
        Metadata::decode(&end[start..][..metadata_bytes], &footer, name)?
    } else {
        let start = footer.body_bytes + footer.table_bytes();
        Metadata::decode(&read_range(file, start..start + metadata_bytes as u64)?, &footer, name)?
    };
    Ok(End { footer, metadata, file_bytes })
}

fn read_range(file: &File, range: Range<u64>) -> io::Result<Vec<u8>> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes)
}

impl Inner {
    /// Opens the file of a version and streams a range of it.
    pub(super) async fn read(
        self: &Arc<Self>,
        record: &Arc<Record>,
        range: Range<u64>,
    ) -> Result<Bytestream, TierError> {
        let place = self.permit(&self.reads, "read", &record.path).await?;
        let wanted = record.clone();
        let job = move |inner: &Arc<Self>, answer: Answer<Reading>| {
            answer.send(inner.clone().open(wanted, range, place));
        };
        let reading = self.call(Lane::Read, "read", &record.path, job).await?;
        Ok(stream::try_unfold(reading, Reading::step).boxed())
    }

    fn open(
        self: Arc<Self>,
        record: Arc<Record>,
        range: Range<u64>,
        place: OwnedSemaphorePermit,
    ) -> Result<Reading, TierError> {
        let path = record.path.clone();
        let (file, name) = self.open_file(&record)?;
        let opened = read_end(&file, &name).and_then(|end| {
            let start = end.footer.body_bytes;
            let table = read_range(&file, start..start + end.footer.table_bytes())?;
            Ok((end.footer, decode_table(&table, &end.footer)?))
        });
        let (footer, table) = opened.map_err(|error| self.unreadable(&path, &name, error))?;
        if range.start > range.end || range.end > footer.body_bytes {
            return Err(refused("read", &path, ErrorKind::Gone, "the range is not within the version"));
        }
        let whole = (range == (0..footer.body_bytes)).then_some(0);
        let open = Open { file: Some(file), name, record, footer, table, inner: self, _place: place };
        let mut reading =
            Reading { open: Arc::new(open), next: range.start, end: range.end, whole, first: None };
        if let Some(piece) = reading.piece() {
            reading.first = Some(reading.open.read(&piece, whole)?);
        }
        Ok(reading)
    }

    fn open_file(&self, record: &Record) -> Result<(File, Name), TierError> {
        let path = &record.path;
        for _ in 0..LOOKUPS_MAX {
            let Some(name) = self.index().file(path, record.uid) else { break };
            match File::open(self.shard(path).file(&name)) {
                Ok(file) => return Ok((file, name)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("read", path, error)),
            }
        }
        Err(refused("read", path, ErrorKind::Gone, "the version is not on the disk any more"))
    }

    fn unreadable(&self, path: &str, name: &Name, error: Unreadable) -> TierError {
        match error {
            Unreadable::Failed(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                failed("read", path, error)
            }
            error => {
                self.condemn(path, name, &error);
                let error = io::Error::new(io::ErrorKind::InvalidData, error.to_string());
                failed("read", path, error)
            }
        }
    }
}

impl Open {
    /// The bytes of a range within one piece, checked.
    fn read(&self, range: &Range<u64>, whole: Option<u32>) -> Result<Piece, TierError> {
        let checked = self.read_blocks(range).and_then(|bytes| {
            let whole = whole.map(|sum| sum::append(sum, &bytes));
            let is_last = range.end == self.footer.body_bytes;
            if is_last && whole.is_some_and(|sum| sum != self.footer.body_sum) {
                return Err(Damage::Body.into());
            }
            Ok(Piece { bytes, whole })
        });
        checked.map_err(|error| self.inner.unreadable(&self.record.path, &self.name, error))
    }

    fn read_blocks(&self, range: &Range<u64>) -> Result<Bytes, Unreadable> {
        let Some(file) = &self.file else { return Err(io::Error::from(io::ErrorKind::NotFound).into()) };
        let block_bytes = BLOCK_BYTES as u64;
        let first = range.start / block_bytes;
        let blocks = first * block_bytes..range.end.next_multiple_of(block_bytes).min(self.footer.body_bytes);
        let start = blocks.start;
        let bytes = read_range(file, blocks)?;
        let sums = self.table.iter().skip(usize::try_from(first).unwrap_or(usize::MAX));
        let mut sums = sums.copied();
        if bytes.chunks(BLOCK_BYTES).any(|block| sums.next() != Some(sum::of(block))) {
            return Err(Damage::Block.into());
        }
        let offset = |at: u64| usize::try_from(at - start).unwrap_or(usize::MAX).min(bytes.len());
        let wanted = offset(range.start)..offset(range.end);
        Ok(Bytes::from(bytes).slice(wanted))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Closing the last handle of a removed file frees its blocks, which is no work for a thread that answers requests.
        if let Some(file) = self.file.take() {
            self.inner.threads.submit(Lane::Read, Box::new(move || drop(file)));
        }
    }
}

impl Reading {
    /// The next piece to read: to the end of its blocks.
    fn piece(&self) -> Option<Range<u64>> {
        let end = (self.next / PIECE_BYTES + 1) * PIECE_BYTES;
        (self.next < self.end).then(|| self.next..end.min(self.end))
    }

    async fn step(mut self) -> Result<Option<(Bytes, Self)>, TierError> {
        let piece = if let Some(piece) = self.first.take() {
            piece
        } else {
            let Some(range) = self.piece() else { return Ok(None) };
            let (open, whole) = (self.open.clone(), self.whole);
            let job = move |_: &Arc<Inner>, answer: Answer<Piece>| {
                answer.send(open.read(&range, whole));
            };
            self.open.inner.call(Lane::Read, "read", &self.open.record.path, job).await?
        };
        self.next += piece.bytes.len() as u64;
        self.whole = piece.whole;
        Ok(Some((piece.bytes, self)))
    }
}
