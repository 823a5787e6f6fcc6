//! The index of a fleet on three real NATS servers: pods of this process, each with links of its own to every server.

mod bench;
mod faults;
mod fleet;
mod linearizability;
mod log;
mod ranks;
mod wal;
mod workload;
