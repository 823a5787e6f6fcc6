//! What the chart brings for Prometheus, Grafana and kube-state-metrics, against real scrapes of origin and operator.

mod alerts;
mod cases;
mod dashboards;
mod scrapes;
mod state_metrics;

use std::path::Path;
use std::process::Command;

use mediaorigin_tests::program::ensure_installed;

pub(crate) use scrapes::operator;

/// What `promtool` says when it finds nothing wrong; panics with its words when it does.
#[track_caller]
fn promtool(arguments: &[&str], file: &Path) -> String {
    ensure_installed("promtool").unwrap();
    let output = Command::new("promtool").args(arguments).arg(file).output().unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    assert!(output.status.success(), "promtool {arguments:?}: {text}");
    text
}
