//! The log as one pod has seen it: a table of paths, and how far it goes.
//!
//! The log keeps one message per subject: what a newer one replaced is gone, so numbers are missing in it. Whoever reads it
//! slowly comes to such a *hole*, and then his table is a state that never was: what followed the missing message may be
//! far ahead. That is why holes are counted; [`crate::barrier`] says what must not be concluded across one.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::entry::{Entry, Rank};
use crate::key::Key;

/// Messages whose time is remembered, to notice that the log was replaced by another one.
const TRAIL_MESSAGES: usize = 256;
/// What a place in the table needs: tables are half full after they have grown.
const PLACE_BYTES: usize = 2 * size_of::<(Key, Slot)>();
/// A table that is larger than so many times what is in it gives memory back.
const SPARSE: usize = 8;
/// Places that a table may have in any case.
const PLACES_MIN: usize = 4_096;

/// One message of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its place.
    pub seq: u64,
    /// When the servers stored it, as a number that only stays the same: the same for whoever reads it, and another one for
    /// every other message that ever had this place.
    pub time: u64,
    /// What it says.
    pub what: What,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// About a path.
    Entry(Key, Content),
    /// A barrier; whose it is, if it can be read.
    Barrier(Option<Stamp>),
    /// Nothing that this version knows.
    Other,
}

/// What is under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// An entry.
    Entry(Arc<Entry>),
    /// The servers removed the entry because of its age, or a pod because nobody needs to find it here.
    Expired,
    /// Something that this program cannot read.
    Unreadable {
        /// Why.
        reason: Arc<str>,
        /// Its rank, if that much of it can be read.
        rank: Option<Rank>,
    },
}

impl Content {
    fn memory_bytes(&self) -> usize {
        match self {
            Self::Entry(entry) => entry.memory_bytes(),
            Self::Expired => 0,
            Self::Unreadable { reason, .. } => reason.len(),
        }
    }
}

/// The name of one barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// The process that sent it; a new one after every start, which would otherwise take barriers of its past for its own.
    pub nonce: u64,
    /// Which one of its barriers it is.
    pub counter: u64,
}

/// The latest message about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its place, which the next change must name.
    pub seq: u64,
    /// What it says.
    pub content: Content,
}

impl Slot {
    /// Whether something is there that this program cannot read.
    pub fn is_unreadable(&self) -> bool {
        matches!(self.content, Content::Unreadable { .. })
    }

    /// The entry, a tombstone too.
    pub fn entry(&self) -> Option<&Arc<Entry>> {
        match &self.content {
            Content::Entry(entry) => Some(entry),
            Content::Expired | Content::Unreadable { .. } => None,
        }
    }

    /// The rank of whatever is there, a tombstone too.
    pub fn rank(&self) -> Option<Rank> {
        match &self.content {
            Content::Entry(entry) => Some(entry.rank()),
            Content::Unreadable { rank, .. } => *rank,
            Content::Expired => None,
        }
    }
}

/// How far a pod has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// The last message.
    pub last: u64,
    /// Holes that were met on the way.
    pub holes: u64,
}

/// What a message was to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Known already.
    Old,
    /// The next one.
    Next,
    /// The next one that there still is: something between is missing.
    BehindHole,
    /// Another message had this place: the log is not the one that was followed.
    Contradiction,
}

/// The log as one pod has seen it.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    position: Position,
    table: HashMap<Key, Slot>,
    /// What the contents need in memory, estimated.
    bytes: usize,
    trail: VecDeque<(u64, u64)>,
}

impl Follower {
    /// How far it has read.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The latest message about a key.
    pub fn slot(&self, key: Key) -> Option<&Slot> {
        self.table.get(&key)
    }

    /// Everything, in no order.
    pub fn slots(&self) -> impl Iterator<Item = (&Key, &Slot)> {
        self.table.iter()
    }

    /// Keys that it knows something of.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether it knows nothing.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// What the table needs in memory, estimated, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.bytes + self.table.len() * PLACE_BYTES
    }

    /// The mark at place `seq` is not in the log any more: nothing is known of `key`, if nothing came behind it.
    pub fn drop_mark(&mut self, key: Key, seq: u64) {
        let is_mark = |slot: &Slot| slot.seq == seq && slot.content == Content::Expired;
        if self.table.get(&key).is_some_and(is_mark) {
            self.table.remove(&key);
        }
        if self.table.capacity() > PLACES_MIN.max(self.table.len() * SPARSE) {
            self.table.shrink_to(self.table.len() * 2);
        }
    }

    /// Takes a message. The caller must know that nothing which the log still holds lies between the last one and this one.
    pub fn apply(&mut self, message: &Message) -> Applied {
        let Position { last, holes } = self.position;
        if message.seq <= last {
            return if self.contradicts(message) { Applied::Contradiction } else { Applied::Old };
        }
        let is_next = message.seq == last + 1;
        self.position = Position { last: message.seq, holes: holes + u64::from(!is_next) };
        if self.trail.len() == TRAIL_MESSAGES {
            self.trail.pop_front();
        }
        self.trail.push_back((message.seq, message.time));
        if let What::Entry(key, content) = &message.what {
            self.bytes += content.memory_bytes();
            let slot = Slot { seq: message.seq, content: content.clone() };
            if let Some(before) = self.table.insert(*key, slot) {
                self.bytes -= before.content.memory_bytes();
            }
        }
        if is_next { Applied::Next } else { Applied::BehindHole }
    }

    /// Whether another message had its place.
    pub fn contradicts(&self, message: &Message) -> bool {
        let place = self.trail.binary_search_by_key(&message.seq, |(seq, _)| *seq);
        place.is_ok_and(|place| self.trail[place].1 != message.time)
    }

    /// Forgets everything but the number of holes, so that no barrier sent before can be taken for a valid one.
    pub fn clear(&mut self) {
        let position = Position { last: 0, holes: self.position.holes + 1 };
        *self = Self { position, ..Self::default() };
    }
}
