//! How many pods an origin needs. Pure: no clock, no I/O, no randomness; `now` is an argument.
//!
//! ```text
//! each second, for each origin with `autoscaling.mode: Internal`:
//!   pods to ask          sampling::chosen     all up to 64, then as many as a mean needs
//!   PodSample of each    History::observe     counters → rates → a second in a ring; lead times; what a pod can carry
//!   decide(history, spec, spec.replicas, now) → Decision {replicas, reason, binding, inputs, explanation}
//!   the Decision         History::decided     remembered for the scale-down window
//! half a second later, where History::is_worth_a_glance: the same with History::glance
//! ```
//!
//! After a restart of the operator: `History::new(now, learned)` with what `status.scaling.learned` says. It does not shrink anything until
//! it has watched for a whole window. Everything that it keeps is bounded.

pub mod capacity;
pub mod decide;
pub mod demand;
pub mod dimension;
mod explain;
pub mod floors;
pub mod history;
pub mod lead;
pub mod rates;
pub mod reason;
pub mod sample;
pub mod sampling;
pub mod simulator;

pub use decide::{Decision, Input, decide};
pub use dimension::{Dimension, Loads};
pub use history::History;
pub use reason::Reason;
pub use sample::{Phase, PodSample, Reading, Scrape};

#[cfg(test)]
mod tests;
