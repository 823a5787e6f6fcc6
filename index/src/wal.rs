//! The write-ahead log of bodies: bytes of a version that no object store has yet, cut into messages, and put together again.
//!
//! All messages of a version but its last are of the same length, so whoever knows its size knows which message holds a byte. Each one carries
//! a checksum, and the last one the size and the checksum of the whole. Nothing here does I/O: [`crate::nats::wal`] does.

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Buf, Bytes, BytesMut};
use crc_fast::{CrcAlgorithm, Digest};

use crate::entry::Uid;
use crate::key::Scope;

/// Bytes of every message but the last: half of what servers take.
pub const MESSAGE_BYTES: usize = 512 * 1_024;

const ALGORITHM: CrcAlgorithm = CrcAlgorithm::Crc64Nvme;

/// What the last message says of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// All bytes.
    pub size: u64,
    /// Their checksum.
    pub sum: u64,
}

/// What the first message says of the version, for whoever finds it when its writer is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its path.
    pub path: Arc<str>,
    /// Its stamp.
    pub stamp: u64,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Which one it is, from 0.
    pub number: u64,
    /// Its bytes.
    pub payload: Bytes,
    /// Their checksum.
    pub sum: u64,
    /// In the first one.
    pub label: Option<Label>,
    /// In the last one.
    pub whole: Option<Whole>,
}

/// Cuts bytes into messages as they come. It holds one message back, because only the end tells which is the last.
#[derive(Debug)]
pub struct Cutter {
    held: BytesMut,
    number: u64,
    size: u64,
    whole: Digest,
    label: Option<Label>,
}

impl Cutter {
    /// For the version that `label` says something of.
    pub fn new(label: Label) -> Self {
        let whole = Digest::new(ALGORITHM);
        Self { held: BytesMut::new(), number: 0, size: 0, whole, label: Some(label) }
    }

    /// Takes from `bytes` what fits; a message that is complete, or `None` when all is taken.
    pub fn push(&mut self, bytes: &mut Bytes) -> Option<Frame> {
        let room = MESSAGE_BYTES - self.held.len();
        if room == 0 && !bytes.is_empty() {
            return Some(self.cut(false));
        }
        let part = bytes.split_to(room.min(bytes.len()));
        self.whole.update(&part);
        self.size += part.len() as u64;
        self.held.extend_from_slice(&part);
        if bytes.is_empty() { None } else { Some(self.cut(false)) }
    }

    /// The last message.
    pub fn finish(&mut self) -> Frame {
        self.cut(true)
    }

    fn cut(&mut self, is_last: bool) -> Frame {
        let payload = self.held.split().freeze();
        let number = self.number;
        self.number += 1;
        let whole = is_last.then(|| Whole { size: self.size, sum: self.whole.finalize() });
        Frame { number, sum: sum(&payload), payload, label: self.label.take(), whole }
    }
}

fn sum(bytes: &[u8]) -> u64 {
    crc_fast::checksum(ALGORITHM, bytes)
}

/// The messages that hold `range` of a version of `size` bytes. One without bytes has a message all the same.
pub fn numbers(size: u64, range: &Range<u64>) -> Range<u64> {
    let each = MESSAGE_BYTES as u64;
    if size == 0 {
        return 0..1;
    }
    let end = range.end.min(size);
    if range.start >= end { 0..0 } else { range.start / each..end.div_ceil(each) }
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Its length is not that of this message of a version of this size.
    #[error("it has {is} bytes instead of {wanted}")]
    Length {
        /// What it has.
        is: u64,
        /// What it must have.
        wanted: u64,
    },
    /// It carries no checksum, or another one.
    #[error("its checksum is wrong")]
    Sum,
    /// It is the last message, and says another size; or it is not, and says one.
    #[error("it is of a version of another size")]
    Size,
    /// The checksum of all bytes is another one.
    #[error("the checksum of all messages is wrong")]
    Whole,
}

/// Puts messages together, in their order, and looks whether they are what was written.
#[derive(Debug)]
pub struct Joiner {
    size: u64,
    range: Range<u64>,
    /// When all bytes are read.
    whole: Option<Digest>,
}

impl Joiner {
    /// For `range` of a version of `size` bytes.
    pub fn new(size: u64, range: Range<u64>) -> Self {
        let is_all = range.start == 0 && range.end >= size;
        Self { size, range, whole: is_all.then(|| Digest::new(ALGORITHM)) }
    }

