//! Which Secrets an origin needs of the operator, and what is to become of them. What is in them is not known here.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use mediaorigin_crds::names;
use mediaorigin_crds::v1alpha1::{MediaOriginSpec, WriteAccessSpec};
use serde_json::Value;

use super::coordination::of_chart;
use super::{Child, Settings};
use crate::election::seat::Place;
use crate::observed::Observed;
use crate::part::Part;
use crate::secret;

/// What to do about a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issue {
    /// Make it.
    Create,
    /// Make the values that are missing: these keys.
    Complete(Vec<&'static str>),
    /// Make new values; those before stay valid beside them.
    Renew,
    /// The time of those before is over.
    Retire,
    /// Make it like this one of somebody else, which has changed or was not copied yet.
    Copy {
        /// Where the credentials are.
        from: Place,
        /// Where the authorities are, if elsewhere.
        authorities: Option<Place>,
    },
}

/// A Secret to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Issuance {
    /// Which.
    pub part: Part,
    /// What to do.
    pub issue: Issue,
    /// Labels and owner of a new one; without values.
    pub body: Value,
    /// What the Secret remembers.
    pub annotations: BTreeMap<String, String>,
}

/// The Secrets that the spec asks the operator for.
pub fn wanted(settings: &Settings, observed: &Observed, spec: &MediaOriginSpec) -> Vec<Part> {
    let makes_publisher = spec.access.write.as_ref().is_some_and(|write| write.secret_ref.is_none());
    let publisher = makes_publisher.then_some(Part::PublisherSecret);
    let copy = of_chart(settings, &observed.namespace, spec).map(|_| Part::NatsSecret);
    std::iter::once(Part::AdminSecret).chain(publisher).chain(copy).collect()
}

/// The name of the Secret with the publishers' credentials, ours or not.
pub fn publisher_secret(origin: &str, write: &WriteAccessSpec) -> String {
    write.secret_ref.as_ref().map_or_else(|| Part::PublisherSecret.name(origin), |secret| secret.name.clone())
}

/// What is to be written.
pub fn issuances(settings: &Settings, observed: &Observed, spec: &MediaOriginSpec) -> Vec<Issuance> {
    let wanted = wanted(settings, observed, spec).into_iter();
    wanted.filter_map(|part| issuance(settings, observed, spec, part)).collect()
}

/// When a Secret has to be looked at again.
pub fn next_look(observed: &Observed, wanted: &[Part]) -> Option<SignedDuration> {
    let ends = wanted.iter().filter_map(|part| previous_until(observed.children.get(part)?));
    ends.map(|end| end.duration_since(observed.now).max(SignedDuration::from_secs(1))).min()
}

/// When one of them was written last, which may be now: what pods of an earlier time have mounted is older.
pub fn written_at(settings: &Settings, observed: &Observed, spec: &MediaOriginSpec) -> Option<Timestamp> {
    let writings = wanted(settings, observed, spec).into_iter().filter_map(|part| {
        let live = observed.children.get(&part);
        let before = live.and_then(|live| note(live, names::ANNOTATION_WRITTEN_AT)).map(str::to_owned);
        // As it will be read from the Secret.
        let now = issuance(settings, observed, spec, part).map(|_| text(observed.now));
        now.or(before)?.parse().ok()
    });
    writings.max()
}

/// To the second, as an API server writes times.
pub fn text(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn issuance(
    settings: &Settings,
    observed: &Observed,
    spec: &MediaOriginSpec,
    part: Part,
) -> Option<Issuance> {
    let live = observed.children.get(&part);
    let asked =
        observed.annotation(names::ANNOTATION_RENEW_PUBLISHER).filter(|_| part == Part::PublisherSecret);
    let mut annotations = BTreeMap::new();
    if let Some(asked) = asked {
        annotations.insert(names::ANNOTATION_RENEWED.to_owned(), asked.to_owned());
    }
    if let (Part::NatsSecret, Some(version)) = (part, &observed.nats_version) {
        annotations.insert(names::ANNOTATION_COPIED.to_owned(), version.clone());
    }
    let issue = match live {
        _ if part == Part::NatsSecret => copy(settings, observed, live)?,
        None => Issue::Create,
        Some(live) => {
            let missing = missing(part, live);
            if !missing.is_empty() {
                Issue::Complete(missing)
            } else if asked.is_some_and(|asked| note(live, names::ANNOTATION_RENEWED) != Some(asked)) {
                Issue::Renew
            } else if previous_until(live).is_some_and(|end| end <= observed.now) {
                Issue::Retire
            } else {
                return None;
            }
        }
    };
    let until = match (&issue, live) {
        (Issue::Renew, _) => {
            let seconds = spec.access.write.as_ref().map_or(0, |write| write.overlap_seconds);
            observed.now.checked_add(SignedDuration::from_secs(seconds.into())).ok()
        }
        // Completed in the middle of an overlap, which goes on.
        (Issue::Complete(_), Some(live)) => previous_until(live),
        _ => None,
    };
    annotations.insert(names::ANNOTATION_WRITTEN_AT.to_owned(), text(observed.now));
    if let Some(until) = until {
        annotations.insert(names::ANNOTATION_PREVIOUS_UNTIL.to_owned(), text(until));
    }
    Some(Issuance { part, issue, body: Child::metadata(part, observed), annotations })
}

/// The credentials of the chart's NATS, unless the copy is one of what they are now.
fn copy(settings: &Settings, observed: &Observed, live: Option<&Value>) -> Option<Issue> {
    let is_current = |live: &Value| {
        // What cannot be seen has not changed.
        let version = observed.nats_version.as_deref();
        let is_of = version.is_none_or(|version| note(live, names::ANNOTATION_COPIED) == Some(version));
        is_of && missing(Part::NatsSecret, live).is_empty()
    };
    let chart = settings.nats.as_ref().filter(|_| !live.is_some_and(is_current))?;
    Some(Issue::Copy { from: chart.credentials.clone(), authorities: chart.authorities.clone() })
}

fn missing(part: Part, live: &Value) -> Vec<&'static str> {
    let has = |key: &str| live["data"][key].as_u64().is_some_and(|length| length > 0);
    secret::fields(part).iter().map(|field| field.key).filter(|key| !has(key)).collect()
}

fn previous_until(live: &Value) -> Option<Timestamp> {
    note(live, names::ANNOTATION_PREVIOUS_UNTIL)?.parse().ok()
}

fn note<'a>(live: &'a Value, key: &str) -> Option<&'a str> {
    live["metadata"]["annotations"][key].as_str()
}

impl fmt::Display for Issuance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, issue, annotations, .. } = self;
        match issue {
            Issue::Create => write!(out, "create {part}: missing"),
            Issue::Complete(keys) => write!(out, "complete {part}: without {}", keys.join(", ")),
            Issue::Renew => {
                let until = annotations.get(names::ANNOTATION_PREVIOUS_UNTIL).map_or("now", String::as_str);
                write!(out, "renew {part}: asked for; the values before are good until {until}")
            }
            Issue::Copy { from: Place { namespace, name }, .. } => {
                write!(out, "copy {part}: from {namespace}/{name}, which is not the same")
            }
            Issue::Retire => write!(out, "retire the values before in {part}: their time is over"),
        }
    }
}
