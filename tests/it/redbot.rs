//! redbot, which knows the specifications better than most, on what players and CDNs ask for.

use std::path::Path;
use std::process::Command;

use mediaorigin_crds::load;
use mediaorigin_origin::{Options, start_blocking};
use mediaorigin_tests::peer::Peer;

/// Proves HT-15: playlist, segment and 404 have no bad note.
#[test]
fn ht_15_redbot_has_nothing_bad_to_say() {
    let running = start_blocking(load::built_in().unwrap(), Options::default()).unwrap();
    let mut peer = Peer::connect(running.media_addr).unwrap();
    let segments = "#EXTINF:6.000000,\nseg1.m4s\n".repeat(60);
    let playlist =
        format!("#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:1\n{segments}");
    let segment = [&b"\0\0\0\x18stypmsdh\0\0\0\0msdhmsix"[..], &[7; 9_000]].concat();
    for (path, body) in [("/live/ch1/a.m3u8", playlist.as_bytes()), ("/live/ch1/seg1.m4s", &segment)] {
        let answer = peer.request("PUT", path, &[], Some(body)).unwrap();
        assert_eq!(answer.head.status, 201);
    }
    let urls = ["a.m3u8", "seg1.m4s", "seg2.m4s"]
        .map(|name| format!("http://{}/live/ch1/{name}", running.media_addr));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("redbot");
    let output = Command::new(script).args(&urls).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // It has really looked: at all three, at ranges, at conditions and at compression.
    for expected in [
        "GOOD CONNEG_GZIP_GOOD",
        "GOOD RANGE_CORRECT",
        "GOOD INM_304",
        "GOOD IMS_304",
        "GOOD FRESHNESS_FRESH",
    ] {
        assert!(text.contains(expected), "{expected}:\n{text}");
    }
    assert_eq!(text.lines().filter(|line| line.starts_with("# http://")).count(), 3);
    let bad: Vec<_> = text.lines().filter(|line| line.starts_with("BAD ")).collect();
    assert_eq!(bad, Vec::<&str>::new(), "{text}");
}
