//! Streams into the fleet, and what became of their uploads.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use mediaorigin_tests::capture::{Capture, Sent};
use mediaorigin_tests::cdn::Cache;
use mediaorigin_tests::peer;

use super::on_every_pod;
use crate::e2e::stream::push;
use crate::e2e::uploads::{acknowledged_segments, compare};
use crate::e2e::{FLEET_PORT, eventually, media};

/// What ffmpeg says of DASH by HTTP in any case.
const OF_HTTP: &str = "Cannot use rename on non file protocol";

/// A stream into the fleet.
pub(super) struct Push {
    pub(super) name: &'static str,
    capture: Capture,
    encoder: std::process::Child,
}

/// What became of it.
pub(super) struct Pushed {
    /// What the encoder had to complain of.
    pub(super) complaints: String,
    /// Uploads that were refused, or not answered.
    pub(super) refused: Vec<Refused>,
    /// Whether everything was answered in the end. What was on its way to a node without power when the encoder gave it up is not.
    pub(super) settled: anyhow::Result<()>,
}

/// An upload that was not acknowledged.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) began: Instant,
    pub(super) path: String,
    answer: String,
}

impl Push {
    /// To `way`, until the first playlist or manifest is there, whose path in the folder of the stream is `first`.
    pub(super) fn start(
        name: &'static str,
        (way, seconds): (SocketAddr, u64),
        settings: &[(&str, &str)],
        first: &str,
    ) -> (Self, String) {
        static STREAMS: AtomicUsize = AtomicUsize::new(0);
        let capture = Capture::start(way).unwrap();
        // Not that of an earlier run, nor of another test, which the log of the fleet may know.
        let number = STREAMS.fetch_add(1, Ordering::Relaxed);
        let folder = format!("/live/{name}-{}-{number}", std::process::id());
        let encoder = push(&format!("http://{}{folder}", capture.address), seconds, settings);
        let first = format!("{folder}/{first}");
        eventually("the first playlist is there", 30, || {
            peer::fetch(media(FLEET_PORT), "GET", &first).is_ok_and(|answer| answer.head.status == 200)
        });
        (Self { name, capture, encoder }, first)
    }

    /// The encoder has not ended before the last fault.
    pub(super) fn goes_on(&mut self) {
        assert!(self.encoder.try_wait().unwrap().is_none(), "{}: the encoder has ended", self.name);
    }

    /// Waits for the end of the encoder; all that was acknowledged is served as it was sent, by every pod.
    pub(super) fn end(self) -> Pushed {
        let encoder = self.encoder.wait_with_output().unwrap();
        let complaints = String::from_utf8_lossy(&encoder.stderr).into_owned();
        assert!(encoder.status.success(), "the encoder: {complaints}");
        let complaints = complaints.lines().filter(|line| !line.contains(OF_HTTP)).collect();
        let settled = self.capture.settle();
        let sent = self.capture.sent().unwrap();
        let refused = sent.iter().filter(|sent| !sent.is_acknowledged()).map(Refused::of);
        let refused: Vec<_> = refused.collect();
        for Refused { began, path, answer } in &refused {
            println!("{}: after {:?} {path}: {answer}", self.name, *began - sent[0].began);
        }
        let compared = compare(media(FLEET_PORT), &sent);
        assert!(compared > 60, "only {compared} objects were acknowledged");
        on_every_pod(&acknowledged_segments(&sent));
        println!("{}: {compared} objects, {} uploads not acknowledged", self.name, refused.len());
        Pushed { complaints, refused, settled }
    }
}

impl Refused {
    fn of(sent: &Sent) -> Self {
        let answer = format!("{:?} {}", sent.status, sent.said.lines().next().unwrap_or_default());
        Self { began: sent.began, path: sent.target.clone(), answer }
    }
}

/// DASH through examples/encoder-proxy.conf, which sends again what ffmpeg's muxer does not.
pub(super) struct Proxied {
    pub(super) push: Push,
    _nginx: Cache,
}

impl Proxied {
    pub(super) fn start(seconds: u64) -> Self {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/encoder-proxy.conf");
        let configuration =
            std::fs::read_to_string(file).unwrap().replace("listen 127.0.0.1:8090;", "listen 80;");
        let nginx = Cache::nginx(media(FLEET_PORT), &configuration).unwrap();
        let settings = [("PUSH_HLS", ""), ("PUSH_EXTRA_WINDOW", "1000")];
        let (push, _) = Push::start("proxied", (nginx.address, seconds), &settings, "dash/manifest.mpd");
        Self { push, _nginx: nginx }
    }

    /// No segment is missing, and the encoder has noticed nothing. Manifests are not sent again: the next is never far.
    pub(super) fn end(self) {
        let Pushed { complaints, refused, settled } = self.push.end();
        settled.unwrap();
        let missing: Vec<_> = refused.iter().filter(|refused| refused.path.contains(".m4s")).collect();
        assert!(complaints.is_empty() && missing.is_empty(), "{complaints}{missing:?}");
    }
}
