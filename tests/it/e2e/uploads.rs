//! What an encoder sent, and what the origin makes of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use mediaorigin_origin::manifest::is_earlier_state;
use mediaorigin_tests::capture::Sent;
use mediaorigin_tests::peer::{self, Answer};

const CONFIRMED_WITHIN: Duration = Duration::from_secs(20);
/// Bytes of an upload that a message shows.
const SHOWN: usize = 700;

/// Segments that were uploaded once and are acknowledged.
pub(crate) fn acknowledged_segments(sent: &[Sent]) -> BTreeMap<String, Vec<u8>> {
    let is_segment = |path: &str| Path::new(path).extension().is_some_and(|extension| extension == "m4s");
    let uploads = |path: &str| sent.iter().filter(|other| other.target == path).count();
    let acknowledged = sent.iter().filter(|sent| sent.is_acknowledged() && !sent.body.is_empty());
    acknowledged
        .filter(|sent| is_segment(&sent.target) && uploads(&sent.target) == 1)
        .map(|sent| (sent.target.clone(), sent.body.clone()))
        .collect()
}

/// Of every target the last acknowledged upload is served, or one that was sent later. The number of targets.
pub(crate) fn compare(origin: SocketAddr, sent: &[Sent]) -> usize {
    let mut uploads: BTreeMap<&str, Vec<&Sent>> = BTreeMap::new();
    for upload in sent.iter().filter(|sent| sent.complete && !sent.body.is_empty()) {
        uploads.entry(&upload.target).or_default().push(upload);
    }
    let mut compared = 0;
    for (path, uploads) in uploads {
        let Some(last) = uploads.iter().rposition(|upload| upload.is_acknowledged()) else { continue };
        let answer = confirmed(origin, path);
        assert_eq!(answer.head.status, 200, "{path}");
        // Of two manifests that were on their way together the later state counts.
        let overtaken = last > 0 && is_earlier_state(&uploads[last].body, &uploads[last - 1].body);
        let first = if overtaken { last - 1 } else { last };
        assert!(
            uploads[first..].iter().any(|upload| upload.body == answer.body),
            "{path} is none of the uploads from the last acknowledged one on:\n{}\n{:?}",
            history(&uploads, &answer.body),
            answer.head
        );
        compared += 1;
    }
    compared
}

/// What is there, as the log of a fleet says: on a busy machine a manifest may be answered eagerly, with what the pod knows.
fn confirmed(origin: SocketAddr, path: &str) -> Answer {
    let deadline = Instant::now() + CONFIRMED_WITHIN;
    loop {
        let answer = peer::fetch(origin, "GET", path).unwrap();
        if answer.head.header("mediaorigin-consistency").is_none() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{path} is eager all the time: {:?}", answer.head);
    }
}

/// The last uploads of a target, and which of them is served.
fn history(uploads: &[&Sent], served: &[u8]) -> String {
    let Some(last) = uploads.last() else { return String::new() };
    let lines = uploads.iter().rev().take(6).map(|upload| {
        let before = last.began.duration_since(upload.began);
        let mark = if upload.body == served { ", served" } else { "" };
        let start = &upload.body[..upload.body.len().min(SHOWN)];
        format!("{before:?} before the last one: {:?}{mark}\n{}", upload.status, start.escape_ascii())
    });
    lines.collect::<Vec<_>>().join("\n")
}
