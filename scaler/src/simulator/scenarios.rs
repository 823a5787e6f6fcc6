//! Loads by which autoscalers are compared, and what is compared. Made by formulas: every run of them is the same.

use mediaorigin_crds::autoscaling::Autoscaling;

use super::hpa::Hpa;
use super::kpa::Kpa;
use super::ours::Ours;
use super::trace::Trace;
use super::{Autoscaler, Run, Settings, run};
use crate::dimension::Dimension;

/// A load changes in this second.
pub const CHANGE: u32 = 90;
/// So many seconds follow.
pub const AFTER: u32 = 180;
/// Megabits at the beginning: four pods of a hundred megabits, planned with seven tenths of them.
pub const BASE: f64 = 272.0;
/// Seconds of a day.
const DAY: u32 = 86_400;
/// Noise of a day, as a share of the load: no second is further from it.
const NOISE: f64 = 0.03;

/// Names of those that are compared, in the order of [`compare`].
pub const NAMES: [&str; 3] = ["this operator", "HPA", "Knative"];

/// From the base to `factor` times it within `seconds`; 0 for at once.
pub fn ramp(factor: f64, seconds: u32) -> Trace {
    let load = |second: u32| {
        let share = f64::from((second + 1).saturating_sub(CHANGE)) / f64::from(seconds.max(1));
        BASE * (1.0 + (factor - 1.0) * share.min(1.0))
    };
    Trace::of(Dimension::Egress, (0..CHANGE + AFTER).map(load))
}

/// Up to three times the base within a minute and down again at once, for a quarter of an hour.
pub fn sawtooth() -> Trace {
    let load = |second: u32| {
        let share = f64::from(second.saturating_sub(CHANGE) % 60) / 60.0;
        BASE * (1.0 + 2.0 * share)
    };
    Trace::of(Dimension::Egress, (0..CHANGE + 900).map(load))
}

/// Twenty minutes in which three times as many come at once, then five times as many within half a minute, and then most of them leave.
pub fn kick_off() -> Trace {
    let load = |second: u32| {
        let factor = match second {
            0..120 => 1.0,
            120..400 => 3.0,
            400..430 => 3.0 + f64::from(second - 399) / 15.0,
            430..700 => 5.0,
            _ => 1.5,
        };
        (5_400.0 * factor * (1.0 + 0.01 * noise(second))).round()
    };
    Trace::of(Dimension::Egress, (0..1_200).map(load))
}

/// A day: quiet at night, most in the evening, with noise, two matches to which three times as many come within twenty seconds and which
/// they leave within five minutes, and two short spikes.
pub fn day() -> Trace {
    let load = |second: u32| {
        let hour = f64::from(second) / 3_600.0;
        // Least at five in the morning, most at nine in the evening.
        let wave = 0.5 - 0.5 * ((hour - 5.0) / 24.0 * std::f64::consts::TAU).cos();
        let evening = (-(hour - 21.0).powi(2) / 6.0).exp();
        let base = 240.0 + 400.0 * wave + 400.0 * evening;
        let matches = [15.0 * 3_600.0, 20.75 * 3_600.0].map(|start| {
            let (since, until) = (f64::from(second) - start, start + 6_600.0 - f64::from(second));
            (since / 20.0).clamp(0.0, 1.0).min((until / 300.0).clamp(0.0, 1.0))
        });
        let spikes = [9.5, 12.25].map(|start| {
            let since = f64::from(second) - start * 3_600.0;
            if (0.0..90.0).contains(&since) { 0.8 } else { 0.0 }
        });
        let factor = 1.0 + 2.0 * matches.iter().sum::<f64>() + spikes.iter().sum::<f64>();
        base * factor * (1.0 + NOISE * noise(second))
    };
    Trace::of(Dimension::Egress, (0..DAY).map(load))
}

/// -1 to 1, and nothing that the second before says of it.
pub fn noise(second: u32) -> f64 {
    let mixed = second.wrapping_add(1).wrapping_mul(0x9e37_79b9);
    let mixed = (mixed ^ (mixed >> 16)).wrapping_mul(0x85eb_ca6b);
    let mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35);
    f64::from(mixed ^ (mixed >> 16)) / f64::from(u32::MAX) * 2.0 - 1.0
}

/// The trace by each of those that are compared.
pub fn compare(trace: &Trace, spec: &Autoscaling, settings: &Settings) -> [Run; 3] {
    let scalers: [&mut dyn Autoscaler; 3] =
        [&mut Ours::new(spec), &mut Hpa::new(spec.bounds), &mut Kpa::new(spec.bounds)];
    scalers.map(|scaler| run(trace, spec, settings, scaler))
}

/// Mean and longest time, in seconds from [`CHANGE`], until 91 % of the pods that are needed in the end were asked for, over so many phases
/// of the clocks; for each of those that are compared.
pub fn seconds_until_asked(
    trace: &Trace,
    spec: &Autoscaling,
    settings: &Settings,
    phases: u32,
) -> [(f64, f64); 3] {
    let mut times = [(0.0, 0.0_f64); 3];
    for number in 0..phases {
        let phase = (f64::from(number) + 0.5) / f64::from(phases);
        let runs = compare(trace, spec, &Settings { phase, ..settings.clone() });
        for ((mean, longest), run) in times.iter_mut().zip(runs) {
            let needed = run.seconds.last().map_or(0, |second| second.needed);
            let replicas = crate::decide::whole(f64::from(needed) * 0.91);
            let change = i64::from(CHANGE) * 1_000;
            // Who never asks for them is given the whole time.
            let time = run.time_until(change, replicas).unwrap_or(i64::from(AFTER) * 1_000) as f64 / 1_000.0;
            *mean += time / f64::from(phases);
            *longest = longest.max(time);
        }
    }
    times
}
