//! Our own decisions: all pods asked once a second, and once more where a step may have begun.

use jiff::{SignedDuration, Timestamp};
use mediaorigin_crds::autoscaling::{Autoscaling, Load};
use mediaorigin_crds::pod_load::PodLoad;

use super::fleet::{Fleet, Pod};
use super::{Autoscaler, Settings};
use crate::decide::{Decision, decide};
use crate::dimension::Dimension;
use crate::history::History;
use crate::sample::{Phase, PodSample, Reading, Scrape};

/// A look a second.
const PERIOD: i64 = 1_000;
/// A glance so long after a look.
const GLANCE: i64 = 500;

/// The operator's scaler.
#[derive(Clone, Debug)]
pub struct Ours<'a> {
    spec: &'a Autoscaling,
    history: Option<History>,
    last: Option<Decision>,
}

impl<'a> Ours<'a> {
    /// With this specification.
    pub fn new(spec: &'a Autoscaling) -> Self {
        Self { spec, history: None, last: None }
    }

    /// The last decision.
    pub fn last(&self) -> Option<&Decision> {
        self.last.as_ref()
    }
}

impl Autoscaler for Ours<'_> {
    fn name(&self) -> &'static str {
        "this operator"
    }

    fn step(&mut self, time: i64, fleet: &Fleet, settings: &Settings) -> Option<u32> {
        let now = at(settings, time);
        let since_look = (time - settings.offset(PERIOD, 0)).rem_euclid(PERIOD);
        let is_glance = since_look == GLANCE
            && self.history.as_ref().is_some_and(|history| history.is_worth_a_glance(now));
        if since_look != 0 && !is_glance {
            return None;
        }
        let is_restart =
            settings.restart.is_some_and(|second| (second * 1_000..(second + 1) * 1_000).contains(&time));
        let learned = self.history.as_ref().map_or(Load::default(), |history| history.capacity().learned());
        if is_restart {
            self.history = None;
        }
        let history = self.history.get_or_insert_with(|| History::new(now, learned));
        let samples: Vec<PodSample> = fleet.pods().iter().map(|pod| sample(pod, time, settings)).collect();
        if is_glance {
            history.glance(fleet.asked(), &samples);
        } else {
            history.observe(now, fleet.asked(), &samples);
        }
        let decision = decide(history, self.spec, settings.spec_replicas, now);
        history.decided(now, &decision);
        let replicas = decision.replicas;
        self.last = Some(decision);
        Some(replicas)
    }

    fn explanation(&self) -> String {
        self.last.as_ref().map(|decision| decision.explanation.clone()).unwrap_or_default()
    }
}

fn at(settings: &Settings, time: i64) -> Timestamp {
    settings.start.checked_add(SignedDuration::from_millis(time)).unwrap_or(settings.start)
}

fn sample(pod: &Pod, time: i64, settings: &Settings) -> PodSample {
    let is_ready = pod.ready < time;
    let phase = match (is_ready, pod.gone) {
        (_, Some(_)) => Phase::Leaving,
        (true, None) => Phase::Ready,
        (false, None) => Phase::Coming,
    };
    let load = PodLoad {
        egress_bytes: count(pod.carried[Dimension::Egress]),
        requests: count(pod.carried[Dimension::Requests]),
        shed: count(pod.shed),
        cpu_seconds: pod.carried[Dimension::Cpu],
        connections: if pod.gone.is_some() { 0 } else { count(pod.carried[Dimension::Connections]) },
        loop_lag_seconds: 0.001,
    };
    let reading = Reading { at: at(settings, time), load };
    let scrape = match (is_ready, settings.can_ask(time)) {
        (false, _) => Scrape::NotAsked,
        (true, true) => Scrape::Read(reading),
        (true, false) => Scrape::Failed,
    };
    // The API server's times are whole seconds.
    let whole = |time: i64| at(settings, time.div_euclid(1_000) * 1_000);
    PodSample {
        id: pod.number.to_string(),
        phase,
        created: whole(pod.created),
        ready: is_ready.then(|| whole(pod.ready)),
        scrape,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is carried is positive and far below 2^53"
)]
fn count(carried: f64) -> u64 {
    carried.round() as u64
}
