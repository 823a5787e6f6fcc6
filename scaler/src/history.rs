//! What was seen of an origin: the latest seconds, what was decided in the scale-down window, and what was learned. All bounded.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use mediaorigin_crds::autoscaling::Load;

use crate::capacity::Capacity;
use crate::decide::Decision;
use crate::demand::{self, Carried, Demand, Point};
use crate::dimension::{Dimension, Loads};
use crate::lead::LeadTimes;
use crate::rates::{self, Rates, seconds};
use crate::sample::{Phase, PodSample, Reading, Scrape};

/// Seconds of load that are kept.
const SECONDS_KEPT: usize = 40;
/// Decisions that are kept: those of the longest window, an hour, once a second.
const DECISIONS_KEPT: usize = 3_700;
/// A pod that became ready less than this ago has a cold cache: its CPU is that of the others for its requests.
const WARM_UP_SECONDS: f64 = 10.0;
/// What shed requests may make of the load at most.
const SHED_FACTOR_MAX: f64 = 16.0;
/// What was decided, or known, less than this ago belongs to the same second.
const GLANCE_SECONDS: f64 = 0.75;
/// Rates of this many seconds ago and more are no longer what there is.
const STALE_SECONDS: f64 = 5.0;

/// What was seen of an origin.
#[derive(Clone, Debug)]
pub struct History {
    started: Timestamp,
    readings: BTreeMap<String, Reading>,
    carried: VecDeque<(Timestamp, Carried)>,
    /// What was carried since the last second, where there was a look before the next one.
    glance: Option<Carried>,
    pods: Pods,
    /// When enough pods said what they carry, last.
    known: Option<Timestamp>,
    /// What was needed when, in pods.
    needed: VecDeque<(Timestamp, f64)>,
    /// When pods were taken away, and how many there were before.
    taken: VecDeque<(Timestamp, u32)>,
    lead: LeadTimes,
    capacity: Capacity,
}

/// Pods of the last second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pods {
    /// Pods that the Deployment is asked for.
    pub asked: u32,
    /// Pods that serve.
    pub ready: u32,
    /// Pods that will.
    pub coming: u32,
    /// Pods that are being taken away.
    pub leaving: u32,
    /// Pods that were asked and answered.
    pub answered: u32,
    /// Pods that were asked and did not.
    pub silent: u32,
}

impl Pods {
    fn of(asked: u32, pods: &[PodSample]) -> Self {
        let count = |phase: Phase| as_u32(pods.iter().filter(|pod| pod.phase == phase).count());
        let serving = || pods.iter().filter(|pod| pod.phase != Phase::Coming);
        let answered = serving().filter(|pod| matches!(pod.scrape, Scrape::Read(_))).count();
        Self {
            asked,
            ready: count(Phase::Ready),
            coming: count(Phase::Coming),
            leaving: count(Phase::Leaving),
            answered: as_u32(answered),
            silent: as_u32(serving().filter(|pod| pod.scrape == Scrape::Failed).count()),
        }
    }
}

impl History {
    /// Of an origin that is looked at from now on; `learned` is what an earlier operator had learned of it.
    pub fn new(now: Timestamp, learned: Load) -> Self {
        Self {
            started: now,
            readings: BTreeMap::new(),
            carried: VecDeque::new(),
            glance: None,
            pods: Pods::default(),
            known: None,
            needed: VecDeque::new(),
            taken: VecDeque::new(),
            lead: LeadTimes::default(),
            capacity: Capacity::new(learned),
        }
    }

    /// A second: every pod of the origin, and how many the Deployment asks for.
    pub fn observe(&mut self, now: Timestamp, asked: u32, pods: &[PodSample]) {
        self.lead.observe(pods);
        self.pods = Pods::of(asked, pods);
        let rates = self.rates(pods);
        self.keep(pods);
        self.learn(pods, &rates);
        self.glance = None;
        if let Some(carried) = self.carry(pods, &rates) {
            self.known = Some(now);
            self.carried.push_back((now, carried));
            if self.carried.len() > SECONDS_KEPT {
                self.carried.pop_front();
            }
        }
    }

