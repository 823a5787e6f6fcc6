//! The lingering close: says goodbye in a way that lets the client read it.
//!
//! Closing a socket with unread bytes makes the kernel reset the connection, and the reset can overtake the answer that
//! explains the close. So only our direction is ended first, and what the client still sends is discarded for a while.

use std::{future::poll_fn, task::Poll};

use super::{registry::Slot, rules::Phase, wire::Wire};

/// Most bytes that are discarded on behalf of a client that sends on after its answer.
pub(super) const LINGER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Ends our direction and discards what comes until the client ends too, the time is up, or it is too much.
pub(super) async fn linger(wire: &Wire, slot: &Slot) {
    wire.end_writing();
    slot.enter(Phase::Lingering);
    let mut budget = LINGER_BYTES_MAX;
    poll_fn(|context| {
        loop {
            match wire.poll_discard(context) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(length)) if length > budget => return Poll::Ready(()),
                Poll::Ready(Ok(length)) => budget -= length,
                Poll::Pending if slot.poll_verdict(context).is_some() => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}
