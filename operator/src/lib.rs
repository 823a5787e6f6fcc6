//! The operator: turns a `MediaOrigin` into pods and keeps it true.
//!
//! ```text
//! watch ─controller→ key ─observe→ Observed ─plan→ Plan ─apply→ Applied ─status→ Report, written only where it differs
//! ```
//!
//! `plan` and `status` are pure, total and printable; only `observe` and `apply` hold a client. There is no finalizer:
//! owner references remove the children, so nothing sticks when the operator is gone.

pub mod admin;
pub mod agents;
pub mod apply;
pub mod args;
pub mod backoff;
pub mod claim;
pub mod cluster;
pub mod controller;
pub mod election;
pub mod files;
pub mod health;
pub mod logging;
pub mod managed;
pub mod metrics;
pub mod nats;
pub mod observe;
pub mod observed;
pub mod offline;
pub mod part;
pub mod plan;
pub mod pod_client;
pub mod pods;
pub mod queue;
pub mod reasons;
pub mod reconcile;
pub mod report;
pub mod scaling;
pub mod secret;
pub mod silence;
pub mod simulate;
pub mod status;
pub mod trial;

#[cfg(test)]
mod crd_tests;
#[cfg(test)]
mod tests;
