//! The index of a fleet.

pub mod answer;
pub mod barrier;
pub mod commit;
pub mod config;
pub mod entry;
pub mod fetch;
pub mod follower;
pub mod index;
pub mod key;
mod nats;
pub mod register;
pub mod replica;
#[cfg(test)]
mod simulator;
mod wire;

pub use commit::Outcome;
pub use config::Config;
pub use index::{Change, Fence, Health, Index, ReadError};
pub use key::Scope;
pub use nats::commit::Condition;
pub use nats::connect::{ConnectError, VERSION_MIN};
pub use nats::shared::{CUT_OFF_MAX, Counts, WAITERS_MAX};
