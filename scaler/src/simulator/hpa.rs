//! A `HorizontalPodAutoscaler` of Kubernetes with its defaults: the kubelet looks at its pods every ten seconds, metrics-server asks it every
//! fifteen and makes a rate of what it has, the controller asks metrics-server every fifteen.
//!
//! `desired = ceil(pods × ratio)`, nothing within a tolerance of a tenth; up at most twice as many or four more within fifteen seconds; down
//! to the highest recommendation of five minutes. Pods without a rate yet count as idle upwards and as on target downwards.

use std::collections::VecDeque;

use mediaorigin_crds::autoscaling::Bounds;

use super::fleet::Fleet;
use super::{Autoscaler, Settings};
use crate::decide::whole;

const KUBELET: i64 = 10_000;
const METRICS_SERVER: i64 = 15_000;
const SYNC: i64 = 15_000;
const TOLERANCE: f64 = 0.1;
const UP_PERIOD: i64 = 15_000;
const UP_PODS: u32 = 4;
const DOWN_WINDOW: i64 = 300_000;

/// What was offered until a time.
type Point = (i64, f64);

/// Load of a pod by its target, and when it was that.
#[derive(Clone, Copy, Debug)]
struct Rate {
    at: i64,
    ratio: f64,
}

/// The controller and what it measures by.
#[derive(Clone, Debug)]
pub struct Hpa {
    bounds: Bounds,
    kubelet: Option<Point>,
    scraped: Option<Point>,
    rate: Option<Rate>,
    recommendations: VecDeque<(i64, u32)>,
    ups: VecDeque<(i64, u32)>,
}

impl Hpa {
    /// Within these bounds.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            kubelet: None,
            scraped: None,
            rate: None,
            recommendations: VecDeque::new(),
            ups: VecDeque::new(),
        }
    }

    /// The kubelet and metrics-server.
    fn measure(&mut self, time: i64, fleet: &Fleet, settings: &Settings) {
        if !settings.can_ask(time) {
            self.rate = None;
            return;
        }
        if time.rem_euclid(KUBELET) == settings.offset(KUBELET, 0) {
            self.kubelet = Some((time, fleet.offered()));
        }
        if time.rem_euclid(METRICS_SERVER) == settings.offset(METRICS_SERVER, 1) {
            if let (Some((before, offered)), Some((now, total))) = (self.scraped, self.kubelet)
                && now > before
            {
                let load = (total - offered) * 1_000.0 / (now - before) as f64;
                self.rate = Some(Rate { at: now, ratio: load / f64::from(fleet.ready()).max(1.0) });
            }
            self.scraped = self.kubelet;
        }
    }

    fn desired(&self, fleet: &Fleet) -> u32 {
        let asked = fleet.asked();
        let Some(Rate { at, ratio }) = self.rate else { return asked };
        let standing = fleet.pods().iter().filter(|pod| pod.gone.is_none());
        // metrics-server has a rate of a pod that was looked at after ten seconds.
        let measured = standing.filter(|pod| pod.ready + KUBELET <= at).count() as f64;
        let all = f64::from(asked).max(measured);
        let filled = if ratio > 1.0 { ratio * measured } else { ratio * measured + (all - measured) };
        let rebased = filled / all;
        let is_other_way = (ratio > 1.0) != (rebased > 1.0);
        if measured < 1.0 || (rebased - 1.0).abs() <= TOLERANCE || is_other_way {
            return asked;
        }
        whole(filled)
    }

    /// Not more than twice as many, or four more, than fifteen seconds ago.
    fn limited(&mut self, time: i64, desired: u32, asked: u32) -> u32 {
        self.ups.retain(|(at, _)| at + UP_PERIOD > time);
        let added: u32 = self.ups.iter().map(|(_, added)| added).sum();
        let start = asked.saturating_sub(added);
        let up = desired.min((start * 2).max(start + UP_PODS));
        if up > asked {
            self.ups.push_back((time, up - asked));
        }
        up
    }
}

impl Autoscaler for Hpa {
    fn name(&self) -> &'static str {
        "HPA"
    }

    fn step(&mut self, time: i64, fleet: &Fleet, settings: &Settings) -> Option<u32> {
        self.measure(time, fleet, settings);
        if time.rem_euclid(SYNC) != settings.offset(SYNC, 2) {
            return None;
        }
        let asked = fleet.asked();
        let desired = self.bounds.clamp(self.desired(fleet).max(settings.spec_replicas));
        self.recommendations.push_back((time, desired));
        self.recommendations.retain(|(at, _)| at + DOWN_WINDOW > time);
        let highest = self.recommendations.iter().map(|(_, desired)| *desired).max().unwrap_or(asked);
        Some(if desired > asked { self.limited(time, desired, asked) } else { highest.min(asked) })
    }
}