    /// The bytes of the range in the next message.
    pub fn take(&mut self, frame: Frame) -> Result<Bytes, Damage> {
        let Frame { number, mut payload, sum: said, whole, label: _ } = frame;
        let begin = number * MESSAGE_BYTES as u64;
        let wanted = self.size.saturating_sub(begin).min(MESSAGE_BYTES as u64);
        if payload.len() as u64 != wanted {
            return Err(Damage::Length { is: payload.len() as u64, wanted });
        }
        if sum(&payload) != said {
            return Err(Damage::Sum);
        }
        let is_last = begin + wanted == self.size;
        if whole.map(|whole| whole.size) != is_last.then_some(self.size) {
            return Err(Damage::Size);
        }
        if let Some(digest) = &mut self.whole {
            digest.update(&payload);
            if whole.is_some_and(|whole| whole.sum != digest.finalize()) {
                return Err(Damage::Whole);
            }
        }
        // Positions within the message; both are at most its length.
        let within = |at: u64| usize::try_from(at.saturating_sub(begin).min(wanted)).unwrap_or(MESSAGE_BYTES);
        let (start, end) = (within(self.range.start), within(self.range.end));
        payload.truncate(end.max(start));
        payload.advance(start);
        Ok(payload)
    }
}

/// Names on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    scope: Scope,
}

impl Names {
    /// Those of the origin named `scope`.
    pub fn new(scope: Scope) -> Self {
        Self { scope }
    }

    /// The name of the stream.
    pub fn stream(&self) -> String {
        format!("MO_WAL_{}", self.scope)
    }

    fn prefix(&self) -> String {
        format!("mo.wal.{}.", self.scope)
    }

    /// All that the stream takes.
    pub fn all(&self) -> String {
        self.prefix() + ">"
    }

    /// The subject of one message.
    pub fn message(&self, uid: Uid, number: u64) -> String {
        format!("{}{uid}.{number}", self.prefix())
    }

    /// All messages of a version.
    pub fn version(&self, uid: Uid) -> String {
        format!("{}{uid}.*", self.prefix())
    }

    /// The version that a subject belongs to.
    pub fn uid(&self, subject: &str) -> Option<Uid> {
        let (uid, number) = subject.strip_prefix(&self.prefix())?.split_once('.')?;
        number.parse::<u64>().ok()?;
        if uid.len() == 32 { u128::from_str_radix(uid, 16).ok().map(Uid) } else { None }
    }
}

/// Checksum of the message.
const SUM: &str = "Mo-Sum";
/// Size and checksum of the whole, in the last message.
const WHOLE_SIZE: &str = "Mo-Whole-Size";
const WHOLE_SUM: &str = "Mo-Whole-Sum";
/// Path, in the URL alphabet of base64, and stamp, in the first message.
const PATH: &str = "Mo-Path";
const STAMP: &str = "Mo-Stamp";

impl Frame {
    /// Its headers.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![(SUM, format!("{:016x}", self.sum))];
        if let Some(Label { path, stamp }) = &self.label {
            headers.extend([(PATH, URL_SAFE_NO_PAD.encode(&**path)), (STAMP, stamp.to_string())]);
        }
        if let Some(Whole { size, sum }) = self.whole {
            headers.extend([(WHOLE_SIZE, size.to_string()), (WHOLE_SUM, format!("{sum:016x}"))]);
        }
        headers
    }

    /// What was read: a message, and its headers.
    pub fn read<'a>(
        number: u64,
        payload: Bytes,
        header: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Self, Damage> {
        let sum_in = |name| header(name).and_then(|text| u64::from_str_radix(text, 16).ok());
        let sum = sum_in(SUM).ok_or(Damage::Sum)?;
        let whole = match header(WHOLE_SIZE) {
            Some(text) => {
                let size = text.parse().map_err(|_| Damage::Size)?;
                Some(Whole { size, sum: sum_in(WHOLE_SUM).ok_or(Damage::Whole)? })
            }
            None => None,
        };
        Ok(Self { number, payload, sum, label: label(header), whole })
    }
}

/// What a first message says; one that says nothing that makes sense is as good as one that says nothing.
fn label<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<Label> {
    let path = String::from_utf8(URL_SAFE_NO_PAD.decode(header(PATH)?).ok()?).ok()?;
    Some(Label { path: path.into(), stamp: header(STAMP)?.parse().ok()? })
}
