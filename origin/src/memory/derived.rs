//! What is made of a version on first use, and goes with it: facts about a manifest, and whether it replaced another.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::pace::Pace;

/// What is made of a version on first use.
#[derive(Debug, Default)]
pub struct Derived {
    /// How often it changes, where it is a complete manifest.
    pub pace: OnceLock<Pace>,
    overwrote: AtomicBool,
}

impl Derived {
    /// Whether the version replaced other bytes under its path.
    pub fn overwrote(&self) -> bool {
        self.overwrote.load(Ordering::Relaxed)
    }

    pub(super) fn set_overwrote(&self) {
        self.overwrote.store(true, Ordering::Relaxed);
    }
}
