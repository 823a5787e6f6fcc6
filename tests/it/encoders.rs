//! Real encoders in their odd ways against an origin in this process: what they sent is what is served.

mod two_publishers;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use mediaorigin_crds::load;
use mediaorigin_origin::{Options, Running, start_blocking};
use mediaorigin_tests::capture::{Capture, last};
use mediaorigin_tests::folder::Folder;
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

/// The ffmpeg of the machine's packages.
const FFMPEG: &str = "ffmpeg";

/// The program of an encoder that is no package; installs it if need be.
fn installed(encoder: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("encoders/program");
    let output = Command::new(script).arg(encoder).output().unwrap();
    assert!(output.status.success(), "{encoder}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// An ffmpeg with a small, cheap source, a key frame each second, and the arguments of a muxer.
fn encoder(program: &str, muxer: &[&str], url: &str) -> Command {
    let mut command = Command::new(program);
    command
        .args(["-hide_banner", "-nostdin", "-loglevel", "warning", "-re", "-f", "lavfi"])
        .args(["-i", "testsrc2=size=160x90:rate=10", "-re", "-f", "lavfi", "-i", "sine", "-t", SECONDS])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10", "-c:a", "aac"])
        .args(muxer)
        .arg(url);
    command
}

/// Runs one to its end.
fn push(program: &str, muxer: &[&str], url: &str) -> Output {
    let output = encoder(program, muxer, url).output().unwrap();
    assert!(output.status.success(), "{program} {muxer:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The video frames that a player of a URL sees.
fn frames(url: &str) -> usize {
    frames_of(&[], url)
}

/// The same of a live playlist that nobody ended: from its first segment, reloaded once.
fn frames_of_live(url: &str) -> usize {
    frames_of(&["-live_start_index", "0", "-max_reload", "1"], url)
}

fn frames_of(demuxer: &[&str], url: &str) -> usize {
    let arguments = ["-v", "error", "-count_frames", "-select_streams", "v:0", "-of", "csv=p=0"];
    let output = Command::new("ffprobe")
        .args(demuxer)
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
    push(
        FFMPEG,
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
    let output = push(FFMPEG, &muxer, &format!("http://{}/live/a/out.m3u8", world.capture.address));
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
    push(FFMPEG, &muxer, &format!("http://{}/live/a/out.m3u8", world.capture.address));
    world.capture.settle().unwrap();
    let deleted = world.capture.deleted().unwrap();
    assert!(!deleted.is_empty(), "nothing was deleted");
    for target in &deleted {
        assert_eq!(fetch(world.media(), "GET", target).unwrap().head.status, 404, "{target}");
    }
    world.compare(3);
}

/// A segment that is sent while it grows, in fragments of a fifth of a second.
const LOW_LATENCY_DASH: &str = "-f dash -seg_duration 1 -frag_duration 0.2 -streaming 1 -ldash 1 \
     -use_template 1 -use_timeline 0 -extra_window_size 100 -method PUT";

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// FQ-03 and FQ-06: DASH whose next segments are open before they have a byte, and fMP4 headers that are held.
#[test]
fn fq_03_low_latency_dash() {
    let world = World::start(Options::default());
    push(FFMPEG, &words(LOW_LATENCY_DASH), &format!("http://{}/live/a/out.mpd", world.capture.address));
    world.compare(14);
}

/// FQ-05: one file for the whole stream.
#[test]
fn fq_05_hls_in_a_single_file() {
    let world = World::start(Options::default());
    let muxer =
        [&HLS[..], &["-hls_list_size", "0", "-hls_flags", "single_file", "-hls_segment_type", "fmp4"]]
            .concat();
    push(FFMPEG, &muxer, &format!("http://{}/live/a/out.m3u8", world.capture.address));
    world.compare(2);
}

/// FQ-07: credentials in the URL: ffmpeg asks with `Expect: 100-continue` first and is challenged.
#[test]
fn fq_07_hls_with_credentials_in_the_url() {
    let folder = Folder::new("fq07").unwrap();
    folder.write("username", "live").unwrap();
    folder.write("password", "s3cret").unwrap();
    let world = World::start(Options { publisher_dir: Some(folder.path().to_owned()), ..Options::default() });
    let muxer = [&HLS[..], &["-hls_list_size", "0"]].concat();
    push(FFMPEG, &muxer, &format!("http://live:s3cret@{}/live/a/out.m3u8", world.capture.address));
    world.capture.settle().unwrap();
    assert_eq!(frames(&format!("http://{}/live/a/out.m3u8", world.media())), 70);
}

/// Proves FQ-01 with ffmpeg 9 and fMP4: an init segment, segments and a playlist, each over a connection of its own.
#[test]
fn fq_01_hls_of_fmp4_by_ffmpeg_9() {
    let world = World::start(Options::default());
    let muxer = [&HLS[..], &["-hls_list_size", "0", "-hls_segment_type", "fmp4"]].concat();
    push(&installed("ffmpeg9"), &muxer, &format!("http://{}/live/a/out.m3u8", world.capture.address));
    world.compare(9);
    assert_eq!(frames(&format!("http://{}/live/a/out.m3u8", world.media())), 70);
}

/// Proves FQ-03 with ffmpeg 9.
#[test]
fn fq_03_low_latency_dash_by_ffmpeg_9() {
    let world = World::start(Options::default());
    let url = format!("http://{}/live/a/out.mpd", world.capture.address);
    push(&installed("ffmpeg9"), &words(LOW_LATENCY_DASH), &url);
    world.compare(14);
}

/// Proves FQ-12: ffmpeg encodes, shaka-packager packages as HLS and DASH and calls everything `application/octet-stream`.
#[test]
fn fq_12_shaka_packager() {
    let program = installed("shaka-packager");
    let world = World::start(Options::default());
    let base = format!("http://{}/live/a", world.capture.address);
    let rendition = |stream: &str, hls: &str| {
        let segments =
            format!("init_segment={base}/{stream}/init.mp4,segment_template={base}/{stream}/$Number$.m4s");
        format!("in=/dev/stdin,stream={stream},{segments},playlist_name={stream}/main.m3u8{hls}")
    };
    let mut encoder = encoder(FFMPEG, &["-f", "mpegts"], "pipe:1");
    let mut encoder = encoder.stdout(Stdio::piped()).spawn().unwrap();
    let packager = Command::new(program)
        .args([rendition("video", ""), rendition("audio", ",hls_group_id=audio")])
        .args(["--segment_duration", "1", "--time_shift_buffer_depth", "60", "--hls_playlist_type", "LIVE"])
        .args(["--mpd_output", &format!("{base}/main.mpd")])
        .args(["--hls_master_playlist_output", &format!("{base}/main.m3u8")])
        .stdin(encoder.stdout.take().unwrap())
        .output()
        .unwrap();
    assert!(encoder.wait().unwrap().success());
    assert!(packager.status.success(), "{}", String::from_utf8_lossy(&packager.stderr));
    // Two manifests, and for each rendition an init segment, a playlist and seven segments.
    world.compare(20);
    for sent in world.capture.sent().unwrap() {
        assert_eq!(sent.content_type.as_deref(), Some("application/octet-stream"), "{}", sent.target);
        assert!(sent.is_acknowledged(), "{}: {:?}", sent.target, sent.status);
        let extension = Path::new(&sent.target).extension().unwrap();
        let expected = match extension.to_str().unwrap() {
            "mpd" => "application/dash+xml",
            "m3u8" => "application/vnd.apple.mpegurl",
            "mp4" => "video/mp4",
            "m4s" => "video/iso.segment",
            other => panic!("{}: no type is expected of {other}", sent.target),
        };
        let answer = fetch(world.media(), "HEAD", &sent.target).unwrap();
        assert_eq!(answer.head.header("content-type"), Some(expected), "{}", sent.target);
    }
    assert_eq!(frames_of_live(&format!("http://{}/live/a/main.m3u8", world.media())), 70);
}
