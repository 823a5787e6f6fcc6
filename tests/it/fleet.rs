//! A fleet: origins in processes of their own, three NATS servers and a real S3 server between them, on loopback. Any pod takes any
//! PUT and answers any GET; pods, servers and links fail.

mod bench;
mod clocks;
mod crowd;
mod crowding;
mod eager;
mod encryption;
mod faults;
mod forgetting;
mod forwards;
mod history;
mod joining;
mod log;
mod members;
mod overtaking;
mod parents;
mod partitions;
mod pausing;
pub(crate) mod pods;
mod reads;
mod size;
mod stale;
mod streams;
mod warming;

/// The header of an answer that was given without the log.
const CONSISTENCY: &str = "mediaorigin-consistency";
