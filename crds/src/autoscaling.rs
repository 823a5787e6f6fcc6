//! Domain types of `spec.autoscaling`: what the wire types mean once they were validated. [`crate::validate::autoscaling`] makes them.

mod cron;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use cron::{Cron, CronError};

/// Who decides how many pods there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `spec.replicas` alone.
    Disabled,
    /// The operator.
    Internal,
    /// Whoever writes `spec.replicas`.
    External,
}

/// Fewest and most pods; the first is never more than the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    min: u32,
    max: u32,
}

impl Bounds {
    /// One pod, always.
    pub const ONE: Self = Self { min: 1, max: 1 };

    /// The two in order; `None` where there are none between them.
    pub fn new(min: u32, max: u32) -> Option<Self> {
        (min <= max).then_some(Self { min, max })
    }

    /// Fewest pods.
    pub fn min(self) -> u32 {
        self.min
    }

    /// Most pods.
    pub fn max(self) -> u32 {
        self.max
    }

    /// The nearest number within them.
    pub fn clamp(self, replicas: u32) -> u32 {
        replicas.clamp(self.min, self.max)
    }
}

/// Bytes of a megabit.
pub const MEGABIT: f64 = 1e6 / 8.0;

/// A load in the units of the dimensions: of a pod, or of all of them. What is absent is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Bytes that are sent in a second.
    pub egress_bytes: Option<f64>,
    /// Requests in a second.
    pub requests: Option<f64>,
    /// Connections.
    pub connections: Option<f64>,
    /// CPU seconds in a second.
    pub cpu_seconds: Option<f64>,
}

/// Who decides how many pods there are, and by what.
#[derive(Clone, Debug, PartialEq)]
pub struct Autoscaling {
    /// Who decides.
    pub mode: Mode,
    /// Fewest and most pods.
    pub bounds: Bounds,
    /// What a pod can carry, where the spec says so.
    pub targets: Load,
    /// What it can carry where nothing else is known: its CPU, and its connections.
    pub given: Load,
    /// Share of it that is planned with, above 0 and at most 1.
    pub utilization: f64,
    /// How long fewer pods must have been enough before one is taken away.
    pub stabilization: Duration,
    /// Share of the pods that may be taken away within a minute, above 0 and at most 1.
    pub down_per_minute: f64,
    /// What happens while the load is not known.
    pub missing_data: MissingData,
    /// Times that come again.
    pub schedules: Vec<Schedule>,
    /// Times that come once.
    pub events: Vec<Event>,
}

/// What happens while the load is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingData {
    /// The pods stay as many as they are.
    Hold,
    /// So many pods.
    Static(u32),
    /// As many as there are, and at least so many.
    HoldIfHigher(u32),
}

/// A time that comes again.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Unique name.
    pub name: String,
    /// When it begins.
    pub cron: Cron,
    /// The clock of `cron`.
    pub time_zone: TimeZone,
    /// How long it lasts.
    pub duration: Duration,
    /// Fewest pods meanwhile.
    pub min_replicas: u32,
}

/// A time that comes once.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Unique name.
    pub name: String,
    /// When it begins.
    pub start: Timestamp,
    /// How long it lasts.
    pub duration: Duration,
    /// Fewest pods meanwhile; 0 where only a peak is given.
    pub min_replicas: u32,
    /// The load of all pods that is expected.
    pub peak: Load,
}
