//! `docs/conformance.md` against the scripts and tests that it names, and against what they say that they prove.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::PathBuf;

use super::{files, root};

/// Rows that the page must have, by family: the first and the last.
const ROWS: [(&str, u32, u32); 9] = [
    ("MS", 1, 29),
    ("CP", 4, 14),
    ("IN", 1, 23),
    ("FQ", 1, 16),
    ("RW", 1, 9),
    ("HT", 1, 16),
    ("TM", 4, 4),
    ("TM", 8, 8),
    ("OP", 3, 6),
];

/// Names of tests and scripts, in order.
pub(super) type Names = Vec<String>;

/// What scripts (`proves RW-01`) and tests (`/// Proves RW-01, RW-02: …`) say that they prove, by row.
fn claims() -> BTreeMap<String, BTreeSet<String>> {
    let mut claims: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut scripts = Vec::new();
    files(&root().join("tests/scenarios/origin"), "txt", &mut scripts);
    for path in scripts {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            for row in line.strip_prefix("proves ").unwrap_or_default().split_whitespace() {
                claims.entry(row.to_owned()).or_default().insert(name.clone());
            }
        }
    }
    for path in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines = text.lines().map(str::trim);
        while let Some(line) = lines.next() {
            let Some(rest) = line.strip_prefix("/// Proves ") else { continue };
            let name = lines.by_ref().find_map(function).unwrap();
            let words = rest.split(' ').map(|word| word.trim_end_matches([',', ':', '.']));
            let rows: Names =
                words.take_while(|word| is_row(word) || *word == "and").map(str::to_owned).collect();
            assert!(!rows.is_empty(), "{}: \"{line}\" names no row of the checklist", path.display());
            for row in rows.iter().filter(|row| is_row(row)) {
                claims.entry(row.to_owned()).or_default().insert(name.to_owned());
            }
        }
    }
    claims
}

pub(super) fn sources() -> Vec<PathBuf> {
    let mut sources = Vec::new();
    for folder in ["crds/src", "index/src", "operator/src", "origin/src", "tests/src", "tests/it"] {
        files(&root().join(folder), "rs", &mut sources);
    }
    sources
}

pub(super) fn function(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("fn ").filter(|(before, _)| !before.starts_with("//"))?;
    rest.split(['(', '<']).next()
}

fn is_row(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 5
        && bytes[2] == b'-'
        && bytes[..2].iter().all(u8::is_ascii_uppercase)
        && bytes[3..].iter().all(u8::is_ascii_digit)
}

/// The row of a line of the page, what stands before its proofs, and the proofs.
fn row(line: &str) -> Option<(&str, &str, &str)> {
    let id = line.strip_prefix("| ")?.split(' ').next().filter(|id| is_row(id))?;
    let (before, proofs) = line.strip_suffix(" |")?.rsplit_once(" | ")?;
    Some((id, before, proofs))
}

/// The names in a cell; none for an honest "no".
pub(super) fn names(cell: &str) -> Names {
    if cell.starts_with("no: ") {
        return Vec::new();
    }
    cell.split(", ").map(|name| name.trim_matches('`').to_owned()).collect()
}

/// The line with what scripts and tests prove added; "no" makes way for it.
fn completed(line: &str, claims: &BTreeMap<String, BTreeSet<String>>) -> String {
    let Some((id, before, cell)) = row(line) else { return line.to_owned() };
    let mut proofs = names(cell);
    for name in claims.get(id).into_iter().flatten() {
        if !proofs.contains(name) {
            proofs.push(name.clone());
        }
    }
    if proofs.is_empty() {
        return line.to_owned();
    }
    let proofs: Vec<_> = proofs.iter().map(|name| format!("`{name}`")).collect();
    format!("{before} | {} |", proofs.join(", "))
}

/// `UPDATE=1` adds what is missing.
#[test]
fn generated_every_row_names_what_proves_it() {
    let page = root().join("docs/conformance.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let claims = claims();
    assert!(claims.len() > 40, "the scripts were not found");
    let lines: Vec<_> = text.lines().map(|line| completed(line, &claims)).collect();
    let expected = lines.join("\n") + "\n";
    if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
        std::fs::write(&page, &expected).unwrap();
    } else {
        for (is, should) in text.lines().zip(&lines) {
            assert_eq!(
                is, should,
                "docs/conformance.md: a script or test proves more than the page says: make generate"
            );
        }
    }
    let rows: Vec<&str> = expected.lines().filter_map(|line| Some(row(line)?.0)).collect();
    let unlisted: Vec<_> = claims.keys().filter(|claimed| !rows.contains(&claimed.as_str())).collect();
    assert_eq!(unlisted, Vec::<&String>::new(), "docs/conformance.md has no such rows");
}

/// What is wrong with the proofs of rows: a test or a script of `scripts` that does not exist, a no without a reason.
pub(super) fn unproven<'a>(
    scripts: &str,
    rows: impl Iterator<Item = (impl Display, &'a str)>,
) -> Vec<String> {
    let mut functions = BTreeSet::new();
    for path in sources() {
        let text = std::fs::read_to_string(path).unwrap();
        functions.extend(text.lines().filter_map(function).map(str::to_owned));
    }
    let mut wrong = Vec::new();
    for (id, cell) in rows {
        if cell.strip_prefix("no: ").is_some_and(|reason| reason.trim().is_empty()) {
            wrong.push(format!("{id}: no without a reason"));
        }
        for name in names(cell) {
            let exists = root().join(scripts).join(&name).exists()
                || name.contains('/') && root().join(&name).exists()
                || functions.contains(&name);
            if !exists {
                wrong.push(format!("{id}: there is no {name}"));
            }
        }
    }
    wrong
}

#[test]
fn every_row_is_there_once_with_a_test_that_exists_or_a_reason() {
    let text = std::fs::read_to_string(root().join("docs/conformance.md")).unwrap();
    let mut seen = BTreeMap::<&str, u32>::new();
    for (id, _, _) in text.lines().filter_map(row) {
        *seen.entry(id).or_default() += 1;
    }
    let cells = text.lines().filter_map(row).map(|(id, _, cell)| (id, cell));
    let mut wrong = unproven("tests/scenarios/origin", cells);
    for (family, first, last) in ROWS {
        for number in first..=last {
            let count = seen.get(format!("{family}-{number:02}").as_str()).copied().unwrap_or(0);
            if count != 1 {
                wrong.push(format!("{family}-{number:02} is there {count} times"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
