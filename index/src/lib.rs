//! The index of a fleet.

pub mod answer;
pub mod barrier;
pub mod commit;
pub mod entry;
pub mod fetch;
pub mod follower;
pub mod key;
pub mod register;
pub mod replica;
#[cfg(test)]
mod simulator;
mod wire;
