//! One version of an object's bytes: append-only, followed by its readers while it grows, immutable afterwards.
//!
//! There is one copy. A reader registers a waker under the blob's lock and is woken by the next append; no lock is held
//! across an await, and a reader that does not read costs the writer nothing. A complete blob is read without the lock.
//! A reader keeps the whole version alive: an evicted object's bytes come back when its last reader is done or cut off.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::budget::{Budget, Permit};
use super::chunk::Filling;
use crate::chance::{self, NoChance};
use crate::hex::hex_string;

/// Names a version of an object's bytes; its quoted form is the strong `ETag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid(pub u128);

impl Uid {
    /// A name that no other pod gives.
    pub fn draw() -> Result<Self, NoChance> {
        chance::number().map(Self)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex_string(self.0))
    }
}

/// How far a blob is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its writer goes on.
    Open,
    /// Its last byte is there.
    Complete,
    /// Its writer is gone; it will never be complete.
    Aborted,
}

/// A blob at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How far it is.
    pub state: State,
    /// Bytes that were written.
    pub length: u64,
    /// Changes so far, to wait for the next one.
    pub changes: u64,
}

/// The next bytes for a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// These.
    Bytes(Bytes),
    /// None: it has read up to its end.
    End,
    /// None ever: the writer is gone.
    Aborted,
}

/// One version of an object's bytes.
#[derive(Debug)]
pub struct Blob {
    budget: Budget,
    growing: Mutex<Growing>,
    complete: OnceLock<Parts>,
}

#[derive(Debug)]
struct Growing {
    parts: Parts,
    filling: Option<Filling>,
    progress: Progress,
    wakers: HashMap<u64, Waker>,
    tickets: u64,
}

/// Bytes in order, with the offset behind each piece.
#[derive(Debug, Default)]
struct Parts {
    pieces: Vec<Bytes>,
    ends: Vec<u64>,
}

impl Parts {
    fn length(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    fn push(&mut self, piece: Bytes) {
        self.ends.push(self.length() + piece.len() as u64);
        self.pieces.push(piece);
    }

    fn same_bytes(&self, other: &Self) -> bool {
        let (length, mut position) = (self.length(), 0);
        while position < length {
            let (Some(mine), Some(theirs)) = (self.slice(position, length), other.slice(position, length))
            else {
                return false;
            };
            let count = mine.len().min(theirs.len());
            if mine[..count] != theirs[..count] {
                return false;
            }
            position += count as u64;
        }
        other.length() == length
    }

    /// From `position` to the end of the piece that it lies in, not further than `end`.
    fn slice(&self, position: u64, end: u64) -> Option<Bytes> {
        let index = self.ends.partition_point(|behind| *behind <= position);
        let piece = self.pieces.get(index)?;
        let start = self.ends[index] - piece.len() as u64;
        slice_of(piece, start, position, end)
    }
}

/// The part of `piece`, which begins at `start`, that lies in `position..end`.
fn slice_of(piece: &Bytes, start: u64, position: u64, end: u64) -> Option<Bytes> {
    let from = usize::try_from(position.checked_sub(start)?).ok()?;
    let to = usize::try_from(end.checked_sub(start)?).unwrap_or(usize::MAX).min(piece.len());
    (from < to).then(|| piece.slice(from..to))
}

impl Blob {
    /// An empty blob that is open for its writer.
    pub fn new(budget: Budget) -> Self {
        let progress = Progress { state: State::Open, length: 0, changes: 0 };
        let growing =
            Growing { parts: Parts::default(), filling: None, progress, wakers: HashMap::new(), tickets: 0 };
        Self { budget, growing: Mutex::new(growing), complete: OnceLock::new() }
    }

    /// The budget that its bytes are charged to.
    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.lock().progress
    }

    /// Its length, once that is final.
    pub fn length(&self) -> Option<u64> {
        self.complete.get().map(Parts::length)
    }

    /// A copy of its bytes from `position` to `end`, or to its own end; nothing before it is complete.
    pub fn copy(&self, position: u64, end: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let parts = self.complete.get();
        while let Some(piece) = parts.and_then(|parts| parts.slice(position + bytes.len() as u64, end)) {
            bytes.extend_from_slice(&piece);
        }
        bytes
    }

    /// Bytes that fit before the next [`Self::extend`].
    pub(super) fn room(&self) -> usize {
        self.lock().filling.as_ref().map_or(0, Filling::room)
    }

    /// Adds a chunk of the size that `permit` pays for.
    pub(super) fn extend(&self, permit: Permit) {
        let chunk = Filling::new(permit);
        let mut growing = self.lock();
        growing.seal(&self.budget);
        growing.filling = Some(chunk);
    }

    /// Copies as much of `data` as fits and tells how much that was.
    pub(super) fn append(&self, data: &[u8]) -> usize {
        let mut growing = self.lock();
        let Some(filling) = growing.filling.as_mut() else { return 0 };
        let count = filling.fill(data);
        if filling.room() == 0 {
            growing.seal(&self.budget);
        }
        growing.progress.length += count as u64;
        growing.changed();
        count
    }

    /// Ends it: no byte follows, readers come to a clean end.
    pub(super) fn finish(&self) {
        let mut growing = self.lock();
        growing.seal(&self.budget);
        let parts = std::mem::take(&mut growing.parts);
        // Only the one writer finishes, and only once.
        let _ = self.complete.set(parts);
        growing.progress.state = State::Complete;
        growing.changed();
    }

