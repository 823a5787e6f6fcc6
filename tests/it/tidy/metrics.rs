//! `docs/metrics.md` against what an origin says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use mediaorigin_crds::load;
use mediaorigin_origin::{Options, Running, start_blocking};
use mediaorigin_tests::folder::Folder;
use mediaorigin_tests::peer::{Answer, Peer, fetch};

use crate::fleet;
use crate::golden;
use crate::http2::with_tls;
use crate::monitoring::operator;

const PAGE: &str = "docs/metrics.md";
const OPERATOR_PAGE: &str = "docs/operator-metrics.md";

/// Type, labels and help of a metric.
type Family = (String, BTreeSet<String>, String);

fn scrape(running: &Running, accept: &str) -> Answer {
    let headers = [("Accept".to_owned(), accept.to_owned()), ("Connection".to_owned(), "close".to_owned())];
    Peer::connect(running.admin_addr).unwrap().request("GET", "/metrics", &headers, None).unwrap()
}

/// An origin to which everything has happened that makes a label.
fn busy() -> Running {
    let running = start_blocking(load::built_in().unwrap(), Options::default()).unwrap();
    let mut peer = Peer::connect(running.media_addr).unwrap();
    for number in [1, 2, 4] {
        peer.request("PUT", &format!("/live/a/seg{number}.ts"), &[], Some(b"x")).unwrap();
    }
    peer.request("GET", "/live/a/seg1.ts?CMCD=bs", &[], None).unwrap();
    let range = [("Content-Range".to_owned(), "bytes 0-0/1".to_owned())];
    peer.request("PUT", "/live/a/seg1.ts", &range, Some(b"x")).unwrap();
    fetch(running.media_addr, "GET", "/live/none.ts").unwrap();
    running
}

/// An origin with a disk and an object store, as text.
fn below() -> String {
    let folder = Folder::new("metrics").unwrap();
    let document = format!(
        "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: below}}\nspec:\n  \
         disk: {{size: 1Gi}}\n  objectStore: {{url: \"file://{}\"}}\n",
        folder.folder("bucket").unwrap().display()
    );
    let options = Options { disk_dir: Some(folder.path().join("disk")), ..Options::default() };
    plain(&start_blocking(load::parse(&document).unwrap(), options).unwrap())
}

/// An origin of a fleet, as text, when it is ready.
fn in_a_fleet() -> String {
    let (running, _servers) = fleet::pods::alone();
    fleet::pods::wait_until("the pod to be ready", || running.origin().unready().map_or(Ok(()), Err));
    plain(&running)
}

fn plain(running: &Running) -> String {
    String::from_utf8(scrape(running, "text/plain").body).unwrap()
}

/// What origins say that have everything between them.
pub(crate) fn every_origin() -> [String; 4] {
    [plain(&with_tls()), plain(&busy()), below(), in_a_fleet()]
}

fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            let family = families.entry(name.to_owned()).or_default();
            help.trim_end_matches('.').clone_into(&mut family.2);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let family = families.entry(name.to_owned()).or_default();
            kind.clone_into(&mut family.0);
        } else if let Some((name, labels)) = line.split_once('{') {
            let family = ["_bucket", "_sum", "_count", "_total", ""]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix).filter(|name| families.contains_key(*name)));
            let labels =
                labels.split('}').next().unwrap().split("\",").filter_map(|label| label.split_once('='));
            let names = labels.map(|(name, _)| name.to_owned()).filter(|name| name != "le");
            families.get_mut(family.unwrap()).unwrap().1.extend(names);
        }
    }
    families
}

fn table(families: &BTreeMap<String, Family>) -> String {
    let mut table = String::new();
    for (name, (kind, labels, help)) in families {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(table, "| `{name}` | {kind} | {} | {help} |", labels.join(", ")).unwrap();
    }
    table
}

/// `UPDATE=1` rewrites the table.
#[test]
fn generated_the_page_about_metrics_says_what_an_origin_says() {
    let mut all = BTreeMap::new();
    // The last one has the most labels.
    let [tls, busy, below, fleet] = every_origin();
    for text in [fleet, below, tls, busy] {
        all.extend(families(&text));
    }
    check(PAGE, &all);
}

/// `UPDATE=1` rewrites the table.
#[test]
fn generated_the_page_about_the_operators_metrics_says_what_it_says() {
    // Its names are those of OpenMetrics: what is counted is named without the end of the samples.
    let mut all = BTreeMap::new();
    for (name, family) in families(&operator()) {
        let suffix = if family.0 == "counter" { "_total" } else { "" };
        all.insert(name + suffix, family);
    }
    check(OPERATOR_PAGE, &all);
}

fn check(page: &str, families: &BTreeMap<String, Family>) {
    let text = golden::read(page);
    let (before, _) = text.split_once("|---|---|---|---|\n").unwrap();
    golden::check(page, &format!("{before}|---|---|---|---|\n{}", table(families)));
}

#[test]
fn a_scraper_is_given_the_format_that_it_asks_for() {
    let running = busy();
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                      text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    for (accept, is_open) in [
        (prometheus, true),
        ("application/openmetrics-text", true),
        ("text/plain", false),
        ("*/*", false),
        ("", false),
        ("application/openmetrics-text;q=0", false),
        ("application/openmetrics-text;q=0.1, text/plain;q=0.9", false),
    ] {
        let answer = scrape(&running, accept);
        let kind = answer.head.header("content-type").unwrap();
        let text = String::from_utf8(answer.body).unwrap();
        if is_open {
            assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8", "{accept}");
            assert!(
                text.contains("\n# TYPE mediaorigin_requests counter\n") && text.ends_with("# EOF\n"),
                "{text}"
            );
        } else {
            assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8", "{accept}");
            assert!(
                text.contains("\n# TYPE mediaorigin_requests_total counter\n") && !text.contains("# EOF"),
                "{text}"
            );
        }
        assert!(text.contains("\nmediaorigin_cmcd_starvations_total 1\n"), "{text}");
        assert!(text.contains("mediaorigin_stream_missing_segments{stream=\"live/a\"} 1\n"), "{text}");
        assert_eq!(answer.head.header("vary"), Some("Accept"));
    }
}
