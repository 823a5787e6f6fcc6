//! `docs/conformance-operator.md` against the tests that it names.

use std::collections::BTreeSet;

use super::conformance::{function, names, sources};
use super::root;

/// Rows of the checklist.
const ROWS: u32 = 80;

/// The row of a line of the page, and the cell with its proofs.
fn row(line: &str) -> Option<(u32, &str)> {
    let number = line.strip_prefix("| ")?.split(' ').next()?.parse().ok()?;
    Some((number, line.strip_suffix(" |")?.rsplit_once(" | ")?.1))
}

#[test]
fn every_row_of_the_operator_is_there_once_with_a_test_that_exists_or_a_reason() {
    let text = std::fs::read_to_string(root().join("docs/conformance-operator.md")).unwrap();
    let mut functions = BTreeSet::new();
    for path in sources() {
        let text = std::fs::read_to_string(path).unwrap();
        functions.extend(text.lines().filter_map(function).map(str::to_owned));
    }
    let numbers: Vec<u32> = text.lines().filter_map(|line| Some(row(line)?.0)).collect();
    assert_eq!(numbers, (1..=ROWS).collect::<Vec<_>>());
    let mut wrong = Vec::new();
    for (number, cell) in text.lines().filter_map(row) {
        if cell.strip_prefix("no: ").is_some_and(|reason| reason.trim().is_empty()) {
            wrong.push(format!("{number}: no without a reason"));
        }
        for name in names(cell) {
            let exists = root().join("tests/scenarios/operator").join(&name).exists()
                || name.contains('/') && root().join(&name).exists()
                || functions.contains(&name);
            if !exists {
                wrong.push(format!("{number}: there is no {name}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
