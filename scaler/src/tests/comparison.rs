//! The bar: the same traces through our decisions, a `HorizontalPodAutoscaler` and Knative's autoscaler.

use crate::reason::Reason;
use crate::simulator::ours::Ours;
use crate::simulator::scenarios::{CHANGE, compare, day, ramp, sawtooth, seconds_until_asked};
use crate::simulator::trace::{Trace, TraceError};
use crate::simulator::{Settings, plot, run, table};

use super::world::{fifty, start};

/// Phases of the clocks; the table of the documentation has more.
const PHASES: u32 = 20;

fn settings() -> Settings {
    Settings::new(start())
}

#[test]
fn steps_are_answered_within_a_second_and_a_half() {
    for factor in [1.5, 3.0, 10.0] {
        let [ours, hpa, knative] = seconds_until_asked(&ramp(factor, 0), &fifty(""), &settings(), PHASES);
        println!("step {factor}: ours {ours:?}, HPA {hpa:?}, Knative {knative:?}");
        assert!(ours.1 <= 1.5, "{factor}: {ours:?}");
        assert!(hpa.0 >= 20.0 && knative.0 >= 4.0, "{factor}: {hpa:?}, {knative:?}");
    }
}

#[test]
fn ramps_are_answered_before_they_end() {
    for factor in [3.0, 10.0] {
        let [ours, hpa, knative] = seconds_until_asked(&ramp(factor, 30), &fifty(""), &settings(), PHASES);
        println!("ramp {factor}: ours {ours:?}, HPA {hpa:?}, Knative {knative:?}");
        assert!(ours.1 < 30.0, "{factor}: {ours:?}");
        assert!(hpa.0 > 30.0, "{factor}: {hpa:?}, {knative:?}");
    }
}

#[test]
fn a_sawtooth_moves_nothing_once_its_top_was_seen() {
    let runs = compare(&sawtooth(), &fifty(""), &settings());
    let [ours, ..] = &runs;
    let last = ours.changes.last().unwrap();
    assert!(ours.turns() == 0 && last.0 < i64::from(CHANGE + 62) * 1_000, "{}", table::summary(&runs));
    // Twelve are needed at the top; nothing was ordered twice.
    assert!((12..=13).contains(&last.1), "{}", table::changes(ours));
}

#[test]
fn an_outage_of_the_metrics_holds_and_a_restart_shrinks_nothing() {
    let spec = fifty("");
    let trace = ramp(3.0, 0);
    // Nobody answers from ten seconds before the step until a minute after.
    let outage = Settings { outage: Some((80, 150)), ..settings() };
    let run_outage = run(&trace, &spec, &outage, &mut Ours::new(&spec));
    let asked = |second: usize| run_outage.seconds[second].asked;
    assert_eq!((asked(79), asked(140), asked(155)), (4, 4, 12), "{}", table::changes(&run_outage));
    // The load falls to a third while the operator is away, and rises again.
    let fall = Trace { loads: trace.loads.iter().rev().copied().collect() };
    let restart = Settings { restart: Some(200), replicas: Some(14), ..settings() };
    let run_restart = run(&fall, &spec, &restart, &mut Ours::new(&spec));
    assert!(run_restart.seconds.iter().all(|second| second.asked == 14), "{}", table::changes(&run_restart));
    let reason = Reason::Starting;
    let mut ours = Ours::new(&spec);
    run(&fall, &spec, &restart, &mut ours);
    assert_eq!(ours.last().unwrap().reason, reason);
}

#[test]
fn a_day_costs_no_more_than_a_tenth_above_what_was_needed() {
    let spec = fifty("minReplicas: 2");
    let mut ours = Ours::new(&spec);
    let day = run(&day(), &spec, &settings(), &mut ours);
    println!("{}", table::summary(std::slice::from_ref(&day)));
    assert!(day.cost() <= 1.10, "{}", day.cost());
    assert!(day.shed() < 0.001, "{}", day.shed());
}

#[test]
fn a_trace_is_read_by_the_names_of_its_columns() {
    let trace =
        Trace::parse("time, connections,egressMegabitsPerSecond\n12:00:01,5,8\n\n12:00:02, 6 ,16.5\n")
            .unwrap();
    let loads = |second: usize| crate::Dimension::ALL.map(|d| trace.loads[second][d]);
    assert_eq!((loads(0), loads(1)), ([1e6, 0.0, 5.0, 0.0], [2_062_500.0, 0.0, 6.0, 0.0]));
    for (text, error) in [
        ("", TraceError::Columns),
        ("time,load\n1,2\n", TraceError::Columns),
        ("connections\n", TraceError::Length(0)),
        ("time,connections\n1,2\n3\n", TraceError::Line(3, "3".to_owned())),
        ("connections\n-1\n", TraceError::Line(2, "-1".to_owned())),
        ("connections\nNaN\n", TraceError::Line(2, "NaN".to_owned())),
    ] {
        assert_eq!(Trace::parse(text), Err(error), "{text}");
    }
}

#[test]
fn a_picture_has_a_line_for_everybody_and_is_bounded() {
    let runs = compare(&ramp(3.0, 0), &fifty(""), &settings());
    let svg = plot::svg("a <step>", &runs);
    assert_eq!(svg.matches("stroke-width=\"1.5\"").count(), 2 * 3 + 2);
    assert!(
        svg.contains("a &lt;step&gt;") && svg.ends_with("</svg>\n") && svg.len() < 60_000,
        "{}",
        svg.len()
    );
}
