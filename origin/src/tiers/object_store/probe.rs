//! Whether a store honours conditional writes, also when several come at once: asked before the first write.
//!
//! Without them an old version could replace a newer one, so such a store is only read. (Garage has none; s3s-fs 0.14
//! checks them without a lock.)

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use object_store::path::Path;
use object_store::{Attributes, PutPayload};
use tokio::sync::Mutex;

use super::Shared;
use super::bucket::Bucket;
use super::counters::Request;
use super::decide::{Likeness, State};
use super::failure::{Failure, Fault};

/// Writers that compete.
const WRITERS: usize = 8;
/// How long a failed probe stands for the ones after it: calls do not queue for a store that does not answer.
const FAILURE_STANDS: Duration = Duration::from_secs(1);

/// What is known of a store's conditional writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conditions {
    /// Not asked yet, or not answered.
    Unknown,
    /// They are honoured: the store is written to.
    Honoured,
    /// They are not: it is only read.
    Ignored,
}

#[derive(Debug, Default)]
pub(super) struct Probe {
    known: AtomicU8,
    /// When the last one failed, and of whom that was the fault.
    failed: Mutex<Option<(Duration, Fault, String)>>,
}

impl Probe {
    pub(super) fn conditions(&self) -> Conditions {
        match self.known.load(Ordering::Acquire) {
            0 => Conditions::Unknown,
            1 => Conditions::Honoured,
            _ => Conditions::Ignored,
        }
    }

    /// Forgets a verdict: the bucket may be another one by now.
    fn know(&self, conditions: Conditions) {
        self.known.store(conditions as u8, Ordering::Release);
    }
}

impl Shared {
    /// An error unless the store honours conditional writes; asks it if that is not known.
    pub(super) async fn needs_conditions(&self) -> Result<(), Failure> {
        if self.probe.conditions() == Conditions::Unknown {
            self.ask().await?;
        }
        match self.probe.conditions() {
            Conditions::Honoured => Ok(()),
            Conditions::Unknown | Conditions::Ignored => Err(Failure::new(
                Fault::Denied,
                "the store does not honour If-Match and If-None-Match on PUT, so it can only be read",
            )),
        }
    }

    async fn ask(&self) -> Result<(), Failure> {
        let mut failed = self.probe.failed.lock().await;
        if self.probe.conditions() != Conditions::Unknown {
            return Ok(());
        }
        if let Some((at, fault, text)) = &*failed
            && self.now() < *at + FAILURE_STANDS
        {
            return Err(Failure::new(*fault, text.clone()));
        }
        let bucket = self.requests.bucket();
        let conditions =
            if bucket.has_doubts() { self.race(&bucket).await } else { Ok(Conditions::Honoured) };
        match conditions {
            Ok(conditions) => {
                if conditions == Conditions::Ignored {
                    tracing::error!("the object store ignores conditional writes; it is only read");
                }
                *failed = None;
                self.probe.know(conditions);
                Ok(())
            }
            Err(failure) => {
                *failed = Some((self.now(), failure.fault, failure.to_string()));
                // A secret may have come since.
                if failure.fault == Fault::Denied && self.requests.refresh().unwrap_or(false) {
                    *failed = None;
                }
                Err(failure)
            }
        }
    }

    /// Several writers create the same object, then replace it: one of each may win.
    async fn race(&self, bucket: &Arc<Bucket>) -> Result<Conditions, Failure> {
        let key = self.requests.place.own(&format!("probe/{}", self.unique()));
        let (created, state) = self.compete(bucket, &key, None).await?;
        let (replaced, _) = self.compete(bucket, &key, Some(&state)).await?;
        // One after the other, too: neither may an old state be replaced nor an object created twice.
        let (twice, _) = self.compete(bucket, &key, Some(&state)).await.unwrap_or((0, state.clone()));
        let (again, _) = self.compete(bucket, &key, None).await.unwrap_or((0, state));
        let _ = self.requests.timed(Request::Delete, 0, bucket.remove(&key)).await;
        let is_honoured = created == 1 && replaced == 1 && twice == 0 && again == 0;
        Ok(if is_honoured { Conditions::Honoured } else { Conditions::Ignored })
    }

    /// How many of several writers won, and the state that one of them left; an error if none did and the store failed.
    async fn compete(
        &self,
        bucket: &Arc<Bucket>,
        key: &Path,
        expected: Option<&State>,
    ) -> Result<(usize, State), Failure> {
        let write = |writer: usize| {
            let body = PutPayload::from(format!("{writer} {}", self.unique()));
            let attempt = bucket.write(key, expected, Attributes::new(), (body, Likeness::Unlike));
            self.requests.timed(Request::Put, 0, attempt)
        };
        let results = join_all((0..WRITERS).map(write)).await;
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        let count = won.len();
        if let Some(state) = won.into_iter().find_map(Result::ok) {
            return Ok((count, state));
        }
        let failures = lost.into_iter().filter_map(Result::err);
        let mut failures: Vec<_> = failures.collect();
        failures.sort_by_key(|failure| failure.fault == Fault::Conflict);
        Err(failures.swap_remove(0))
    }
}