    /// Gives it up: readers are cut off.
    pub(super) fn abort(&self) {
        let mut growing = self.lock();
        if growing.progress.state == State::Open {
            growing.progress.state = State::Aborted;
            growing.filling = None;
            growing.parts = Parts::default();
        }
        growing.changed();
    }

    /// Makes those who wait look again.
    pub(super) fn poke(&self) {
        self.lock().changed();
    }

    /// Whether what was written so far is what `other`, a complete blob, holds.
    pub(super) fn same_bytes(&self, other: &Self) -> bool {
        let Some(other) = other.complete.get() else { return false };
        let mut growing = self.lock();
        if growing.progress.length != other.length() {
            return false;
        }
        growing.seal(&self.budget);
        growing.parts.same_bytes(other)
    }

    /// What was written so far, in order.
    pub fn pieces(&self) -> Vec<Bytes> {
        if let Some(parts) = self.complete.get() {
            return parts.pieces.clone();
        }
        let mut growing = self.lock();
        growing.seal(&self.budget);
        growing.parts.pieces.clone()
    }

    /// Waits for a change after `seen`.
    pub async fn changed(&self, seen: u64) {
        let mut waiter = Waiter { blob: self, ticket: None };
        poll_fn(|cx| waiter.poll(cx, |progress| progress.changes != seen)).await;
    }

    /// Waits until `length` bytes are there, or until there will be no more.
    pub async fn reach(&self, length: u64) -> Progress {
        let mut waiter = Waiter { blob: self, ticket: None };
        let enough = |progress: &Progress| progress.length >= length || progress.state != State::Open;
        poll_fn(|cx| waiter.poll(cx, enough)).await;
        self.progress()
    }

    /// Bytes from `position` on, not further than `end`. `ticket` is the reader's place among those that wait; it must be
    /// given to [`Self::leave`].
    pub(super) fn poll_read(
        &self,
        cx: &Context<'_>,
        position: u64,
        end: u64,
        ticket: &mut Option<u64>,
    ) -> Poll<Read> {
        if position >= end {
            return Poll::Ready(Read::End);
        }
        if let Some(parts) = self.complete.get() {
            return Poll::Ready(parts.slice(position, end).map_or(Read::End, Read::Bytes));
        }
        let mut growing = self.lock();
        match growing.progress.state {
            State::Aborted => Poll::Ready(Read::Aborted),
            State::Complete => {
                let parts = self.complete.get();
                let piece = parts.and_then(|parts| parts.slice(position, end));
                Poll::Ready(piece.map_or(Read::End, Read::Bytes))
            }
            State::Open => {
                if let Some(bytes) = growing.slice(position, end, &self.budget) {
                    return Poll::Ready(Read::Bytes(bytes));
                }
                growing.wait(cx, ticket);
                Poll::Pending
            }
        }
    }

    /// Gives up a place among those that wait.
    pub(super) fn leave(&self, ticket: Option<u64>) {
        if let Some(ticket) = ticket
            && self.complete.get().is_none()
        {
            self.lock().wakers.remove(&ticket);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Growing> {
        // A panic while appending is a bug of its own; the bytes before it are still true.
        self.growing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Growing {
    fn seal(&mut self, budget: &Budget) {
        if let Some(filling) = self.filling.take() {
            for piece in filling.seal(budget) {
                self.parts.push(piece);
            }
        }
    }

    /// Wakes those who wait; a waker merely queues its task, so this is done under the lock.
    fn changed(&mut self) {
        self.progress.changes += 1;
        // Taken, not drained: an object must not keep the table of all who once waited for it.
        for (_, waker) in std::mem::take(&mut self.wakers) {
            waker.wake();
        }
    }

    fn slice(&mut self, position: u64, end: u64, budget: &Budget) -> Option<Bytes> {
        if let Some(bytes) = self.published(position, end) {
            return Some(bytes);
        }
        let filling = self.filling.as_mut()?;
        filling.publish(budget);
        if filling.is_crumbled() {
            self.seal(budget);
        }
        self.published(position, end)
    }

    /// What readers can see already: only one who has read all of it makes a new piece.
    fn published(&self, position: u64, end: u64) -> Option<Bytes> {
        if let Some(bytes) = self.parts.slice(position, end) {
            return Some(bytes);
        }
        let mut start = self.parts.length();
        for piece in self.filling.as_ref()?.published() {
            if let Some(bytes) = slice_of(piece, start, position, end) {
                return Some(bytes);
            }
            start += piece.len() as u64;
        }
        None
    }

    fn wait(&mut self, cx: &Context<'_>, ticket: &mut Option<u64>) {
        let ticket = *ticket.get_or_insert_with(|| {
            self.tickets += 1;
            self.tickets
        });
        self.wakers.insert(ticket, cx.waker().clone());
    }
}

/// A place among those that wait, given up on drop.
struct Waiter<'a> {
    blob: &'a Blob,
    ticket: Option<u64>,
}

impl Waiter<'_> {
    fn poll(&mut self, cx: &Context<'_>, enough: impl Fn(&Progress) -> bool) -> Poll<()> {
        let mut growing = self.blob.lock();
        if enough(&growing.progress) {
            return Poll::Ready(());
        }
        growing.wait(cx, &mut self.ticket);
        Poll::Pending
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.blob.leave(self.ticket);
    }
}
