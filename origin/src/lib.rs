//! The origin: an in-memory HTTP store for live and on-demand video. Knows nothing of Kubernetes.
//!
//! ```text
//! connection loop ─→ http::app ─request→ MediaRequest ┬─ serve ─→ memory.find ─evaluate→ Answer
//!                                                     └─ store ─→ reserve, append, commit ─→ Answer
//! Answer.outcome ─→ Cache-Status header = metric label = one log line
//! ```
//!
//! [`start`] runs one origin; a process may run several. Only [`clock::Clock`] reads the time, only `http::app` makes
//! random numbers.

pub mod access;
pub mod access_log;
pub mod args;
mod below;
mod causes;
pub mod chance;
pub mod clock;
pub mod cold;
pub mod config;
pub mod connection;
pub mod digest;
pub mod drain;
pub mod events;
pub mod exposition;
pub mod fleet;
pub mod hex;
pub mod http;
pub mod limit;
mod listen;
pub mod log;
pub mod manifest;
pub mod mediastore;
pub mod memory;
pub mod metrics;
pub mod numbering;
pub mod origin;
pub mod outcome;
pub mod overload;
pub mod pace;
pub mod pressure;
pub mod ration;
mod reload;
mod running;
pub mod serve;
pub mod status;
pub mod store;
pub mod streams;
mod tend;
pub mod tiers;
pub mod times;
pub mod tls;
pub mod trace;

pub use running::{Options, Running, StartError, start, start_blocking};

#[cfg(test)]
mod tests;
