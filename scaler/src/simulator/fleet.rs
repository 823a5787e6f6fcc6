//! Pods that share a load evenly, shed what they cannot carry, and take their time to come and go.

use mediaorigin_crds::autoscaling::Autoscaling;

use super::{STEP, Settings};
use crate::capacity::Capacity;
use crate::dimension::{Dimension, Loads};

/// Bytes of a request where a trace has no requests: shedding is counted in them.
const BYTES_PER_REQUEST: f64 = 100_000.0;
/// The pods at the beginning are this old.
const OLD: i64 = 3_600_000;

/// A pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Pod {
    /// What no other pod is called.
    pub number: u32,
    /// When it was created, in milliseconds.
    pub created: i64,
    /// When it serves, or will.
    pub ready: i64,
    /// When it is gone, where it is being taken away.
    pub gone: Option<i64>,
    /// What it has carried, times seconds; of connections those that it has.
    pub carried: Loads,
    /// Requests that it has shed.
    pub shed: f64,
}

impl Pod {
    fn serves(&self, time: i64) -> bool {
        self.ready < time && self.gone.is_none()
    }
}

/// All pods.
#[derive(Clone, Debug)]
pub struct Fleet {
    pods: Vec<Pod>,
    asked: u32,
    made: u32,
    time: i64,
    /// What a pod can carry, in full.
    capacity: Loads,
    /// What was offered, ever, in pods at the planned utilization, times seconds.
    offered: f64,
    planned: Loads,
}

impl Fleet {
    /// So many pods that have served for long.
    pub fn new(spec: &Autoscaling, replicas: u32, settings: &Settings) -> Self {
        let known = Capacity::default();
        let capacity = Loads::by(|dimension| known.of(spec, dimension).unwrap_or(f64::INFINITY));
        let planned = Loads::by(|dimension| capacity[dimension] * spec.utilization);
        let mut fleet =
            Self { pods: Vec::new(), asked: 0, made: 0, time: 0, capacity, offered: 0.0, planned };
        fleet.scale(-OLD, replicas, settings);
        fleet
    }

    /// The pods.
    pub fn pods(&self) -> &[Pod] {
        &self.pods
    }

    /// Pods that are asked for.
    pub fn asked(&self) -> u32 {
        self.asked
    }

    /// Pods that serve.
    pub fn ready(&self) -> u32 {
        u32::try_from(self.pods.iter().filter(|pod| pod.serves(self.time)).count()).unwrap_or(u32::MAX)
    }

    /// What was offered, ever: pods at the planned utilization, times seconds. Its rise is what an autoscaler of one measure sees.
    pub fn offered(&self) -> f64 {
        self.offered
    }

    /// A step that ends at `time`: the pods carry what they can. The share that was shed.
    pub(super) fn step(&mut self, time: i64, load: &Loads) -> f64 {
        self.time = time;
        self.pods.retain(|pod| pod.gone.is_none_or(|gone| gone > time));
        let seconds = STEP as f64 / 1_000.0;
        let (capacity, planned) = (self.capacity, self.planned);
        let needed = Dimension::ALL.map(|d| load[d] / planned[d]).into_iter().fold(0.0, f64::max);
        self.offered += needed * seconds;
        let ready = f64::from(self.ready());
        if ready < 1.0 {
            return if needed > 0.0 { 1.0 } else { 0.0 };
        }
        let fits = |d: Dimension| if load[d] > 0.0 { capacity[d] * ready / load[d] } else { 1.0 };
        let share = Dimension::ALL.map(fits).into_iter().fold(1.0, f64::min);
        let mut requests = load[Dimension::Requests];
        if requests <= 0.0 {
            requests = load[Dimension::Egress] / BYTES_PER_REQUEST;
        }
        for pod in self.pods.iter_mut().filter(|pod| pod.serves(time)) {
            let before = pod.carried;
            pod.carried = Loads::by(|d| match d {
                Dimension::Connections => load[d] * share / ready,
                Dimension::Requests => before[d] + requests * share / ready * seconds,
                _ => before[d] + load[d] * share / ready * seconds,
            });
            pod.shed += requests * (1.0 - share) / ready * seconds;
        }
        1.0 - share
    }

    /// So many pods are asked for: new ones are made at once; of those there are, the youngest go.
    pub(super) fn scale(&mut self, time: i64, asked: u32, settings: &Settings) {
        let mut standing = self.pods.iter().filter(|pod| pod.gone.is_none()).count();
        while standing < asked as usize {
            self.pods.push(Pod {
                number: self.made,
                created: time,
                ready: time + settings.ready,
                gone: None,
                carried: Loads::default(),
                shed: 0.0,
            });
            self.made += 1;
            standing += 1;
        }
        for pod in self.pods.iter_mut().rev().filter(|pod| pod.gone.is_none()) {
            if standing <= asked as usize {
                break;
            }
            // What does not serve yet has nothing to finish.
            pod.gone = Some(if pod.ready < time { time + settings.drain } else { time });
            standing -= 1;
        }
        self.asked = asked;
    }
}
