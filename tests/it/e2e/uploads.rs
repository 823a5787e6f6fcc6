//! What an encoder sent, and what the origin makes of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use mediaorigin_origin::manifest::is_earlier_state;
use mediaorigin_tests::capture::Sent;
use mediaorigin_tests::peer;

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
        let answer = peer::fetch(origin, "GET", path).unwrap();
        assert_eq!(answer.head.status, 200, "{path}");
        // Of two manifests that were on their way together the later state counts.
        let overtaken = last > 0 && is_earlier_state(&uploads[last].body, &uploads[last - 1].body);
        let first = if overtaken { last - 1 } else { last };
        assert!(
            uploads[first..].iter().any(|upload| upload.body == answer.body),
            "{path} is none of the uploads from the last acknowledged one on"
        );
        compared += 1;
    }
    compared
}
