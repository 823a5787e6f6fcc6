//! The cry for memory: whoever finds none says how much is needed, whoever can free some listens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// A handle; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Pressure(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    calls: AtomicU64,
    bytes: AtomicU64,
    called: Notify,
}

/// What is known of something that is held.
pub trait Held {
    /// What comes back when its last reader is gone; `None` while it is kept for its own sake, or gone already.
    fn claim(&self) -> Option<Claim>;
}

/// Memory that only readers keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// Which thing it is; of two the one with the lower number is older and given up first.
    pub order: u64,
    /// Its size.
    pub bytes: u64,
}

/// One listener's place: it hears each call once.
#[derive(Debug)]
pub struct Listener {
    pressure: Pressure,
    heard: u64,
}

impl Pressure {
    /// Says that `bytes` are needed and nothing is left to evict. Repeated while they are: a call asks for so much in all.
    pub fn call(&self, bytes: u64) {
        self.0.bytes.store(bytes, Ordering::Relaxed);
        self.0.calls.fetch_add(1, Ordering::Release);
        self.0.called.notify_waiters();
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// A place for somebody who can free memory.
    pub fn listen(&self) -> Listener {
        Listener { pressure: self.clone(), heard: self.0.calls.load(Ordering::Acquire) }
    }
}

impl Listener {
    /// Waits for the next call and returns the bytes that are needed. May be dropped and called again.
    pub async fn called(&mut self) -> u64 {
        let pressure = self.pressure.clone();
        loop {
            // Made before looking: it hears every call from now on.
            let called = pressure.0.called.notified();
            if let Some(bytes) = self.take() {
                return bytes;
            }
            called.await;
        }
    }

    fn take(&mut self) -> Option<u64> {
        let calls = self.pressure.0.calls.load(Ordering::Acquire);
        if calls == self.heard {
            return None;
        }
        self.heard = calls;
        Some(self.pressure.0.bytes.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn every_listener_hears_a_call_once() {
        let pressure = Pressure::default();
        pressure.call(1);
        let (mut one, mut two) = (pressure.listen(), pressure.listen());
        assert_eq!(one.called().now_or_never(), None);
        pressure.call(7);
        pressure.call(9);
        assert_eq!((one.called().now_or_never(), one.called().now_or_never()), (Some(9), None));
        assert_eq!(two.called().now_or_never(), Some(9));
    }
}
