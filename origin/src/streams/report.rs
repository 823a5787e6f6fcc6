//! `/-/streams`: what is known of the streams, as JSON, the freshest first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::rendition::Rendition;
use super::{Known, folder};

/// What is known of all streams.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The streams, the one with the newest segment first.
    pub streams: Vec<StreamReport>,
    /// Segments of renditions that are not followed because there are too many.
    pub overflow: u64,
}

/// One stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamReport {
    /// Its folder; empty for the root.
    pub name: String,
    /// `Live`, or `Late` while a rendition's next segment is overdue.
    pub state: State,
    /// Seconds since the newest segment of any rendition was complete: the age of the live edge.
    pub last_segment_age_seconds: f64,
    /// Seconds since the newest manifest in its folder, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest_age_seconds: Option<f64>,
    /// Segments that are missing in all renditions.
    pub missing: u64,
    /// Its renditions, by name.
    pub renditions: Vec<RenditionReport>,
}

/// Whether a stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum State {
    /// It does.
    Live,
    /// The next segment of a rendition is overdue.
    Late,
}

/// One rendition.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RenditionReport {
    /// The name of its files with `*` in place of the number, below the stream's folder.
    pub name: String,
    /// `Live`, or `Late` while its next segment is overdue.
    pub state: State,
    /// The highest number.
    pub last_number: u64,
    /// Seconds since that was complete.
    pub last_segment_age_seconds: f64,
    /// The usual number of seconds between two segments; absent before the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<f64>,
    /// Segments that came.
    pub segments: u64,
    /// Segments that were left out and did not come later.
    pub missing: u64,
    /// Their numbers, up to 64; none where the numbers are times.
    pub missing_numbers: Vec<u64>,
    /// Segments that came after a later one.
    pub late: u64,
}

pub(super) fn count(known: &Known) -> usize {
    known.renditions.keys().map(|name| known.stream(folder(name))).collect::<BTreeSet<_>>().len()
}

pub(super) fn report(known: &Known, now: Duration) -> Report {
    let mut streams: BTreeMap<&str, Vec<(&str, &Rendition)>> = BTreeMap::new();
    for (name, rendition) in &known.renditions {
        streams.entry(known.stream(folder(name))).or_default().push((name, rendition));
    }
    let mut streams: Vec<_> =
        streams.into_iter().map(|(name, renditions)| stream(known, name, renditions, now)).collect();
    streams.sort_by(|a, b| a.last_segment_age_seconds.total_cmp(&b.last_segment_age_seconds));
    Report { streams, overflow: known.overflow }
}

fn stream(known: &Known, name: &str, mut renditions: Vec<(&str, &Rendition)>, now: Duration) -> StreamReport {
    renditions.sort_unstable_by_key(|(name, _)| *name);
    let newest = renditions.iter().map(|(_, rendition)| rendition.age(now)).min().unwrap_or_default();
    let is_late = renditions.iter().any(|(_, rendition)| rendition.is_late(now));
    let below = |path: &str| path.strip_prefix(name).unwrap_or(path).trim_start_matches('/').to_owned();
    StreamReport {
        name: name.to_owned(),
        state: State::of(is_late),
        last_segment_age_seconds: newest.as_secs_f64(),
        manifest_age_seconds: known.manifests.get(name).map(|last| now.saturating_sub(*last).as_secs_f64()),
        missing: renditions.iter().map(|(_, rendition)| rendition.missing_total).sum(),
        renditions: renditions
            .iter()
            .map(|(path, rendition)| RenditionReport {
                name: below(path),
                state: State::of(rendition.is_late(now)),
                last_number: rendition.last,
                last_segment_age_seconds: rendition.age(now).as_secs_f64(),
                interval_seconds: rendition.interval.map(|interval| interval.as_secs_f64()),
                segments: rendition.segments,
                missing: rendition.missing_total,
                missing_numbers: rendition.missing.iter().copied().collect(),
                late: rendition.late_total,
            })
            .collect(),
    }
}

impl State {
    fn of(is_late: bool) -> Self {
        if is_late { Self::Late } else { Self::Live }
    }
}
