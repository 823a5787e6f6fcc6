//! The index of a fleet: which version lies under which path, agreed on by all pods of an origin through a log of NATS
//! `JetStream`. Whoever was told that a PUT succeeded finds it, or something newer, on every pod.
//!
//! ```text
//! entry, key        what is written, and under which subject              pure
//! follower          the log as a pod has seen it; holes are counted       pure
//! fetch, barrier    what it still has to read; when it has seen enough    pure
//! replica           these together: one partition of one pod              pure
//! commit, answer    one change, from the request to its answer            pure
//! wal               bodies that no object store has yet, as messages       pure
//! nats              connections, streams, messages: the rim               I/O
//! index             what an origin uses
//! register          is a history linearizable? for tests and probes       pure
//! ```
//!
//! Why it is right, and which test proves which step: `LINEARIZABILITY.md` beside this crate. The simulator and the model run
//! the very code that runs over NATS.
//!
//! # Where an origin joins it
//! A single pod needs none of this: its index is its own memory and disk. Both kinds belong behind one trait, which the
//! walker of the origin's tiers (`tiers/walker.rs`) uses where it takes the turn of a path today:
//!
//! ```ignore
//! /// Which version lies under which path.
//! trait Catalogue: Send + Sync {
//!     /// What this pod knows, at once.
//!     fn known(&self, path: &str) -> Result<Option<Arc<Entry>>, ReadError>;
//!     /// What is there, not older than anything that anybody was told before. Embedded: the same as `known`.
//!     fn find<'a>(&'a self, path: &'a str, patience: Duration) -> BoxFuture<'a, Result<Option<Arc<Entry>>, ReadError>>;
//!     /// The path as it is when a request arrives. Embedded: the place of the entry, under no lock.
//!     fn fence<'a>(&'a self, path: &'a str, patience: Duration) -> BoxFuture<'a, Result<Fence, ReadError>>;
//!     /// Makes `entry` what is there, if `condition` holds and nobody with a higher rank changed the path since the fence.
//!     fn commit<'a>(&'a self, fence: Fence, entry: &'a Entry, condition: Option<Condition>, patience: Duration,
//!         is_client_here: &'a (dyn Fn() -> bool + Send + Sync)) -> BoxFuture<'a, Outcome>;
//!     /// Commits what somebody put into the object store and did not live to commit; what is there afterwards.
//!     fn adopt<'a>(&'a self, entry: &'a Entry, yields: Option<Condition>, patience: Duration) -> BoxFuture<'a, Result<Option<Arc<Entry>>, ReadError>>;
//!     /// Changes that others made, in order: negative answers and derived state are kept right by them.
//!     fn watch(&self) -> Changes;
//!     /// Whether it answers for what is there.
//!     fn is_ready(&self) -> bool;
//! }
//! ```
//!
//! - `commit_in_turn` becomes: fence at the head of the request, bytes, condition and durability as today, then `commit`, then
//!   memory. [`Outcome::Superseded`], [`Outcome::Refused`] and [`Outcome::Nothing`] are what `Committed` and `Deleted` have
//!   already; [`Outcome::Unknown`] and [`Outcome::Abandoned`] are a 503 that they lack.
//! - The turn of a path stays, within a pod: it saves conflicts and promises nothing.
//! - The sequence of a version (`Record::sequence`), by which tiers refuse to go back, becomes the stamp of its entry, which
//!   [`Fence::stamp_after`] gives before the first byte is stored anywhere. Tiers and the log order versions by the same
//!   [`entry::Rank`], so they agree on the winner. A version in the object store with a higher rank than the index has is
//!   committed by whoever meets it ([`Index::adopt`]), unless it had a condition.
//! - The disk and the object store stop being asked for what is there; they are asked for bytes of a uid.

pub mod answer;
pub mod barrier;
pub mod commit;
pub mod config;
pub mod entry;
pub mod fetch;
pub mod follower;
pub mod index;
pub mod key;
#[cfg(test)]
#[path = "model/tests.rs"]
mod model;
mod nats;
pub mod register;
pub mod replica;
#[cfg(test)]
mod simulator;
pub mod wal;
mod wire;

pub use async_nats::SubscribeError;
pub use commit::Outcome;
pub use config::Config;
pub use index::{Change, Fence, Health, Index, ReadError};
pub use key::{Kind, Scope};
pub use nats::board::{Board, NOTICE_BYTES_MAX, Notice, Notices};
pub use nats::commit::{Condition, Rules};
pub use nats::connect::{ConnectError, VERSION_MIN};
pub use nats::shared::{CUT_OFF_MAX, Counts, WAITERS_MAX};
pub use nats::wal::{Held, Kept, OUTSTANDING_BYTES_MAX, Wal, WalError, Writer};