    /// Whether the last second brought so much more than the one before that it may have ended within a step. Then a [`Self::glance`] half a
    /// second later sees how high the step is.
    pub fn is_worth_a_glance(&self, now: Timestamp) -> bool {
        let is_known = self.known.is_some_and(|known| seconds(known, now) < GLANCE_SECONDS);
        is_known
            && Dimension::ALL
                .into_iter()
                .any(|dimension| demand::is_rise(&self.points(now, |carried| carried.for_up[dimension])))
    }

    /// A look between two seconds. What pods carry since the last one counts until the next, for more pods and against fewer; nothing
    /// is learned from it.
    pub fn glance(&mut self, asked: u32, pods: &[PodSample]) {
        self.pods = Pods::of(asked, pods);
        self.glance = self.carry(pods, &self.rates(pods));
    }

    /// What was decided: it counts until it is older than the window.
    pub fn decided(&mut self, now: Timestamp, decision: &Decision) {
        if let Some(needed) = decision.needed {
            match self.needed.back_mut().filter(|(at, _)| seconds(*at, now) < GLANCE_SECONDS) {
                Some((_, before)) => *before = before.max(needed),
                None => self.needed.push_back((now, needed)),
            }
        }
        // Decided again until it is carried out, and taken away once.
        let is_new = self.taken.back().is_none_or(|(_, before)| *before != self.pods.asked);
        if decision.replicas < self.pods.asked && is_new {
            self.taken.push_back((now, self.pods.asked));
        }
        while self.needed.len() > DECISIONS_KEPT {
            self.needed.pop_front();
        }
        while self.taken.front().is_some_and(|(at, _)| seconds(*at, now) >= 60.0) {
            self.taken.pop_front();
        }
    }

    /// Pods of the last second.
    pub fn pods(&self) -> Pods {
        self.pods
    }

    /// How long pods take until they serve.
    pub fn lead(&self) -> Duration {
        self.lead.p95()
    }

    /// What a pod can carry.
    pub fn capacity(&self) -> &Capacity {
        &self.capacity
    }

    /// When enough pods said what they carry, last.
    pub(crate) fn known(&self) -> Option<Timestamp> {
        self.known
    }

    /// Since when this is kept.
    pub(crate) fn started(&self) -> Timestamp {
        self.started
    }

    /// Demand as it counts for more pods, and for fewer, where a silent pod carries `capacity`.
    pub(crate) fn demand(&self, now: Timestamp, dimension: Dimension, capacity: f64) -> (Demand, Demand) {
        let down = |carried: &Carried| carried.for_down[dimension] + f64::from(carried.silent) * capacity;
        let demand = |load: &dyn Fn(&Carried) -> f64| {
            Demand::of(&self.points(now, load), self.glance.as_ref().map(load))
        };
        (demand(&|carried| carried.for_up[dimension]), demand(&down))
    }

    fn points(&self, now: Timestamp, load: impl Fn(&Carried) -> f64) -> Vec<Point> {
        let each = self.carried.iter();
        each.map(|(at, carried)| Point { age: seconds(*at, now), load: load(carried) }).collect()
    }

    /// The most pods that were needed within the window; `None` while it is not full.
    pub(crate) fn needed_within(&self, window: Duration, now: Timestamp) -> Option<f64> {
        let window = window.as_secs_f64();
        if seconds(self.started, now) < window {
            return None;
        }
        let recent = self.needed.iter().rev().take_while(|(at, _)| seconds(*at, now) <= window);
        Some(recent.map(|(_, needed)| *needed).fold(0.0, f64::max))
    }

    /// Pods taken away within the last minute, and how many there were at its beginning.
    pub(crate) fn taken_within_a_minute(&self, now: Timestamp) -> (u32, u32) {
        let mut recent = self.taken.iter().filter(|(at, _)| seconds(*at, now) < 60.0);
        let before = recent.clone().next().map_or(self.pods.asked, |(_, before)| *before);
        (as_u32(recent.by_ref().count()), before)
    }

    /// What each pod carried since the last second in which it answered.
    fn rates(&self, pods: &[PodSample]) -> Vec<Option<Rates>> {
        let rates = pods.iter().map(|pod| {
            let Scrape::Read(reading) = pod.scrape else { return None };
            let before = self.readings.get(&pod.id);
            let fresh = before.filter(|before| seconds(before.at, reading.at) < STALE_SECONDS);
            rates::between(fresh, &reading, pod.ready)
        });
        rates.collect()
    }

