//! Children that are being deleted and not gone yet: somebody's finalizer holds them. Nothing can be made in their place meanwhile, and
//! Kubernetes acts on them no more.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::observed::Observed;
use crate::part::Part;

/// Garbage collection and volumes in use hold a child for some seconds; whoever holds it longer has most likely gone.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// What keeps children.
pub(super) struct Deletion {
    /// Which, and what holds them.
    pub(super) message: String,
    /// It takes so long that somebody has to look.
    pub(super) is_stuck: bool,
}

/// The children of ours that are going, if there are any.
pub(super) fn deletion(observed: &Observed) -> Option<Deletion> {
    let going: Vec<(Part, &Value, Timestamp)> =
        observed.children.iter().filter_map(|(part, child)| going(observed, *part, child)).collect();
    let mut message = String::new();
    for (part, child, since) in &going {
        let finalizers = child["metadata"]["finalizers"].as_array().into_iter().flatten();
        let finalizers: Vec<&str> = finalizers.filter_map(Value::as_str).collect();
        let holders = match &finalizers[..] {
            [] => "it goes when its time is over".to_owned(),
            [one] => format!("the finalizer {one} holds it"),
            all => format!("the finalizers {} hold it", all.join(", ")),
        };
        let line = if message.is_empty() { "" } else { "\n" };
        let since = since.strftime("%Y-%m-%dT%H:%M:%SZ");
        let _ = write!(
            message,
            "{line}{} \"{}\" is being deleted since {since}: {holders}",
            part.kind(),
            part.name(&observed.name)
        );
    }
    let is_stuck = going.iter().any(|(_, _, since)| observed.now.duration_since(*since) >= PATIENCE);
    (!going.is_empty()).then_some(Deletion { message, is_stuck })
}

/// A child of ours that is going, and since when.
fn going<'a>(observed: &Observed, part: Part, child: &'a Value) -> Option<(Part, &'a Value, Timestamp)> {
    let since = child["metadata"]["deletionTimestamp"].as_str()?.parse().ok()?;
    observed.owns(child).then_some((part, child, since))
}
