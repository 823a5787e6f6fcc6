//! A recorded load against pods that take their time: what [`crate::decide`] makes of it, and what a `HorizontalPodAutoscaler` and
//! Knative's autoscaler would have made. Deterministic: chance is in the phases of the settings.
//!
//! Everybody sees the same: the load that is offered, also where pods shed it. That is generous to the `HorizontalPodAutoscaler`, whose
//! usual measure, CPU, ends at what the pods have.

pub mod fleet;
pub mod hpa;
pub mod kpa;
pub mod ours;
pub mod plot;
pub mod scenarios;
pub mod table;
pub mod trace;

use jiff::Timestamp;
use mediaorigin_crds::autoscaling::Autoscaling;

use crate::capacity::Capacity;
use crate::dimension::{Dimension, Loads};
use crate::simulator::fleet::Fleet;
use crate::simulator::trace::Trace;

/// Milliseconds of a step of the simulation.
pub const STEP: i64 = 100;

/// The world around an autoscaler.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// When the trace begins.
    pub start: Timestamp,
    /// Milliseconds from a pod's creation until it serves.
    pub ready: i64,
    /// Milliseconds until a pod that is taken away is gone.
    pub drain: i64,
    /// Where in its period each clock of an autoscaler begins, 0 to 1.
    pub phase: f64,
    /// Pods at the beginning; `None` for as many as the load then needs.
    pub replicas: Option<u32>,
    /// `spec.replicas`.
    pub spec_replicas: u32,
    /// Seconds of the trace, from and to, in which no pod can be asked.
    pub outage: Option<(i64, i64)>,
    /// The second in which the autoscaler is started again.
    pub restart: Option<i64>,
}

impl Settings {
    /// Pods that serve after five seconds and are gone after ten.
    pub fn new(start: Timestamp) -> Self {
        Self {
            start,
            ready: 5_000,
            drain: 10_000,
            phase: 0.5,
            replicas: None,
            spec_replicas: 1,
            outage: None,
            restart: None,
        }
    }

    /// Milliseconds after which a clock of so many milliseconds begins; `number` tells the clocks of an autoscaler apart.
    pub fn offset(&self, period: i64, number: u32) -> i64 {
        let phase = (self.phase * f64::from(2 * number + 1)).fract();
        let steps = (0..period / STEP).rev().find(|step| (*step * STEP) as f64 <= phase * period as f64);
        steps.unwrap_or(0) * STEP
    }

    /// Whether pods can be asked at this time.
    pub fn can_ask(&self, time: i64) -> bool {
        self.outage.is_none_or(|(from, to)| !(from * 1_000..to * 1_000).contains(&time))
    }
}

/// Whoever decides how many pods there are.
pub trait Autoscaler {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// A step at `time` (milliseconds): how many pods it asks for, where it decides in this step.
    fn step(&mut self, time: i64, fleet: &Fleet, settings: &Settings) -> Option<u32>;

    /// Why, as one line.
    fn explanation(&self) -> String {
        String::new()
    }
}

/// A second of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Second {
    /// Pods that this load needs at the planned utilization.
    pub needed: u32,
    /// The same, not rounded.
    pub demand: f64,
    /// Pods that were asked for at its end.
    pub asked: u32,
    /// Pods that served at its end.
    pub ready: u32,
    /// Share of the load that was shed.
    pub shed: f64,
    /// The last explanation.
    pub explanation: String,
}

/// What became of a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Who decided.
    pub name: &'static str,
    /// Every second.
    pub seconds: Vec<Second>,
    /// When (milliseconds) it was asked for how many pods.
    pub changes: Vec<(i64, u32)>,
}

impl Run {
    /// Milliseconds from `from` until so many pods were asked for; `None` if they never were.
    pub fn time_until(&self, from: i64, replicas: u32) -> Option<i64> {
        let before = self.changes.iter().rev().find(|(time, _)| *time <= from);
        if before.is_some_and(|(_, asked)| *asked >= replicas) {
            return Some(0);
        }
        let reached = self.changes.iter().find(|(time, asked)| *time > from && *asked >= replicas);
        reached.map(|(time, _)| time - from)
    }

    /// Pods times seconds that were asked for, by those that were needed at each second.
    pub fn cost(&self) -> f64 {
        let sum =
            |of: fn(&Second) -> u32| self.seconds.iter().map(|second| f64::from(of(second))).sum::<f64>();
        sum(|second| second.asked) / sum(|second| second.needed)
    }

    /// Share of the whole load that was shed.
    pub fn shed(&self) -> f64 {
        let (shed, all) = self.seconds.iter().fold((0.0, 0.0), |(shed, all), second| {
            (shed + second.shed * second.demand, all + second.demand)
        });
        if all > 0.0 { shed / all } else { 0.0 }
    }

    /// How often there were more pods asked for than before, or fewer.
    pub fn turns(&self) -> usize {
        let steps: Vec<bool> = self.changes.windows(2).map(|pair| pair[1].1 > pair[0].1).collect();
        steps.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }
}

/// Pods that a load needs at the planned utilization, by what the specification says that a pod can carry.
pub fn demand(spec: &Autoscaling, load: &Loads) -> f64 {
    let capacity = Capacity::default();
    let needed =
        Dimension::ALL.iter().filter_map(|d| Some(load[*d] / capacity.of(spec, *d)? / spec.utilization));
    needed.fold(0.0, f64::max)
}

/// Plays a trace.
pub fn run(trace: &Trace, spec: &Autoscaling, settings: &Settings, scaler: &mut dyn Autoscaler) -> Run {
    let within = |demand: f64| spec.bounds.clamp(crate::decide::whole(demand).max(settings.spec_replicas));
    let first = trace.loads.first().copied().unwrap_or_default();
    let mut fleet =
        Fleet::new(spec, settings.replicas.unwrap_or_else(|| within(demand(spec, &first))), settings);
    let mut run = Run { name: scaler.name(), seconds: Vec::new(), changes: vec![(0, fleet.asked())] };
    let mut time = 0;
    for load in &trace.loads {
        let mut shed = 0.0;
        for _ in 0..1_000 / STEP {
            time += STEP;
            shed += fleet.step(time, load) * STEP as f64 / 1_000.0;
            let asked = scaler.step(time, &fleet, settings);
            if let Some(asked) = asked.filter(|asked| *asked != fleet.asked()) {
                fleet.scale(time, asked, settings);
                run.changes.push((time, asked));
            }
        }
        let demand = demand(spec, load);
        run.seconds.push(Second {
            needed: within(demand),
            demand,
            asked: fleet.asked(),
            ready: fleet.ready(),
            shed,
            explanation: scaler.explanation(),
        });
    }
    run
}
