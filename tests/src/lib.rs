//! What the tests share: a small HTTP peer that can misbehave, the scenario runner, a recording proxy.

pub mod apiserver;
pub mod bench;
pub mod capture;
pub mod cdn;
pub mod faults;
pub mod folder;
pub mod kwok;
pub mod links;
pub mod nats;
pub mod peer;
pub mod planner;
pub mod porcupine;
pub mod process;
pub mod program;
pub mod s3;
pub mod scenario;
