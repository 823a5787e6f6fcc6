//! What a pod can carry: what the specification says, or what was learned from the knee of lag against load, or what is given with a pod.
//!
//! Learned is, in each dimension, the highest load that a pod carried while its event loops were in time, once a pod was seen that was
//! late. Before that nobody knows where the knee is, and the highest load that was seen is none.

use std::collections::BTreeMap;

use mediaorigin_crds::autoscaling::{Autoscaling, Load};

use crate::dimension::{self, Dimension, Loads};

/// A pod is in time below this.
pub const IN_TIME_SECONDS: f64 = 0.010;
/// A pod is late above this.
pub const LATE_SECONDS: f64 = 0.050;
/// So many seconds one after the other count, one alone does not.
const STREAK: u8 = 3;
/// A late pod is at its bound in the dimensions in which it is this close to the most that was carried in time.
const NEAR: f64 = 0.9;

/// How the latest seconds of a pod were.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Streak {
    in_time: u8,
    late: u8,
    /// The least load of a streak in time.
    carried: Loads,
}

/// What was learned.
#[derive(Clone, Debug, Default)]
pub struct Capacity {
    /// The most that was carried in time.
    in_time: Loads,
    /// What a late pod carried, in the dimensions that it may have been late for.
    knee: Load,
    streaks: BTreeMap<String, Streak>,
}

impl Capacity {
    /// Goes on with what was learned before a restart.
    pub fn new(learned: Load) -> Self {
        Self { knee: learned, ..Self::default() }
    }

    /// What was learned: in no dimension before a pod was late.
    pub fn learned(&self) -> Load {
        let mut learned = self.knee;
        for dimension in Dimension::ALL {
            if let Some(knee) = dimension::of_mut(&mut learned, dimension) {
                *knee = knee.max(self.in_time[dimension]);
            }
        }
        learned
    }

    /// What a pod can carry in a dimension, as far as anybody knows.
    pub fn of(&self, spec: &Autoscaling, dimension: Dimension) -> Option<f64> {
        let given = dimension::of(&spec.given, dimension);
        let learned = dimension::of(&self.learned(), dimension);
        let unconfigured = match dimension {
            // More than it takes, it will not carry.
            Dimension::Connections => {
                learned.map(|learned| given.map_or(learned, |given| learned.min(given)))
            }
            _ => learned,
        };
        let capacity = dimension::of(&spec.targets, dimension).or(unconfigured).or(given);
        capacity.filter(|capacity| *capacity > 0.0)
    }

    /// A pod that serves, its load and its lag in this second.
    pub fn observe(&mut self, id: &str, loads: Loads, lag_seconds: f64) {
        let mut streak = self.streaks.get(id).copied().unwrap_or_default();
        if lag_seconds <= IN_TIME_SECONDS {
            let before = streak.carried;
            let is_first = streak.in_time == 0;
            streak.carried = Loads::by(|d| if is_first { loads[d] } else { before[d].min(loads[d]) });
            (streak.in_time, streak.late) = (streak.in_time.saturating_add(1), 0);
        } else {
            let late = if lag_seconds >= LATE_SECONDS { streak.late.saturating_add(1) } else { 0 };
            (streak.in_time, streak.late) = (0, late);
        }
        if streak.in_time >= STREAK {
            let most = self.in_time;
            self.in_time = Loads::by(|d| most[d].max(streak.carried[d]));
            streak.in_time = 0;
        }
        if streak.late >= STREAK {
            self.late(loads);
            streak.late = 0;
        }
        self.streaks.insert(id.to_owned(), streak);
    }

    /// Forgets pods that are gone.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.streaks.retain(|id, _| is_there(id));
    }

    /// A pod is late: at its bound where it carries as much as pods ever did. Where it carries less everywhere, pods have become
    /// slower, and what comes nearest to a bound is the new one.
    fn late(&mut self, loads: Loads) {
        let bounds = self.learned();
        let share = |dimension: Dimension| {
            let most = dimension::of(&bounds, dimension).unwrap_or(0.0).max(self.in_time[dimension]);
            if most > 0.0 {
                loads[dimension] / most
            } else if loads[dimension] > 0.0 {
                1.0
            } else {
                0.0
            }
        };
        let shares = Loads::by(share);
        let nearest = Dimension::ALL.map(|d| shares[d]).into_iter().fold(0.0, f64::max);
        for dimension in Dimension::ALL {
            let (load, is_near) = (loads[dimension], shares[dimension] >= NEAR);
            if load <= 0.0 || shares[dimension] < nearest.min(NEAR) {
                continue;
            }
            let knee = dimension::of_mut(&mut self.knee, dimension);
            if is_near {
                *knee = Some(knee.map_or(load, |knee| knee.min(load)));
            } else {
                *knee = Some(load);
                self.in_time[dimension] = load;
            }
        }
    }
}
