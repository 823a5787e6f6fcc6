//! Every sample that origin and operator have, by real scrapes, and what an expression asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mediaorigin_operator::admin;
use mediaorigin_operator::health::Health;
use mediaorigin_operator::metrics::{Metrics, ReconcileResult};
use mediaorigin_operator::plan::Action;
use mediaorigin_operator::plan::news::News;
use mediaorigin_scaler::decide::Input;
use mediaorigin_scaler::demand::Demand;
use mediaorigin_scaler::history::Pods;
use mediaorigin_scaler::{Decision, Dimension, Reason};
use mediaorigin_tests::peer::fetch;

use crate::tidy::metrics::every_origin;

/// Names of samples with the names of their labels.
pub(super) type Samples = BTreeMap<String, BTreeSet<String>>;

/// Labels that Prometheus adds to what it scrapes from a pod.
const OF_THE_TARGET: [&str; 4] = ["namespace", "pod", "job", "instance"];

/// One to which every dimension has something to say.
fn decision() -> Decision {
    let input = |dimension| Input {
        dimension,
        demand: Demand { level: 812.0, slope: 40.0 },
        capacity: 120.0,
        needed: 11.6,
        needed_at_most: 11.6,
    };
    Decision {
        replicas: 12,
        wanted: 12,
        reason: Reason::Demand,
        binding: None,
        inputs: Dimension::ALL.map(input).to_vec(),
        lead: Duration::from_millis(4_100),
        floor: None,
        explanation: String::new(),
        needed: None,
    }
}

/// What an operator says to which everything has happened that makes a label.
pub(crate) fn operator() -> String {
    let metrics = Arc::new(Metrics::default());
    metrics.reconciled(ReconcileResult::Ok, Duration::from_millis(5));
    metrics.asked(true, Duration::from_millis(5));
    metrics.pushed(true);
    metrics.scaling.tell(&("media".to_owned(), "live".to_owned()), &decision(), Pods::default(), 0.7);
    metrics.acted(&Action::Announce { pod: "live-1".to_owned(), news: News::Generation(1) });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(admin::listen("127.0.0.1:0".parse().unwrap())).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(admin::serve(listener, Arc::new(Health::default()), metrics));
    String::from_utf8(fetch(address, "GET", "/metrics").unwrap().body).unwrap()
}

fn read(text: &str, samples: &mut Samples) {
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let labels = line.strip_prefix(name).unwrap().strip_prefix('{').unwrap_or_default();
        let labels = labels.rsplit_once('}').map_or("", |(labels, _)| labels);
        let names = labels.split("\",").filter_map(|label| label.split_once('='));
        samples.entry(name.to_owned()).or_default().extend(names.map(|(name, _)| name.to_owned()));
    }
}

/// Every sample of both programs.
pub(super) fn samples() -> &'static Samples {
    static SAMPLES: OnceLock<Samples> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let mut samples = Samples::new();
        for text in every_origin() {
            read(&text, &mut samples);
        }
        read(&operator(), &mut samples);
        samples
    })
}

/// The metrics that an expression names, each with the labels that it selects by.
fn selectors(expression: &str) -> Vec<(&str, Vec<&str>)> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find("mediaorigin_") {
        rest = &rest[start..];
        let end = rest.find(|letter: char| letter != '_' && !letter.is_ascii_alphanumeric());
        let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
        let matchers = after.strip_prefix('{').and_then(|after| after.split_once('}'));
        let labels = matchers.map_or("", |(matchers, _)| matchers).split(',');
        let labels = labels.filter_map(|matcher| matcher.split(['=', '!']).next());
        found.push((name, labels.map(str::trim).filter(|label| !label.is_empty()).collect()));
        rest = after;
    }
    found
}

/// Labels that an expression groups by.
fn groups(expression: &str) -> Vec<&str> {
    let lists = expression.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
    lists.flat_map(|list| list.split(',').map(str::trim)).collect()
}

/// What an expression asks for that no scrape has.
pub(super) fn unknown(expression: &str) -> Vec<String> {
    let samples = samples();
    let (mut unknown, mut known) = (Vec::new(), BTreeSet::from(OF_THE_TARGET));
    for (name, labels) in selectors(expression) {
        let Some(of_the_sample) = samples.get(name) else {
            unknown.push(name.to_owned());
            continue;
        };
        known.extend(of_the_sample.iter().map(String::as_str));
        let has = |label: &str| OF_THE_TARGET.contains(&label) || of_the_sample.contains(label);
        let wrong = labels.into_iter().filter(|label| !has(label));
        unknown.extend(wrong.map(|label| format!("{name}{{{label}}}")));
    }
    let wrong = groups(expression).into_iter().filter(|label| !known.contains(label));
    unknown.extend(wrong.map(|label| format!("by ({label})")));
    unknown
}

#[test]
fn what_no_scrape_has_is_found() {
    let nothing = Vec::<String>::new();
    assert_eq!(
        unknown("sum by (namespace, outcome) (rate(mediaorigin_requests_total{status=~\"5..\"}[5m]))"),
        nothing
    );
    assert_eq!(unknown("mediaorigin_operator_reconcile_seconds_bucket{le=\"1\",pod=\"a\"}"), nothing);
    assert_eq!(
        unknown("mediaorigin_request_total{a=\"b\"} + sum by (state) (mediaorigin_ready{path=\"b\"})"),
        ["mediaorigin_request_total", "mediaorigin_ready{path}", "by (state)"]
    );
}
