//! What requests to the bucket came to, for metrics and `/-/status`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::failure::{Failure, Fault};
use crate::tiers::LastError;

/// A request, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Headers of an object.
    Head,
    /// Bytes of an object.
    Get,
    /// A conditional write.
    Put,
    /// A delete.
    Delete,
    /// A page of names.
    List,
}

/// How a request ended, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// As it should.
    Ok,
    /// There is no such object, or another one.
    Absent,
    /// The condition of a write was not met.
    Conflict,
    /// We may not.
    Denied,
    /// No answer, an error of the store, or no space.
    Failed,
}

impl Request {
    /// Every request.
    pub const ALL: [Self; 5] = [Self::Head, Self::Get, Self::Put, Self::Delete, Self::List];

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Get => "get",
            Self::Put => "put",
            Self::Delete => "delete",
            Self::List => "list",
        }
    }
}

impl Answer {
    /// Every answer.
    pub const ALL: [Self; 5] = [Self::Ok, Self::Absent, Self::Conflict, Self::Denied, Self::Failed];

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Absent => "absent",
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Counters {
    requests: [[AtomicU64; 5]; 5],
    retries: AtomicU64,
    hedges: AtomicU64,
    hedges_denied: AtomicU64,
    turned_away: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
    last_error: Mutex<Option<LastError>>,
}

impl Counters {
    /// Requests that ended like this.
    pub fn requests(&self, request: Request, answer: Answer) -> u64 {
        self.requests[request as usize][answer as usize].load(Relaxed)
    }

    /// Requests that were sent again after a failure.
    pub fn retries(&self) -> u64 {
        self.retries.load(Relaxed)
    }

    /// Requests that were sent beside one that took long.
    pub fn hedges(&self) -> u64 {
        self.hedges.load(Relaxed)
    }

    /// Requests that took long and were not hedged, because there were too many of them.
    pub fn hedges_denied(&self) -> u64 {
        self.hedges_denied.load(Relaxed)
    }

    /// Calls that found no place in time.
    pub fn turned_away(&self) -> u64 {
        self.turned_away.load(Relaxed)
    }

    /// Bytes of bodies that came.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Relaxed)
    }

    /// Bytes of bodies that were stored.
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written.load(Relaxed)
    }

    /// The latest error.
    pub fn last_error(&self) -> Option<LastError> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn answered<T>(&self, request: Request, result: &Result<T, Failure>, now: SystemTime) {
        let answer = match result {
            Ok(_) => Answer::Ok,
            Err(failure) => match failure.fault {
                Fault::Absent | Fault::Changed => Answer::Absent,
                Fault::Conflict => Answer::Conflict,
                Fault::Denied => Answer::Denied,
                Fault::Corrupt | Fault::Full | Fault::Undone | Fault::Unclear => Answer::Failed,
            },
        };
        self.requests[request as usize][answer as usize].fetch_add(1, Relaxed);
        if let (Answer::Denied | Answer::Failed, Err(failure)) = (answer, result) {
            self.failed(failure, now);
        }
    }

    pub(super) fn failed(&self, failure: &Failure, now: SystemTime) {
        let error = LastError { at: now, kind: failure.kind(), text: failure.to_string() };
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    pub(super) fn hedged(&self, is_allowed: bool) {
        if is_allowed { &self.hedges } else { &self.hedges_denied }.fetch_add(1, Relaxed);
    }

    pub(super) fn turned_one_away(&self) {
        self.turned_away.fetch_add(1, Relaxed);
    }

    pub(super) fn read(&self, bytes: usize) {
        self.bytes_read.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn wrote(&self, bytes: u64) {
        self.bytes_written.fetch_add(bytes, Relaxed);
    }
}
