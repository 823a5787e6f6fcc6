//! A blob as a file: the body, the checksums of its blocks, its metadata, and a footer of fixed size. `docs/disk-format.md`
//! has the picture; this is all pure.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use mediaorigin_crds::policy::Class;
use serde::{Deserialize, Serialize};

use super::sum;
use crate::memory::blob::Uid;
use crate::memory::object::Meta;
use crate::tiers::Record;

/// Bytes of a body that one checksum covers.
pub(super) const BLOCK_BYTES: usize = 64 * 1_024;
/// Bytes of the footer.
pub(super) const FOOTER_BYTES: usize = 48;
/// Metadata that is longer is not ours.
const METADATA_BYTES_MAX: u32 = 64 * 1_024;
const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"MOBLOB\r\n";

/// Whether a file must stay or may go when space is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It must stay: the disk is what its durability rests on.
    Keep,
    /// It is only a cache of what another tier has.
    Cache,
}

/// Why a file is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    #[error("the file is shorter or longer than its footer says")]
    Length,
    #[error("the footer is not one of ours")]
    Footer,
    #[error("the format version {0} is not known to this program")]
    Version(u32),
    #[error("the metadata does not fit its checksum")]
    Metadata,
    #[error("the file holds another version than its name says")]
    Name,
    #[error("the table of checksums does not fit its checksum")]
    Table,
    #[error("a block of the body does not fit its checksum")]
    Block,
    #[error("the body does not fit its checksum")]
    Body,
}

/// The name of a file in its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) path_sum: u32,
    pub(super) sequence: u64,
    pub(super) uid: Uid,
    pub(super) hold: Hold,
}

impl Name {
    pub(super) fn new(path: &str, sequence: u64, uid: Uid, hold: Hold) -> Self {
        Self { path_sum: path_sum(path), sequence, uid, hold }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (stem, hold) = match text.rsplit_once('.')? {
            (stem, "keep") => (stem, Hold::Keep),
            (stem, "cache") => (stem, Hold::Cache),
            _ => return None,
        };
        let mut parts = stem.split('-');
        let path_sum = u32::from_str_radix(parts.next()?, 16).ok()?;
        let sequence = u64::from_str_radix(parts.next()?, 16).ok()?;
        let uid = Uid(u128::from_str_radix(parts.next()?, 16).ok()?);
        let name = Self { path_sum, sequence, uid, hold };
        // One spelling per name: what we would not write is not ours.
        (name.file() == text).then_some(name)
    }

    pub(super) fn file(&self) -> String {
        let suffix = match self.hold {
            Hold::Keep => "keep",
            Hold::Cache => "cache",
        };
        format!("{:08x}-{:016x}-{}.{suffix}", self.path_sum, self.sequence, self.uid)
    }

    /// Whether both name the same bytes of the same place in the order.
    pub(super) fn is_version(&self, other: &Self) -> bool {
        self.sequence == other.sequence && self.uid == other.uid
    }
}

/// What spreads paths over the shards.
pub(super) fn path_sum(path: &str) -> u32 {
    sum::of(path.as_bytes())
}

/// The checksums of a body, while it is written.
#[derive(Debug, Default)]
pub(super) struct Sums {
    blocks: Vec<u32>,
    whole: u32,
    length: u64,
    /// Bytes in the last block, of which there are none when it is full.
    filled: usize,
}

impl Sums {
    pub(super) fn add(&mut self, mut data: &[u8]) {
        self.whole = sum::append(self.whole, data);
        self.length += data.len() as u64;
        while !data.is_empty() {
            if self.filled == 0 {
                self.blocks.push(0);
            }
            let (now, later) = data.split_at(data.len().min(BLOCK_BYTES - self.filled));
            if let Some(last) = self.blocks.last_mut() {
                *last = sum::append(*last, now);
            }
            self.filled = (self.filled + now.len()) % BLOCK_BYTES;
            data = later;
        }
    }

    /// Everything behind the body: table, metadata, footer.
    pub(super) fn tail(&self, metadata: &[u8]) -> Vec<u8> {
        let mut tail: Vec<u8> = self.blocks.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        let table = sum::of(&tail);
        tail.extend_from_slice(metadata);
        let footer = Footer {
            body_bytes: self.length,
            metadata_bytes: u32::try_from(metadata.len()).unwrap_or(u32::MAX),
            body_sum: self.whole,
            table_sum: table,
            metadata_sum: sum::of(metadata),
        };
        tail.extend_from_slice(&footer.encode());
        tail
    }
}

/// The last bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) body_bytes: u64,
    pub(super) metadata_bytes: u32,
    pub(super) body_sum: u32,
    pub(super) table_sum: u32,
    pub(super) metadata_sum: u32,
}

impl Footer {
    fn encode(&self) -> [u8; FOOTER_BYTES] {
        let mut footer = [0; FOOTER_BYTES];
        footer[..8].copy_from_slice(&self.body_bytes.to_le_bytes());
        let block_bytes = u32::try_from(BLOCK_BYTES).unwrap_or(u32::MAX);
        let words =
            [self.metadata_bytes, self.body_sum, self.table_sum, self.metadata_sum, block_bytes, VERSION];
        for (index, word) in words.into_iter().enumerate() {
            footer[8 + 4 * index..12 + 4 * index].copy_from_slice(&word.to_le_bytes());
        }
        // Bytes 32 to 36 are not used yet; the sum covers them.
        let sum = sum::of(&footer[..36]);
        footer[36..40].copy_from_slice(&sum.to_le_bytes());
        footer[40..].copy_from_slice(&MAGIC);
        footer
    }

