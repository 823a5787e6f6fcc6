//! The admin ports of the pods: what they say, and what is handed to them. The operator's only conversation beside the API server.
//!
//! Answers are remembered, so that a reconcile waits for pods that it does not know yet, and for no others. The rounds look at all
//! of them every [`PERIOD`] and wake the reconciles of those that say something else than before.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http_body_util::Full;
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::metrics::Metrics;
use crate::pod_client::PodClient;
use crate::pods;
use crate::report::PodReport;

/// Between two rounds.
const PERIOD: Duration = Duration::from_secs(5);
/// Pods that are asked at the same time.
const AT_ONCE: usize = 32;
/// A pod that does not answer within this time says nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest error of a pod that is repeated.
const WORDS_MAX: usize = 500;
/// Origins whose pods said something new and wait for a reconcile; a round waits for the queue.
const NEWS_MAX: usize = 256;

/// Namespace and name of an origin.
pub type Key = (String, String);

/// The pods that are known.
#[derive(Debug)]
pub struct Agents {
    client: PodClient,
    metrics: Arc<Metrics>,
    origins: Mutex<HashMap<Key, BTreeMap<String, Known>>>,
    news: mpsc::Sender<Key>,
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    uid: String,
    address: SocketAddr,
    report: Option<PodReport>,
}

impl Agents {
    /// Knows nobody yet. What the receiver gets are origins whose pods said something new.
    pub fn new(metrics: Arc<Metrics>) -> (Self, mpsc::Receiver<Key>) {
        let client = PodClient::default();
        let (news, receiver) = mpsc::channel(NEWS_MAX);
        (Self { client, metrics, origins: Mutex::default(), news }, receiver)
    }

    /// Where others name origins for which there is something new.
    pub fn news(&self) -> mpsc::Sender<Key> {
        self.news.clone()
    }

    /// What the pods of an origin say; those that were never asked are asked now, the others are forgotten.
    pub async fn reports(&self, key: &Key, pods: &[Pod]) -> BTreeMap<String, PodReport> {
        let present: BTreeMap<String, Known> = pods.iter().filter_map(known).collect();
        let fresh: Vec<(String, Known)> = {
            let mut origins = self.lock();
            let known = origins.entry(key.clone()).or_default();
            known.retain(|name, pod| {
                present.get(name).is_some_and(|now| (&now.uid, now.address) == (&pod.uid, pod.address))
            });
            present.into_iter().filter(|(name, _)| !known.contains_key(name)).collect()
        };
        let asked = stream::iter(fresh).map(|(name, pod)| async move {
            let report = self.ask(pod.address).await;
            (name, Known { report, ..pod })
        });
        let asked: Vec<(String, Known)> = asked.buffer_unordered(AT_ONCE).collect().await;
        self.lock().entry(key.clone()).or_default().extend(asked);
        self.remembered(key)
    }

    /// What the pods of an origin said last.
    pub fn remembered(&self, key: &Key) -> BTreeMap<String, PodReport> {
        let origins = self.lock();
        let known = origins.get(key).into_iter().flatten();
        known.filter_map(|(name, pod)| Some((name.clone(), pod.report.clone()?))).collect()
    }

    /// An origin is gone.
    pub fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// Hands a configuration to a pod, and remembers what it says.
    pub async fn push(&self, key: &Key, pod: &str, generation: i64, text: &str, token: &[u8]) -> bool {
        let address = self.lock().get(key).and_then(|known| Some(known.get(pod)?.address));
        let Some(address) = address else { return false };
        let answer = self.put(address, text, token).await;
        let is_served = matches!(answer, Push::Served(_));
        self.metrics.pushed(is_served);
        if let Push::Refused(words) | Push::Failed(words) = &answer {
            tracing::warn!(
                namespace = key.0,
                name = key.1,
                pod,
                generation,
                words,
                "a configuration is not taken by a pod"
            );
        }
        let mut origins = self.lock();
        let Some(report) = origins.get_mut(key).and_then(|known| known.get_mut(pod)?.report.as_mut()) else {
            return is_served;
        };
        match answer {
            Push::Served(served) => {
                report.generation = served;
                report.refused.clear();
                (report.not_pushed, report.refused_generation) = (None, None);
            }
            Push::Refused(words) => {
                report.refused = vec![words];
                report.refused_generation = Some(generation);
            }
            Push::Failed(words) => report.not_pushed = Some(words),
        }
        is_served
    }

