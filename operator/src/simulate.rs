//! `simulate -f`: what the autoscaling of a file would have made of a recorded load, as text and as a picture. Pure.

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use mediaorigin_crds::autoscaling::{Autoscaling, Mode};
use mediaorigin_crds::document;
use mediaorigin_crds::problem::Problem;
use mediaorigin_crds::validate::validate;
use mediaorigin_scaler::Dimension;
use mediaorigin_scaler::capacity::Capacity;
use mediaorigin_scaler::simulator::ours::Ours;
use mediaorigin_scaler::simulator::trace::{Trace, column};
use mediaorigin_scaler::simulator::{Run, Settings, plot, run, scenarios, table};

use crate::args::SimulateArgs;

/// What is assumed of the world around the autoscaler.
#[derive(Clone, Debug)]
pub struct Options {
    /// When the trace begins.
    pub start: Timestamp,
    /// Seconds from a pod's creation until it serves.
    pub ready_seconds: u16,
    /// Seconds until a pod that is taken away is gone.
    pub drain_seconds: u16,
    /// Pods at the beginning; `None` for as many as the load then needs.
    pub replicas: Option<u32>,
    /// Beside it what others would have done.
    pub compare: bool,
}

impl From<&SimulateArgs> for Options {
    fn from(args: &SimulateArgs) -> Self {
        Self {
            start: args.start.unwrap_or(Timestamp::UNIX_EPOCH),
            ready_seconds: args.ready_seconds,
            drain_seconds: args.drain_seconds,
            replicas: args.replicas,
            compare: args.compare,
        }
    }
}

/// What would have happened.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// A summary, and every change with its reason.
    pub text: String,
    /// SVG.
    pub picture: String,
}

/// Replays `trace` (CSV) against the one `MediaOrigin` of `file` (YAML).
pub fn simulate(file: &str, trace: &str, options: &Options) -> Result<Simulated, Vec<Problem>> {
    let (name, spec_replicas, spec) = autoscaling(file)?;
    let trace = Trace::parse(trace).map_err(|error| vec![Problem::new("trace", error.to_string())])?;
    check_dimensions(&trace, &spec)?;
    let settings = Settings {
        ready: i64::from(options.ready_seconds) * 1_000,
        drain: i64::from(options.drain_seconds) * 1_000,
        replicas: options.replicas,
        spec_replicas,
        ..Settings::new(options.start)
    };
    let runs: Vec<Run> = if options.compare {
        scenarios::compare(&trace, &spec, &settings).into()
    } else {
        vec![run(&trace, &spec, &settings, &mut Ours::new(&spec))]
    };
    let changes = runs.first().map(table::changes).unwrap_or_default();
    let text = format!("{}\n{changes}", table::summary(&runs));
    let title = format!("{name}: {} s, pods serve after {} s", trace.loads.len(), options.ready_seconds);
    Ok(Simulated { text, picture: plot::svg(&title, &runs) })
}

/// Name, `spec.replicas` and autoscaling of the one origin of a file.
fn autoscaling(file: &str) -> Result<(String, u32, Autoscaling), Vec<Problem>> {
    let (documents, problems) = document::parse(file);
    if !problems.is_empty() {
        return Err(problems);
    }
    let [document] = documents.as_slice() else {
        let message = format!("the file holds {} MediaOrigins, one is needed", documents.len());
        return Err(vec![Problem::new("", message)]);
    };
    let metadata = &document.metadata;
    let accepted = validate(metadata.namespace.as_deref(), &metadata.name, &document.spec)?;
    if accepted.autoscaling.mode != Mode::Internal {
        let message = "there is nothing to simulate: write Internal";
        return Err(vec![Problem::new("spec.autoscaling.mode", message)]);
    }
    let replicas = u32::try_from(document.spec.replicas).unwrap_or(0);
    Ok((metadata.name.clone(), replicas, accepted.autoscaling))
}

/// A load in dimensions of which nobody knows what a pod can carry says nothing.
fn check_dimensions(trace: &Trace, spec: &Autoscaling) -> Result<(), Vec<Problem>> {
    let capacity = Capacity::default();
    let is_there = |dimension: &Dimension| trace.loads.iter().any(|load| load[*dimension] > 0.0);
    let there: Vec<Dimension> = Dimension::ALL.into_iter().filter(is_there).collect();
    if there.is_empty() || there.iter().any(|dimension| capacity.of(spec, *dimension).is_some()) {
        return Ok(());
    }
    let names: Vec<&str> = there.into_iter().map(column).collect();
    let message = format!("nothing says how much of {} a pod can carry: write it", names.join(" and "));
    Err(vec![Problem::new("spec.autoscaling.targets", message)])
}
