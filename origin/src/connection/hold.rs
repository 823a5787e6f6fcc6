//! What a response keeps in memory while its client reads it, and whose readers are cut when memory is needed.

use std::rc::Rc;

use crate::pressure::{Claim, Held};

/// Something that a response keeps in memory. The origin of the response gives it to the connection loop: in
/// [`super::Reply::hold`], or as an extension of the application's response.
#[derive(Clone)]
pub struct Hold(Rc<dyn Held>);

impl Hold {
    /// A hold on something.
    pub fn new(held: impl Held + 'static) -> Self {
        Self(Rc::new(held))
    }

    pub(super) fn claim(&self) -> Option<Claim> {
        self.0.claim()
    }
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Hold({:?})", self.claim())
    }
}

/// The things to give up for `bytes`: the oldest first, and no more than needed. `claims` are those of slow readers.
///
/// All workers decide alike, since one thing may have readers on several of them.
pub(super) fn give_up(mut claims: Vec<Claim>, bytes: u64) -> Vec<u64> {
    claims.sort_unstable();
    claims.dedup_by_key(|claim| claim.order);
    let mut sum = 0_u64;
    let needed = claims.into_iter().take_while(|claim| {
        let is_needed = sum < bytes;
        sum = sum.saturating_add(claim.bytes);
        is_needed
    });
    needed.map(|claim| claim.order).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_given_up_and_no_more_than_needed() {
        let claims: Vec<_> =
            [(3, 10), (1, 10), (2, 10), (1, 10)].map(|(order, bytes)| Claim { order, bytes }).into();
        for (bytes, expected) in
            [(0, &[][..]), (1, &[1]), (10, &[1]), (11, &[1, 2]), (30, &[1, 2, 3]), (99, &[1, 2, 3])]
        {
            assert_eq!(give_up(claims.clone(), bytes), expected, "{bytes}");
        }
    }
}
