//! What an index must know to begin.

use std::path::PathBuf;
use std::time::Duration;

use crate::key::Scope;
use crate::replica::MARK;

/// Bytes of the write-ahead log, unless something else is set.
pub const WAL_BYTES_MAX: u64 = 1 << 30;
/// Most partitions.
pub const PARTITIONS_MAX: u16 = 64;

/// What an index must know to begin.
#[derive(Clone, Debug)]
pub struct Config {
    /// NATS servers, `nats://host:port` or `tls://host:port` each.
    pub servers: Vec<String>,
    /// User and password.
    pub credentials: Option<(String, String)>,
    /// Certificates to trust beside the system's.
    pub root_certificates: Option<PathBuf>,
    /// The name of the origin among others on the same servers.
    pub scope: Scope,
    /// The name of this pod, for the servers' lists of connections.
    pub pod: String,
    /// A number that no other process has.
    pub nonce: u64,
    /// Partitions of the log, the same for all pods for ever.
    pub partitions: u16,
    /// Folders that make a channel: what is below the same ones is in one partition.
    pub channel_folders: usize,
    /// Copies of each stream.
    pub replicas: u8,
    /// Entries leave the index when they are that old; never, if not set.
    pub age_max: Option<Duration>,
    /// How long the servers keep the mark of an entry that was forgotten, a second or more; all pods have the same.
    pub mark: Duration,
    /// Bytes of the write-ahead log; it only ever grows.
    pub wal_bytes_max: u64,
    /// How long to try for a first connection.
    pub patience: Duration,
}

impl Config {
    /// An index of one partition in three copies.
    pub fn new(servers: Vec<String>, scope: Scope, pod: impl Into<String>, nonce: u64) -> Self {
        Self {
            servers,
            credentials: None,
            root_certificates: None,
            scope,
            pod: pod.into(),
            nonce,
            partitions: 1,
            channel_folders: 2,
            replicas: 3,
            age_max: None,
            mark: MARK,
            wal_bytes_max: WAL_BYTES_MAX,
            patience: Duration::from_secs(30),
        }
    }
}