    /// Looks at all pods for ever.
    pub async fn rounds(&self) {
        loop {
            tokio::time::sleep(PERIOD).await;
            let all: Vec<(Key, String, Known)> = {
                let origins = self.lock();
                let each = origins.iter().flat_map(|(key, known)| {
                    known.iter().map(|(name, pod)| (key.clone(), name.clone(), pod.clone()))
                });
                each.collect()
            };
            let looks = stream::iter(all).map(|(key, name, before)| async move {
                let report = self.ask(before.address).await;
                let is_news = self.learn(&key, &name, &before, report);
                if is_news {
                    // Nobody listens any more when the operator stops.
                    let _ = self.news.send(key).await;
                }
            });
            looks.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
        }
    }

    /// Remembers what a pod said, unless something happened to it meanwhile; says whether it is something else than before.
    fn learn(&self, key: &Key, name: &str, before: &Known, report: Option<PodReport>) -> bool {
        let mut origins = self.lock();
        let Some(now) =
            origins.get_mut(key).and_then(|known| known.get_mut(name)).filter(|now| *now == before)
        else {
            return false;
        };
        // What became of a push is not what the pod says: it stays until the next one.
        let report = report.map(|report| match &before.report {
            Some(last) if last.generation == report.generation => PodReport {
                not_pushed: last.not_pushed.clone(),
                refused_generation: last.refused_generation,
                ..report
            },
            _ => report,
        });
        let is_news = report != before.report;
        now.report = report;
        is_news
    }

    async fn ask(&self, address: SocketAddr) -> Option<PodReport> {
        let request =
            http_types::Request::get(format!("http://{address}/-/status")).body(Full::default()).ok()?;
        let begin = Instant::now();
        let report = match self.client.send(request, PATIENCE).await {
            Ok((200, body)) => {
                serde_json::from_slice::<Value>(&body).ok().map(|status| PodReport::read(&status))
            }
            Ok(_) | Err(_) => None,
        };
        self.metrics.asked(report.is_some(), begin.elapsed());
        report
    }

    async fn put(&self, address: SocketAddr, text: &str, token: &[u8]) -> Push {
        let bearer = [b"Bearer ", token].concat();
        let request = http_types::Request::put(format!("http://{address}/-/config"))
            .header(http_types::header::AUTHORIZATION, bearer)
            .header(http_types::header::CONTENT_TYPE, "application/yaml")
            .body(Full::new(Bytes::copy_from_slice(text.as_bytes())));
        let request = match request {
            Ok(request) => request,
            Err(error) => return Push::Failed(error.to_string()),
        };
        match self.client.send(request, PATIENCE).await {
            Ok((status, body)) => Push::of(status, &body),
            Err(words) => Push::Failed(words),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, BTreeMap<String, Known>>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a pod made of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Push {
    /// It serves this generation.
    Served(i64),
    /// It will not take it.
    Refused(String),
    /// It may take it later.
    Failed(String),
}

impl Push {
    fn of(status: u16, body: &[u8]) -> Self {
        let said: Value = serde_json::from_slice(body).unwrap_or_default();
        let words = || {
            let list = said["refused"].as_array().into_iter().flatten();
            let list: Vec<&str> = list.filter_map(Value::as_str).collect();
            let words =
                if list.is_empty() { String::from_utf8_lossy(body).into_owned() } else { list.join("; ") };
            format!("{status}: {}", words.trim().chars().take(WORDS_MAX).collect::<String>())
        };
        match (status, said["generation"].as_i64()) {
            (200, Some(generation)) => Self::Served(generation),
            (409 | 422, _) => Self::Refused(words()),
            _ => Self::Failed(words()),
        }
    }
}

fn known(pod: &Pod) -> Option<(String, Known)> {
    let (name, uid) = (pod.metadata.name.clone()?, pod.metadata.uid.clone()?);
    Some((name, Known { uid, address: pods::may_answer(pod)?, report: None }))
}

#[cfg(test)]
mod tests;
