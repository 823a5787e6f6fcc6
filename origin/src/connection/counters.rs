//! What the connection loop counts; cheap atomics that the metrics page reads.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::refusal::Refusal;

/// The waits for a client that the sweeper ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeoutPhase {
    /// A request head that began and did not end.
    Head,
    /// A keep-alive connection without a request.
    Idle,
    /// A reader that took nothing of a response.
    WriteStall,
    /// A reader below the minimum rate.
    Rate,
    /// A slow reader of what was kept for it alone, when memory was needed.
    Memory,
}

impl TimeoutPhase {
    /// Every phase, in the order of the counters.
    pub const ALL: [Self; 5] = [Self::Head, Self::Idle, Self::WriteStall, Self::Rate, Self::Memory];

    /// The word for metrics labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Idle => "idle",
            Self::WriteStall => "write_stall",
            Self::Rate => "rate",
            Self::Memory => "memory",
        }
    }
}

/// Counters of all connections of all workers.
#[derive(Debug, Default)]
pub struct Counters {
    accepted: AtomicU64,
    open: AtomicU64,
    requests: AtomicU64,
    handshakes_failed: AtomicU64,
    refused: [AtomicU64; Refusal::ALL.len()],
    timed_out: [AtomicU64; TimeoutPhase::ALL.len()],
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    /// How far each worker is behind, in microseconds.
    lags: Mutex<Vec<Weak<AtomicU64>>>,
}

impl Counters {
    /// Connections accepted since the start.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Connections open now.
    pub fn open(&self) -> u64 {
        self.open.load(Relaxed)
    }

    /// Requests given to the application since the start.
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// TLS handshakes that failed or took too long.
    pub fn handshakes_failed(&self) -> u64 {
        self.handshakes_failed.load(Relaxed)
    }

    /// Requests refused by the connection loop for this reason.
    pub fn refused(&self, reason: Refusal) -> u64 {
        self.refused[reason as usize].load(Relaxed)
    }

    /// Connections cut because this wait took too long.
    pub fn timed_out(&self, phase: TimeoutPhase) -> u64 {
        self.timed_out[phase as usize].load(Relaxed)
    }

    /// Bytes read from clients, heads and framing included.
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes.load(Relaxed)
    }

    /// Bytes that the kernel accepted for clients, heads and framing included.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Relaxed)
    }

    /// How far the worker that is furthest behind is, steadily.
    pub fn lag(&self) -> Duration {
        let lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner);
        let micros = lags.iter().filter_map(Weak::upgrade).map(|lag| lag.load(Relaxed)).max();
        Duration::from_micros(micros.unwrap_or(0))
    }

    /// The place where one more worker says how far it is behind; it counts until the worker drops it.
    pub(super) fn add_worker(&self) -> Arc<AtomicU64> {
        let lag = Arc::new(AtomicU64::new(0));
        let mut lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner);
        lags.retain(|lag| lag.strong_count() > 0);
        lags.push(Arc::downgrade(&lag));
        lag
    }

    pub(super) fn add_opened(&self) {
        self.accepted.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
    }

    pub(super) fn add_closed(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    pub(super) fn add_request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(super) fn add_handshake_failed(&self) {
        self.handshakes_failed.fetch_add(1, Relaxed);
    }

    pub(super) fn add_refused(&self, reason: Refusal) {
        self.refused[reason as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn add_timed_out(&self, phase: TimeoutPhase) {
        self.timed_out[phase as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn add_received(&self, size_bytes: usize) {
        self.received_bytes.fetch_add(size_bytes as u64, Relaxed);
    }

    pub(super) fn add_sent(&self, size_bytes: usize) {
        self.sent_bytes.fetch_add(size_bytes as u64, Relaxed);
    }
}
