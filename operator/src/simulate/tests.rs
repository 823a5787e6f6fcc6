//! What the command prints, and the pages that it makes: `UPDATE=1` rewrites them.

use std::fmt::Write;
use std::path::Path;

use mediaorigin_crds::autoscaling::Autoscaling;
use mediaorigin_scaler::simulator::scenarios::{compare, day, kick_off, ramp, sawtooth, seconds_until_asked};

use super::*;

const FILE: &str = "examples/live-event.yaml";
const PAGE: &str = "docs/autoscaling.md";
/// Phases of the clocks of each autoscaler.
const PHASES: u32 = 50;

fn options() -> Options {
    Options {
        start: Timestamp::UNIX_EPOCH,
        ready_seconds: 5,
        drain_seconds: 10,
        replicas: None,
        compare: true,
    }
}

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(name))
        .unwrap_or_default()
}

/// A file of the checkout is this; `UPDATE=1` makes it so.
fn check(name: &str, expected: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(name), expected).unwrap();
    }
    assert!(read(name) == expected, "{name} is stale: make generate");
}

/// What stands in a page between two comments is this.
fn check_part(page: &str, part: &str, expected: &str) {
    let text = read(page);
    let (begin, end) = (format!("<!-- {part}: made by a test -->\n"), format!("<!-- end of {part} -->"));
    let (before, rest) = text.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    check(page, &format!("{before}{begin}{expected}{end}{after}"));
}

/// Up to fifty pods of a hundred megabits.
fn fifty() -> Autoscaling {
    let text = "{apiVersion: mediaorigin.io/v1alpha1, kind: MediaOrigin, metadata: {name: live}, spec: {coordination: {nats: {url: 'nats://nats'}}, \
                autoscaling: {mode: Internal, minReplicas: 2, maxReplicas: 50, targets: {egressMegabitsPerSecond: 100}}}}";
    autoscaling(text).unwrap().2
}

#[test]
fn generated_traces_and_pictures_are_what_the_command_makes() {
    for (name, trace) in [("kick-off", kick_off()), ("sawtooth", scaled(&sawtooth(), 20.0))] {
        check(&format!("docs/autoscaling/{name}.csv"), &trace.csv());
        let simulated = simulate(&read(FILE), &trace.csv(), &options()).unwrap();
        check(&format!("docs/autoscaling/{name}.svg"), &simulated.picture);
        check_part(PAGE, name, &format!("```text\n{}```\n", simulated.text));
    }
}

fn scaled(trace: &Trace, factor: f64) -> Trace {
    let loads = trace.loads.iter().map(|load| mediaorigin_scaler::Loads::by(|d| (load[d] * factor).round()));
    Trace { loads: loads.collect() }
}

/// The bar: half the table is what the tests of the scaler assert.
#[test]
fn generated_the_comparison_is_what_the_simulator_says() {
    let spec = fifty();
    let settings = Settings::new(Timestamp::UNIX_EPOCH);
    let mut table = String::from("| load | this operator | HPA | Knative |\n|---|---|---|---|\n");
    for (name, trace) in [
        ("1.5 times at once", ramp(1.5, 0)),
        ("3 times at once", ramp(3.0, 0)),
        ("10 times at once", ramp(10.0, 0)),
        ("3 times within 30 s", ramp(3.0, 30)),
        ("10 times within 30 s", ramp(10.0, 30)),
    ] {
        let times = seconds_until_asked(&trace, &spec, &settings, PHASES);
        let cells = times.map(|(mean, longest)| format!("{mean:.1} s, {longest:.1} s"));
        writeln!(table, "| {name}: until asked for, mean and longest | {} |", cells.join(" | ")).unwrap();
    }
    let runs = compare(&day(), &spec, &settings);
    let row = |name: &str, cell: &dyn Fn(&Run) -> String| {
        format!("| a day: {name} | {} |\n", runs.each_ref().map(cell).join(" | "))
    };
    table += &row("pods asked for, by those needed", &|run| format!("{:.1} %", run.cost() * 100.0));
    table += &row("share of the load that was shed", &|run| format!("{:.3} %", run.shed() * 100.0));
    table += &row("changes", &|run| (run.changes.len() - 1).to_string());
    check_part(PAGE, "comparison", &table);
    assert!(runs[0].cost() <= 1.1 && runs[0].shed() <= runs[1].shed(), "{table}");
}

#[test]
fn what_cannot_be_simulated_is_refused_with_the_field() {
    let origin = |spec: &str| {
        format!(
            "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: live}}\nspec: {spec}\n"
        )
    };
    let internal = origin("{autoscaling: {mode: Internal, maxReplicas: 1}}");
    let egress = "egressMegabitsPerSecond\n1\n2\n";
    for (file, trace, field) in [
        (origin("{}"), egress, "spec.autoscaling.mode"),
        (origin("{autoscaling: {mode: Internal, maxReplicas: 3}}"), egress, "spec.autoscaling.maxReplicas"),
        (format!("{internal}---\n{internal}"), egress, ""),
        (internal.clone(), "second\n1\n", "trace"),
        (internal.clone(), egress, "spec.autoscaling.targets"),
    ] {
        let problems = simulate(&file, trace, &options()).unwrap_err();
        assert_eq!(problems[0].field, field, "{problems:?}");
    }
    // CPU is given with a pod.
    assert!(simulate(&internal, "cpuCores\n0.1\n0.2\n", &options()).is_ok());
}
