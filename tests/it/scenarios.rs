//! The text scripts, one runner each.

use std::path::Path;

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name)
}

#[test]
fn origin_scripts() {
    let count =
        mediaorigin_tests::scenario::run(&folder("origin")).unwrap_or_else(|error| panic!("{error:#}"));
    assert!(count > 20, "only {count} scripts were found");
}

/// `UPDATE=1` rewrites what the scripts expect.
#[test]
fn generated_planner_scripts() {
    let count =
        mediaorigin_tests::planner::run(&folder("operator")).unwrap_or_else(|error| panic!("{error:#}"));
    assert!(count > 12, "only {count} scripts were found");
}

/// What `kubectl mediaorigin` prints. `UPDATE=1` rewrites what the scripts expect.
#[test]
fn generated_plugin_scripts() {
    let count =
        mediaorigin_tests::planner::run(&folder("plugin")).unwrap_or_else(|error| panic!("{error:#}"));
    assert!(count > 5, "only {count} scripts were found");
}