    /// Keeps the last answer of each pod that there is.
    fn keep(&mut self, pods: &[PodSample]) {
        let last = |pod: &PodSample| match pod.scrape {
            Scrape::Read(reading) => Some(reading),
            Scrape::Failed | Scrape::NotAsked => self.readings.get(&pod.id).copied(),
        };
        self.readings = pods.iter().filter_map(|pod| Some((pod.id.clone(), last(pod)?))).collect();
    }

    fn learn(&mut self, pods: &[PodSample], rates: &[Option<Rates>]) {
        for (pod, rates) in pods.iter().zip(rates) {
            let (Some(rates), Scrape::Read(reading)) = (rates, &pod.scrape) else { continue };
            if pod.phase == Phase::Ready && is_warm(pod, reading.at) {
                self.capacity.observe(&pod.id, rates.loads, reading.load.loop_lag_seconds);
            }
        }
        self.capacity.retain(|id| pods.iter().any(|pod| pod.id == id));
    }

    /// What all pods carry together; `None` where fewer than half of those asked answered, or none has rates.
    fn carry(&self, pods: &[PodSample], rates: &[Option<Rates>]) -> Option<Carried> {
        let Pods { answered, silent, .. } = self.pods;
        let known: Vec<(&PodSample, Rates)> =
            pods.iter().zip(rates).filter_map(|(pod, rates)| Some((pod, (*rates)?))).collect();
        if known.is_empty() || answered < silent {
            return None;
        }
        let per_request = cpu_per_request(&known);
        let loads: Vec<Loads> = known.iter().map(|(pod, rates)| settled(pod, rates, per_request)).collect();
        let wanted = with_shed(&known);
        let serving = pods.iter().filter(|pod| pod.phase != Phase::Coming).count();
        let like_the_mean = serving - silent as usize;
        let scale = like_the_mean as f64 / known.len() as f64;
        let sum = Loads::by(|d| {
            let factor = if d == Dimension::Connections { 1.0 } else { wanted };
            loads.iter().map(|loads| loads[d]).sum::<f64>() * scale * factor
        });
        let most = Loads::by(|d| loads.iter().map(|loads| loads[d]).fold(0.0, f64::max));
        Some(Carried { for_up: Loads::by(|d| sum[d] + most[d] * f64::from(silent)), for_down: sum, silent })
    }
}

fn as_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn is_warm(pod: &PodSample, now: Timestamp) -> bool {
    pod.ready.is_some_and(|ready| seconds(ready, now) >= WARM_UP_SECONDS)
}

/// CPU seconds of a request in pods that are warm.
fn cpu_per_request(known: &[(&PodSample, Rates)]) -> Option<f64> {
    let warm = known.iter().filter(|(pod, _)| match &pod.scrape {
        Scrape::Read(reading) => is_warm(pod, reading.at),
        _ => false,
    });
    let (cpu, requests) = warm.fold((0.0, 0.0), |(cpu, requests), (_, rates)| {
        (cpu + rates.loads[Dimension::Cpu], requests + rates.loads[Dimension::Requests])
    });
    (requests > 0.0).then(|| cpu / requests)
}

/// What a pod carries when its cache is no longer cold.
fn settled(pod: &PodSample, rates: &Rates, cpu_per_request: Option<f64>) -> Loads {
    let mut loads = rates.loads;
    let is_warm = matches!(&pod.scrape, Scrape::Read(reading) if is_warm(pod, reading.at));
    if let (false, Some(per_request)) = (is_warm, cpu_per_request) {
        let settled = per_request * loads[Dimension::Requests];
        loads[Dimension::Cpu] = loads[Dimension::Cpu].min(settled);
    }
    loads
}

/// By what the load would be more if nothing had been shed.
fn with_shed(known: &[(&PodSample, Rates)]) -> f64 {
    let requests: f64 = known.iter().map(|(_, rates)| rates.loads[Dimension::Requests]).sum();
    let shed: f64 = known.iter().map(|(_, rates)| rates.shed).sum();
    if shed <= 0.0 {
        return 1.0;
    }
    if requests > 0.0 { (1.0 + shed / requests).min(SHED_FACTOR_MAX) } else { SHED_FACTOR_MAX }
}
