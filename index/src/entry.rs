//! An entry: what the index says of a path, and its form on the wire.
//!
//! An entry is immutable; a change of a path is another entry with another uid. Uploads that are still growing are announced
//! elsewhere: an announcement here could replace the last committed version, and would make holes in the log.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::wire::{Reader, WireError, put_bytes, put_number};

/// The newest form of an entry that this program reads, and the one that it writes.
pub const FORM: u8 = 1;
/// Longest path: 900 characters, as the origin takes them.
pub const PATH_BYTES_MAX: usize = 3_600;
/// Most headers.
pub const HEADERS_MAX: usize = 16;
/// Longest name or value of a header.
pub const HEADER_BYTES_MAX: usize = 255;
/// Most places.
pub const PLACES_MAX: usize = 8;
/// Longest name of a place.
pub const PLACE_BYTES_MAX: usize = 1_024;
/// Largest body inside an entry: manifests.
pub const BODY_BYTES_MAX: usize = 64 * 1_024;

/// The name of one version: never used again, also not for the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid(pub u128);

impl fmt::Display for Uid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

/// Where a change stands among the changes of its path: by its stamp, and by its uid where two began at the same microsecond. What
/// the log holds of a path, and what the object store holds of it, only rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rank {
    /// The stamp of its entry.
    pub stamp: u64,
    /// The name of its version.
    pub uid: Uid,
}

/// What the index says of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The path, decoded, without a leading slash.
    pub path: Arc<str>,
    /// The name of this version; a tombstone has one too.
    pub uid: Uid,
    /// Microseconds since 1970 at which the request for it arrived, by the clock of its pod, or one more than the stamp of what was
    /// there then, if that is later: see [`crate::Fence::stamp_after`].
    pub stamp: u64,
    /// Whether there is something.
    pub state: State,
}

/// Whether there is something under a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// A complete version.
    Live(Version),
    /// It was deleted.
    Tombstone,
}

/// A complete version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// Its bytes.
    pub size: u64,
    /// Headers and whatever else must be known to answer for it, in order.
    pub headers: Vec<(String, String)>,
    /// Microseconds since 1970 from when on it is gone.
    pub expires_at: Option<u64>,
    /// Where its bytes are, the best one first; none when they are all in `body`.
    pub places: Vec<Place>,
    /// Its bytes, when they are few.
    pub body: Option<Bytes>,
}

/// Where bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the memory of a pod: a hint.
    Pod(String),
    /// In the write-ahead log of the fleet, under the uid.
    Log,
    /// In the object store, under this key.
    ObjectStore(String),
}

/// Why an entry cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {what} of an entry is {is}, more than {max}")]
pub struct TooLarge {
    /// What.
    pub what: &'static str,
    /// How much it is.
    pub is: usize,
    /// What is allowed.
    pub max: usize,
}

/// What an allocation costs beside its bytes, about.
const ALLOCATION_BYTES: usize = 16;

const LIVE: u8 = 1;
const TOMBSTONE: u8 = 2;
const POD: u8 = 1;
const LOG: u8 = 2;
const OBJECT_STORE: u8 = 3;

impl Place {
    fn memory_bytes(&self) -> usize {
        match self {
            Self::Pod(name) | Self::ObjectStore(name) => name.len() + ALLOCATION_BYTES,
            Self::Log => 0,
        }
    }
}

impl Entry {
    /// The version, if there is one.
    pub fn version(&self) -> Option<&Version> {
        match &self.state {
            State::Live(version) => Some(version),
            State::Tombstone => None,
        }
    }

    /// Whether there is something.
    pub fn is_live(&self) -> bool {
        self.version().is_some()
    }

