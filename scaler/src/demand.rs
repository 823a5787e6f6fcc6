//! Demand of a dimension: how much there is now, and how fast it grows.
//!
//! - **Level**: the greater of the last second and the mean of the last two, less two standard deviations of the noise, which do not take it
//!   below the mean of the last ten. A step is seen in the second in which it happens; noise is not a step. A glance, half a second later,
//!   sees all of a step of which the second before had the beginning only.
//! - **Slope**: the gentlest of the last three rises, less the noise. A ramp rises each second; a step rises once or twice, because it
//!   may happen in the middle of a second, and must not be taken for a ramp: a pod too many stays for the whole window.
//! - **Noise**: from the second differences of the half minute before, in which neither a step nor a ramp leaves much.

use std::f64::consts::SQRT_2;

use crate::dimension::Loads;

/// Seconds whose mean is the least that the level can be.
const MEAN_SECONDS: f64 = 10.0;
/// Second differences before there is an opinion on noise.
const NOISE_COUNT_MIN: usize = 8;
/// Latest seconds that are no part of the noise: they are what is judged.
const NOISE_SKIP: usize = 3;
/// The median of the absolute second differences of white noise with a standard deviation of 1.
const NOISE_SCALE: f64 = 1.652;
/// Standard deviations that are noise.
const NOISE_DEVIATIONS: f64 = 2.0;
/// A rise by less than this share of the load is worth no glance.
const RISE_MIN: f64 = 0.05;
/// A rise by less than so many standard deviations is none.
const RISE_DEVIATIONS: f64 = 3.0;
/// More than so many times the level is never planned for.
const GROWTH_MAX: f64 = 4.0;

/// Load of all pods at one time, in one dimension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Seconds before now: 0 or less than that of the point after it in time.
    pub age: f64,
    /// How much.
    pub load: f64,
}

/// Demand of a dimension.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Demand {
    /// How much there is.
    pub level: f64,
    /// How much more each second.
    pub slope: f64,
}

impl Demand {
    /// Of points in order of time, the latest last, and of the half second since then where there was a glance.
    pub fn of(points: &[Point], glance: Option<f64>) -> Self {
        let Some(last) = points.last() else { return Self::default() };
        let noise = noise(points);
        let mean = |seconds: f64| mean(points, last.age + seconds);
        let latest = last.load.max(mean(2.0));
        let level = (latest - NOISE_DEVIATIONS * noise).max(mean(MEAN_SECONDS).min(latest));
        // Half a second is noisier than a whole one.
        let glance = glance.map_or(0.0, |load| load - NOISE_DEVIATIONS * noise * SQRT_2);
        Self { level: level.max(glance), slope: slope(points, noise) }
    }

    /// What there will be after `lead_seconds`.
    pub fn after(&self, lead_seconds: f64) -> f64 {
        (self.level + self.slope * lead_seconds).min(self.level * GROWTH_MAX)
    }
}

/// Whether the last point is so much above the one before that it is neither noise nor too little to matter.
pub(crate) fn is_rise(points: &[Point]) -> bool {
    let [.., before, last] = points else { return false };
    let rise = last.load - before.load;
    rise > RISE_MIN * before.load && rise > RISE_DEVIATIONS * noise(points)
}

/// The mean of the points that are less than `seconds` old.
fn mean(points: &[Point], seconds: f64) -> f64 {
    let recent = points.iter().rev().take_while(|point| point.age < seconds - 0.25);
    let (count, sum) = recent.fold((0.0, 0.0), |(count, sum), point| (count + 1.0, sum + point.load));
    if count > 0.0 { sum / count } else { 0.0 }
}

fn slope(points: &[Point], noise: f64) -> f64 {
    let Some(latest) = points.len().checked_sub(4).map(|first| &points[first..]) else { return 0.0 };
    let rises = latest.windows(2).map(|pair| {
        let seconds = (pair[0].age - pair[1].age).max(0.2);
        (pair[1].load - pair[0].load) / seconds
    });
    (rises.fold(f64::INFINITY, f64::min) - noise).max(0.0)
}

/// Its standard deviation, or nothing as long as too little was seen.
fn noise(points: &[Point]) -> f64 {
    let before = &points[..points.len().saturating_sub(NOISE_SKIP)];
    let bend = |three: &[Point]| (three[0].load - 2.0 * three[1].load + three[2].load).abs();
    let mut bends: Vec<f64> = before.windows(3).map(bend).collect();
    if bends.len() < NOISE_COUNT_MIN {
        return 0.0;
    }
    bends.sort_by(f64::total_cmp);
    bends[bends.len() / 2] / NOISE_SCALE
}

/// What all pods carried in a second, by those that said so.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Carried {
    /// As it counts when there may be too few pods: one that did not answer carries as much as the busiest that did.
    pub for_up: Loads,
    /// What is known, scaled to all pods; a pod that did not answer is one of `silent`, and carries what it can.
    pub for_down: Loads,
    /// Pods that serve and did not answer.
    pub silent: u32,
}
