//! The index over NATS: connections, streams, messages, and the one task of each partition.

pub(crate) mod api;
pub(crate) mod board;
pub(crate) mod commit;
pub(crate) mod connect;
pub(crate) mod message;
pub(crate) mod partition;
pub(crate) mod shared;
pub(crate) mod stream;
pub(crate) mod wal;
