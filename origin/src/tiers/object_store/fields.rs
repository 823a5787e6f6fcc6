//! A version as attributes and metadata of an object in a bucket, and back.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mediaorigin_crds::policy::Class;
use object_store::{Attribute, Attributes};

use super::place::Scheme;
use crate::http::mime;
use crate::memory::blob::Uid;
use crate::memory::object::Meta;
use crate::tiers::Record;

/// An object as the store tells it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) etag: Arc<str>,
    /// The name of this version at stores that have one beside the `ETag`.
    pub(super) version: Option<String>,
    pub(super) size: u64,
    pub(super) modified: SystemTime,
    pub(super) attributes: Attributes,
}

/// What lies under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A version, ours or somebody else's.
    Version {
        record: Arc<Record>,
        /// The CRC-64/NVME of its bytes, if it is ours.
        checksum: Option<u64>,
    },
    /// Nothing, up to this sequence: what was there was deleted.
    Deleted { through: u64 },
}

const UID: &str = "mo-uid";
const SEQUENCE: &str = "mo-sequence";
const MODIFIED: &str = "mo-modified";
const EXPIRES: &str = "mo-expires";
const CLASS: &str = "mo-class";
const SIZE: &str = "mo-size";
const CHECKSUM: &str = "mo-crc64nvme";
const DELETED: &str = "mo-deleted";

/// The name of a field of ours; Azure takes only identifiers of C#.
fn field(scheme: Scheme, name: &'static str) -> Attribute {
    match scheme {
        Scheme::Azure => Attribute::Metadata(name.replace('-', "_").into()),
        _ => Attribute::Metadata(name.into()),
    }
}

/// The attributes of a version.
pub(super) fn of_version(scheme: Scheme, record: &Record, checksum: u64) -> Attributes {
    let Record { path: _, uid, meta, size, sequence, modified, expires_at } = record;
    let Meta { content_type, content_encoding, cache_control, class } = meta;
    let mut attributes = Attributes::new();
    let mut set = |attribute, value: String| attributes.insert(attribute, value.into());
    set(Attribute::ContentType, content_type.clone());
    if let Some(encoding) = content_encoding {
        set(Attribute::ContentEncoding, encoding.clone());
    }
    if let Some(cache_control) = cache_control {
        set(Attribute::CacheControl, cache_control.clone());
    }
    set(field(scheme, UID), uid.to_string());
    set(field(scheme, SEQUENCE), sequence.to_string());
    set(field(scheme, MODIFIED), time_text(*modified));
    if let Some(expires_at) = expires_at {
        set(field(scheme, EXPIRES), time_text(*expires_at));
    }
    set(field(scheme, CLASS), class.as_str().to_owned());
    set(field(scheme, SIZE), size.to_string());
    set(field(scheme, CHECKSUM), format!("{checksum:016x}"));
    attributes
}

/// The attributes of the marker of a delete.
pub(super) fn of_marker(scheme: Scheme, through: u64) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::ContentType, "application/octet-stream".into());
    attributes.insert(field(scheme, DELETED), through.to_string().into());
    attributes
}

/// What an object is. One whose fields are not all there, or that has another size than they say, was put there by
/// somebody else.
pub(super) fn content(scheme: Scheme, path: &str, entry: &Entry) -> Content {
    let text = |name| entry.attributes.get(&field(scheme, name)).map(AsRef::as_ref);
    if let Some(through) = text(DELETED).and_then(|text: &str| text.parse().ok()) {
        return Content::Deleted { through };
    }
    let ours = || {
        let checksum = u64::from_str_radix(text(CHECKSUM)?, 16).ok()?;
        let size: u64 = text(SIZE)?.parse().ok()?;
        let record = Record {
            path: Arc::from(path),
            uid: Uid(u128::from_str_radix(text(UID)?, 16).ok()?),
            meta: meta(path, entry, text(CLASS)),
            size,
            sequence: text(SEQUENCE)?.parse().ok()?,
            modified: time(text(MODIFIED)?)?,
            expires_at: text(EXPIRES).and_then(time),
        };
        (size == entry.size).then_some((record, checksum))
    };
    match ours() {
        Some((record, checksum)) => Content::Version { record: Arc::new(record), checksum: Some(checksum) },
        None => Content::Version { record: Arc::new(foreign(path, entry)), checksum: None },
    }
}

/// An object of somebody else: its name follows from what the store calls this version of it.
fn foreign(path: &str, entry: &Entry) -> Record {
    let text = format!("{}\n{}\n{}", entry.etag, entry.version.as_deref().unwrap_or(""), entry.size);
    Record {
        path: Arc::from(path),
        uid: Uid(fnv_1a(text.as_bytes())),
        meta: meta(path, entry, None),
        size: entry.size,
        sequence: 0,
        modified: entry.modified,
        expires_at: None,
    }
}

fn meta(path: &str, entry: &Entry, class: Option<&str>) -> Meta {
    let text = |attribute| entry.attributes.get(&attribute).map(|value| value.as_ref().to_owned());
    let content_type = text(Attribute::ContentType);
    let class = class.and_then(Class::named);
    Meta {
        content_type: match (class, content_type) {
            // What we wrote is what we read; what others wrote may say nothing.
            (Some(_), Some(content_type)) => content_type,
            (_, content_type) => mime::content_type(path, content_type.as_deref()),
        },
        content_encoding: text(Attribute::ContentEncoding).filter(|encoding| !encoding.is_empty()),
        cache_control: text(Attribute::CacheControl).filter(|value| !value.is_empty()),
        class: class.unwrap_or_else(|| Class::of(path)),
    }
}

/// FNV-1a with 128 bits (RFC 9923): the same in every release, unlike the hashes of the standard library.
fn fnv_1a(bytes: &[u8]) -> u128 {
    let step =
        |hash: u128, byte: &u8| (hash ^ u128::from(*byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b);
    bytes.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, step)
}

/// Seconds since 1970 with nine decimals.
fn time_text(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:09}", since.as_secs(), since.subsec_nanos())
}

fn time(text: &str) -> Option<SystemTime> {
    let (seconds, nanos) = text.split_once('.')?;
    let since = Duration::new(seconds.parse().ok()?, nanos.parse().ok().filter(|n| *n < 1_000_000_000)?);
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// CRC-64/NVME, the one that S3 itself keeps (`x-amz-checksum-crc64nvme`).
pub(super) fn checksum<T: AsRef<[u8]>>(pieces: impl IntoIterator<Item = T>) -> u64 {
    let mut digest = digest();
    pieces.into_iter().for_each(|piece| digest.update(piece.as_ref()));
    digest.finalize()
}

pub(super) fn digest() -> crc_fast::Digest {
    crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme)
}
