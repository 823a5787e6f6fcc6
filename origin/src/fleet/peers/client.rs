//! Asks other pods: over pooled connections, by TLS where their address says so, without any proxy, each step within its time.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use reqwest::header::{AUTHORIZATION, HeaderValue, RANGE};
use reqwest::{Client, Response, StatusCode, redirect};
use tokio::time::timeout;

use super::address::Address;
use super::wire::{DESCRIPTION, Description};
use super::{Counters, Counts, Keys, count, tls};
use crate::causes;
use crate::http::path;
use crate::memory::blob::Uid;

/// How long a connection that nobody uses is kept; the other side keeps it a little longer.
const POOL_IDLE: Duration = Duration::from_secs(10);
/// Unused connections to one pod at most.
const POOL_MAX: usize = 32;
/// How soon a pod whose node is gone is missed while it says nothing.
const KEEPALIVE: Duration = Duration::from_secs(1);
/// Probes of a connection without an answer.
const KEEPALIVE_RETRIES: u32 = 3;

/// How long each step may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// To connect, and to shake hands.
    pub connect: Duration,
    /// From the question to the head of the answer.
    pub head: Duration,
    /// From the question for what has to be fetched first to the head of the answer.
    pub fill_head: Duration,
    /// From the question for what may not have a byte yet to the head of the answer: longer than the other side waits for one.
    pub growing_head: Duration,
    /// Between bytes of what is complete.
    pub idle: Duration,
    /// Between bytes of what grows: longer than an upload may be silent.
    pub growing_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_millis(250),
            head: Duration::from_secs(1),
            fill_head: Duration::from_secs(2),
            growing_head: Duration::from_secs(4),
            idle: Duration::from_secs(2),
            growing_idle: Duration::from_secs(65),
        }
    }
}

/// Why another pod does not give what it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// It does not hold it, or not any more.
    #[error("the pod does not hold it")]
    Gone,
    /// Too many ask it: another one may have time.
    #[error("the pod has no time for it")]
    Busy,
    /// It answers what it should not: another token, or another program.
    #[error("the pod refuses: {0}")]
    Refused(String),
    /// It does not answer.
    #[error("the pod does not answer: {0}")]
    Unreachable(String),
    /// Its answer ended before its end, or is not about what was asked for.
    #[error("the answer of the pod is broken: {0}")]
    Broken(String),
}

/// Bytes from another pod, in order; they end with an error when they ended early.
pub type Bytestream = BoxStream<'static, Result<Bytes, PeerError>>;

/// An answer that has begun.
pub struct Fetched {
    /// What the version is.
    pub description: Description,
    /// Its bytes, from `description.first` on.
    pub bytes: Bytestream,
}

/// The other pods.
#[derive(Debug)]
pub struct Peers {
    client: Client,
    authorization: HeaderValue,
    limits: Limits,
    counters: Arc<Counters>,
}

/// What is asked for.
struct Question<'a> {
    path: &'a str,
    uid: Uid,
    range: Option<Range<u64>>,
    /// Whether it is fetched first where it is not there.
    fill: bool,
}

/// How long an answer may keep us waiting.
#[derive(Clone, Copy)]
struct Patience {
    head: Duration,
    growing: Duration,
}

