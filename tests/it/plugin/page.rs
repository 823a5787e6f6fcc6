//! `docs/kubectl-plugin.md`: its examples are what the tests see.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use mediaorigin_crds::policy::Class;
use mediaorigin_kubectl::streams;
use mediaorigin_origin::streams::Streams;

use super::{plugin, run, text};

/// What stands in front of an example.
const MARK: &str = "<!-- example: ";

/// The page with every example as it is now.
fn fresh(page: &str) -> String {
    let mut fresh = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        writeln!(fresh, "{line}").unwrap();
        let Some(name) = line.strip_prefix(MARK).and_then(|rest| rest.strip_suffix(" -->")) else { continue };
        let fence = lines.next().unwrap_or_default();
        assert!(fence.starts_with("```"), "{name}: no example follows, but {fence}");
        // Up to the end of the old one.
        assert!(lines.any(|line| line == "```"), "{name}: its example has no end");
        writeln!(fresh, "{fence}\n{}\n```", example(name).trim_end()).unwrap();
    }
    fresh
}

/// `help`, `streams`, or a script and the first of its steps of a name.
fn example(name: &str) -> String {
    match name.split_once(' ') {
        None if name == "help" => help(),
        None if name == "streams" => streams::text(&a_stream()),
        Some((script, step)) => step_of(script, step),
        None => panic!("there is no example {name}"),
    }
}

fn help() -> String {
    let output = run(plugin(), &["--help"], "");
    assert_eq!(output.status.code(), Some(0));
    text(&output.stdout)
}

fn step_of(script: &str, step: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/plugin").join(script);
    let script = std::fs::read_to_string(path).unwrap();
    let output = script.lines().skip_while(|line| *line != step).skip(1);
    let output: Vec<&str> = output.take_while(|line| line.starts_with('>')).collect();
    assert!(!output.is_empty(), "there is no step {step}");
    output
        .iter()
        .map(|line| line.trim_start_matches('>').strip_prefix(' ').unwrap_or_default())
        .fold(String::new(), |text, line| text + line + "\n")
}

/// What an origin says of a stream with two renditions, of which one stopped, and one segment of the other never came.
fn a_stream() -> streams::Reports {
    let known = Streams::default();
    let at = |seconds: u64| Duration::from_secs(seconds);
    for number in 1..=30_u64 {
        if number != 17 {
            known.committed(&format!("live/ch1/720p/seg{number}.m4s"), Class::Segment, at(number * 2));
        }
        if number <= 12 {
            known.committed(&format!("live/ch1/360p/seg{number}.m4s"), Class::Segment, at(number * 2));
        }
        known.committed("live/ch1/index.m3u8", Class::Manifest, at(number * 2));
    }
    let report = serde_json::to_value(known.report(Duration::from_millis(61_500))).unwrap();
    BTreeMap::from([
        ("live-7c9d-x2x4q".to_owned(), Ok(report)),
        ("live-7c9d-zz9gk".to_owned(), Err("cannot ask pod media/live-7c9d-zz9gk through the API server: pods \"live-7c9d-zz9gk\" is forbidden".to_owned())),
    ])
}

/// `UPDATE=1` rewrites the examples.
#[test]
fn generated_the_page_about_the_plugin_shows_what_it_prints() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/kubectl-plugin.md");
    let page = std::fs::read_to_string(path).unwrap();
    let fresh = fresh(&page);
    if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
        std::fs::write(path, fresh).unwrap();
        return;
    }
    assert_eq!(page, fresh);
    assert!(page.matches(MARK).count() > 5);
}

/// A program gets the reports as the pods wrote them.
#[test]
fn streams_as_json_are_what_the_pods_wrote() {
    let reports = a_stream();
    let json = streams::json(&reports);
    assert_eq!(json["pods"][0]["pod"], "live-7c9d-x2x4q");
    assert_eq!(&json["pods"][0]["report"], reports["live-7c9d-x2x4q"].as_ref().unwrap());
    assert_eq!(json["pods"][0]["report"]["streams"][0]["renditions"][1]["missingNumbers"][0], 17);
    assert!(json["pods"][1]["error"].as_str().unwrap().contains("forbidden"));
}
