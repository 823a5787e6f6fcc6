//! What is made of a version on first use, and goes with it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use tokio::sync::OnceCell;

use super::budget::Permit;
use super::chunk::CHUNK_COST;
use crate::http::described::Kept;
use crate::pace::Pace;

/// What is made of a version on first use.
#[derive(Debug, Default)]
pub struct Derived {
    /// How often it changes, where it is a complete manifest.
    pub pace: OnceLock<Pace>,
    /// The bytes in the other coding, where it is a complete manifest; `None` where there is none that is worth it.
    pub variant: OnceCell<Option<Arc<Variant>>>,
    described: [ArcSwapOption<Kept>; 2],
    overwrote: AtomicBool,
    shares_second: AtomicBool,
}

/// The coding of a manifest that it was not stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Compressed.
    Gzip,
    /// Unpacked.
    Identity,
}

/// The bytes of a manifest in another coding, paid from the budget until their last reader is gone.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The coding.
    pub coding: Coding,
    /// The bytes.
    pub bytes: Bytes,
}

/// Drops its bytes first and then its permit.
struct Paid {
    bytes: Vec<u8>,
    _permit: Permit,
}

impl AsRef<[u8]> for Paid {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Coding {
    /// The word in `ETag`s.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Identity => "identity",
        }
    }
}

impl Variant {
    /// What `length` bytes cost.
    pub fn cost(length: u64) -> u64 {
        length.saturating_add(CHUNK_COST)
    }

    /// `bytes`, if `permit` pays for them; it gives back what is too much.
    pub fn new(coding: Coding, mut bytes: Vec<u8>, mut permit: Permit) -> Option<Self> {
        bytes.shrink_to_fit();
        let permit = permit.split(Self::cost(bytes.len() as u64))?;
        Some(Self { coding, bytes: Bytes::from_owner(Paid { bytes, _permit: permit }) })
    }
}

impl Derived {
    /// Where the lines of its answers are kept: of the stored coding, or of the other one.
    pub fn described(&self, is_variant: bool) -> &ArcSwapOption<Kept> {
        &self.described[usize::from(is_variant)]
    }

    /// Whether the version replaced other bytes under its path.
    pub fn overwrote(&self) -> bool {
        self.overwrote.load(Ordering::Relaxed)
    }

    /// Whether the version that it replaced had the same `Last-Modified` in whole seconds, or a later one: a date does not
    /// tell them apart then.
    pub fn shares_second(&self) -> bool {
        self.shares_second.load(Ordering::Relaxed)
    }

    /// It replaced other bytes that were begun at `old`; it was begun at `new` itself.
    pub(super) fn set_overwrote(&self, old: SystemTime, new: SystemTime) {
        let seconds =
            |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.overwrote.store(true, Ordering::Relaxed);
        self.shares_second.store(seconds(old) >= seconds(new), Ordering::Relaxed);
    }
}
