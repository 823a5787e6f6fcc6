//! The scaler's rim: each second, and once more half a second later where a step may have begun, it asks the pods of every origin with `autoscaling.mode: Internal` what they carry, decides
//! (`mediaorigin_scaler`, pure) how many there are to be, and wakes the reconcile of an origin for which that is something new.
//!
//! ```text
//! reconcile ── Facts: spec, Deployment, pods ──▶ Scalers ◀── /-/load of each pod, once a second
//!           ◀── the last Decision, at once ────┘      └── another number or reason: a reconcile
//! ```
//!
//! A reconcile writes the number into the Deployment and the decision into the status, never into a spec.

pub mod facts;
mod learned;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use http_body_util::Full;
use jiff::Timestamp;
use mediaorigin_scaler::sampling::{self, Candidate};
use mediaorigin_scaler::{Decision, History, PodSample, Reading, Scrape, decide};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::agents::Key;
use crate::metrics::Metrics;
use crate::pod_client::PodClient;
use facts::{Facts, Told};

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// A pod that does not answer within this time has not answered in this second.
const PATIENCE: Duration = Duration::from_millis(800);
/// A glance comes so long after its look, and waits so long for a pod: it ends before the next look.
const GLANCE_AFTER: Duration = Duration::from_millis(500);
const GLANCE_PATIENCE: Duration = Duration::from_millis(400);
/// Pods of one origin that are asked at the same time.
const AT_ONCE: usize = 64;
/// How old the numbers of an explanation in a status may be, while the decision stays the same.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// The origins that are scaled.
#[derive(Debug)]
pub struct Scalers {
    client: PodClient,
    metrics: Arc<Metrics>,
    origins: Mutex<HashMap<Key, Scaled>>,
    news: mpsc::Sender<Key>,
}

/// When pods are asked.
#[derive(Clone, Copy, Debug)]
enum Look {
    /// Each second.
    Second,
    /// In the middle of one.
    Glance,
}

impl Look {
    fn patience(self) -> Duration {
        match self {
            Self::Second => PATIENCE,
            Self::Glance => GLANCE_PATIENCE,
        }
    }
}

/// An origin that is scaled.
#[derive(Debug)]
struct Scaled {
    facts: Facts,
    history: History,
    /// What reconciles know of, and since when.
    told: Option<(Timestamp, Told)>,
    /// Whether its pods are being asked.
    is_busy: bool,
}

impl Scalers {
    /// Scales nothing yet. Origins for which something new was decided are told to `news`.
    pub fn new(metrics: Arc<Metrics>, news: mpsc::Sender<Key>) -> Self {
        Self { client: PodClient::default(), metrics, origins: Mutex::default(), news }
    }

    /// Takes what a reconcile sees; the answer is what was decided last. `None` ends the scaling of an origin.
    pub fn learn(&self, key: &Key, facts: Option<Facts>) -> Option<Told> {
        let mut origins = self.lock();
        let Some(facts) = facts else {
            if origins.remove(key).is_some() {
                self.metrics.scaling.forget(key);
            }
            return None;
        };
        let scaled = match origins.remove(key) {
            // An origin that was deleted and made anew under its name is another one.
            Some(scaled) if scaled.facts.uid == facts.uid => Scaled { facts, ..scaled },
            _ => {
                Scaled { history: History::new(facts.now, facts.learned), facts, told: None, is_busy: false }
            }
        };
        let told = scaled.told.as_ref().map(|(_, told)| told.clone());
        origins.insert(key.clone(), scaled);
        told
    }

