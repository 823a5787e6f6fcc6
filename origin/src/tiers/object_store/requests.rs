//! Requests under the limits: places, time, retries and hedges. Reads are repeated here; writes only by those who look
//! first what became of the attempt before (`write`).

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::{BoxFuture, Either, select};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::bucket::Bucket;
use super::client::{OpenError, Secrets, client};
use super::counters::{Counters, Request};
use super::failure::{Failure, Fault};
use super::options::{Limits, ObjectStoreOptions};
use super::place::{Place, Scheme};
use crate::clock::Clock;

/// Between the first two attempts; the double between the next ones. There is one process per bucket: no herd to spread.
const BACKOFF: Duration = Duration::from_millis(50);
/// Hedges that may come at once at most.
const HEDGES_AT_ONCE_MAX: i64 = 10;

/// A future of an attempt.
pub(super) type Attempt<T> = BoxFuture<'static, Result<T, Failure>>;

/// The way to the bucket.
#[derive(Debug)]
pub(super) struct Requests {
    pub(super) place: Place,
    pub(super) limits: Limits,
    pub(super) counters: Counters,
    pub(super) clock: Clock,
    options: ObjectStoreOptions,
    bucket: ArcSwap<Bucket>,
    secrets: ArcSwap<Secrets>,
    reads: Gate,
    writes: Gate,
    /// Hundredths of a hedge.
    hedges: AtomicI64,
}

impl Requests {
    pub(super) fn open(options: ObjectStoreOptions, clock: Clock) -> Result<Self, OpenError> {
        let error = |text| OpenError { url: options.url.clone(), text };
        let place = Place::parse(&options.url).map_err(error)?;
        let secrets = Secrets::read(&options.credentials).map_err(error)?;
        let client = client(&options, &place, &secrets).map_err(error)?;
        Ok(Self::over(Bucket::new(client), place, secrets, options, clock))
    }

    pub(super) fn over(
        bucket: Bucket,
        place: Place,
        secrets: Secrets,
        options: ObjectStoreOptions,
        clock: Clock,
    ) -> Self {
        let limits = options.limits;
        Self {
            place,
            counters: Counters::default(),
            clock,
            options,
            bucket: ArcSwap::from_pointee(bucket),
            secrets: ArcSwap::from_pointee(secrets),
            reads: Gate::new(limits.reads_max, limits.waiting_max, limits.wait),
            writes: Gate::new(limits.writes_max, limits.waiting_max, limits.wait),
            hedges: AtomicI64::new(HEDGES_AT_ONCE_MAX * 100),
            limits,
        }
    }

    pub(super) fn bucket(&self) -> Arc<Bucket> {
        self.bucket.load_full()
    }

    /// Reads the credentials again; whether there are new ones. What cannot be read leaves the old ones in use.
    pub(super) fn refresh(&self) -> Result<bool, Failure> {
        // The others have none, and a new client of theirs would not know what the old one does.
        if !matches!(self.place.scheme, Scheme::S3 | Scheme::Google | Scheme::Azure) {
            return Ok(false);
        }
        let denied = |text| Failure::new(Fault::Denied, text);
        let secrets = Secrets::read(&self.options.credentials).map_err(denied)?;
        if secrets == **self.secrets.load() {
            return Ok(false);
        }
        let client = client(&self.options, &self.place, &secrets).map_err(denied)?;
        self.bucket.store(Arc::new(Bucket::new(client)));
        self.secrets.store(Arc::new(secrets));
        tracing::info!(bucket = %self.options.url, "new credentials for the object store");
        Ok(true)
    }

