//! `streams`: what the pods hold of each stream. Their own report (`/-/streams`, `docs/http.md`), as a table. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::text::columns;

/// Numbers of missing segments that are printed of one rendition.
const NUMBERS_MAX: usize = 8;

/// The reports by name of the pod, or why there is none.
pub type Reports = BTreeMap<String, Result<Value, String>>;

/// As much of a report as is printed; lenient, for a pod may be of another version.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Report {
    streams: Vec<Stream>,
    overflow: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Stream {
    name: String,
    state: String,
    last_segment_age_seconds: f64,
    manifest_age_seconds: Option<f64>,
    missing: u64,
    renditions: Vec<Rendition>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rendition {
    name: String,
    state: String,
    last_number: u64,
    last_segment_age_seconds: f64,
    interval_seconds: Option<f64>,
    segments: u64,
    missing: u64,
    missing_numbers: Vec<u64>,
    late: u64,
}

/// The reports as tables, one for each stream.
pub fn text(reports: &Reports) -> String {
    let mut text = String::new();
    for (pod, report) in reports {
        let report = match report {
            Ok(report) => serde_json::from_value::<Report>(report.clone()).map_err(|error| error.to_string()),
            Err(error) => Err(error.clone()),
        };
        // Writing to a String cannot fail.
        match report {
            Ok(report) => {
                report.streams.iter().for_each(|stream| stream_text(&mut text, pod, stream));
                if report.streams.is_empty() {
                    let _ = writeln!(
                        text,
                        "pod {pod}: no stream yet; segments are told by the numbers in their names"
                    );
                }
                if report.overflow > 0 {
                    let _ = writeln!(
                        text,
                        "pod {pod}: {} segments of further renditions are not followed",
                        report.overflow
                    );
                }
            }
            Err(error) => {
                let _ = writeln!(text, "pod {pod}: {error}");
            }
        }
    }
    text
}

fn stream_text(text: &mut String, pod: &str, stream: &Stream) {
    let name = if stream.name.is_empty() { "/" } else { &stream.name };
    let manifest = stream.manifest_age_seconds.map(|age| format!(", playlist {} old", seconds(age)));
    let missing = match stream.missing {
        0 => "nothing is missing".to_owned(),
        1 => "1 segment is missing".to_owned(),
        count => format!("{count} segments are missing"),
    };
    let _ = writeln!(
        text,
        "{name}: {}, last segment {} old{}, {missing} (pod {pod})",
        stream.state,
        seconds(stream.last_segment_age_seconds),
        manifest.unwrap_or_default()
    );
    let head = ["RENDITION", "STATE", "LAST", "AGE", "EVERY", "SEGMENTS", "LATE", "MISSING"]
        .map(str::to_owned)
        .to_vec();
    let row = |rendition: &Rendition| {
        vec![
            rendition.name.clone(),
            rendition.state.clone(),
            rendition.last_number.to_string(),
            seconds(rendition.last_segment_age_seconds),
            rendition.interval_seconds.map_or_else(|| "not known".to_owned(), seconds),
            rendition.segments.to_string(),
            rendition.late.to_string(),
            format!("{}{}", rendition.missing, numbers(&rendition.missing_numbers)),
        ]
    };
    let rows: Vec<_> = std::iter::once(head).chain(stream.renditions.iter().map(row)).collect();
    text.push_str(&columns("  ", &rows));
}

fn numbers(numbers: &[u64]) -> String {
    if numbers.is_empty() {
        return String::new();
    }
    let told: Vec<String> = numbers.iter().take(NUMBERS_MAX).map(u64::to_string).collect();
    let more = if numbers.len() > NUMBERS_MAX { ", …" } else { "" };
    format!(" ({}{more})", told.join(", "))
}

fn seconds(seconds: f64) -> String {
    if seconds < 120.0 { format!("{seconds:.1}s") } else { format!("{:.0}m", seconds / 60.0) }
}

/// The reports for programs, as the pods wrote them.
pub fn json(reports: &Reports) -> Value {
    let pods: Vec<Value> = reports
        .iter()
        .map(|(pod, report)| match report {
            Ok(report) => json!({ "pod": pod, "report": report }),
            Err(error) => json!({ "pod": pod, "error": error }),
        })
        .collect();
    json!({ "pods": pods })
}
