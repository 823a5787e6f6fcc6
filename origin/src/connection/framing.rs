//! Takes a request body out of the bytes of a connection (RFC 9112 sections 6 and 7).
//!
//! Pure, and stricter than most: no bare line feed, no endless chunk line, no endless trailers.

use bytes::{Buf as _, Bytes, BytesMut};

/// Longest line with a chunk size, extensions included.
const CHUNK_LINE_BYTES_MAX: usize = 4 * 1024;
/// Longest trailer section.
const TRAILERS_BYTES_MAX: usize = 8 * 1024;
/// Most digits of a chunk size; sixteen hold a `u64`.
const SIZE_DIGITS_MAX: usize = 16;

/// How the end of a request body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// No body.
    Empty,
    /// `Content-Length`, more than zero.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// A chunked body that breaks the rules; the place says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("chunk size is not a hexadecimal number")]
    Size,
    #[error("chunk size line is not ended by CR LF, too long, or holds a control byte")]
    SizeLine,
    #[error("chunk is not followed by CR LF")]
    ChunkEnd,
    #[error("trailers are malformed or too long")]
    Trailers,
}

/// What a decoder has for its caller.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Bytes of the body, never empty.
    Data(Bytes),
    /// The bytes at hand are used up.
    NeedMore,
    /// The body is complete; what is left belongs to the next request.
    End,
}

/// Reads one body.
#[derive(Debug)]
pub(super) struct Decoder {
    state: State,
    /// Size of the chunk whose line is being read.
    size: u64,
    /// Length so far of the line or section that has a limit.
    line: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Length(u64),
    Size,
    SizeSpace,
    Extension,
    SizeLf,
    Chunk(u64),
    ChunkCr,
    ChunkLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    LastLf,
    End,
    Broken(Malformed),
}

