//! Real encoders for players: small pictures, cheap to make and to decode, at two bit rates.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mediaorigin_tests::peer::fetch;

/// What a live stream is stopped after if its owner was killed.
const SECONDS_MAX: &str = "300";
/// Seconds of a recording.
pub(super) const RECORDING: &str = "60";
/// How long a manifest may take to get ready on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

const GRAPH: &str = "[0:v]split=3[hls0][a][dash];[a]scale=160:90[hls1]";
const LADDER: &str = "-map [hls0] -map [hls1] -map 1:a -map 1:a -b:v:0 300k -b:v:1 100k -f hls \
    -hls_segment_type fmp4 -hls_fmp4_init_filename init.mp4 -master_pl_name master.m3u8 -method PUT";
const DASH: &str = "-map [dash] -map 1:a -b:v 300k -f dash -use_template 1 -method PUT";

/// An encoder in a process of its own. Dropping it ends it.
pub(super) struct Encoder(Child);

impl Drop for Encoder {
    fn drop(&mut self) {
        // Fails when it is dead already. A stopped process is killed as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Encoder {
    /// A live ladder in HLS and the same picture in low-latency DASH, one second per segment.
    pub(super) fn live(media: SocketAddr, folder: &str) -> Self {
        let hls = "-hls_time 1 -hls_list_size 6 -hls_flags independent_segments+program_date_time";
        let dash = "-seg_duration 1 -frag_duration 0.2 -streaming 1 -ldash 1 -window_size 6 -extra_window_size 10 -use_timeline 0";
        let base = format!("http://{media}/{folder}");
        let encoder = Self(ffmpeg(true, "15", SECONDS_MAX, hls, dash, &base).spawn().unwrap());
        wait_for(media, &format!("/{folder}/hls/180p/live.m3u8"), "seg00005");
        wait_for(media, &format!("/{folder}/dash/manifest.mpd"), "dynamic");
        encoder
    }

    /// A recording in HLS and DASH, two seconds per segment, uploaded as fast as it can be made.
    pub(super) fn recording(media: SocketAddr, folder: &str) {
        let hls = "-hls_time 2 -hls_playlist_type vod";
        let dash = "-seg_duration 2 -use_timeline 1";
        let base = format!("http://{media}/{folder}");
        let output = ffmpeg(false, "30", RECORDING, hls, dash, &base).output().unwrap();
        assert!(output.status.success(), "the encoder failed: {}", String::from_utf8_lossy(&output.stderr));
        // It ends before its last uploads are answered.
        wait_for(media, &format!("/{folder}/hls/180p/live.m3u8"), "#EXT-X-ENDLIST");
        wait_for(media, &format!("/{folder}/dash/manifest.mpd"), "type=\"static\"");
    }

    /// Stops its process where it is: nothing is sent, nothing is closed.
    pub(super) fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on; it makes up for the time that it lost.
    pub(super) fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.0.id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success(), "{command}");
    }
}

/// The encoder's command line, `group` being the number of frames between two key frames.
fn ffmpeg(in_real_time: bool, group: &str, seconds: &str, hls: &str, dash: &str, base: &str) -> Command {
    let pace: &[&str] = if in_real_time { &["-re"] } else { &[] };
    let codecs = format!(
        "-t {seconds} -c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -g {group} \
         -keyint_min {group} -sc_threshold 0 -c:a aac -b:a 64k"
    );
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-nostdin", "-loglevel", "error"]);
    command.args(pace).args(["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=15"]);
    command.args(pace).args(["-f", "lavfi", "-i", "sine=sample_rate=48000", "-filter_complex", GRAPH]);
    command.args(codecs.split_whitespace()).args(LADDER.split_whitespace()).args(hls.split_whitespace());
    command.args(["-var_stream_map", "v:0,a:0,name:180p v:1,a:1,name:90p"]);
    command.args(["-hls_segment_filename", &format!("{base}/hls/%v/seg%05d.m4s")]);
    command.arg(format!("{base}/hls/%v/live.m3u8"));
    command.args(codecs.split_whitespace()).args(DASH.split_whitespace()).args(dash.split_whitespace());
    command.args(["-adaptation_sets", "id=0,streams=v id=1,streams=a"]);
    command.arg(format!("{base}/dash/manifest.mpd"));
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Waits until a manifest has a text in it.
pub(super) fn wait_for(media: SocketAddr, target: &str, text: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = fetch(media, "GET", target).unwrap();
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        if answer.head.status == 200 && body.contains(text) {
            return;
        }
        assert!(Instant::now() < deadline, "{target} has no \"{text}\": {} {body}", answer.head.status);
        std::thread::sleep(Duration::from_millis(100));
    }
}
