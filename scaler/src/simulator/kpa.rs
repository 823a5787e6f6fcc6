//! Knative's autoscaler with its defaults: pods asked once a second, a decision every two, by the mean of the last minute; by that of six
//! seconds, and never fewer pods, while it panics, which begins when those six need twice as many as there are.

use std::collections::VecDeque;

use mediaorigin_crds::autoscaling::Bounds;

use super::fleet::Fleet;
use super::{Autoscaler, Settings};
use crate::decide::whole;

const SCRAPE: i64 = 1_000;
const TICK: i64 = 2_000;
const STABLE_SECONDS: usize = 60;
const PANIC_SECONDS: usize = 6;
const PANIC_THRESHOLD: f64 = 2.0;
const UP_RATE_MAX: f64 = 1_000.0;
const DOWN_RATE_MAX: f64 = 2.0;

/// The autoscaler.
#[derive(Clone, Debug)]
pub struct Kpa {
    bounds: Bounds,
    before: Option<f64>,
    /// Load of the latest seconds, in pods at the target.
    seconds: VecDeque<f64>,
    panic: Option<(i64, u32)>,
    is_started: bool,
}

impl Kpa {
    /// Within these bounds.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, before: None, seconds: VecDeque::new(), panic: None, is_started: false }
    }

    fn mean(&self, seconds: usize) -> Option<f64> {
        let count = self.seconds.len().min(seconds);
        let sum: f64 = self.seconds.iter().rev().take(count).sum();
        (count > 0).then(|| sum / count as f64)
    }

    fn decide(&mut self, time: i64, fleet: &Fleet) -> Option<u32> {
        let (stable, panic) = (self.mean(STABLE_SECONDS)?, self.mean(PANIC_SECONDS)?);
        let ready = f64::from(fleet.ready()).max(1.0);
        let (most, least) = (whole(UP_RATE_MAX * ready), whole((ready / DOWN_RATE_MAX).floor()));
        let stable = whole(stable).clamp(least, most);
        let desired = whole(panic).clamp(least, most);
        let is_over = f64::from(whole(panic)) / ready >= PANIC_THRESHOLD;
        if !self.is_started {
            // History is lost: it begins in panic.
            self.is_started = true;
            self.panic = (fleet.asked() > 1).then_some((time, fleet.asked()));
        }
        let window = i64::try_from(STABLE_SECONDS).unwrap_or(0) * 1_000;
        self.panic = match self.panic {
            None if is_over => Some((time, 0)),
            Some((_, most)) if is_over => Some((time, most)),
            Some((since, _)) if since + window < time => None,
            panic => panic,
        };
        Some(match &mut self.panic {
            Some((_, most)) => {
                *most = (*most).max(stable).max(desired);
                *most
            }
            None => stable,
        })
    }
}

impl Autoscaler for Kpa {
    fn name(&self) -> &'static str {
        "Knative"
    }

    fn step(&mut self, time: i64, fleet: &Fleet, settings: &Settings) -> Option<u32> {
        if settings.restart.is_some_and(|second| time == second * 1_000) {
            *self = Self::new(self.bounds);
        }
        if !settings.can_ask(time) {
            self.before = None;
            return None;
        }
        if time.rem_euclid(SCRAPE) == settings.offset(SCRAPE, 0) {
            let offered = fleet.offered();
            if let Some(before) = self.before.replace(offered) {
                self.seconds.push_back(offered - before);
                if self.seconds.len() > STABLE_SECONDS {
                    self.seconds.pop_front();
                }
            }
        }
        if time.rem_euclid(TICK) != settings.offset(TICK, 1) {
            return None;
        }
        let desired = self.decide(time, fleet)?;
        Some(self.bounds.clamp(desired.max(settings.spec_replicas)))
    }
}
