//! A piece of memory that owns its share of the budget and gives it back when its last reader drops it.
//!
//! The payload of a request is copied into chunks: a `Bytes` of a connection's read buffer pins the whole buffer, and
//! nobody would count it. A chunk is filled from the front while readers already hold what was written: `BytesMut`
//! hands out its filled part without a copy and goes on behind it.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::budget::{Budget, Permit};

/// Bytes of a full-size chunk.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// What a chunk costs beside its bytes: allocation headers, reference counts, handles of up to [`PIECES_FREE`] pieces.
pub const CHUNK_COST: u64 = 512;
/// What a further piece of a chunk costs.
pub const PIECE_COST: u64 = 256;
/// Pieces of a chunk that [`CHUNK_COST`] covers.
const PIECES_FREE: usize = 2;
/// A chunk of so many pieces is sealed early: a writer of single bytes must not turn the budget into handles. A network
/// packet is a piece at the least, so real uploads fill their chunks first.
const PIECES_SEALED: usize = 128;
/// A sealed chunk of more pieces is copied into one.
const PIECES_MAX: usize = 8;
/// A sealed chunk that leaves more unused is copied into one of the right size.
const WASTE_MAX: usize = 4 * 1024;

/// Drops its bytes first and then its permits, so that the budget is never ahead of the allocator.
struct Piece {
    bytes: Bytes,
    _chunk: Arc<Permit>,
    _handle: Option<Permit>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A chunk that is being filled.
#[derive(Debug)]
pub struct Filling {
    /// Written and not yet published, then the room that is left.
    buffer: BytesMut,
    size: usize,
    published: Vec<Bytes>,
    published_bytes: usize,
    permit: Arc<Permit>,
}

/// The permit that a chunk of `size` bytes needs.
pub const fn cost(size: usize) -> u64 {
    size as u64 + CHUNK_COST
}

/// The permits that `length` bytes need, when they are filled into full-size chunks and one for the rest.
pub const fn cost_of_length(length: u64) -> u64 {
    length.saturating_add(length.div_ceil(CHUNK_BYTES as u64).saturating_mul(CHUNK_COST))
}

impl Filling {
    /// A chunk of the size that `permit` pays for.
    pub fn new(permit: Permit) -> Self {
        let size = usize::try_from(permit.bytes().saturating_sub(CHUNK_COST)).unwrap_or(0).min(CHUNK_BYTES);
        Self {
            buffer: BytesMut::with_capacity(size),
            size,
            published: Vec::new(),
            published_bytes: 0,
            permit: Arc::new(permit),
        }
    }

    /// Bytes that still fit.
    pub fn room(&self) -> usize {
        self.size - self.filled()
    }

    /// Copies as much of `data` as fits and tells how much that was.
    pub fn fill(&mut self, data: &[u8]) -> usize {
        let count = data.len().min(self.room());
        self.buffer.extend_from_slice(&data[..count]);
        count
    }

    /// Whether it is in more pieces than it is worth.
    pub fn is_crumbled(&self) -> bool {
        self.published.len() >= PIECES_SEALED
    }

    /// What readers can see.
    pub fn published(&self) -> &[Bytes] {
        &self.published
    }

    /// Lets readers see all that was written. Further pieces of one chunk cost handles; while the budget has nothing
    /// left for them, readers wait until the chunk is sealed.
    pub fn publish(&mut self, budget: &Budget) {
        if self.buffer.is_empty() {
            return;
        }
        let piece = if self.published.len() < PIECES_FREE - 1 {
            None
        } else if let Some(permit) = budget.try_acquire(PIECE_COST) {
            Some(permit)
        } else {
            return;
        };
        self.push_piece(piece);
    }

    /// The finished chunk, in one piece where many small ones or a large unused rest make the copy worth it.
    pub fn seal(mut self, budget: &Budget) -> Vec<Bytes> {
        if !self.buffer.is_empty() {
            self.push_piece(None);
        }
        let wasteful = self.size - self.filled() > WASTE_MAX.min(self.size / 8);
        if self.published.len() <= PIECES_MAX && !wasteful {
            return self.published;
        }
        // Without room for the copy the pieces stay as they are: they are paid for.
        match budget.try_acquire(cost(self.filled())) {
            Some(permit) => vec![self.compact(permit)],
            None => self.published,
        }
    }

    fn filled(&self) -> usize {
        self.published_bytes + self.buffer.len()
    }

    fn push_piece(&mut self, piece: Option<Permit>) {
        let bytes = self.buffer.split().freeze();
        self.published_bytes += bytes.len();
        let piece = Piece { bytes, _chunk: Arc::clone(&self.permit), _handle: piece };
        self.published.push(Bytes::from_owner(piece));
    }

    fn compact(&self, permit: Permit) -> Bytes {
        let mut copy = Vec::with_capacity(self.filled());
        for piece in &self.published {
            copy.extend_from_slice(piece);
        }
        Bytes::from_owner(Piece { bytes: Bytes::from(copy), _chunk: Arc::new(permit), _handle: None })
    }
}
