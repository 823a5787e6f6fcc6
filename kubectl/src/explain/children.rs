//! Each child: missing, as it should be, edited, drifted, or somebody else's; and which fields of the spec it is about.

use std::collections::BTreeSet;

use mediaorigin_crds::names;
use mediaorigin_operator::observed::{Kind, Observed};
use mediaorigin_operator::plan::difference::{Difference, differences};
use mediaorigin_operator::plan::{ANNOTATION_APPLIED_HASH, Action, Child, Plan, Reason, Verdict};
use serde_json::Value;

use super::fields::source;
use crate::text::columns;

/// Differences of one child that are told one by one.
const TOLD_MAX: usize = 20;

/// Every child, a line for its state and one for each field that is not as it should be.
pub fn text(observed: &Observed, plan: &Plan) -> String {
    let rows: Vec<Vec<String>> = Kind::ALL
        .into_iter()
        .filter_map(|kind| Some(vec![kind.to_string(), state(kind, observed, plan)?]))
        .collect();
    columns("  ", &rows)
}

/// Nothing of a child that neither is there nor should be.
fn state(kind: Kind, observed: &Observed, plan: &Plan) -> Option<String> {
    let live = observed.children.get(&kind);
    let wanted = plan.children.iter().find(|child| child.kind == kind);
    let reason = plan.actions.iter().find_map(|action| match action {
        Action::Apply(child, reason) if child.kind == kind => Some(reason),
        Action::Apply(..) | Action::Announce { .. } => None,
    });
    match (live, wanted, reason) {
        (Some(live), ..) if !observed.owns(live) => Some(foreign(kind, plan)),
        (Some(live), Some(child), Some(reason)) => Some(differing(child, live, reason)),
        (Some(_), Some(_), None) => Some("as it should be".to_owned()),
        (Some(_), None, _) if is_planned(plan) => {
            Some("is kept although the spec does not ask for it; it goes with the origin".to_owned())
        }
        (Some(_), None, _) if plan.verdict == Verdict::Deleting => Some("goes with the origin".to_owned()),
        (Some(_), None, _) => Some("is there; not compared while the spec is not carried out".to_owned()),
        (None, Some(_), _) => Some("missing".to_owned()),
        (None, None, _) if is_planned(plan) || plan.verdict == Verdict::Deleting => None,
        // Whether one is wanted is not known then.
        (None, None, _) if kind == Kind::PersistentVolumeClaim => None,
        (None, None, _) => Some("missing; it is not made while the spec is not carried out".to_owned()),
    }
}

fn is_planned(plan: &Plan) -> bool {
    matches!(plan.verdict, Verdict::Accepted(_))
}

fn foreign(kind: Kind, plan: &Plan) -> String {
    let Verdict::Collision(_, collisions) = &plan.verdict else {
        return "somebody else's, and not in the way".to_owned();
    };
    let found = collisions.iter().find(|collision| collision.kind == kind);
    found.map_or_else(
        || "somebody else's, and not in the way".to_owned(),
        |collision| format!("somebody else's, {}: it is not touched", collision.owner),
    )
}

fn differing(child: &Child, live: &Value, reason: &Reason) -> String {
    let (state, found) = match reason {
        Reason::Missing => return "missing".to_owned(),
        Reason::Edited(found) => {
            ("edited: the spec asks for something else than what was applied last", found)
        }
        Reason::Drifted(found) => ("drifted: somebody changed what was applied", found),
    };
    let changes = found.iter().flat_map(|difference| inside(difference, child, live)).collect::<Vec<_>>();
    let mut lines: Vec<String> =
        changes.iter().take(TOLD_MAX).map(|change| line(child.kind, change)).collect();
    if changes.len() > TOLD_MAX {
        lines.push(format!("  and {} further fields", changes.len() - TOLD_MAX));
    }
    if lines.is_empty() {
        lines.push("  only fields that are to go".to_owned());
    }
    std::iter::once(state.to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
}

fn line(kind: Kind, difference: &Difference) -> String {
    let source = source(kind.as_str(), &difference.path);
    let source = source.map(|source| format!("   ({source})")).unwrap_or_default();
    format!("  {difference}{source}")
}

/// What differs inside a text that is itself a document: the configuration, and the cold settings that a pod carries.
pub(super) fn inside(difference: &Difference, child: &Child, live: &Value) -> Vec<Difference> {
    let unchanged = || vec![difference.clone()];
    let (Some(wanted), Some(there)) =
        (document(&difference.path, &child.body), document(&difference.path, live))
    else {
        return unchanged();
    };
    let mut paths = BTreeSet::new();
    let mut found = differences(&wanted, &there);
    paths.extend(found.iter().map(|found| found.path.clone()));
    // What is in the old one only.
    for gone in differences(&there, &wanted) {
        let change = gone.change.map(|(from, to)| (to, from));
        if paths.insert(gone.path.clone()) {
            found.push(Difference { path: gone.path, change });
        }
    }
    // A new generation is part of every edit; the uid never changes.
    found.retain(|found| {
        found.path != "metadata.generation" && !found.path.ends_with(ANNOTATION_APPLIED_HASH)
    });
    if found.is_empty() {
        return unchanged();
    }
    found
        .into_iter()
        .map(|found| Difference { path: format!("{}: {}", difference.path, found.path), ..found })
        .collect()
}

/// The document at a path, where there is one.
fn document(path: &str, body: &Value) -> Option<Value> {
    let text = if path == format!("data.{}", names::CONFIG_FILE) {
        body["data"][names::CONFIG_FILE].as_str()?
    } else if path.ends_with(&format!("env[{}].value", names::ENV_COLD)) {
        let containers = body.pointer("/spec/template/spec/containers")?.as_array()?;
        let mut variables = containers.iter().filter_map(|container| container["env"].as_array()).flatten();
        variables.find(|variable| variable["name"] == names::ENV_COLD)?["value"].as_str()?
    } else {
        return None;
    };
    serde_yaml::from_str::<Value>(text).ok().filter(Value::is_object)
}
