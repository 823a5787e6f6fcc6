//! Events of Kubernetes, the oldest first.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;

use crate::text::age;

/// Events that are shown.
const SHOWN_MAX: usize = 12;

/// The last of `events` as rows: age, type, reason, object, message.
pub fn rows(events: &[Event], now: Timestamp) -> Vec<Vec<String>> {
    let mut events: Vec<&Event> = events.iter().collect();
    events.sort_by_key(|event| (time(event), event.metadata.name.clone()));
    let last = &events[events.len().saturating_sub(SHOWN_MAX)..];
    last.iter().map(|event| row(event, now)).collect()
}

fn row(event: &Event, now: Timestamp) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let times = event.series.as_ref().and_then(|series| series.count).or(event.count).unwrap_or(1);
    let times = if times > 1 { format!(" ({times} times)") } else { String::new() };
    let object = &event.involved_object;
    vec![
        time(event).map_or_else(|| "?".to_owned(), |then| age(then, now)),
        text(&event.type_),
        text(&event.reason),
        format!("{} {}", text(&object.kind), text(&object.name)),
        format!("{}{times}", text(&event.message).trim()),
    ]
}

/// When it happened last; each writer fills in other fields.
fn time(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| Some(series.last_observed_time.as_ref()?.0));
    let seen = series.or_else(|| Some(event.last_timestamp.as_ref()?.0));
    let first = seen.or_else(|| Some(event.event_time.as_ref()?.0));
    first.or_else(|| Some(event.metadata.creation_timestamp.as_ref()?.0))
}
