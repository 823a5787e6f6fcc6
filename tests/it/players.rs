//! Real players in a real browser on live and recorded streams: `docs/players.md` says which, and what was seen. The page
//! comes from another port than the media, so that every request of a player is one across origins.

mod driver;
mod encoder;
mod parts;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use mediaorigin_crds::load;
use mediaorigin_origin::{Options, Running, start_blocking};
use mediaorigin_tests::peer::{Peer, fetch};
use serde_json::{Value, json};

use self::driver::{Driver, Seen};
use self::encoder::Encoder;
use self::parts::Publisher;

/// An origin that pages from `pages` may read.
fn origin(pages: &str) -> Running {
    let text = format!(
        "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: players}}\n\
         spec:\n  access: {{cors: [{{allowedOrigins: ['{pages}']}}]}}\n  \
         tierPolicies: [{{name: parts, match: {{paths: ['**/part*.m4s']}}, class: Part}}]\n"
    );
    start_blocking(load::parse(&text).unwrap(), Options::default()).unwrap()
}

/// Seconds of play after the first frame.
const SECONDS: u32 = 12;
/// Media that must be played in the time that the browser counts. Less than all of it, because a busy machine may keep
/// the browser waiting.
const PLAYED_MIN: f64 = 0.7;

/// What all tests share: a browser, an encoder and an origin, in the order in which they end.
struct Stage {
    driver: Driver,
    _live: Encoder,
    origin: Running,
}

/// Goes with the last test that uses it.
static STAGE: Mutex<Weak<Stage>> = Mutex::new(Weak::new());

impl Stage {
    fn get() -> Arc<Self> {
        let mut shared = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stage) = shared.upgrade() {
            return stage;
        }
        let origin = origin("*");
        Encoder::recording(origin.media_addr, "vod/a");
        let live = Encoder::live(origin.media_addr, "live/a");
        let stage = Arc::new(Self { driver: Driver::start(), _live: live, origin });
        *shared = Arc::downgrade(&stage);
        stage
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.origin.media_addr)
    }

    /// The sum of the origin's counters whose lines begin like this.
    fn counted(&self, metric: &str) -> u64 {
        let text = fetch(self.origin.admin_addr, "GET", "/metrics").unwrap().body;
        let text = String::from_utf8(text).unwrap();
        let lines = text.lines().filter(|line| line.starts_with(metric));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Plays until nothing was wrong, twice at the most: a machine that is busy with something else can starve browser or
    /// encoder for longer than a player has in its buffer, and that is not the origin's doing.
    fn plays(&self, order: &Value, is_tolerated: fn(&str) -> bool) -> Seen {
        let seen = self.driver.play(order).end();
        let wrong = complaints(&seen, is_tolerated);
        println!("{order}: {seen:?}");
        if wrong.is_empty() {
            return seen;
        }
        println!("again, because of {wrong:?}");
        let seen = self.driver.play(order).end();
        assert_eq!(complaints(&seen, is_tolerated), Vec::<String>::new(), "{order}: {seen:?}");
        seen
    }
}

/// What a viewer would complain of.
fn complaints(seen: &Seen, is_tolerated: fn(&str) -> bool) -> Vec<String> {
    let mut complaints = seen.fatal.clone();
    complaints.extend(seen.thrown.clone());
    complaints.extend(seen.errors.iter().filter(|error| !is_tolerated(error)).cloned());
    if seen.started.is_none() {
        complaints.push("no first frame".to_owned());
    }
    if seen.stalls > 0 {
        complaints.push(format!("stood still {} times", seen.stalls));
    }
    if seen.played < PLAYED_MIN * seen.elapsed {
        complaints.push(format!("{} seconds of media in {}", seen.played, seen.elapsed));
    }
    complaints
}

fn nothing(_: &str) -> bool {
    false
}

/// hls.js's words for a stall, which is counted anyway, and for a hole of some frames that it jumps over where it begins.
fn of_its_buffer(error: &str) -> bool {
    error.starts_with("bufferStalledError") || error.starts_with("bufferSeekOverHole")
}

fn order(player: &str, url: &str) -> Value {
    json!({"player": player, "url": url, "seconds": SECONDS})
}

/// Behind the clock, but not by more than a player with a window of six seconds can be.
fn is_live(seen: &Seen) -> bool {
    seen.latency.is_some_and(|latency| (0.0..12.0).contains(&latency))
}

/// TM-04, CP-07: what it tells of itself in headers makes the browser ask with a preflight first.
#[test]
fn hls_js_plays_a_live_ladder() {
    let stage = Stage::get();
    let mut order = order("hls.js", &stage.url("live/a/hls/master.m3u8"));
    order["settings"] = json!({"cmcd": {"sessionId": "hls-js", "contentId": "a", "useHeaders": true}});
    let seen = stage.plays(&order, of_its_buffer);
    assert!(is_live(&seen) && seen.failed.is_empty(), "{seen:?}");
    let preflights =
        "mediaorigin_requests_total{method=\"OPTIONS\",class=\"none\",outcome=\"options\",status=\"204\"}";
    for metric in [preflights, "mediaorigin_cmcd_requests_total "] {
        assert!(stage.counted(metric) > 0, "{metric}");
    }
}

