//! Compressed manifests: which coding of a manifest a reader is given, and how it is made, once per version.
//!
//! Media is never compressed. A manifest that came compressed is unpacked for readers who cannot. A request with `Range`
//! is about the bytes as they were stored, so it is given those.

use std::io::{self, Read, Write};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use mediaorigin_crds::policy::Class;

use super::request::ReadRequest;
use super::view::RequestView;
use crate::clock::Clock;
use crate::memory::Memory;
use crate::memory::blob::Uid;
use crate::memory::derived::{Coding, Variant};
use crate::memory::fill::PIECE_BYTES;
use crate::memory::object::{Meta, Version};
use crate::tiers::Record;
use crate::tiers::pieces::ReadError;
use crate::tiers::walker::{Cold, Tiers};
use crate::trace;

/// Bytes of a manifest that is worth compressing, at least: below, a packet is a packet.
const BYTES_MIN: u64 = 512;
/// Bytes of a manifest that is compressed or unpacked, at most.
const BYTES_MAX: u64 = 2 * 1024 * 1024;
const _: () = assert!(BYTES_MAX <= PIECE_BYTES, "the first piece of what lies below memory is all of it");
/// A manifest above this size is not compressed on the thread that serves others.
const INLINE_BYTES_MAX: u64 = 32 * 1024;
/// Compression level: a third of the time of the default for a few per cent of the bytes.
const LEVEL: u32 = 3;

/// What a reader is given of a complete version that lies below memory.
#[derive(Clone, Debug)]
pub struct ColdRepresentation<'a> {
    /// The version.
    pub record: &'a Record,
    /// Its bytes in another coding than they were stored in.
    pub variant: Option<Arc<Variant>>,
}

impl ColdRepresentation<'_> {
    /// Its strong `ETag`, which is that of the same bytes from memory.
    pub fn etag(&self) -> String {
        etag(&self.record.uid, self.variant.as_deref())
    }

    /// Its length.
    pub fn length(&self) -> u64 {
        self.variant.as_ref().map_or(self.record.size, |variant| variant.bytes.len() as u64)
    }

    /// Its `Content-Encoding`.
    pub fn content_encoding(&self) -> Option<&str> {
        content_encoding(&self.record.meta, self.variant.as_deref())
    }

    /// Whether another reader may be given another one.
    pub fn varies(&self) -> bool {
        varies(&self.record.meta)
    }
}

/// What a reader is given of a complete version.
#[derive(Clone, Debug)]
pub struct Representation<'a> {
    /// The version.
    pub version: &'a Arc<Version>,
    /// Its bytes in another coding than they were stored in.
    pub variant: Option<Arc<Variant>>,
}

impl Representation<'_> {
    /// Its strong `ETag`: every coding has its own (RFC 9110 §8.8.3.3).
    pub fn etag(&self) -> String {
        etag(&self.version.uid, self.variant.as_deref())
    }

    /// Its length, once that is final.
    pub fn length(&self) -> Option<u64> {
        self.variant.as_ref().map(|variant| variant.bytes.len() as u64).or_else(|| self.version.blob.length())
    }

    /// Its `Content-Encoding`.
    pub fn content_encoding(&self) -> Option<&str> {
        content_encoding(&self.version.meta, self.variant.as_deref())
    }

    /// Whether another reader may be given another one.
    pub fn varies(&self) -> bool {
        varies(&self.version.meta)
    }
}

fn etag(uid: &Uid, variant: Option<&Variant>) -> String {
    match variant {
        None => format!("\"{uid}\""),
        Some(variant) => format!("\"{uid}-{}\"", variant.coding.as_str()),
    }
}

fn content_encoding<'a>(meta: &'a Meta, variant: Option<&Variant>) -> Option<&'a str> {
    match variant.map(|variant| variant.coding) {
        None => meta.content_encoding.as_deref(),
        Some(Coding::Gzip) => Some("gzip"),
        Some(Coding::Identity) => None,
    }
}

fn varies(meta: &Meta) -> bool {
    meta.class == Class::Manifest && meta.content_encoding.as_deref().is_none_or(is_gzip)
}

/// Whether a client prefers gzip to no coding (RFC 9110 §12.5.3). One that does not say so does not.
pub fn prefers_gzip(head: &impl RequestView) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for line in head.lines(&actix_web::http::header::ACCEPT_ENCODING) {
        for item in std::str::from_utf8(line).unwrap_or_default().split(',') {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let quality = quality(parameters);
            match name.trim() {
                "*" => any = Some(quality),
                name if is_gzip(name) => gzip = Some(quality),
                name if name.eq_ignore_ascii_case("identity") => identity = Some(quality),
                _ => {}
            }
        }
    }
    let gzip = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && gzip >= identity.unwrap_or(0.0)
}

