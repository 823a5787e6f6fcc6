//! An origin whose pods share a load, second by second.

use jiff::{SignedDuration, Timestamp};
use mediaorigin_crds::autoscaling::{Autoscaling, Load};
use mediaorigin_crds::load;
use mediaorigin_crds::pod_load::PodLoad;

use crate::decide::{Decision, decide};
use crate::history::History;
use crate::sample::{Phase, PodSample, Reading, Scrape};

/// When all of them begin.
pub(super) fn start() -> Timestamp {
    "2026-06-06T12:00:00Z".parse().unwrap()
}

/// The autoscaling of a fleet with these fields.
pub(super) fn spec(autoscaling: &str) -> Autoscaling {
    let mode = if autoscaling.contains("mode:") { "" } else { "mode: Internal, " };
    let text = format!(
        "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: live}}\nspec:\n  \
         cpu: {{request: '1'}}\n  coordination: {{nats: {{url: 'nats://nats'}}}}\n  \
         autoscaling: {{{mode}{autoscaling}}}\n"
    );
    let (documents, problems) = mediaorigin_crds::document::parse(&text);
    assert!(problems.is_empty(), "{problems:?}");
    assert!(load::parse(&text).is_ok(), "{:?}", load::parse(&text).err());
    mediaorigin_crds::validate::validate(None, "live", &documents[0].spec).unwrap().autoscaling
}

/// Up to 50 pods of 100 megabits.
pub(super) fn fifty(more: &str) -> Autoscaling {
    spec(&format!(
        "maxReplicas: 50, targets: {{egressMegabitsPerSecond: 100, cpuPercent: 1000, connections: 100000}}, {more}"
    ))
}

struct Pod {
    number: u32,
    created: Timestamp,
    ready: Timestamp,
    sent: f64,
}

/// Pods that become ready after a while and share a load evenly.
pub(super) struct World {
    pub(super) spec: Autoscaling,
    pub(super) spec_replicas: u32,
    pub(super) now: Timestamp,
    pub(super) history: History,
    pub(super) asked: u32,
    /// Seconds until a pod serves.
    pub(super) ready_after: i64,
    /// Which pods answer: by their place.
    pub(super) silent: fn(usize) -> bool,
    /// Whether decisions are carried out.
    pub(super) follows: bool,
    is_worth_a_glance: bool,
    pods: Vec<Pod>,
    made: u32,
}

impl World {
    /// With so many pods that have served for long.
    pub(super) fn new(spec: Autoscaling, pods: u32) -> Self {
        let now = start();
        let mut world = Self {
            spec,
            spec_replicas: 1,
            now,
            history: History::new(now, Load::default()),
            asked: pods,
            ready_after: 5,
            silent: |_| false,
            follows: true,
            is_worth_a_glance: false,
            pods: Vec::new(),
            made: 0,
        };
        world.follow();
        for pod in &mut world.pods {
            pod.created = now - SignedDuration::from_hours(1);
            pod.ready = pod.created + SignedDuration::from_secs(4);
        }
        world
    }

    /// The Deployment makes and takes away pods.
    fn follow(&mut self) {
        while self.pods.len() < self.asked as usize {
            let ready = self.now + SignedDuration::from_secs(self.ready_after);
            self.pods.push(Pod { number: self.made, created: self.now, ready, sent: 0.0 });
            self.made += 1;
        }
        self.pods.truncate(self.asked as usize);
    }

    /// A second in which all pods send so many megabits, with a glance in its middle where the one before was worth it; the decision at its
    /// end. Both are carried out.
    pub(super) fn second(&mut self, megabits: f64) -> Decision {
        self.pass(500, megabits);
        // That of the second before, as the operator asks at its look.
        if self.is_worth_a_glance {
            let samples = self.samples();
            self.history.glance(self.asked, &samples);
            let decision = self.decide();
            self.carry_out(&decision);
        }
        self.pass(500, megabits);
        let decision = self.decided(&self.samples());
        self.is_worth_a_glance = self.history.is_worth_a_glance(self.now);
        self.carry_out(&decision);
        decision
    }

    fn pass(&mut self, milliseconds: i64, megabits: f64) {
        self.now += SignedDuration::from_millis(milliseconds);
        let now = self.now;
        let is_ready = |pod: &&mut Pod| pod.ready < now;
        let ready = self.pods.iter_mut().filter(is_ready).count();
        for pod in self.pods.iter_mut().filter(|pod| pod.ready < now) {
            pod.sent += megabits * 125.0 * milliseconds as f64 / ready as f64;
        }
    }

    fn carry_out(&mut self, decision: &Decision) {
        if self.follows {
            self.asked = decision.replicas;
            self.follow();
        }
    }

    /// What the pods are and say now.
    pub(super) fn samples(&self) -> Vec<PodSample> {
        self.pods.iter().enumerate().map(|(place, pod)| self.sample(place, pod)).collect()
    }

    /// What is decided about such pods.
    pub(super) fn decided(&mut self, samples: &[PodSample]) -> Decision {
        self.history.observe(self.now, self.asked, samples);
        self.decide()
    }

    fn decide(&mut self) -> Decision {
        let decision = decide(&self.history, &self.spec, self.spec_replicas, self.now);
        self.history.decided(self.now, &decision);
        decision
    }

    fn sample(&self, place: usize, pod: &Pod) -> PodSample {
        let is_ready = pod.ready < self.now;
        let load = PodLoad {
            egress_bytes: whole(pod.sent),
            requests: whole(pod.sent / 100_000.0),
            shed: 0,
            cpu_seconds: 0.0,
            connections: 1,
            loop_lag_seconds: 0.001,
        };
        let reading = Reading { at: self.now, load };
        let scrape = match (is_ready, (self.silent)(place)) {
            (false, _) => Scrape::NotAsked,
            (true, true) => Scrape::Failed,
            (true, false) => Scrape::Read(reading),
        };
        PodSample {
            id: format!("pod-{}", pod.number),
            phase: if is_ready { Phase::Ready } else { Phase::Coming },
            created: pod.created,
            ready: is_ready.then_some(pod.ready),
            scrape,
        }
    }

    /// Seconds of the same load; the last decision.
    pub(super) fn seconds(&mut self, count: u32, megabits: f64) -> Decision {
        (0..count).map(|_| self.second(megabits)).last().unwrap()
    }

    /// The operator is started again.
    pub(super) fn restart(&mut self) {
        self.history = History::new(self.now, self.history.capacity().learned());
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counters of a test are small and positive"
)]
pub(super) fn whole(number: f64) -> u64 {
    number as u64
}
