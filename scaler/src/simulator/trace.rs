//! A recorded load: CSV with a line for each second.
//!
//! The first line names the columns, in any order: `egressMegabitsPerSecond`, `requestsPerSecond`, `connections`, `cpuCores`. One is enough;
//! others, such as a time, are passed over. A line is a second, whatever it says of its time.

use crate::dimension::{Dimension, Loads};

/// Seconds of a trace at most: a week.
const SECONDS_MAX: usize = 604_800;

/// Loads of all pods together, a second after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// The load of each second.
    pub loads: Vec<Loads>,
}

/// What is wrong with a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceError {
    /// No column is a load.
    Columns,
    /// A line has something that is no load: its number, from 1, and the text.
    Line(usize, String),
    /// There is no line, or there are more than those of a week.
    Length(usize),
}

impl std::fmt::Display for TraceError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Columns => write!(
                out,
                "the first line names no load: write egressMegabitsPerSecond, requestsPerSecond, connections or cpuCores"
            ),
            Self::Line(number, text) => write!(out, "line {number}: \"{text}\" is no load"),
            Self::Length(seconds) => write!(out, "{seconds} seconds, 1 to {SECONDS_MAX} are possible"),
        }
    }
}

impl std::error::Error for TraceError {}

/// The column of a dimension.
pub const fn column(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Egress => "egressMegabitsPerSecond",
        Dimension::Requests => "requestsPerSecond",
        Dimension::Connections => "connections",
        Dimension::Cpu => "cpuCores",
    }
}

impl Trace {
    /// Of loads in one dimension, in the units that people read.
    pub fn of(dimension: Dimension, readable: impl IntoIterator<Item = f64>) -> Self {
        let load = |value: f64| {
            let mut load = Loads::default();
            load[dimension] = value * dimension.per_readable();
            load
        };
        Self { loads: readable.into_iter().map(load).collect() }
    }

    /// As CSV, in the dimensions that it has.
    pub fn csv(&self) -> String {
        let has = |dimension: &Dimension| self.loads.iter().any(|load| load[*dimension] > 0.0);
        let dimensions: Vec<Dimension> = Dimension::ALL.into_iter().filter(has).collect();
        let names: Vec<&str> = dimensions.iter().map(|dimension| column(*dimension)).collect();
        let mut csv = format!("second,{}\n", names.join(","));
        for (second, load) in self.loads.iter().enumerate() {
            let cell = |dimension: &Dimension| format!(",{}", load[*dimension] / dimension.per_readable());
            let cells: String = dimensions.iter().map(cell).collect();
            csv.extend([second.to_string(), cells, "\n".to_owned()]);
        }
        csv
    }

    /// Reads CSV.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let header = lines.next().map(|(_, line)| line).unwrap_or_default();
        let columns: Vec<Option<Dimension>> = header
            .split(',')
            .map(|name| Dimension::ALL.into_iter().find(|dimension| column(*dimension) == name.trim()))
            .collect();
        if columns.iter().all(Option::is_none) {
            return Err(TraceError::Columns);
        }
        let mut loads = Vec::new();
        for (index, line) in lines {
            let mut load = Loads::default();
            let mut cells = line.split(',');
            for column in &columns {
                let cell = cells.next().ok_or_else(|| TraceError::Line(index + 1, line.to_owned()))?.trim();
                let Some(dimension) = column else { continue };
                let number: Option<f64> =
                    cell.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
                let number = number.ok_or_else(|| TraceError::Line(index + 1, cell.to_owned()))?;
                load[*dimension] = number * dimension.per_readable();
            }
            loads.push(load);
        }
        if !(1..=SECONDS_MAX).contains(&loads.len()) {
            return Err(TraceError::Length(loads.len()));
        }
        Ok(Self { loads })
    }
}