/// TM-04: what it tells of itself is in the query, and no part of any name.
#[test]
fn shaka_plays_a_live_ladder() {
    let stage = Stage::get();
    let mut order = order("shaka", &stage.url("live/a/hls/master.m3u8"));
    order["settings"] = json!({"cmcd": {"enabled": true, "sessionId": "shaka", "contentId": "a"}});
    let seen = stage.plays(&order, nothing);
    assert!(is_live(&seen) && seen.failed.is_empty(), "{seen:?}");
}

/// FQ-03: the segment that is being written is played while it is written.
#[test]
fn dash_js_plays_low_latency_dash() {
    let stage = Stage::get();
    let mut order = order("dash.js", &stage.url("live/a/dash/manifest.mpd"));
    order["settings"] = json!({"streaming": {"delay": {"liveDelay": 2}}});
    let seen = stage.plays(&order, nothing);
    assert!(is_live(&seen) && failed_at_the_edge(&seen), "{seen:?}");
}

/// FQ-03, and what shaka reports of its own haste: it asks for a segment at the moment that the manifest promises, which is a
/// few milliseconds before the encoder opens the upload. Nothing is announced then, so the origin has nothing to wait for.
#[test]
fn shaka_plays_low_latency_dash() {
    let stage = Stage::get();
    let mut order = order("shaka", &stage.url("live/a/dash/manifest.mpd"));
    order["settings"] = json!({"manifest": {"defaultPresentationDelay": 2}});
    let seen = stage.plays(&order, |error| error.starts_with("1001 ") && error.ends_with(".m4s 404"));
    assert!(is_live(&seen) && failed_at_the_edge(&seen), "{seen:?}");
}

/// Whether nothing failed but requests for segments that were not there yet.
fn failed_at_the_edge(seen: &Seen) -> bool {
    seen.failed.keys().all(|name| name.starts_with("404 /live/a/dash/chunk-stream"))
}

/// Low-latency HLS as far as an origin goes that knows nothing of it: parts are played, not whole segments.
#[test]
fn hls_js_plays_parts_of_low_latency_hls() {
    let stage = Stage::get();
    let _publisher = Publisher::start(stage.origin.media_addr, "live/parts");
    let seen = stage.plays(&order("hls.js", &stage.url("live/parts/live.m3u8")), of_its_buffer);
    assert!(is_live(&seen) && seen.failed.is_empty(), "{seen:?}");
    assert!(stage.counted("mediaorigin_requests_total{method=\"GET\",class=\"part\"") > 10, "{seen:?}");
}

#[test]
fn hls_js_plays_a_recording_from_its_middle() {
    from_its_middle("hls.js", "vod/a/hls/master.m3u8");
}

#[test]
fn dash_js_plays_a_recording_from_its_middle() {
    from_its_middle("dash.js", "vod/a/dash/manifest.mpd");
}

fn from_its_middle(player: &str, path: &str) {
    let stage = Stage::get();
    let middle = encoder::RECORDING.parse::<f64>().unwrap() / 2.0;
    let mut order = order(player, &stage.url(path));
    order["seekTo"] = json!(middle);
    let seen = stage.plays(&order, of_its_buffer);
    assert!(seen.sought_in.is_some() && seen.failed.is_empty(), "{seen:?}");
    assert!(seen.times.first().is_some_and(|time| *time < middle / 2.0), "{seen:?}");
    assert!(seen.times.last().is_some_and(|time| *time > middle), "{seen:?}");
}

/// The control of the tests above: when the encoder stands still, so does the picture, and that is a complaint; when the
/// encoder goes on, the player does.
#[test]
fn a_paused_encoder_is_a_stall() {
    let stage = Stage::get();
    let encoder = Encoder::live(stage.origin.media_addr, "live/paused");
    let mut order = order("hls.js", &stage.url("live/paused/hls/master.m3u8"));
    order["seconds"] = json!(2 * SECONDS);
    let play = stage.driver.play(&order);
    play.wait_for("playing");
    encoder.pause();
    play.wait_for("stall");
    encoder.resume();
    let seen = play.end();
    let wrong = complaints(&seen, |_| true);
    assert!(wrong.iter().any(|text| text.starts_with("stood still")), "{wrong:?} {seen:?}");
    assert!(seen.fatal.is_empty(), "{seen:?}");
    // The encoder was stopped for what the player had in its buffer: with these segments, at the most.
    let last = seen.times.last().copied();
    assert!(last > Some(8.0) && seen.times.iter().rev().nth(1).copied() < last, "{seen:?}");
}

/// The other control: the requests are ones across origins, an origin that allows another page only is not
/// readable for this one.
#[test]
fn a_page_that_no_cors_rule_allows_plays_nothing() {
    let stage = Stage::get();
    let origin = origin("https://player.example");
    let master = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=400400\nlive.m3u8\n";
    let mut peer = Peer::connect(origin.media_addr).unwrap();
    assert_eq!(peer.request("PUT", "/live/a.m3u8", &[], Some(master)).unwrap().head.status, 201);
    assert_eq!(peer.request("GET", "/live/a.m3u8", &[], None).unwrap().head.status, 200);
    let seen =
        stage.driver.play(&order("hls.js", &format!("http://{}/live/a.m3u8", origin.media_addr))).end();
    // Status 0: the answer was there, and the page was not shown it.
    let [fatal] = &seen.fatal[..] else { panic!("{seen:?}") };
    assert!(fatal.starts_with("manifestLoadError") && fatal.contains("status 0"), "{seen:?}");
    assert_eq!(seen.started, None);
}
