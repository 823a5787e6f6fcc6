//! What load is made of. Never memory: a cache is full when it is well.

use std::ops::{Index, IndexMut};

use mediaorigin_crds::autoscaling::{Load, MEGABIT};

/// What load is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// Bytes sent in a second.
    Egress,
    /// Requests in a second.
    Requests,
    /// Connections.
    Connections,
    /// CPU seconds in a second.
    Cpu,
}

impl Dimension {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Egress, Self::Requests, Self::Connections, Self::Cpu];

    /// The word in status, metrics and explanations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Egress => "egress",
            Self::Requests => "requests",
            Self::Connections => "connections",
            Self::Cpu => "cpu",
        }
    }

    /// How many of the dimension's own units are one of those that people read: megabits for egress.
    pub const fn per_readable(self) -> f64 {
        match self {
            Self::Egress => MEGABIT,
            Self::Requests | Self::Connections | Self::Cpu => 1.0,
        }
    }
}

/// A number for every dimension.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loads([f64; 4]);

impl Loads {
    /// The same by a function.
    pub fn by(mut value: impl FnMut(Dimension) -> f64) -> Self {
        Self(Dimension::ALL.map(&mut value))
    }
}

impl Index<Dimension> for Loads {
    type Output = f64;

    fn index(&self, dimension: Dimension) -> &f64 {
        &self.0[dimension as usize]
    }
}

impl IndexMut<Dimension> for Loads {
    fn index_mut(&mut self, dimension: Dimension) -> &mut f64 {
        &mut self.0[dimension as usize]
    }
}

/// The number of a dimension in a load of the specification.
pub(crate) fn of(load: &Load, dimension: Dimension) -> Option<f64> {
    match dimension {
        Dimension::Egress => load.egress_bytes,
        Dimension::Requests => load.requests,
        Dimension::Connections => load.connections,
        Dimension::Cpu => load.cpu_seconds,
    }
}

/// A place for the number of a dimension.
pub(crate) fn of_mut(load: &mut Load, dimension: Dimension) -> &mut Option<f64> {
    match dimension {
        Dimension::Egress => &mut load.egress_bytes,
        Dimension::Requests => &mut load.requests,
        Dimension::Connections => &mut load.connections,
        Dimension::Cpu => &mut load.cpu_seconds,
    }
}
