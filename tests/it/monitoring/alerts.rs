//! The alerts: valid, each firing and silent where it should be, made of samples that exist, with a page that says what to do.

use std::process::Command;

use mediaorigin_tests::folder::Folder;
use serde_json::{Value, json};

use super::cases::{CASES, Case};
use super::{promtool, scrapes};
use crate::golden;

const RULES: &str = "charts/mediaorigin-operator/files/alerts.yaml";
/// When each case is looked at, and how long its series are.
const AT: &str = "40m";

fn rules() -> Vec<Value> {
    let file: Value = serde_yaml::from_str(&golden::read(RULES)).unwrap();
    let groups = file["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn name(rule: &Value) -> &str {
    rule["alert"].as_str().unwrap()
}

/// Row 69: `promtool` accepts the file, every metric and label in it is in a scrape, and every alert has a severity, a summary
/// that says where, and a page of its own which the overview lists.
#[test]
fn row_69_every_alert_is_of_what_exists_and_has_a_runbook() {
    let checked = promtool(&["check", "rules", "--lint-fatal"], &golden::root().join(RULES));
    let rules = rules();
    assert!(checked.contains(&format!("{} rules found", rules.len())), "{checked}");
    let overview = golden::read("docs/monitoring.md");
    for rule in &rules {
        let name = name(rule);
        assert_eq!(scrapes::unknown(rule["expr"].as_str().unwrap()), Vec::<String>::new(), "{name}");
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{name}");
        assert_eq!(rule["annotations"]["runbook_url"], format!("RUNBOOKS/{name}.md"));
        let page = golden::read(&format!("docs/runbooks/{name}.md"));
        assert!(page.starts_with(&format!("# {name}\n")), "{name}");
        for heading in ["## What it means", "## Where to look", "## What to do"] {
            assert!(page.contains(heading), "{name}: {heading}");
        }
        assert!(overview.contains(&format!("(runbooks/{name}.md)")), "docs/monitoring.md: {name}");
    }
    let pages = std::fs::read_dir(golden::root().join("docs/runbooks")).unwrap();
    assert_eq!(pages.count(), rules.len(), "a page without an alert");
}

/// The annotations of an alert with these labels.
fn annotations(rule: &Value, labels: &Value) -> Value {
    let mut annotations = rule["annotations"].clone();
    for text in annotations.as_object_mut().unwrap().values_mut() {
        let mut filled = text.as_str().unwrap().to_owned();
        for (label, value) in labels.as_object().unwrap() {
            filled = filled.replace(&format!("{{{{ $labels.{label} }}}}"), value.as_str().unwrap());
        }
        assert!(!filled.contains("{{"), "a label that the alert does not have: {filled}");
        *text = json!(filled);
    }
    annotations
}

fn series(text: &str) -> Value {
    let (series, values) = text.split_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let comma = if labels == "}" { "" } else { "," };
    json!({ "series": format!("{name}{{namespace=\"media\",pod=\"live-1\"{comma}{labels}"), "values": values })
}

fn test(rules: &[Value], case: &Case) -> Value {
    let rule = rules.iter().find(|rule| name(rule) == case.alert).unwrap();
    let alerts: Vec<_> = case
        .fires
        .iter()
        .map(|labels| {
            let mut labels: Value = serde_yaml::from_str(labels).unwrap();
            let annotations = annotations(rule, &labels);
            labels["severity"] = rule["labels"]["severity"].clone();
            json!({ "exp_labels": labels, "exp_annotations": annotations })
        })
        .collect();
    json!({
        "name": format!("{}: {}", case.alert, case.about),
        "interval": "1m",
        "input_series": case.series.iter().map(|text| series(text)).collect::<Vec<_>>(),
        "alert_rule_test": [{ "eval_time": AT, "alertname": case.alert, "exp_alerts": alerts }],
    })
}

/// The cases with these rules, and what `promtool` is told to run.
fn folder(rules: &[Value]) -> Folder {
    let folder = Folder::new("alerts").unwrap();
    let file = json!({ "groups": [{ "name": "all", "rules": rules }] });
    folder.write("rules.yaml", &file.to_string()).unwrap();
    let tests: Vec<_> = CASES.iter().map(|case| test(rules, case)).collect();
    let tests = json!({ "rule_files": ["rules.yaml"], "evaluation_interval": "30s", "tests": tests });
    folder.write("tests.yaml", &tests.to_string()).unwrap();
    folder
}

#[test]
fn every_alert_fires_when_it_should_and_only_then() {
    let rules = rules();
    for rule in &rules {
        for fires in [true, false] {
            let is_there =
                CASES.iter().any(|case| case.alert == name(rule) && case.fires.is_empty() != fires);
            assert!(is_there, "{} has no case where fires = {fires}", name(rule));
        }
    }
    promtool(&["test", "rules"], &folder(&rules).path().join("tests.yaml"));
}

/// The cases notice every alert that always fires, and every one that never does.
#[test]
fn a_case_fails_for_every_alert_that_is_broken() {
    for expression in ["vector(1)", "vector(1) > 1"] {
        let mut broken = rules();
        for rule in &mut broken {
            rule["expr"] = json!(expression);
        }
        let folder = folder(&broken);
        let mut promtool = Command::new("promtool");
        let output = promtool.args(["test", "rules"]).arg(folder.path().join("tests.yaml")).output().unwrap();
        assert!(!output.status.success());
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        for rule in &broken {
            let complaint = format!("alertname: {},", name(rule));
            assert!(text.contains(&complaint), "{expression}, {complaint}: {text}");
        }
    }
}
