//! Real ffmpeg in its odd ways against an origin in this process: what it sent is what is served.

use std::net::SocketAddr;
use std::process::{Command, Output};

use mediaorigin_crds::load;
use mediaorigin_origin::{Options, Running, start_blocking};
use mediaorigin_tests::capture::{Capture, last};
use mediaorigin_tests::peer::fetch;

/// Seconds of media that each encoder pushes, in real time.
const SECONDS: &str = "7";

struct World {
    origin: Running,
    capture: Capture,
}

impl World {
    fn start(options: Options) -> Self {
        let origin = start_blocking(load::built_in().unwrap(), options).unwrap();
        let capture = Capture::start(origin.media_addr).unwrap();
        Self { origin, capture }
    }

    fn media(&self) -> SocketAddr {
        self.origin.media_addr
    }

    /// Which of the uploads is served, and when each began.
    fn difference(&self, target: &str, uploads: &[Vec<u8>], served: &[u8]) -> String {
        let index = uploads.iter().position(|body| body == served);
        let sent = self.capture.sent().unwrap().into_iter().filter(|sent| sent.target == target);
        let sent: Vec<_> = sent.map(|sent| (sent.began, sent.complete, sent.body.len())).collect();
        let text = String::from_utf8_lossy(served);
        format!("{target}: {index:?} of {} uploads is served: {text:.2000}\nsent: {sent:?}", uploads.len())
    }

    /// Every object that was uploaded and not deleted is served as it was sent; so many at least.
    fn compare(&self, at_least: usize) {
        self.capture.settle().unwrap();
        let deleted = self.capture.deleted().unwrap();
        let mut objects = self.capture.objects().unwrap();
        objects.retain(|target, _| !deleted.contains(target));
        assert!(objects.len() >= at_least, "only {:?}", objects.keys());
        for (target, uploads) in &objects {
            let answer = fetch(self.media(), "GET", target).unwrap();
            assert_eq!(answer.head.status, 200, "{target}");
            assert!(
                last(uploads) == Some(&answer.body),
                "{}",
                self.difference(target, uploads, &answer.body)
            );
        }
    }
}

/// A small, cheap source, one second per segment, and the arguments of a muxer.
fn ffmpeg(muxer: &[&str], url: &str) -> Output {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-loglevel", "warning", "-re", "-f", "lavfi"])
        .args(["-i", "testsrc2=size=160x90:rate=10", "-re", "-f", "lavfi", "-i", "sine", "-t", SECONDS])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10", "-c:a", "aac"])
        .args(muxer)
        .arg(url)
        .output()
        .unwrap();
    assert!(output.status.success(), "ffmpeg {muxer:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn frames(url: &str) -> usize {
    let arguments = ["-v", "error", "-count_frames", "-select_streams", "v:0", "-of", "csv=p=0"];
    let output = Command::new("ffprobe")
        .args(arguments)
        .args(["-show_entries", "stream=nb_read_frames", url])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text.lines().next().and_then(|line| line.trim_matches(',').parse().ok()).unwrap_or(0)
}

const HLS: [&str; 6] = ["-f", "hls", "-hls_time", "1", "-method", "PUT"];

/// FQ-01: a connection per object, no Content-Type, the playlist does not wait for the segment.
#[test]
fn fq_01_hls_with_a_connection_per_object() {
    let world = World::start(Options::default());
    ffmpeg(
        &[&HLS[..], &["-hls_list_size", "0"]].concat(),
        &format!("http://{}/live/a/out.m3u8", world.capture.address),
    );
    world.compare(7);
    let frames = frames(&format!("http://{}/live/a/out.m3u8", world.media()));
    assert_eq!(frames, 70);
}

/// FQ-02: persistent connections are neither closed nor opened anew.
#[test]
fn fq_02_hls_over_persistent_connections() {
    let world = World::start(Options::default());
    let muxer = [&HLS[..], &["-hls_list_size", "0", "-http_persistent", "1"]].concat();
    let output = ffmpeg(&muxer, &format!("http://{}/live/a/out.m3u8", world.capture.address));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    world.compare(7);
    let connections = world.capture.connections();
    assert!(
        connections <= 3,
        "{connections} connections for {} uploads",
        world.capture.sent().unwrap().len()
    );
}

/// FQ-04: old segments are deleted with a chunked, empty body.
#[test]
fn fq_04_hls_that_deletes_segments() {
    let world = World::start(Options::default());
    let muxer =
        [&HLS[..], &["-hls_list_size", "2", "-hls_delete_threshold", "1", "-hls_flags", "delete_segments"]]
            .concat();
    ffmpeg(&muxer, &format!("http://{}/live/a/out.m3u8", world.capture.address));
    world.capture.settle().unwrap();
    let deleted = world.capture.deleted().unwrap();
    assert!(!deleted.is_empty(), "nothing was deleted");
    for target in &deleted {
        assert_eq!(fetch(world.media(), "GET", target).unwrap().head.status, 404, "{target}");
    }
    world.compare(3);
}

/// FQ-03 and FQ-06: DASH whose next segments are open before they have a byte, and fMP4 headers that are held.
#[test]
fn fq_03_low_latency_dash() {
    let world = World::start(Options::default());
    let dash =
        ["-f", "dash", "-seg_duration", "1", "-frag_duration", "0.2", "-streaming", "1", "-ldash", "1"];
    let rest = ["-use_template", "1", "-use_timeline", "0", "-extra_window_size", "100", "-method", "PUT"];
    ffmpeg(&[&dash[..], &rest[..]].concat(), &format!("http://{}/live/a/out.mpd", world.capture.address));
    world.compare(14);
}

/// FQ-05: one file for the whole stream.
#[test]
fn fq_05_hls_in_a_single_file() {
    let world = World::start(Options::default());
    let muxer =
        [&HLS[..], &["-hls_list_size", "0", "-hls_flags", "single_file", "-hls_segment_type", "fmp4"]]
            .concat();
    ffmpeg(&muxer, &format!("http://{}/live/a/out.m3u8", world.capture.address));
    world.compare(2);
}

/// FQ-07: credentials in the URL: ffmpeg asks with `Expect: 100-continue` first and is challenged.
#[test]
fn fq_07_hls_with_credentials_in_the_url() {
    let folder = std::env::temp_dir().join(format!("mediaorigin-fq07-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("username"), "live").unwrap();
    std::fs::write(folder.join("password"), "s3cret").unwrap();
    let world = World::start(Options { publisher_dir: Some(folder.clone()), ..Options::default() });
    let muxer = [&HLS[..], &["-hls_list_size", "0"]].concat();
    ffmpeg(&muxer, &format!("http://live:s3cret@{}/live/a/out.m3u8", world.capture.address));
    world.capture.settle().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(frames(&format!("http://{}/live/a/out.m3u8", world.media())), 70);
}
