//! `docs/capability-levels.md` against the tests that it names.

use std::collections::BTreeSet;

use super::conformance::{function, sources};
use super::root;

/// The names in a cell; none for an honest "not there".
fn names(cell: &str) -> Vec<&str> {
    if cell.starts_with("not there") {
        return Vec::new();
    }
    cell.split(", ").map(|name| name.trim_matches('`')).collect()
}

#[test]
fn every_claim_about_a_level_names_a_test_that_exists() {
    let page = std::fs::read_to_string(root().join("docs/capability-levels.md")).unwrap();
    let mut tests = BTreeSet::new();
    for path in sources() {
        let text = std::fs::read_to_string(path).unwrap();
        tests.extend(text.lines().filter_map(function).map(str::to_owned));
    }
    let rows: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.rsplit_once(" | "))
        .collect();
    assert!(rows.len() > 25, "only {} rows", rows.len());
    let exists = |name: &str| match name.strip_suffix(".txt") {
        Some(_) => root().join("tests/scenarios/operator").join(name).exists(),
        None => tests.contains(name),
    };
    let claims = rows.iter().filter(|(what, _)| *what != "what").flat_map(|(_, cell)| names(cell));
    let missing: Vec<_> = claims.filter(|name| !exists(name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
