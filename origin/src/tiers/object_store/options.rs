//! What an operator says about a bucket, and the limits that requests to it live with.

use std::path::PathBuf;
use std::time::Duration;

/// Where the bucket is and how it is spoken to. Holds no secret, only where secrets lie.
#[derive(Clone, Debug)]
pub struct ObjectStoreOptions {
    /// `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, `file:///folder` or `memory:///`.
    pub url: String,
    /// Where the service listens, when it is not the provider's own: `https://minio.example:9000`.
    pub endpoint: Option<String>,
    /// The region that requests are signed for; default: that of the environment, then `us-east-1`.
    pub region: Option<String>,
    /// Whether an endpoint without TLS is spoken to.
    pub allow_http: bool,
    /// A file with PEM certificates that are trusted beside those of the system.
    pub certificates: Option<PathBuf>,
    /// Where credentials come from.
    pub credentials: Credentials,
    /// How long and how often.
    pub limits: Limits,
}

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Files in a folder, as a mounted Secret has them; read again when they change. S3: `accessKeyId`,
    /// `secretAccessKey`, optional `sessionToken`. Google: `serviceAccountKey` (JSON). Azure: `accountName` with
    /// `accountKey`, or with `clientId`, `clientSecret` and `tenantId`.
    Folder(PathBuf),
    /// The environment or the identity of the machine (`AWS_*`, web identity, instance metadata and their likes).
    Environment,
    /// None: requests are not signed.
    Anonymous,
}

/// Limits of requests, chosen for live: a segment that is late by more than its own length is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// To connect, at most.
    pub connect: Duration,
    /// One attempt of a request, at most, beside the time for its bytes: 2 seconds are 7 times the 99th percentile that
    /// S3 is known for.
    pub attempt: Duration,
    /// A whole call with its retries, at most, beside the time for its bytes.
    pub call: Duration,
    /// Bytes of a second at least, by which larger bodies are given more time.
    pub rate_min: u64,
    /// Between two pieces of a body that is read, at most.
    pub stall: Duration,
    /// Attempts of a call at most, the first among them.
    pub attempts_max: u32,
    /// From when on a read is asked for a second time beside the first; the first answer counts.
    pub hedge_after: Duration,
    /// Second requests of a hundred requests at most, so that a store that is slow for all is not asked twice as much.
    pub hedge_percent: u32,
    /// Reads at once at most; their bodies count until they are read.
    pub reads_max: usize,
    /// Writes, deletes and listings at once at most.
    pub writes_max: usize,
    /// Calls that wait for one of these places at most; what comes more is turned away.
    pub waiting_max: usize,
    /// How long a call waits for a place.
    pub wait: Duration,
    /// How long a request that was not answered may still take effect at the store.
    pub in_doubt: Duration,
    /// Writes that are on their way or in doubt at most; what comes more is turned away, so that none is forgotten.
    pub in_doubt_max: usize,
    /// Versions whose headers are remembered, to save a request when they are replaced or listed.
    pub remembered_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            attempt: Duration::from_secs(2),
            call: Duration::from_secs(5),
            rate_min: 1_024 * 1_024,
            stall: Duration::from_secs(2),
            attempts_max: 4,
            hedge_after: Duration::from_millis(300),
            hedge_percent: 5,
            reads_max: 64,
            writes_max: 32,
            waiting_max: 1_024,
            wait: Duration::from_secs(1),
            in_doubt: Duration::from_mins(1),
            in_doubt_max: 65_536,
            remembered_max: 16_384,
        }
    }
}

impl Limits {
    /// One attempt with `bytes` in its body.
    pub(super) fn attempt_for(&self, bytes: u64) -> Duration {
        self.attempt + self.transfer(bytes)
    }

    /// A call with `bytes` in its body: there is time for a second attempt, if not for all.
    pub(super) fn call_for(&self, bytes: u64) -> Duration {
        self.call + self.transfer(bytes) * 2
    }

    fn transfer(&self, bytes: u64) -> Duration {
        Duration::from_secs_f64(bytes as f64 / self.rate_min.max(1) as f64)
    }
}

impl ObjectStoreOptions {
    /// A bucket with the provider's own endpoint, the environment's credentials and the default limits.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            endpoint: None,
            region: None,
            allow_http: false,
            certificates: None,
            credentials: Credentials::Environment,
            limits: Limits::default(),
        }
    }
}
