//! The handle by which `main` empties the media port before a stop.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering::Relaxed},
};

/// A cloneable handle that first asks readers to leave and then everybody.
///
/// Workers look at it every 100 ms and at each response, so both steps take effect within one tick. No step is ever taken
/// back.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<AtomicU8>);

/// How far the drain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Normal service.
    Open,
    /// Readers leave, uploads go on.
    Draining,
    /// Everybody leaves after the request in progress.
    Finishing,
}

impl Drain {
    /// A drain that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on responses to GET and HEAD end their connection and idle connections of readers are closed.
    ///
    /// The listener still accepts, connections that carried an upload stay open, and a connection that has not sent its
    /// first request yet keeps the head time-out to do so: no encoder is refused.
    pub fn begin(&self) {
        self.0.fetch_max(Stage::Draining as u8, Relaxed);
    }

    /// From now on every idle connection is closed and every response ends its connection.
    pub fn finish(&self) {
        self.0.fetch_max(Stage::Finishing as u8, Relaxed);
    }

    pub(super) fn stage(&self) -> Stage {
        match self.0.load(Relaxed) {
            0 => Stage::Open,
            1 => Stage::Draining,
            _ => Stage::Finishing,
        }
    }
}
