//! Bytes of a response on their way out: gathered without copying, written many at once.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    io::{self, IoSlice},
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};

use super::wire::Wire;

/// Most pieces given to one `writev`.
const SLICES_MAX: usize = 128;
const SLICES_FEW: usize = 4;
/// Size from which no further piece is gathered before a write: what is gathered is held until its client takes it.
const GATHER_BYTES_MAX: usize = 1024 * 1024;
/// The same where everything is held anyway. The kernel takes no more of it at once than it may queue, but who offers a whole
/// segment of 4 MiB pays an eighth less for it than who offers it in four parts.
const GATHER_HELD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most pieces that one item of a body turns into: size line, data, line end.
const PIECES_PER_ITEM: usize = 3;

const LINE_END: Bytes = Bytes::from_static(b"\r\n");
const LAST_CHUNK: Bytes = Bytes::from_static(b"0\r\n\r\n");

/// A bounded queue of pieces.
pub(super) struct Outbox {
    pieces: VecDeque<Bytes>,
    size_bytes: usize,
    gather_bytes_max: usize,
    /// Chunk size lines are written here and split off, several to one allocation.
    lines: BytesMut,
}

impl Default for Outbox {
    fn default() -> Self {
        Self::new(GATHER_BYTES_MAX)
    }
}

impl Outbox {
    fn new(gather_bytes_max: usize) -> Self {
        Self { pieces: VecDeque::new(), size_bytes: 0, gather_bytes_max, lines: BytesMut::new() }
    }

    /// For a body that is held until its last byte is sent, gathered or not.
    pub(super) fn for_held() -> Self {
        Self::new(GATHER_HELD_BYTES_MAX)
    }

    /// Whether everything is written.
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether a further item may be gathered before the next write.
    pub(super) fn has_room(&self) -> bool {
        self.size_bytes < self.gather_bytes_max && self.pieces.len() + PIECES_PER_ITEM < SLICES_MAX
    }

    /// Adds bytes as they are.
    pub(super) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.size_bytes += piece.len();
            self.pieces.push_back(piece);
        }
    }

    /// Adds bytes as one chunk; an empty one would end the body and is left out.
    pub(super) fn push_chunk(&mut self, data: Bytes) {
        if data.is_empty() {
            return;
        }
        // Writing to a `BytesMut` cannot fail, it grows.
        let _ = write!(self.lines, "{:x}\r\n", data.len());
        let line = self.lines.split().freeze();
        self.push(line);
        self.push(data);
        self.push(LINE_END);
    }

    /// Adds the chunk that ends a chunked body.
    pub(super) fn push_last_chunk(&mut self) {
        self.push(LAST_CHUNK);
    }

    /// Writes once and tells how much; an empty outbox writes nothing.
    pub(super) fn poll_write(&mut self, context: &mut Context<'_>, wire: &Wire) -> Poll<io::Result<usize>> {
        if self.pieces.is_empty() {
            return Poll::Ready(Ok(0));
        }
        // A short answer is a head and one piece: to clear a long list for it would take longer than all the rest.
        let written = if self.pieces.len() <= SLICES_FEW {
            ready!(self.poll_write_slices::<SLICES_FEW>(context, wire))?
        } else {
            ready!(self.poll_write_slices::<SLICES_MAX>(context, wire))?
        };
        self.advance(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_slices<const MAX: usize>(
        &self,
        context: &mut Context<'_>,
        wire: &Wire,
    ) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); MAX];
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        wire.poll_write(context, &slices[..count])
    }

    fn advance(&mut self, mut written: usize) {
        self.size_bytes -= written;
        while let Some(piece) = self.pieces.front_mut() {
            if piece.len() > written {
                piece.advance(written);
                return;
            }
            written -= piece.len();
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(outbox: &Outbox) -> String {
        let bytes = outbox.pieces.iter().flatten().copied().collect::<Vec<_>>();
        assert_eq!(bytes.len(), outbox.size_bytes);
        bytes.escape_ascii().to_string()
    }

    #[test]
    fn chunks_are_framed_and_data_is_not_copied() {
        let data = Bytes::from(vec![b'x'; 20]);
        let mut outbox = Outbox::default();
        outbox.push_chunk(data.clone());
        outbox.push_chunk(Bytes::new());
        outbox.push_last_chunk();
        assert_eq!(text(&outbox), r"14\r\nxxxxxxxxxxxxxxxxxxxx\r\n0\r\n\r\n");
        assert_eq!(outbox.pieces[1].as_ptr(), data.as_ptr());
    }

    #[test]
    fn a_short_write_leaves_the_rest() {
        for written in 0..=9 {
            let mut outbox = Outbox::default();
            for piece in ["ab", "cde", "f", "ghi"] {
                outbox.push(Bytes::from_static(piece.as_bytes()));
            }
            outbox.advance(written);
            assert_eq!(text(&outbox), "abcdefghi"[written..]);
        }
    }
}
