//! The strict byte budget: what holds bytes holds a [`Permit`], and the permits never exceed the limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A number of bytes that may be held at the same time; it may change. Clones share it.
///
/// Where it becomes less than what is held, nothing more is given until enough was given back: whoever made it less evicts.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: AtomicU64,
    used: AtomicU64,
    freed: Notify,
    waiting: AtomicUsize,
}

/// Somebody who waits for bytes to be given back.
#[derive(Debug)]
pub struct Waiting<'a>(&'a Shared);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tells those who wait that a reader is gone: what it read may be evicted now. Declared behind what keeps the bytes, so
/// that it is dropped after it.
#[derive(Debug)]
pub struct Release(Budget);

impl Drop for Release {
    fn drop(&mut self) {
        let Self(Budget(shared)) = self;
        if shared.waiting.load(Ordering::Acquire) > 0 {
            shared.freed.notify_waiters();
        }
    }
}

/// The right to hold some bytes; dropping it gives them back.
#[derive(Debug)]
pub struct Permit {
    budget: Arc<Shared>,
    bytes: u64,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(Shared {
            limit: AtomicU64::new(limit),
            used: AtomicU64::new(0),
            freed: Notify::new(),
            waiting: AtomicUsize::new(0),
        }))
    }

    /// Bytes that may be held.
    pub fn limit(&self) -> u64 {
        self.0.limit.load(Ordering::Relaxed)
    }

    /// From now on `bytes` may be held. Those who wait are told, as there may be enough for them.
    pub fn set_limit(&self, bytes: u64) {
        self.0.limit.store(bytes, Ordering::Relaxed);
        self.0.freed.notify_waiters();
    }

    /// Bytes that are held beyond what may be.
    pub fn excess(&self) -> u64 {
        self.used().saturating_sub(self.limit())
    }

    /// Bytes that are held.
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// The right to hold `bytes` more, if that many are free now.
    pub fn try_acquire(&self, bytes: u64) -> Option<Permit> {
        self.try_acquire_leaving(bytes, 0)
    }

    /// The same, if `spare` bytes are still free then.
    pub fn try_acquire_leaving(&self, bytes: u64, spare: u64) -> Option<Permit> {
        let limit = self.limit().saturating_sub(spare);
        let grow = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit);
        self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grow).ok()?;
        Some(Permit { budget: Arc::clone(&self.0), bytes })
    }

    /// Marks somebody as waiting, until it is dropped: only then readers tell that they are gone.
    pub fn wait(&self) -> Waiting<'_> {
        self.0.waiting.fetch_add(1, Ordering::AcqRel);
        Waiting(&self.0)
    }

    /// Tells those who wait when it is dropped.
    pub fn release(&self) -> Release {
        Release(self.clone())
    }

    /// Returns at the next time that bytes are given back, or that a reader is gone. Make the future before looking, await it after.
    pub fn freed(&self) -> impl Future<Output = ()> + '_ {
        self.0.freed.notified()
    }
}

impl Permit {
    /// Bytes that it stands for.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Splits `bytes` off, if it stands for that many.
    pub fn split(&mut self, bytes: u64) -> Option<Self> {
        self.bytes = self.bytes.checked_sub(bytes)?;
        Some(Self { budget: Arc::clone(&self.budget), bytes })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
            self.budget.freed.notify_waiters();
        }
    }
}