/// What `request` is given of `version`, if nothing must be made for it.
pub fn at_once<'a>(version: &'a Arc<Version>, request: &ReadRequest) -> Option<Representation<'a>> {
    let variant = match version.blob.length().and_then(|length| wanted(&version.meta, length, request)) {
        None => None,
        Some(_) => version.derived.variant.get()?.clone(),
    };
    Some(Representation { version, variant })
}

/// What `request` is given of `version`, a complete one. Without memory for another coding it is the one that was stored.
pub async fn choose<'a>(
    memory: &Memory,
    clock: &Clock,
    version: &'a Arc<Version>,
    request: &ReadRequest,
) -> Representation<'a> {
    let variant = match version.blob.length().and_then(|length| wanted(&version.meta, length, request)) {
        None => None,
        Some(coding) => made(memory, clock, version, coding).await,
    };
    Representation { version, variant }
}

/// What `request` is given of a version below memory: the same. It is made from the first piece, which holds all of a manifest that is
/// compressed at all, and kept with it. Where that cannot be had it is the coding that was stored.
pub async fn choose_cold<'a>(
    tiers: &Arc<Tiers>,
    clock: &Clock,
    cold: &'a Cold,
    request: &ReadRequest,
) -> Result<ColdRepresentation<'a>, ReadError> {
    let record = &cold.record;
    let stored = ColdRepresentation { record, variant: None };
    let Some(coding) = wanted(&record.meta, record.size, request) else { return Ok(stored) };
    match trace::step("tiers.read", Some(cold.tier.name()), tiers.whole(cold)).await {
        Ok(piece) => {
            let variant = made(tiers.memory(), clock, &piece, coding).await;
            Ok(ColdRepresentation { variant, ..stored })
        }
        Err(error) if error.is_gone() => Err(error),
        Err(_) => Ok(stored),
    }
}

/// The bytes of `version` in another coding. One request makes them, those that come meanwhile wait for it.
async fn made(memory: &Memory, clock: &Clock, version: &Version, coding: Coding) -> Option<Arc<Variant>> {
    let made = version.derived.variant.get_or_try_init(|| make(memory, clock, version, coding));
    made.await.ok().cloned().flatten()
}

/// Another coding than the stored one, where the request is better served by it.
fn wanted(meta: &Meta, length: u64, request: &ReadRequest) -> Option<Coding> {
    if meta.class != Class::Manifest || request.conditions.has_range() || length > BYTES_MAX {
        return None;
    }
    match meta.content_encoding.as_deref() {
        None if request.prefers_gzip && length >= BYTES_MIN => Some(Coding::Gzip),
        Some(stored) if is_gzip(stored) && !request.prefers_gzip => Some(Coding::Identity),
        _ => None,
    }
}

/// There is no memory for it now.
struct NoMemory;

/// The other coding; `None` where it is not worth it, or where the stored bytes are not what they say.
async fn make(
    memory: &Memory,
    clock: &Clock,
    version: &Version,
    coding: Coding,
) -> Result<Option<Arc<Variant>>, NoMemory> {
    let length = version.blob.length().unwrap_or(0);
    // Compressed it is smaller than that or not worth it; what is unpacked is known to be small only afterwards.
    let bytes_max = if coding == Coding::Gzip { length } else { BYTES_MAX };
    let permit = memory.try_reserve(Variant::cost(bytes_max), clock.now()).ok_or(NoMemory)?;
    let stored = version.blob.copy(0, length);
    let made = if length > INLINE_BYTES_MAX {
        tokio::task::spawn_blocking(move || convert(&stored, coding, bytes_max)).await.ok()
    } else {
        Some(convert(&stored, coding, bytes_max))
    };
    // A broken stream is served as it was stored: nobody can make more of it.
    Ok(made.and_then(Result::ok).and_then(|bytes| Variant::new(coding, bytes, permit)).map(Arc::new))
}

fn convert(stored: &[u8], coding: Coding, bytes_max: u64) -> io::Result<Vec<u8>> {
    let made = match coding {
        Coding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
            encoder.write_all(stored)?;
            encoder.finish()?
        }
        Coding::Identity => {
            let mut made = Vec::new();
            GzDecoder::new(stored).take(bytes_max.saturating_add(1)).read_to_end(&mut made)?;
            made
        }
    };
    if made.len() as u64 > bytes_max {
        return Err(io::Error::other("larger than it may be"));
    }
    Ok(made)
}

fn is_gzip(coding: &str) -> bool {
    coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip")
}

fn quality(parameters: &str) -> f32 {
    let value =
        |item: &str| item.trim().strip_prefix("q=").or(item.trim().strip_prefix("Q=")).map(str::to_owned);
    let text = parameters.split(';').find_map(value);
    text.map_or(1.0, |text| text.trim().parse().unwrap_or(0.0))
}

#[cfg(test)]
mod tests;
