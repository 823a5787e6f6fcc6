//! Each child: missing, as it should be, edited, drifted, or somebody else's; and which fields of the spec it is about.

use std::collections::{BTreeMap, BTreeSet};

use mediaorigin_crds::names;
use mediaorigin_crds::v1alpha1::PodMonitorModeSpec;
use mediaorigin_operator::observed::Observed;
use mediaorigin_operator::part::Part;
use mediaorigin_operator::plan::credentials::Issue;
use mediaorigin_operator::plan::difference::{Difference, differences};
use mediaorigin_operator::plan::{ANNOTATION_APPLIED_HASH, Action, Child, Plan, Reason, Verdict};
use serde_json::Value;

use super::fields::source;
use crate::text::columns;

/// Differences of one child that are told one by one.
const TOLD_MAX: usize = 20;

/// Every child, a line for its state and one for each field that is not as it should be.
pub fn text(observed: &Observed, plan: &Plan, unseen: &BTreeMap<Part, String>) -> String {
    let state = |part: Part| match unseen.get(&part) {
        Some(why) => Some(format!("not seen: {why}")),
        None => state(part, observed, plan),
    };
    let rows: Vec<Vec<String>> = Part::ALL
        .into_iter()
        .filter_map(|part| Some(vec![format!("{} {}", part.kind(), part.name(&observed.name)), state(part)?]))
        .collect();
    columns("  ", &rows)
}

/// Nothing of a child that neither is there nor should be.
fn state(part: Part, observed: &Observed, plan: &Plan) -> Option<String> {
    let live = observed.children.get(&part);
    let wanted = plan.children.iter().find(|child| child.part == part);
    for action in &plan.actions {
        match action {
            Action::Apply(child, reason) if child.part == part => {
                return Some(
                    live.map_or_else(|| "missing".to_owned(), |live| differing(child, live, reason)),
                );
            }
            Action::Issue(issuance) if issuance.part == part => {
                return Some(match &issuance.issue {
                    Issue::Create => "missing".to_owned(),
                    Issue::Complete(keys) => format!("has no {}", keys.join(", ")),
                    Issue::Renew => "is to be renewed, as the annotation of the origin asks".to_owned(),
                    Issue::Retire => "has values from before whose time is over".to_owned(),
                    Issue::Copy { .. } if live.is_none() => "missing".to_owned(),
                    Issue::Copy { from, .. } => {
                        format!("is not what {}/{} is now, of which it is a copy", from.namespace, from.name)
                    }
                });
            }
            Action::Delete { part: gone, .. } if *gone == part => {
                return Some("is not asked for any more".to_owned());
            }
            _ => {}
        }
    }
    let is_made = plan.secrets.contains(&part);
    Some(match live {
        Some(live) if !observed.owns(live) => foreign(part, plan),
        Some(_) if plan.verdict == Verdict::Deleting => "goes with the origin".to_owned(),
        Some(_) if !is_planned(plan) => "is there; not compared while the spec is not carried out".to_owned(),
        Some(_) if wanted.is_some() || is_made => "as it should be".to_owned(),
        Some(_) => "is kept although the spec does not ask for it; it goes with the origin".to_owned(),
        None if observed.unknown.contains(&part) && is_asked_for(part, observed) => {
            "asked for, but the cluster does not have this kind".to_owned()
        }
        None if is_planned(plan) || plan.verdict == Verdict::Deleting || !is_always(part) => return None,
        None => "missing; it is not made while the spec is not carried out".to_owned(),
    })
}

/// Every origin has one.
fn is_always(part: Part) -> bool {
    matches!(
        part,
        Part::ServiceAccount
            | Part::AdminSecret
            | Part::ConfigMap
            | Part::Service
            | Part::PodsService
            | Part::Deployment
    )
}

/// Whether the spec asks for a child of a kind that a cluster may do without.
fn is_asked_for(part: Part, observed: &Observed) -> bool {
    observed.spec.as_ref().is_ok_and(|spec| match part {
        Part::HttpRoute => spec.route.is_some(),
        Part::PodMonitor => spec.monitoring.pod_monitor == PodMonitorModeSpec::Enabled,
        _ => false,
    })
}

fn is_planned(plan: &Plan) -> bool {
    matches!(plan.verdict, Verdict::Accepted(_))
}

fn foreign(part: Part, plan: &Plan) -> String {
    let Verdict::Collision(_, collisions) = &plan.verdict else {
        return "somebody else's, and not in the way".to_owned();
    };
    let found = collisions.iter().find(|collision| collision.part == part);
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
        changes.iter().take(TOLD_MAX).map(|change| line(child.part, change)).collect();
    if changes.len() > TOLD_MAX {
        lines.push(format!("  and {} further fields", changes.len() - TOLD_MAX));
    }
    if lines.is_empty() {
        lines.push("  only fields that are to go".to_owned());
    }
    std::iter::once(state.to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
}

fn line(part: Part, difference: &Difference) -> String {
    let source = source(part, &difference.path);
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
