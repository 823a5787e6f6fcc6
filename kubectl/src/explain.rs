//! `explain`: why an origin looks as it does. Observed as the operator observes, planned with the operator's own function. Pure.

pub mod children;
pub mod fields;

use std::collections::BTreeMap;
use std::fmt::Write;

use k8s_openapi::api::core::v1::Event;
use mediaorigin_crds::budget::{Budget, INDEX_PERCENT, PER_CONNECTION, SLACK_PERCENT};
use mediaorigin_crds::names;
use mediaorigin_crds::units::Bytes;
use mediaorigin_crds::v1alpha1::{MediaOriginSpec, ReconciliationSpec, ScalingStatus};
use mediaorigin_operator::observed::Observed;
use mediaorigin_operator::part::Part;
use mediaorigin_operator::plan::{Action, Plan, Reason, Settings, Verdict, plan};

use crate::asked::Asked;
use crate::events;
use crate::installation::Installation;
use crate::pods;
use crate::status;
use crate::text::{columns, indented};

/// The plan, where the operator is told to pause the one that it would have otherwise: `paused` says so.
fn plan_of(settings: &Settings, observed: &Observed) -> Plan {
    let first = plan(settings, observed);
    if !first.paused {
        return first;
    }
    let mut active = observed.clone();
    active.annotations.remove(names::ANNOTATION_RECONCILIATION);
    if let Ok(spec) = &mut active.spec {
        spec.reconciliation = ReconciliationSpec::Active;
    }
    Plan { paused: true, ..plan(settings, &active) }
}

/// What is looked at besides the origin, its children and its pods.
#[derive(Clone, Debug)]
pub struct Around {
    /// The operator.
    pub installation: Installation,
    /// What the pods say of themselves.
    pub asked: Asked,
    /// Children that may not be read, and why.
    pub unseen: BTreeMap<Part, String>,
    /// Events of the origin and its pods, or why there are none to see.
    pub events: Result<Vec<Event>, String>,
    /// The image that was asked for on the command line.
    pub origin_image: Option<String>,
}

