//! Pieces of versions that other tiers have: brought to memory once, followed by all who asked, evicted like objects.
//!
//! A piece is an object under a key that no path can be. So whatever holds for uploads holds for fills: one copy in
//! memory, readers that follow it while it grows, every byte within the budget.

use std::sync::Arc;

use mediaorigin_crds::policy::Class;

use super::blob::Uid;
use super::object::{Meta, Version};
use super::upload::{Opening, Terms, Upload};
use super::{Found, Full, Memory, Purpose};
use crate::clock::Clock;

/// Bytes of a piece; only the last one of a version is shorter.
pub const PIECE_BYTES: u64 = 2 * 1024 * 1024;

/// The piece `index` of the version `uid`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PieceKey(Arc<str>);

/// What a fill begins with.
#[derive(Debug)]
pub enum Piece {
    /// Somebody fills it, or it is there.
    There(Arc<Version>),
    /// It is ours to fill.
    Ours(Upload),
}

impl PieceKey {
    /// The key.
    pub fn new(uid: Uid, index: u64) -> Self {
        Self(format!("\0{uid}/{index}").into())
    }
}

/// Whether a key is one of a piece: no path begins so.
pub(super) fn is_piece(path: &str) -> bool {
    path.starts_with('\0')
}

impl Memory {
    /// The piece, complete or growing, if it is here.
    pub fn piece(&self, key: &PieceKey, clock: &Clock) -> Option<Arc<Version>> {
        match self.find(&key.0, clock.now()) {
            Found::Complete(version) | Found::Growing(version) => Some(version),
            Found::Announced(uploads) => uploads.into_iter().next().map(|(version, _)| version),
            Found::Gone(_) | Found::Nothing => None,
        }
    }

    /// The piece, if all of it is here.
    pub fn whole_piece(&self, key: &PieceKey, clock: &Clock) -> Option<Arc<Version>> {
        match self.find(&key.0, clock.now()) {
            Found::Complete(version) => Some(version),
            _ => None,
        }
    }

    /// Begins to fill a piece of `length` bytes, unless somebody was faster.
    pub async fn fill(self: &Arc<Self>, key: &PieceKey, length: u64, clock: &Clock) -> Result<Piece, Full> {
        let meta = Meta {
            content_type: String::new(),
            content_encoding: None,
            cache_control: None,
            class: Class::Other,
        };
        let path = Arc::clone(&key.0);
        let opening = Opening { path, uid: Uid(0), meta, early: true, length: Some(length) };
        let (cost, body) = self.pay(&opening, Purpose::Fill, clock).await?;
        Ok(match Upload::new_unless_there(Arc::clone(self), opening, cost, body) {
            Ok(upload) => Piece::Ours(upload),
            Err(version) => Piece::There(version),
        })
    }
}

impl Upload {
    /// Ends a fill: from now on the piece may be evicted.
    pub fn filled(self, clock: &Clock) {
        let terms = Terms { keep: std::time::Duration::ZERO, expire: None };
        self.commit_as(None, clock.now(), terms, |_| true);
    }
}
