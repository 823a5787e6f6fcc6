//! The contract of `MediaOrigin`: what users write, what the operator hands to an origin, what both must agree on.
//!
//! ```text
//! YAML ─v1alpha1 (wire, lenient)→ validate (all problems, with field paths) → policy (domain, cannot be wrong)
//!                                     └→ config::OriginConfig {cold, hot}: written by the operator ─load→ what an origin runs
//! ```
//!
//! Without the feature `crd` nothing here knows of Kubernetes: the origin is built that way.

pub mod autoscaling;
pub mod budget;
pub mod config;
#[cfg(feature = "crd")]
pub mod crd;
pub mod document;
pub mod hash;
pub mod load;
pub mod names;
pub mod pod_load;
pub mod policy;
pub mod problem;
pub mod publishers;
mod schema;
pub mod units;
pub mod v1alpha1;
pub mod validate;

#[cfg(test)]
mod tests;
