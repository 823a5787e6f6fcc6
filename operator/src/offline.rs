//! `plan -f`: what the operator would do about a file in a fresh namespace, as readable text. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::Timestamp;
use mediaorigin_crds::document::{self, MediaOriginDocument};
use mediaorigin_crds::problem::Problem;
use serde_json::json;

use crate::observed::Observed;
use crate::plan::{Plan, Settings, Verdict, plan};

/// The plan of every `MediaOrigin` in `text`, or every problem.
pub fn print(settings: &Settings, text: &str) -> Result<String, Vec<Problem>> {
    let (documents, mut problems) = document::parse(text);
    let mut printed = String::new();
    for document in &documents {
        let observed = fresh(document);
        let plan = plan(settings, &observed);
        match &plan.verdict {
            Verdict::Invalid(found) => {
                problems.extend(found.iter().map(|problem| locate(problem, document, &documents)));
            }
            _ => print_plan(&mut printed, &observed, &plan),
        }
    }
    if problems.is_empty() { Ok(printed) } else { Err(problems) }
}

/// Which document a problem belongs to, where there are several.
fn locate(problem: &Problem, document: &MediaOriginDocument, documents: &[MediaOriginDocument]) -> Problem {
    if documents.len() == 1 {
        return problem.clone();
    }
    Problem::new(format!("{}: {}", document.metadata.name, problem.field), problem.message.clone())
}

/// The origin as an API server would have just created it.
fn fresh(document: &MediaOriginDocument) -> Observed {
    let metadata = &document.metadata;
    let origin = json!({
        "apiVersion": document.api_version,
        "kind": document.kind,
        "metadata": {
            "name": metadata.name,
            "namespace": metadata.namespace.as_deref().unwrap_or("default"),
            "generation": metadata.generation.max(1),
            "uid": if metadata.uid.is_empty() { "00000000-0000-0000-0000-000000000000" } else { &metadata.uid },
        },
    });
    let observed = Observed::new(&origin, BTreeMap::new(), Vec::new(), Timestamp::UNIX_EPOCH);
    Observed { spec: Ok(document.spec.clone()), ..observed }
}

fn print_plan(out: &mut String, observed: &Observed, plan: &Plan) {
    // Writing to a String cannot fail; a child that is not YAML cannot be made.
    let _ = writeln!(out, "# MediaOrigin {}/{}", observed.namespace, observed.name);
    if let Verdict::Accepted(budget) = &plan.verdict {
        let _ = writeln!(out, "# memory of a pod: {} of which {} for objects", budget.limit, budget.objects);
    }
    plan.to_string().lines().for_each(|line| {
        let _ = writeln!(out, "# {line}");
    });
    for child in &plan.children {
        let _ = write!(out, "---\n{}", serde_yaml::to_string(&child.body).unwrap_or_default());
    }
}
