//! `docs/conformance-operator.md` against the tests that it names.

use super::conformance::unproven;
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
    let numbers: Vec<u32> = text.lines().filter_map(|line| Some(row(line)?.0)).collect();
    assert_eq!(numbers, (1..=ROWS).collect::<Vec<_>>());
    let wrong = unproven("tests/scenarios/operator", text.lines().filter_map(row));
    assert_eq!(wrong, Vec::<String>::new());
}