impl Decoder {
    pub(super) fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Empty => State::End,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size,
        };
        Self { state, size: 0, line: 0 }
    }

    /// Whether the whole body has been taken.
    pub(super) fn is_complete(&self) -> bool {
        self.state == State::End
    }

    /// Whether the body has broken the rules.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self.state, State::Broken(_))
    }

    /// Bytes still to come, when that is known.
    pub(super) fn rest(&self) -> Option<u64> {
        match self.state {
            State::Length(rest) => Some(rest),
            State::End => Some(0),
            _ => None,
        }
    }

    /// Takes the next piece out of `source`.
    pub(super) fn decode(&mut self, source: &mut BytesMut) -> Result<Piece, Malformed> {
        loop {
            match self.state {
                State::End => return Ok(Piece::End),
                State::Broken(malformed) => return Err(malformed),
                _ if source.is_empty() => return Ok(Piece::NeedMore),
                State::Length(rest) => return Ok(self.take(source, rest, State::Length, State::End)),
                State::Chunk(rest) => return Ok(self.take(source, rest, State::Chunk, State::ChunkCr)),
                _ => {
                    let byte = source.get_u8();
                    self.state = self.step(byte).unwrap_or_else(State::Broken);
                }
            }
        }
    }

    fn take(&mut self, source: &mut BytesMut, rest: u64, more: fn(u64) -> State, then: State) -> Piece {
        let length = usize::try_from(rest).unwrap_or(usize::MAX).min(source.len());
        let rest = rest - length as u64;
        self.state = if rest == 0 { then } else { more(rest) };
        Piece::Data(source.split_to(length).freeze())
    }

    /// One byte of the framing around the chunks.
    fn step(&mut self, byte: u8) -> Result<State, Malformed> {
        match (self.state, byte) {
            (State::Size, _) => self.size_digit(byte),
            (State::SizeSpace | State::Extension, b'\r') => Ok(State::SizeLf),
            (State::SizeSpace, b' ' | b'\t') => self.within(State::SizeSpace),
            (State::SizeSpace, b';') | (State::Extension, b'\t' | b' '..=0x7e | 0x80..) => {
                self.within(State::Extension)
            }
            (State::SizeLf, b'\n') => {
                self.line = 0;
                Ok(if self.size == 0 { State::TrailerStart } else { State::Chunk(self.size) })
            }
            (State::SizeSpace | State::Extension | State::SizeLf, _) => Err(Malformed::SizeLine),
            (State::ChunkCr, b'\r') => Ok(State::ChunkLf),
            (State::ChunkLf, b'\n') => {
                (self.size, self.line) = (0, 0);
                Ok(State::Size)
            }
            (State::TrailerStart, b'\r') => Ok(State::LastLf),
            (State::Trailer, b'\r') => Ok(State::TrailerLf),
            (State::TrailerStart, b'!'..=0x7e) | (State::Trailer, b'\t' | b' '..=0x7e | 0x80..) => {
                self.within(State::Trailer)
            }
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            (State::LastLf, b'\n') => Ok(State::End),
            (State::ChunkCr | State::ChunkLf, _) => Err(Malformed::ChunkEnd),
            _ => Err(Malformed::Trailers),
        }
    }

    fn size_digit(&mut self, byte: u8) -> Result<State, Malformed> {
        match (char::from(byte).to_digit(16), byte) {
            (Some(digit), _) if self.line < SIZE_DIGITS_MAX => {
                self.size = self.size << 4 | u64::from(digit);
                self.line += 1;
                Ok(State::Size)
            }
            (None, b'\r') if self.line > 0 => Ok(State::SizeLf),
            (None, b';') if self.line > 0 => Ok(State::Extension),
            (None, b' ' | b'\t') if self.line > 0 => Ok(State::SizeSpace),
            _ => Err(Malformed::Size),
        }
    }

    /// Counts a byte of a limited line or section.
    fn within(&mut self, next: State) -> Result<State, Malformed> {
        self.line += 1;
        match next {
            State::Trailer if self.line > TRAILERS_BYTES_MAX => Err(Malformed::Trailers),
            State::SizeSpace | State::Extension if self.line > CHUNK_LINE_BYTES_MAX => {
                Err(Malformed::SizeLine)
            }
            _ => Ok(next),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `input` given in pieces of `step` bytes: the body and what is left, or the error.
    fn decode(framing: Framing, input: &[u8], step: usize) -> Result<(Vec<u8>, Vec<u8>, bool), Malformed> {
        let (mut decoder, mut source, mut body) = (Decoder::new(framing), BytesMut::new(), Vec::new());
        let mut pieces = input.chunks(step);
        loop {
            match decoder.decode(&mut source)? {
                Piece::Data(data) => body.extend_from_slice(&data),
                Piece::End => {
                    let left = [source.to_vec(), pieces.collect::<Vec<_>>().concat()].concat();
                    return Ok((body, left, true));
                }
                Piece::NeedMore => match pieces.next() {
                    Some(piece) => source.extend_from_slice(piece),
                    None => return Ok((body, Vec::new(), false)),
                },
            }
        }
    }

    #[test]
    fn bodies_end_where_they_say_however_they_are_split() {
        for (framing, input, body, left) in [
            (Framing::Empty, &b"GET"[..], &b""[..], &b"GET"[..]),
            (Framing::Length(3), b"abcGET", b"abc", b"GET"),
            (Framing::Chunked, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET", b"abcde", b"GET"),
            (
                Framing::Chunked,
                b"3;a=\"b;c\";d\r\nabc\r\n0\r\nX: y\r\nZ: \xc3\xa4\r\n\r\nGET",
                b"abc",
                b"GET",
            ),
            (Framing::Chunked, b"0003 \t\r\nabc\r\n000\r\n\r\n", b"abc", b""),
            (Framing::Chunked, b"A \t;x\r\n0123456789\r\n0;last\r\n\r\n", b"0123456789", b""),
        ] {
            for step in 1..=input.len() {
                let expected = Ok((body.to_vec(), left.to_vec(), true));
                assert_eq!(
                    decode(framing, input, step),
                    expected,
                    "{step} {:?}",
                    input.escape_ascii().to_string()
                );
            }
        }
    }

    #[test]
    fn malformed_chunks_are_named() {
        let long_line = [b"1;", &[b'x'; CHUNK_LINE_BYTES_MAX][..], b"\r\na"].concat();
        let long_trailers = [b"0\r\n", &b"a: b\r\n".repeat(TRAILERS_BYTES_MAX / 2)[..]].concat();
        for (input, expected) in [
            (&b"\r\n"[..], Malformed::Size),
            (b"x\r\n", Malformed::Size),
            (b"-1\r\n", Malformed::Size),
            (b"0x1\r\n", Malformed::Size),
            (b"+1\r\n", Malformed::Size),
            (b" 1\r\n", Malformed::Size),
            (b"1\n", Malformed::Size),
            (b"00000000000000001\r\n", Malformed::Size),
            (b"1 1\r\n", Malformed::SizeLine),
            (b"1\rX", Malformed::SizeLine),
            (b"1;a\n", Malformed::SizeLine),
            (b"1;a\0\r\n", Malformed::SizeLine),
            (&long_line, Malformed::SizeLine),
            (b"1\r\nab", Malformed::ChunkEnd),
            (b"1\r\na\n", Malformed::ChunkEnd),
            (b"1\r\na\rb", Malformed::ChunkEnd),
            (b"0\r\n\n", Malformed::Trailers),
            (b"0\r\na: b\n\n", Malformed::Trailers),
            (b"0\r\n folded\r\n\r\n", Malformed::Trailers),
            (&long_trailers, Malformed::Trailers),
        ] {
            let start = input[..input.len().min(20)].escape_ascii().to_string();
            assert_eq!(decode(Framing::Chunked, input, 7), Err(expected), "{start}");
        }
    }

    #[test]
    fn a_body_cut_short_is_not_complete() {
        for (framing, input) in [
            (Framing::Length(4), &b"abc"[..]),
            (Framing::Chunked, b"3\r\nabc\r\n"),
            (Framing::Chunked, b"3\r\nabc\r\n0\r\n\r"),
        ] {
            assert!(matches!(decode(framing, input, 1), Ok((_, _, false))));
        }
    }
}