impl Peers {
    /// Those that have the same `keys`; `counters` may be shared with the peer port.
    pub fn new(keys: &Keys, limits: Limits, counters: Arc<Counters>) -> Result<Self, PeerError> {
        let refused = |error: &dyn std::error::Error| PeerError::Refused(causes::text(error));
        let client = Client::builder()
            .tls_backend_preconfigured(tls::client(keys).map_err(|error| refused(&error))?)
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(limits.connect)
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_MAX)
            .tcp_nodelay(true)
            .tcp_keepalive(KEEPALIVE)
            .tcp_keepalive_interval(KEEPALIVE)
            .tcp_keepalive_retries(KEEPALIVE_RETRIES)
            .build()
            .map_err(|error| refused(&error))?;
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {}", keys.token)).map_err(|error| refused(&error))?;
        authorization.set_sensitive(true);
        Ok(Self { client, authorization, limits, counters })
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        self.counters.counts()
    }

    /// The bytes in `range`, or all, of the version `uid` under `path`, from the pod at `address`; one that still grows is
    /// followed, and a range of it waits for its bytes.
    pub async fn fetch(
        &self,
        address: Address,
        path: &str,
        uid: Uid,
        range: Option<Range<u64>>,
    ) -> Result<Fetched, PeerError> {
        let Limits { head, idle, growing_idle, .. } = self.limits;
        // The end of a range is known to be there: nothing in it is waited for.
        let growing = if range.is_some() { idle } else { growing_idle };
        self.ask(address, Question { path, uid, range, fill: false }, Patience { head, growing }).await
    }

    /// The bytes in `range` of the version `uid` under `path`, which the pod at `address` fetches first if it has not got them.
    pub async fn fill(
        &self,
        address: Address,
        path: &str,
        uid: Uid,
        range: Range<u64>,
    ) -> Result<Fetched, PeerError> {
        let Limits { fill_head: head, idle: growing, .. } = self.limits;
        let question = Question { path, uid, range: Some(range), fill: true };
        self.ask(address, question, Patience { head, growing }).await
    }

    /// The version `uid` under `path` from its beginning, which the pod at `address` may still be waiting for itself.
    pub async fn follow(&self, address: Address, path: &str, uid: Uid) -> Result<Fetched, PeerError> {
        let Limits { growing_head, growing_idle, .. } = self.limits;
        let question = Question { path, uid, range: None, fill: false };
        self.ask(address, question, Patience { head: growing_head, growing: growing_idle }).await
    }

    async fn ask(
        &self,
        address: Address,
        question: Question<'_>,
        patience: Patience,
    ) -> Result<Fetched, PeerError> {
        count(&self.counters.fetches, 1);
        let opened = self.open(address, question, patience.head).await;
        let (response, description) = opened.inspect_err(|_| count(&self.counters.failed, 1))?;
        let idle = if description.size.is_none() { patience.growing } else { self.limits.idle };
        let reading = Reading { response, idle, counters: Arc::clone(&self.counters) };
        Ok(Fetched { description, bytes: reading.stream() })
    }

    async fn open(
        &self,
        address: Address,
        Question { path, uid, range, fill }: Question<'_>,
        head: Duration,
    ) -> Result<(Response, Description), PeerError> {
        let path = path::encode(path.as_bytes(), b"");
        let fill = if fill { "&fill=true" } else { "" };
        let url = format!("{}/blob/{uid}?path={path}{fill}", address.base());
        let mut request = self.client.get(url).header(AUTHORIZATION, &self.authorization);
        if let Some(range) = &range {
            request = request.header(RANGE, asked(range));
        }
        let late = |_| PeerError::Unreachable(format!("no answer within {} ms", head.as_millis()));
        let failed = |error: reqwest::Error| PeerError::Unreachable(causes::text(&error.without_url()));
        let response = timeout(head, request.send()).await.map_err(late)?.map_err(failed)?;
        let expected = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        match response.status() {
            status if status == expected => {}
            StatusCode::NOT_FOUND => return Err(PeerError::Gone),
            StatusCode::SERVICE_UNAVAILABLE => return Err(PeerError::Busy),
            status => return Err(PeerError::Refused(status.to_string())),
        }
        let value = response.headers().get(DESCRIPTION).map(HeaderValue::as_bytes).unwrap_or_default();
        match Description::decode(value) {
            Some(description) if description.first == range.as_ref().map_or(0, |range| range.start) => {
                Ok((response, description))
            }
            _ => Err(PeerError::Broken("it does not describe what was asked for".to_owned())),
        }
    }
}

/// The header for a range; one up to `u64::MAX` has no end.
fn asked(range: &Range<u64>) -> String {
    match range.end {
        u64::MAX => format!("bytes={}-", range.start),
        end => format!("bytes={}-{}", range.start, end.saturating_sub(1)),
    }
}

/// A body that is being read.
struct Reading {
    response: Response,
    idle: Duration,
    counters: Arc<Counters>,
}

impl Reading {
    fn stream(self) -> Bytestream {
        let stream = stream::try_unfold(self, async |mut reading| {
            let next = reading.next().await;
            Ok(next.inspect_err(|_| count(&reading.counters.broken, 1))?.map(|bytes| (bytes, reading)))
        });
        stream.boxed()
    }

    /// The next bytes; the client says so itself when they end before their length or their last chunk.
    async fn next(&mut self) -> Result<Option<Bytes>, PeerError> {
        let late = |_| PeerError::Broken(format!("silent for {} ms", self.idle.as_millis()));
        let failed = |error: reqwest::Error| PeerError::Broken(causes::text(&error.without_url()));
        let bytes = timeout(self.idle, self.response.chunk()).await.map_err(late)?.map_err(failed)?;
        count(&self.counters.received, bytes.as_ref().map_or(0, Bytes::len));
        Ok(bytes)
    }
}