    /// Looks at all of them each second, for ever.
    pub async fn rounds(self: &Arc<Self>) {
        // Who acts again after another did knows nothing of what that one saw.
        self.lock().clear();
        // Whatever is being asked ends with this future.
        let mut looks = JoinSet::new();
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            while looks.try_join_next().is_some() {}
            for key in self.idle() {
                let scalers = Arc::clone(self);
                looks.spawn(async move { scalers.look(&key).await });
            }
        }
    }

    /// Those whose pods are not being asked; from now on they are.
    fn idle(&self) -> Vec<Key> {
        let mut origins = self.lock();
        let idle = origins.iter_mut().filter(|(_, scaled)| !scaled.is_busy);
        idle.map(|(key, scaled)| {
            scaled.is_busy = true;
            key.clone()
        })
        .collect()
    }

    /// Looks at an origin, and once more where a step may have begun.
    async fn look(&self, key: &Key) {
        let began = Instant::now();
        let is_worth_a_glance = self.decide(key, Look::Second).await;
        if is_worth_a_glance && began.elapsed() < GLANCE_AFTER {
            sleep_until(began + GLANCE_AFTER).await;
            self.decide(key, Look::Glance).await;
        }
        if let Some(scaled) = self.lock().get_mut(key) {
            scaled.is_busy = false;
        }
    }

    /// Asks the pods and decides; says whether the next second is worth a glance.
    async fn decide(&self, key: &Key, look: Look) -> bool {
        let Some(pods) = self.lock().get(key).map(|scaled| scaled.facts.pods.clone()) else { return false };
        let scrapes = self.scrape(&pods, look).await;
        let now = Timestamp::now();
        let (is_news, is_worth_a_glance) = {
            let mut origins = self.lock();
            let Some(scaled) = origins.get_mut(key) else { return false };
            let (decision, is_news) = scaled.decide(&scrapes, look, now);
            self.metrics.decided(decision.reason.as_str());
            let utilization = scaled.facts.spec.utilization;
            self.metrics.scaling.tell(key, &decision, scaled.history.pods(), utilization);
            (is_news, scaled.history.is_worth_a_glance(now))
        };
        if is_news {
            // A queue that is full is one of reconciles that will come anyway; the next second asks again.
            let _ = self.news.try_send(key.clone());
        }
        is_worth_a_glance
    }

    /// What each pod says, by its uid.
    async fn scrape(&self, pods: &[facts::Pod], look: Look) -> HashMap<String, Scrape> {
        let candidates: Vec<Candidate<'_>> =
            pods.iter().map(|pod| Candidate { id: &pod.uid, phase: pod.phase, ready: pod.ready }).collect();
        let chosen = sampling::chosen(&candidates, Timestamp::now());
        let asked: Vec<(String, SocketAddr)> = chosen
            .into_iter()
            .filter_map(|index| Some((pods[index].uid.clone(), pods[index].address?)))
            .collect();
        let answers = stream::iter(asked).map(|(uid, address)| async move {
            let scrape = self.ask(address, look.patience()).await.map_or(Scrape::Failed, Scrape::Read);
            self.metrics.scraped(scrape != Scrape::Failed);
            (uid, scrape)
        });
        answers.buffer_unordered(AT_ONCE).collect().await
    }

    async fn ask(&self, address: SocketAddr, patience: Duration) -> Option<Reading> {
        let request =
            http_types::Request::get(format!("http://{address}/-/load")).body(Full::default()).ok()?;
        let (status, body) = self.client.send(request, patience).await.ok()?;
        let at = Timestamp::now();
        let load = serde_json::from_slice(&body).ok().filter(|_| status == 200)?;
        Some(Reading { at, load })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Scaled>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scaled {
    /// Decides for this moment; says whether a reconcile should know of it.
    fn decide(&mut self, scrapes: &HashMap<String, Scrape>, look: Look, now: Timestamp) -> (Decision, bool) {
        let Facts { pods, asked, spec, spec_replicas, .. } = &self.facts;
        let samples: Vec<PodSample> = pods
            .iter()
            .map(|pod| PodSample {
                id: pod.uid.clone(),
                phase: pod.phase,
                created: pod.created,
                ready: pod.ready,
                scrape: scrapes.get(&pod.uid).copied().unwrap_or(Scrape::NotAsked),
            })
            .collect();
        match look {
            Look::Second => self.history.observe(now, *asked, &samples),
            Look::Glance => self.history.glance(*asked, &samples),
        }
        let decision = decide(&self.history, spec, *spec_replicas, now);
        self.history.decided(now, &decision);
        let is_news = self.told.as_ref().is_none_or(|(since, told)| {
            let told = &told.decision;
            let is_same = (told.replicas, told.reason, &told.floor)
                == (decision.replicas, decision.reason, &decision.floor);
            let age = Duration::try_from(now.duration_since(*since)).unwrap_or_default();
            !is_same || (age >= TELL_EVERY && told.explanation != decision.explanation)
        });
        // What was decided and not carried out yet is told again.
        let is_news_or_open = is_news || decision.replicas != *asked;
        if is_news {
            let learned = learned::targets(&self.history.capacity().learned(), &spec.given);
            self.told = Some((now, Told { decision: decision.clone(), learned }));
        }
        (decision, is_news_or_open)
    }
}