/// Why the origin looks as it does.
pub fn explain(observed: &Observed, around: &Around) -> String {
    let (settings, source) = around.installation.settings(around.origin_image.as_deref(), observed);
    let plan = plan_of(&settings, observed);
    let mut text = String::new();
    let mut section = |title: &str, body: &str| {
        if !text.is_empty() {
            text.push('\n');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{title}\n{body}");
    };
    let title =
        format!("MediaOrigin {}/{}, generation {}", observed.namespace, observed.name, observed.generation);
    section(&title, &head(around, &settings, source));
    section("Spec", &verdict(&plan));
    section("Memory of a pod", &memory(observed, &plan));
    if let Some(scaling) = &observed.status.scaling {
        section("Number of pods", &number_of_pods(scaling));
    }
    section("Children", &children::text(observed, &plan, &around.unseen));
    let title =
        if plan.paused { "The operator is told to pause; otherwise it would" } else { "The operator would" };
    section(title, &actions(&plan, &around.unseen));
    section("Pods", &the_pods(observed, around));
    section(&conditions_title(observed), &columns("  ", &status::conditions(&observed.status.conditions)));
    section("Events", &the_events(observed, around));
    section("Next", &columns("  ", &next(observed, around, &plan)));
    text
}

/// What to do, the operator's own part first: what it does not do is nobody's fault but its own.
fn next(observed: &Observed, around: &Around, plan: &Plan) -> Vec<Vec<String>> {
    let mut next: Vec<String> = match &around.installation {
        _ if plan.paused || plan.actions.is_empty() => Vec::new(),
        Installation::Found { ready: 0, .. } => vec!["get the operator to run".to_owned()],
        Installation::Found { place, .. } => {
            let (namespace, name) = place.split_once('/').unwrap_or_default();
            vec![format!(
                "ask again in a moment: if this stays, kubectl logs -n {namespace} deployment/{name} says why"
            )]
        }
        Installation::Unseen(_) => vec!["ask again in a moment: if this stays, no operator acts".to_owned()],
    };
    next.extend(status::next(observed, &around.asked));
    if next.is_empty() {
        next.push("nothing to do".to_owned());
    }
    next.into_iter().map(|sentence| vec![sentence]).collect()
}

/// What the scaler decided last, with its numbers.
fn number_of_pods(scaling: &ScalingStatus) -> String {
    let row = |name: &str, value: String| (!value.is_empty()).then(|| vec![name.to_owned(), value]);
    let learned = scaling.learned.as_ref().map(|learned| {
        let part = |value: Option<i32>, unit: &str| value.map(|value| format!("{value} {unit}"));
        let parts = [
            part(learned.egress_megabits_per_second, "Mbit/s"),
            part(learned.requests_per_second, "requests/s"),
            part(learned.connections, "connections"),
            part(learned.cpu_percent, "% CPU"),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    });
    let rows = [
        row("wanted", format!("{}, by {}", scaling.desired, scaling.reason)),
        row("because", scaling.explanation.clone()),
        row("held up by", scaling.floor.clone()),
        row("a pod serves after", format!("{:.1} s", f64::from(scaling.lead_milliseconds) / 1000.0)),
        row("a pod carries, as learned", learned.unwrap_or_default()),
    ];
    columns("  ", &rows.into_iter().flatten().collect::<Vec<_>>())
}

fn head(around: &Around, settings: &Settings, source: &str) -> String {
    let fact = |name: &str, value: String| vec![name.to_owned(), value];
    columns(
        "  ",
        &[
            fact("operator", around.installation.sentence()),
            fact("origins' image", format!("{} ({source})", settings.origin_image)),
        ],
    )
}

fn verdict(plan: &Plan) -> String {
    match &plan.verdict {
        Verdict::Accepted(_) => "  accepted\n".to_owned(),
        Verdict::Collision(_, collisions) => {
            let list = collisions.iter().map(|collision| format!("    {collision}\n"));
            format!(
                "  accepted, but it is not carried out while these objects are in the way\n{}",
                list.collect::<String>()
            )
        }
        Verdict::Invalid(problems) => {
            let list =
                problems.iter().map(|problem| format!("    {}\n", indented(&problem.to_string(), "    ")));
            format!(
                "  not accepted: it is not carried out, the children stay as they are\n{}",
                list.collect::<String>()
            )
        }
        Verdict::Deleting => {
            "  not looked at: the origin is being deleted, owner references take its children along\n"
                .to_owned()
        }
    }
}

/// The budget as a sum, each term with what it comes from.
fn memory(observed: &Observed, plan: &Plan) -> String {
    let budget = match &plan.verdict {
        Verdict::Accepted(budget) | Verdict::Collision(budget, _) => budget,
        Verdict::Deleting => return "  as long as there are pods, as it was\n".to_owned(),
        Verdict::Invalid(_) => {
            let before = observed.status.memory.as_ref();
            let before = before.map(|memory| {
                format!("; the pods have that of the last accepted one, with a limit of {}", memory.limit)
            });
            return format!("  none is derived from this spec{}\n", before.unwrap_or_default());
        }
    };
    let Ok(spec) = &observed.spec else { return String::new() };
    columns("  ", &terms(budget, spec))
}

fn terms(budget: &Budget, spec: &MediaOriginSpec) -> Vec<Vec<String>> {
    let Budget { limit, base, connections, index, slack, objects } = budget;
    let term = |sign: &str, value: &Bytes, what: &str, source: String| {
        vec![sign.to_owned(), value.to_string(), what.to_owned(), source]
    };
    let count = spec.limits.connections;
    let disk = match &spec.disk {
        None => "no spec.disk".to_owned(),
        Some(disk) => {
            format!("at most {INDEX_PERCENT} % of the limit, less for a small spec.disk.size ({})", disk.size)
        }
    };
    vec![
        term("", limit, "limit", "spec.memory.limit".to_owned()),
        term("-", base, "base", "the process itself".to_owned()),
        term("-", connections, "connections", format!("spec.limits.connections {count} x {PER_CONNECTION}")),
        term("-", index, "index of the disk", disk),
        term(
            "-",
            slack,
            "slack",
            format!("{SLACK_PERCENT} % of the limit, and what is no whole Mi of objects"),
        ),
        term("=", objects, "objects", "what PUTs can fill".to_owned()),
    ]
}

fn actions(plan: &Plan, unseen: &BTreeMap<Part, String>) -> String {
    let requeue = plan.requeue.as_secs();
    let again = if requeue < 120 { format!("{requeue}s") } else { format!("{}m", requeue / 60) };
    let mut text = String::new();
    // What may not be read is not missing.
    let known =
        plan.actions.iter().filter(|action| part(action).is_none_or(|part| !unseen.contains_key(&part)));
    for (index, action) in known.enumerate() {
        // What differs is told with the children.
        let what = match action {
            Action::Apply(child, Reason::Missing) => format!("create {}: it is missing", child.part),
            Action::Apply(child, Reason::Edited(_)) => {
                format!("update {}: the spec asks for something else", child.part)
            }
            Action::Apply(child, Reason::Drifted(_)) => format!("repair {}: somebody changed it", child.part),
            action => action.to_string(),
        };
        let _ = writeln!(text, "  {}. {what}", index + 1);
    }
    if text.is_empty() {
        text.push_str("  do nothing\n");
    }
    let _ = writeln!(text, "  and look again after {again}, or as soon as something changes");
    text
}

/// The child that an action writes.
fn part(action: &Action) -> Option<Part> {
    match action {
        Action::Apply(child, _) => Some(child.part),
        Action::Issue(issuance) => Some(issuance.part),
        Action::Delete { part, .. } => Some(*part),
        Action::Push { .. } | Action::Announce { .. } | Action::Resize { .. } => None,
    }
}

fn the_pods(observed: &Observed, around: &Around) -> String {
    let reports = pods::reports(observed, &around.asked);
    if reports.is_empty() {
        return "  there is none\n".to_owned();
    }
    columns("  ", &pods::rows(&reports))
}

fn conditions_title(observed: &Observed) -> String {
    let told = observed.status.observed_generation;
    match (observed.status.conditions.is_empty(), told == observed.generation) {
        (true, _) => "Conditions: the operator has reported none yet".to_owned(),
        (false, true) => "Conditions, as the operator last reported them".to_owned(),
        (false, false) => format!("Conditions, as the operator last reported them of generation {told}"),
    }
}

fn the_events(observed: &Observed, around: &Around) -> String {
    match &around.events {
        Ok(events) if events.is_empty() => "  there is none; Kubernetes keeps them for an hour\n".to_owned(),
        Ok(events) => columns("  ", &events::rows(events, observed.now)),
        Err(error) => format!("  not seen: {error}\n"),
    }
}
