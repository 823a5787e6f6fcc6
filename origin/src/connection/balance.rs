//! Readers' connections move to servers that have just come.
//!
//! What stands before several servers gives each *connection* to one of them, as kube-proxy does, and CDNs keep theirs for hours: a server
//! that is added under load would wait for work while the others drown. So each old server sends some of its readers away, just as many as
//! an even spread asks for, each with a response that says `Connection: close` (RFC 9112 §9.6) or GOAWAY (RFC 9113 §6.8).

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// A cloneable handle by which connections hear how many servers there are.
#[derive(Clone, Debug, Default)]
pub struct Balance(Arc<AtomicUsize>);

impl Balance {
    /// There are so many servers now, this one among them. Where there were fewer, readers that are here move on: of a connection that
    /// came when there were `n`, after its next response with a probability of `1 − n / servers`.
    pub fn set(&self, servers: usize) {
        self.0.store(servers, Relaxed);
    }

    /// How many there are; 0 as long as nobody has said.
    pub fn servers(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// What one connection knows of it.
#[derive(Debug)]
pub(super) struct Share(Cell<usize>);

impl Share {
    pub(super) fn new(balance: &Balance) -> Self {
        Self(Cell::new(balance.servers()))
    }

    /// Whether the connection is one of those that move on; asked again, the answer is no until more servers come.
    pub(super) fn moves_on(&self, balance: &Balance) -> bool {
        let (knew, now) = (self.0.get(), balance.servers());
        self.0.set(now);
        knew > 0 && now > knew && fastrand::usize(..now) >= knew
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn just_as_many_move_on_as_an_even_spread_asks_for() {
        let balance = Balance::default();
        balance.set(2);
        let shares: Vec<_> = (0..30_000).map(|_| Share::new(&balance)).collect();
        let moved = || shares.iter().filter(|share| share.moves_on(&balance)).count();
        assert_eq!(moved(), 0);
        balance.set(3);
        let first = moved();
        assert!((9_000..11_000).contains(&first), "{first}");
        assert_eq!(moved(), 0, "a connection moves on once");
        // One that goes is no reason to send anybody away, one that comes back is.
        balance.set(2);
        assert_eq!(moved(), 0);
        balance.set(4);
        let second = moved();
        assert!((14_000..16_000).contains(&second), "{second}");
    }

    #[test]
    fn before_the_number_is_known_nobody_moves() {
        let balance = Balance::default();
        let share = Share::new(&balance);
        balance.set(5);
        assert!(!share.moves_on(&balance));
    }
}