    /// Reads the footer of a file of `file_bytes` bytes from its end.
    pub(super) fn decode(end: &[u8], file_bytes: u64) -> Result<Self, Damage> {
        let footer = end.last_chunk::<FOOTER_BYTES>().ok_or(Damage::Length)?;
        let word = |at: usize| footer[at..].first_chunk::<4>().map_or(0, |word| u32::from_le_bytes(*word));
        if footer[40..] != MAGIC || word(36) != sum::of(&footer[..36]) {
            return Err(Damage::Footer);
        }
        if word(28) != VERSION || word(24) as usize != BLOCK_BYTES {
            return Err(Damage::Version(word(28)));
        }
        let decoded = Self {
            body_bytes: footer.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes)),
            metadata_bytes: word(8),
            body_sum: word(12),
            table_sum: word(16),
            metadata_sum: word(20),
        };
        let is_whole = decoded.metadata_bytes <= METADATA_BYTES_MAX
            && decoded.body_bytes.checked_add(decoded.tail_bytes()) == Some(file_bytes);
        if is_whole { Ok(decoded) } else { Err(Damage::Length) }
    }

    /// Bytes of the table of checksums.
    pub(super) fn table_bytes(&self) -> u64 {
        self.body_bytes.div_ceil(BLOCK_BYTES as u64) * 4
    }

    /// Bytes behind the body.
    pub(super) fn tail_bytes(&self) -> u64 {
        self.table_bytes() + u64::from(self.metadata_bytes) + FOOTER_BYTES as u64
    }
}

/// The table of a body's checksums, one per block.
pub(super) fn decode_table(table: &[u8], footer: &Footer) -> Result<Vec<u32>, Damage> {
    if sum::of(table) != footer.table_sum {
        return Err(Damage::Table);
    }
    Ok(table.as_chunks::<4>().0.iter().map(|sum| u32::from_le_bytes(*sum)).collect())
}

/// What is kept of a version beside its bytes, and how long the disk keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) record: Record,
    pub(super) until: Option<SystemTime>,
}

/// The metadata as JSON. Fields may be added; a reader ignores those that it does not know.
#[derive(Serialize, Deserialize)]
struct Wire {
    path: String,
    uid: String,
    sequence: u64,
    content_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_control: Option<String>,
    class: String,
    modified_nanos: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at_nanos: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_nanos: Option<u64>,
}

/// Nanoseconds since 1970. Before is 1970; what comes after 2554 has no place in them and counts as never.
pub(super) fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The time that [`nanos`] made a number.
pub(super) fn time(nanos: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)
}

impl Metadata {
    pub(super) fn encode(record: &Record, until: Option<SystemTime>) -> Vec<u8> {
        let wire = Wire {
            path: record.path.to_string(),
            uid: record.uid.to_string(),
            sequence: record.sequence,
            content_type: record.meta.content_type.clone(),
            content_encoding: record.meta.content_encoding.clone(),
            cache_control: record.meta.cache_control.clone(),
            class: record.meta.class.as_str().to_owned(),
            modified_nanos: nanos(record.modified),
            expires_at_nanos: record.expires_at.map(nanos).filter(|nanos| *nanos != u64::MAX),
            until_nanos: until.map(nanos).filter(|nanos| *nanos != u64::MAX),
        };
        // Strings and numbers always have a JSON form; an empty one would be refused when it is read.
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    /// Reads the metadata of a file, which must be the one that its name says.
    pub(super) fn decode(metadata: &[u8], footer: &Footer, name: &Name) -> Result<Self, Damage> {
        if sum::of(metadata) != footer.metadata_sum {
            return Err(Damage::Metadata);
        }
        let wire: Wire = serde_json::from_slice(metadata).map_err(|_| Damage::Metadata)?;
        let uid = u128::from_str_radix(&wire.uid, 16).map(Uid).map_err(|_| Damage::Metadata)?;
        let class = Class::named(&wire.class);
        let decoded = Self {
            record: Record {
                path: Arc::from(wire.path),
                uid,
                meta: Meta {
                    content_type: wire.content_type,
                    content_encoding: wire.content_encoding,
                    cache_control: wire.cache_control,
                    class: class.unwrap_or(Class::Other),
                },
                size: footer.body_bytes,
                sequence: wire.sequence,
                modified: time(wire.modified_nanos),
                expires_at: wire.expires_at_nanos.map(time),
            },
            until: wire.until_nanos.map(time),
        };
        let record = &decoded.record;
        let own = Name::new(&record.path, record.sequence, record.uid, name.hold);
        if own == *name { Ok(decoded) } else { Err(Damage::Name) }
    }
}

/// A version as the pieces of its file.
pub(super) fn encode(record: &Record, until: Option<SystemTime>, body: &[Bytes]) -> Vec<u8> {
    let mut sums = Sums::default();
    for piece in body {
        sums.add(piece);
    }
    sums.tail(&Metadata::encode(record, until))
}
