//! The one integration binary: scripts, rules about the source, and (`e2e::`) the product on a real cluster.

#![allow(clippy::unwrap_used, clippy::panic, reason = "the whole binary is tests, their helpers too")]

mod api;
mod cdn;
mod chart;
mod disk;
mod e2e;
mod encoders;
mod fleet;
mod gitops;
mod golden;
mod hook;
mod http2;
mod index;
mod kill9;
mod limit;
mod mediastore;
mod memory;
mod monitoring;
mod nats;
mod object_store;
mod players;
mod plugin;
mod policies;
mod porcupine;
mod program;
mod push;
mod readers;
mod redbot;
mod scenarios;
mod sdks;
mod spans;
mod storm;
mod tidy;
