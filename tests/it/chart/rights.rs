//! All that the chart lets the operator do, as a list that a person can read.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::{objects, render};
use crate::golden;

fn words(value: &Value) -> String {
    let words: Vec<_> = value.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    words.join(",")
}

/// A line per rule: where, what, which.
fn rights(arguments: &[&str]) -> String {
    let mut lines = String::new();
    let all = objects(&render(arguments));
    for role in all.iter().filter(|object| object["kind"].as_str().unwrap().ends_with("Role")) {
        let metadata = &role["metadata"];
        let place =
            metadata["namespace"].as_str().map_or(String::new(), |namespace| format!(" in {namespace}"));
        let (kind, name) = (role["kind"].as_str().unwrap(), metadata["name"].as_str().unwrap());
        writeln!(lines, "{kind} {name}{place}").unwrap();
        for rule in role["rules"].as_array().unwrap() {
            let group = words(&rule["apiGroups"]);
            let group = if group.is_empty() { "core" } else { &group };
            let names =
                rule["resourceNames"].as_array().map(|_| format!(" named {}", words(&rule["resourceNames"])));
            let (resources, verbs) = (words(&rule["resources"]), words(&rule["verbs"]));
            writeln!(lines, "  {group}: {resources}{}: {verbs}", names.unwrap_or_default()).unwrap();
        }
    }
    lines
}

/// Rows 57 to 59: the list of every right, cluster-wide, in one namespace, and of `helm test`. `UPDATE=1` rewrites it.
#[test]
fn generated_rows_57_to_59_every_right_is_listed() {
    let everywhere = rights(&["--skip-tests"]);
    let one = rights(&["--skip-tests", "--set", "watchNamespace=media"]);
    let trial = rights(&["--show-only", "templates/tests/trial.yaml"]);
    let nats = ["--show-only", "templates/nats/rbac.yaml", "--set", "nats.enabled=true,watchNamespace=media"];
    let nats = rights(&nats);
    assert!(!one.contains("ClusterRole"), "{one}");
    let text = format!(
        "# all namespaces\n{everywhere}\n# watchNamespace: media\n{one}\n# the same with nats.enabled, besides\n{nats}\n# helm test\n{trial}"
    );
    golden::check("tests/golden/chart/rights.txt", &text);
    assert!(!text.contains('*'), "a wildcard");
    for right in text.lines().filter(|line| line.contains("secrets")) {
        assert!(!["list", "watch", "delete"].iter().any(|verb| right.contains(verb)), "{right}");
    }
    let resources: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(": ").nth(1))
        .flat_map(|list| list.split(','))
        .collect();
    assert!(resources.contains("mediaorigins"), "the list was not read: {resources:?}");
}
