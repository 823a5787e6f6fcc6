//! HTTP/2 as h2spec sees it: in clear text by prior knowledge, and over TLS.

use std::process::Command;

use mediaorigin_crds::load;
use mediaorigin_origin::{Options, Running, start_blocking};
use mediaorigin_tests::apiserver::tool;
use mediaorigin_tests::folder::Folder;
use mediaorigin_tests::peer::Peer;
use rcgen::{CertifiedKey, generate_simple_self_signed};

/// Cases of h2spec 2.2.1 with the strict ones.
const CASES: usize = 146;

/// Cases that fail in clear text, each with the reason.
const EXPECTED: [(&str, &str); 1] = [(
    "2: Sends invalid connection preface",
    "the port speaks HTTP/1.1 as well: it answers 400 in its words and closes, where h2spec wants the close alone",
)];

/// Names of the cases that failed, of all.
fn failures(port: u16, extra: &[&str]) -> Vec<String> {
    let arguments = ["-h", "127.0.0.1", "-P", "/live/a.ts", "-o", "5", "--strict", "-p"];
    let output = Command::new(tool("h2spec").unwrap())
        .args(arguments)
        .arg(port.to_string())
        .args(extra)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&format!("{CASES} tests, ")), "{text}");
    let (_, failures) = text.split_once("Failures:").unwrap_or_default();
    failures.lines().filter_map(|line| line.trim().strip_prefix("× ")).map(str::to_owned).collect()
}

/// Cases that break the rules on a stream whose answer h2spec may have had to its end by then. Where the stream is over,
/// the server has nothing left to reset (RFC 9113 §5.1, "closed"): a third of the runs on a machine with nothing else to do.
const RACES: [&str; 3] = [
    "3: Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream",
    "8: closed: Sends a DATA frame after sending RST_STREAM frame",
    "9: closed: Sends a HEADERS frame after sending RST_STREAM frame",
];

/// Runs of which a case must fail all: on a busy machine others race with h2spec's own connection, and what is wrong with
/// the server fails every time.
const RUNS: usize = 3;

/// Names of the cases that fail every time and are no race with an answer.
fn faults(port: u16, extra: &[&str], expected: &[&str]) -> Vec<String> {
    let run = || {
        let mut failures = failures(port, extra);
        failures.retain(|name| !RACES.contains(&name.as_str()));
        failures
    };
    let mut faults = run();
    for _ in 1..RUNS {
        if faults == expected {
            break;
        }
        let again = run();
        faults.retain(|name| again.contains(name));
    }
    faults
}

#[test]
fn h2spec_passes_in_clear_text_but_for_what_http_1_has_to_say() {
    let running = start_blocking(load::built_in().unwrap(), Options::default()).unwrap();
    let put =
        Peer::connect(running.media_addr).unwrap().request("PUT", "/live/a.ts", &[], Some(b"abc")).unwrap();
    assert_eq!(put.head.status, 201);
    let expected = EXPECTED.map(|(name, _)| name);
    assert_eq!(faults(running.media_addr.port(), &[], &expected), expected);
}

/// An origin with a certificate.
pub(crate) fn with_tls() -> Running {
    let folder = Folder::new("tls").unwrap();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    folder.write("tls.crt", &cert.pem()).unwrap();
    folder.write("tls.key", &signing_key.serialize_pem()).unwrap();
    let options = Options { tls_dir: Some(folder.path().to_owned()), ..Options::default() };
    start_blocking(load::built_in().unwrap(), options).unwrap()
}

#[test]
fn h2spec_passes_over_tls() {
    let running = with_tls();
    assert_eq!(faults(running.media_addr.port(), &["-t", "-k"], &[]), Vec::<String>::new());
}
