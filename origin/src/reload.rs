//! A new configuration, from the mounted file or pushed: taken, and told of.

use crate::config::{Change, Way};
use crate::events::Kind;
use crate::origin::Origin;
use crate::ration;

/// Serves the hot part of `text` from now on, or says why not: in the log, as an event and as a metric.
pub(crate) fn take(origin: &Origin, text: &str, way: Way) -> Change {
    let change = origin.config.update(text, way);
    let report = origin.config.report();
    let generation = origin.config.hot().metadata.generation;
    match &change {
        Change::Same => return change,
        Change::Swapped => {
            tracing::info!(generation, ?way, "configuration changed");
            origin.tell(Kind::ConfigChanged, format!("generation {generation}"));
            ration::replan(origin);
        }
        Change::Refused => {
            origin.metrics.refusals.inc();
            origin.tell(Kind::ConfigRefused, report.refused.join("; "));
            tracing::error!(generation, ?way, problems = ?report.refused, "configuration refused, the last good one is served");
        }
        Change::Older { .. } => {
            tracing::debug!(generation, ?way, "an older configuration is passed over");
            return change;
        }
        Change::Foreign => {
            tracing::warn!(generation, ?way, "a configuration of another origin is refused");
            return change;
        }
    }
    if !report.needs_restart.is_empty() {
        tracing::warn!(settings = ?report.needs_restart, "these settings are in force after a restart");
    }
    change
}