    /// What it needs in memory, estimated, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let text = |text: &str| text.len() + ALLOCATION_BYTES;
        let version = self.version().map_or(0, |version| {
            let headers = version
                .headers
                .iter()
                .map(|(name, value)| size_of::<(String, String)>() + text(name) + text(value));
            let places = version.places.iter().map(|place| size_of::<Place>() + place.memory_bytes());
            let body = version.body.as_ref().map_or(0, |body| body.len() + ALLOCATION_BYTES);
            headers.sum::<usize>() + places.sum::<usize>() + body + 2 * ALLOCATION_BYTES
        });
        size_of::<Self>() + ALLOCATION_BYTES + text(&self.path) + version
    }

    /// Where it stands among the changes of its path.
    pub fn rank(&self) -> Rank {
        Rank { stamp: self.stamp, uid: self.uid }
    }

    /// The rank of an entry as bytes, also of one that this program cannot read: every form, the newer ones too, begins with
    /// its form, its state, the uid and the stamp.
    pub fn rank_of(bytes: &[u8]) -> Option<Rank> {
        let mut reader = Reader(bytes);
        if reader.byte("form").ok()? < FORM {
            return None;
        }
        reader.byte("state").ok()?;
        Self::read_rank(&mut reader).ok()
    }

    fn read_rank(reader: &mut Reader<'_>) -> Result<Rank, WireError> {
        let uid = reader.take(16, "uid")?.try_into().map_err(|_| WireError::Short("uid"))?;
        let stamp = reader.take(8, "stamp")?.try_into().map_err(|_| WireError::Short("stamp"))?;
        Ok(Rank { stamp: u64::from_le_bytes(stamp), uid: Uid(u128::from_le_bytes(uid)) })
    }

    /// Its bytes on the wire, or which bound it exceeds.
    pub fn encode(&self) -> Result<Vec<u8>, TooLarge> {
        check("path", self.path.len(), PATH_BYTES_MAX)?;
        let mut out = Vec::with_capacity(64 + self.path.len());
        out.push(FORM);
        out.push(if self.is_live() { LIVE } else { TOMBSTONE });
        out.extend_from_slice(&self.uid.0.to_le_bytes());
        out.extend_from_slice(&self.stamp.to_le_bytes());
        put_bytes(&mut out, self.path.as_bytes());
        if let State::Live(version) = &self.state {
            version.encode(&mut out)?;
        }
        Ok(out)
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(bytes: &Bytes) -> Result<Self, WireError> {
        let mut reader = Reader(bytes);
        match reader.byte("form")? {
            FORM => {}
            0 => return Err(WireError::Wrong("form")),
            form => return Err(WireError::Form(form)),
        }
        let state = reader.byte("state")?;
        let Rank { stamp, uid } = Self::read_rank(&mut reader)?;
        let path = reader.text(PATH_BYTES_MAX, "path")?;
        let state = match state {
            LIVE => State::Live(Version::decode(&mut reader)?),
            TOMBSTONE => State::Tombstone,
            _ => return Err(WireError::Wrong("state")),
        };
        reader.end()?;
        Ok(Self { path: Arc::from(path), uid, stamp, state })
    }
}

impl Version {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), TooLarge> {
        put_number(out, self.size);
        // None is 0; no version expires in the first microsecond of 1970.
        put_number(out, self.expires_at.unwrap_or(0));
        check("number of headers", self.headers.len(), HEADERS_MAX)?;
        put_number(out, self.headers.len() as u64);
        for text in self.headers.iter().flat_map(|(name, value)| [name, value]) {
            check("header", text.len(), HEADER_BYTES_MAX)?;
            put_bytes(out, text.as_bytes());
        }
        check("number of places", self.places.len(), PLACES_MAX)?;
        put_number(out, self.places.len() as u64);
        for place in &self.places {
            let (kind, name) = match place {
                Place::Pod(name) => (POD, name.as_str()),
                Place::Log => (LOG, ""),
                Place::ObjectStore(key) => (OBJECT_STORE, key.as_str()),
            };
            check("place", name.len(), PLACE_BYTES_MAX)?;
            out.push(kind);
            put_bytes(out, name.as_bytes());
        }
        let body = self.body.as_deref();
        check("body", body.map_or(0, <[u8]>::len), BODY_BYTES_MAX)?;
        out.push(u8::from(body.is_some()));
        out.extend_from_slice(body.unwrap_or_default());
        Ok(())
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let size = reader.number("size")?;
        let expires_at = Some(reader.number("expiry")?).filter(|at| *at != 0);
        let count = reader.length(HEADERS_MAX, "number of headers")?;
        let mut headers = Vec::with_capacity(count);
        for _ in 0..count {
            let name = reader.text(HEADER_BYTES_MAX, "header")?.to_owned();
            headers.push((name, reader.text(HEADER_BYTES_MAX, "header")?.to_owned()));
        }
        let count = reader.length(PLACES_MAX, "number of places")?;
        let mut places = Vec::with_capacity(count);
        for _ in 0..count {
            let kind = reader.byte("place")?;
            let name = reader.text(PLACE_BYTES_MAX, "place")?.to_owned();
            places.push(match kind {
                POD => Place::Pod(name),
                LOG if name.is_empty() => Place::Log,
                OBJECT_STORE => Place::ObjectStore(name),
                _ => return Err(WireError::Wrong("place")),
            });
        }
        let body = match reader.byte("body")? {
            0 => None,
            1 if reader.0.len() <= BODY_BYTES_MAX => {
                let length = reader.0.len();
                // A copy: a slice would keep the buffer alive that the message arrived in.
                Some(Bytes::copy_from_slice(reader.take(length, "body")?))
            }
            _ => return Err(WireError::Wrong("body")),
        };
        Ok(Self { size, headers, expires_at, places, body })
    }
}

fn check(what: &'static str, is: usize, max: usize) -> Result<(), TooLarge> {
    if is > max { Err(TooLarge { what, is, max }) } else { Ok(()) }
}
