//! How the peer port serves.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::fleet::peers::Keys;
use crate::memory::blob::Uid;
use crate::memory::object::Version;

/// Fetches for other pods what is not held here.
pub trait Fill: Send + Sync {
    /// Piece `index` of the version `uid` under `path`, as soon as it has a byte; `None` where it cannot be had.
    fn fill(self: Arc<Self>, path: String, uid: Uid, index: u64) -> BoxFuture<'static, Option<Arc<Version>>>;
}

/// How the peer port serves.
#[derive(Clone)]
pub struct Settings {
    /// Its threads.
    pub workers: usize,
    /// By which other pods are known; while they are not known, none is answered.
    pub keys: Arc<OnceLock<Keys>>,
    /// Whether it speaks TLS, and nothing else.
    pub is_encrypted: bool,
    /// Who fetches for others what is not held here, if anybody.
    pub fills: Option<Arc<dyn Fill>>,
    /// Answers with complete versions at once.
    pub answers_max: usize,
    /// Answers at once with what may have to be fetched: others than those, so that what is live does not wait for what is cold.
    pub fills_max: usize,
    /// Answers at once that follow what grows: they last as long as its upload, and take no more than comes in.
    pub follows_max: usize,
    /// Connections of each worker.
    pub connections_max: usize,
    /// How long a question for an upload without a byte waits for its first one.
    pub first_byte_wait: Duration,
    /// How long another pod may take nothing, shake hands, or be at its question, before its connection is cut.
    pub stall_max: Duration,
}

impl Settings {
    /// The usual ones.
    pub fn new(keys: Arc<OnceLock<Keys>>, is_encrypted: bool) -> Self {
        Self {
            workers: 1,
            keys,
            is_encrypted,
            fills: None,
            answers_max: 64,
            fills_max: 64,
            follows_max: 1_024,
            connections_max: 4_096,
            first_byte_wait: Duration::from_secs(3),
            stall_max: Duration::from_secs(10),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings").field("is_encrypted", &self.is_encrypted).finish_non_exhaustive()
    }
}
