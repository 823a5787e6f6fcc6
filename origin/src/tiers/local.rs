//! What the disk tier does beside the contract of all tiers: it can let go of what another tier has.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::disk::{Disk, Hold, Keeping};
use super::{Put, Record, Tier, TierError};

/// The disk tier, or its twin.
pub trait Local: Tier {
    /// As [`Tier::put`]; with `may_go` it is only a cache. From `until` on it may be swept, if it may go by then.
    fn store<'a>(
        &'a self,
        record: &'a Arc<Record>,
        body: &'a [Bytes],
        may_go: bool,
        until: Option<SystemTime>,
    ) -> BoxFuture<'a, Result<Put, TierError>>;

    /// Another tier has this version: it may go.
    fn release<'a>(&'a self, path: &'a str, sequence: u64) -> BoxFuture<'a, Result<bool, TierError>>;

    /// Removes some of what is over at `now`; how many.
    fn sweep(&self, now: SystemTime) -> BoxFuture<'_, Result<usize, TierError>>;

    /// Versions that may not go, behind the path `after`, and where to go on.
    fn kept(&self, after: &str, limit: usize) -> (Vec<Arc<Record>>, Option<Arc<str>>);
}

impl Local for Disk {
    fn store<'a>(
        &'a self,
        record: &'a Arc<Record>,
        body: &'a [Bytes],
        may_go: bool,
        until: Option<SystemTime>,
    ) -> BoxFuture<'a, Result<Put, TierError>> {
        let hold = if may_go { Hold::Cache } else { Hold::Keep };
        Self::store(self, record, body, Keeping { hold, until }).boxed()
    }

    fn release<'a>(&'a self, path: &'a str, sequence: u64) -> BoxFuture<'a, Result<bool, TierError>> {
        Self::release(self, path, sequence).boxed()
    }

    fn sweep(&self, now: SystemTime) -> BoxFuture<'_, Result<usize, TierError>> {
        async move { Ok(Self::sweep(self, now).await?.len()) }.boxed()
    }

    fn kept(&self, after: &str, limit: usize) -> (Vec<Arc<Record>>, Option<Arc<str>>) {
        Self::kept(self, after, limit)
    }
}