    /// A call that only reads: in its place, with retries and hedges. The place is handed on, for the body.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        request: Request,
        attempt: impl Fn(Arc<Bucket>) -> Attempt<T>,
    ) -> Result<(T, OwnedSemaphorePermit), Failure> {
        let gate = if request == Request::List { &self.writes } else { &self.reads };
        let permit = gate.enter(&self.counters).await?;
        let limit = self.limits.call;
        let value = timeout(limit, self.retried(request, attempt)).await;
        Ok((value.unwrap_or_else(|_| Err(Failure::slow(limit)))?, permit))
    }

    async fn retried<T: Send + 'static>(
        &self,
        request: Request,
        attempt: impl Fn(Arc<Bucket>) -> Attempt<T>,
    ) -> Result<T, Failure> {
        let mut attempts = 1;
        let mut is_refreshed = false;
        loop {
            let result = self.hedged(request, || attempt(self.bucket())).await;
            let failure = match result {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let is_denied = failure.fault == Fault::Denied;
            if is_denied && !is_refreshed && self.refresh().unwrap_or(false) {
                is_refreshed = true;
            } else if failure.may_pass() && attempts < self.limits.attempts_max {
                sleep(backoff(attempts)).await;
            } else {
                return Err(failure);
            }
            attempts += 1;
            self.counters.retried();
        }
    }

    /// One attempt, and a second one beside it when the first takes long; the first answer that is none of those that may
    /// pass counts.
    async fn hedged<T: Send + 'static>(
        &self,
        request: Request,
        attempt: impl Fn() -> Attempt<T>,
    ) -> Result<T, Failure> {
        self.earn_hedge();
        let first = Box::pin(self.timed(request, 0, attempt()));
        let first = match select(first, Box::pin(sleep(self.limits.hedge_after))).await {
            Either::Left((result, _)) => return result,
            Either::Right(((), first)) => first,
        };
        let is_allowed = self.take_hedge();
        self.counters.hedged(is_allowed);
        if !is_allowed {
            return first.await;
        }
        let second = Box::pin(self.timed(request, 0, attempt()));
        let (result, other) = match select(first, second).await {
            Either::Left((result, other)) | Either::Right((result, other)) => (result, other),
        };
        match result {
            Err(failure) if failure.may_pass() => other.await,
            result => result,
        }
    }

    /// One attempt within its time, counted.
    pub(super) async fn timed<T>(
        &self,
        request: Request,
        bytes: u64,
        attempt: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let limit = self.limits.attempt_for(bytes);
        let result = timeout(limit, attempt).await.unwrap_or_else(|_| Err(Failure::slow(limit)));
        self.counters.answered(request, &result, self.clock.now().wall);
        result
    }

    /// A place for a write.
    pub(super) async fn enter_write(&self) -> Result<OwnedSemaphorePermit, Failure> {
        self.writes.enter(&self.counters).await
    }

    fn earn_hedge(&self) {
        let earned = i64::from(self.limits.hedge_percent);
        let earn = |have: i64| Some((have + earned).min(HEDGES_AT_ONCE_MAX * 100));
        let _ = self.hedges.fetch_update(Ordering::Relaxed, Ordering::Relaxed, earn);
    }

    fn take_hedge(&self) -> bool {
        let take = |have: i64| (have >= 100).then(|| have - 100);
        self.hedges.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Places taken: reads with their bodies, and writes.
    pub(super) fn in_flight(&self) -> (usize, usize) {
        (
            self.limits.reads_max - self.reads.places.available_permits(),
            self.limits.writes_max - self.writes.places.available_permits(),
        )
    }
}

/// How long to wait after this many attempts.
pub(super) fn backoff(attempts: u32) -> Duration {
    BACKOFF * 2_u32.saturating_pow(attempts.saturating_sub(1).min(6))
}

/// A number of places, and a number of calls that wait for one.
#[derive(Debug)]
struct Gate {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
    wait: Duration,
}

impl Gate {
    fn new(places: usize, waiting_max: usize, wait: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), waiting: AtomicUsize::new(0), waiting_max, wait }
    }

    async fn enter(&self, counters: &Counters) -> Result<OwnedSemaphorePermit, Failure> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(permit);
        }
        let turned_away = |why: &str| {
            counters.turned_one_away();
            Failure::new(Fault::Undone, format!("too many requests to the object store at once: {why}"))
        };
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.waiting_max {
            return Err(turned_away("as many as may wait are waiting"));
        }
        let permit = timeout(self.wait, Arc::clone(&self.places).acquire_owned()).await;
        drop(waiting);
        permit.ok().and_then(Result::ok).ok_or_else(|| turned_away("no place was free in time"))
    }
}

/// Counts one that waits, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
