//! A live mix: channels with their ladders, a crowd behind every rendition, and viewers of recordings who ask for more than fits
//! into memory. Who watches live must not notice them.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use super::delay::percentile;
use super::server::Server;
use crate::folder::Folder;
use crate::peer::Peer;

const CHANNELS: usize = 10;
/// Bytes of a segment of each rendition: two seconds at 1.6 Mbit/s down to 80 kbit/s.
const LADDER: [usize; 6] = [400 << 10, 220 << 10, 120 << 10, 60 << 10, 40 << 10, 20 << 10];
const SEGMENT: Duration = Duration::from_secs(2);
/// Readers of a rendition: as many caches of a CDN as ask for each object.
const READERS: std::ops::RangeInclusive<usize> = 6..=15;
/// Viewers of what was live a while ago, and of recordings.
const NOISE: usize = 8;
/// Segments behind the live edge at which the first ones watch.
const DVR: std::ops::Range<u64> = 10..60;
const RECORDING: usize = 4 << 20;
/// The memory limit, of which the recordings have twice as much.
const LIMIT: u64 = 256 << 20;
const RECORDINGS: u64 = 2 * LIMIT / RECORDING as u64;
/// What a 503 asks for (`Retry-After`).
const RETRY: Duration = Duration::from_secs(1);

const SPEC: &str = "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {name: mix}\nspec:
  memory: {limit: 256Mi}
  limits: {connections: 1000}
  disk: {size: 2Gi, storageClassName: local}
  tierPolicies:
  - {name: live, match: {paths: ['live/**']}, memory: {keepSeconds: 10}, disk: {keepSeconds: 150}, expireSeconds: 180}
  - {name: vod, match: {paths: ['vod/**']}, durability: Disk, memory: {keepSeconds: 0}}
";

/// Requests of one kind.
#[derive(Debug, Default)]
struct Tally {
    /// Of those that were answered 200 with all bytes: how long each took.
    delays: Mutex<Vec<Duration>>,
    /// Answered 503: to be asked again later.
    shed: AtomicU64,
    /// Everything else.
    missed: AtomicU64,
    first_miss: Mutex<Option<String>>,
}

/// The newest segment of a channel; nobody waits any more when it is over.
#[derive(Debug, Default)]
struct Edge {
    newest: Mutex<(u64, bool)>,
    moved: Condvar,
}

/// All that goes on.
#[derive(Debug, Default)]
struct Mix {
    edges: [Edge; CHANNELS],
    uploads: Tally,
    live: Tally,
    dvr: Tally,
    vod: Tally,
}

impl Tally {
    fn note(&self, result: Result<u16>, what: &str, took: Duration) {
        match result {
            Ok(200 | 201 | 204) => self.delays.lock().unwrap_or_else(PoisonError::into_inner).push(took),
            Ok(503) => {
                self.shed.fetch_add(1, Relaxed);
            }
            result => {
                self.missed.fetch_add(1, Relaxed);
                let mut first = self.first_miss.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert_with(|| format!("{what}: {result:?}"));
            }
        }
    }

    /// `| requests | served | 503 | missed | p50 | p99 |`, times in milliseconds.
    fn row(&self) -> String {
        let mut delays = self.delays.lock().unwrap_or_else(PoisonError::into_inner).clone();
        delays.sort();
        let at = |percent: usize| percentile(&delays, percent).map_or(f64::NAN, |delay| delay.as_secs_f64());
        let (shed, missed) = (self.shed.load(Relaxed), self.missed.load(Relaxed));
        format!("{} | {shed} | {missed} | {:.1} | {:.1} |", delays.len(), at(50) * 1e3, at(99) * 1e3)
    }
}

impl Edge {
    fn advance(&self, number: u64, is_over: bool) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = (number, is_over);
        self.moved.notify_all();
    }

    /// The newest segment, as soon as there is one behind `seen`; `None` when it is over.
    fn after(&self, seen: u64) -> Option<u64> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = self.moved.wait_while(newest, |(newest, is_over)| *newest <= seen && !*is_over);
        let (newest, is_over) = *newest.unwrap_or_else(PoisonError::into_inner);
        (!is_over).then_some(newest)
    }
}

/// Runs the mix against `server` for `time`; the result is a Markdown table. An error where somebody who watches live missed
/// something, or the memory of the process went over its limit.
pub(super) fn run(server: &Server, time: Duration) -> Result<String> {
    let media = server.address;
    publish_recordings(media)?;
    let mix = Mix::default();
    let end = Instant::now() + time;
    let resident = thread::scope(|scope| {
        for channel in 0..CHANNELS {
            let mix = &mix;
            scope.spawn(move || encode(media, mix, channel, end));
            for rendition in 0..LADDER.len() {
                let spread = READERS.end() - READERS.start() + 1;
                let readers = READERS.start() + (channel * LADDER.len() + rendition) % spread;
                for _ in 0..readers {
                    scope.spawn(move || watch(media, mix, channel, rendition));
                }
            }
        }
        for _ in 0..NOISE {
            scope.spawn(|| watch_later(media, &mix, end));
            scope.spawn(|| watch_recordings(media, &mix, end));
        }
        let mut most = 0;
        while Instant::now() < end {
            thread::sleep(Duration::from_secs(1));
            most = most.max(server.resident_bytes()?);
        }
        anyhow::Ok(most)
    })?;
    for (what, tally) in [("an encoder", &mix.uploads), ("a viewer at the live edge", &mix.live)] {
        let first = tally.first_miss.lock().map_err(|_| anyhow!("a client panicked"))?.clone();
        ensure!(first.is_none(), "{what} missed something: {}", first.unwrap_or_default());
        ensure!(tally.shed.load(Relaxed) == 0, "{what} had to wait");
    }
    ensure!(resident < LIMIT, "the process had {resident} bytes, more than its limit of {LIMIT}");
    Ok(report(&mix, time, resident))
}

fn report(mix: &Mix, time: Duration, resident: u64) -> String {
    let mut text = format!(
        "Live mix, {} s: {CHANNELS} channels of {} renditions, {} to {} readers of each, recordings of twice the memory limit; times in milliseconds\n\n\
         | | served | 503 | missed | p50 | p99 |\n|---|---|---|---|---|---|",
        time.as_secs(),
        LADDER.len(),
        READERS.start(),
        READERS.end()
    );
    for (name, tally) in [
        ("uploads", &mix.uploads),
        ("live edge, from the encoder's 2xx to the last byte", &mix.live),
        ("a while ago", &mix.dvr),
        ("recordings of 4 MB", &mix.vod),
    ] {
        let _ = write!(text, "\n| {name} | {}", tally.row());
    }
    let _ =
        write!(text, "\n\nMemory of the process: {} MB at the most, of {} MB.", resident >> 20, LIMIT >> 20);
    text
}

fn publish_recordings(media: SocketAddr) -> Result<()> {
    let mut peer = Peer::connect(media)?;
    let mut body = vec![0x47; RECORDING];
    for number in 0..RECORDINGS {
        body[..8].copy_from_slice(&number.to_le_bytes());
        let status = peer.request("PUT", &recording(number), &[], Some(&body))?.head.status;
        ensure!(status == 201, "a recording was answered {status}");
    }
    Ok(())
}

fn recording(number: u64) -> String {
    format!("/vod/{number}.ts")
}

fn segment(channel: usize, rendition: usize, number: u64) -> String {
    format!("/live/{channel}/{rendition}/{number}.m4s")
}

/// One encoder: all renditions of a channel, then their playlists, every two seconds.
fn encode(media: SocketAddr, mix: &Mix, channel: usize, end: Instant) {
    let mut connection = Connection::new(media);
    // Encoders do not begin together.
    let begin = Instant::now() + SEGMENT.mul_f64(channel as f64 / CHANNELS as f64);
    let mut last = 0;
    for number in 1_u64.. {
        let due = begin + SEGMENT * u32::try_from(number).unwrap_or(u32::MAX);
        if due >= end {
            break;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        for (rendition, size) in LADDER.into_iter().enumerate() {
            let mut body = vec![0; size];
            body[..8].copy_from_slice(&number.to_le_bytes());
            connection.put(&segment(channel, rendition, number), &body, &mix.uploads);
            let playlist = format!(
                "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{number}\n#EXTINF:2,\n{number}.m4s\n"
            );
            let path = format!("/live/{channel}/{rendition}/live.m3u8");
            connection.put(&path, playlist.as_bytes(), &mix.uploads);
        }
        mix.edges[channel].advance(number, false);
        last = number;
    }
    mix.edges[channel].advance(last, true);
}

/// One reader of a rendition, as a cache of a CDN: the playlist, and the segment that is new.
fn watch(media: SocketAddr, mix: &Mix, channel: usize, rendition: usize) {
    let (mut connection, mut seen) = (Connection::new(media), 0);
    while let Some(number) = mix.edges[channel].after(seen) {
        let start = Instant::now();
        connection.get(&format!("/live/{channel}/{rendition}/live.m3u8"), None, &mix.live, start);
        connection.get(&segment(channel, rendition, number), Some(LADDER[rendition]), &mix.live, start);
        seen = number;
    }
}

fn watch_later(media: SocketAddr, mix: &Mix, end: Instant) {
    let mut connection = Connection::new(media);
    while Instant::now() < end {
        let (channel, rendition) = (fastrand::usize(..CHANNELS), fastrand::usize(..LADDER.len()));
        let newest = mix.edges[channel].newest.lock().unwrap_or_else(PoisonError::into_inner).0;
        let Some(number) = newest.checked_sub(fastrand::u64(DVR)).filter(|number| *number > 0) else {
            thread::sleep(SEGMENT);
            continue;
        };
        connection.get(
            &segment(channel, rendition, number),
            Some(LADDER[rendition]),
            &mix.dvr,
            Instant::now(),
        );
    }
}

fn watch_recordings(media: SocketAddr, mix: &Mix, end: Instant) {
    let mut connection = Connection::new(media);
    while Instant::now() < end {
        let path = recording(fastrand::u64(..RECORDINGS));
        connection.get(&path, Some(RECORDING), &mix.vod, Instant::now());
    }
}

/// A connection that is opened anew where it ended.
struct Connection {
    media: SocketAddr,
    peer: Option<Peer>,
}

impl Connection {
    fn new(media: SocketAddr) -> Self {
        Self { media, peer: None }
    }

    fn put(&mut self, path: &str, body: &[u8], tally: &Tally) {
        let start = Instant::now();
        let result = self.ask("PUT", path, Some(body)).map(|(status, _)| status);
        tally.note(result, path, start.elapsed());
    }

    /// Of a 200 every byte must be there.
    fn get(&mut self, path: &str, size: Option<usize>, tally: &Tally, start: Instant) {
        let result = self.ask("GET", path, None).and_then(|(status, length)| {
            ensure!(status != 200 || size.is_none_or(|size| size == length), "{length} bytes");
            Ok(status)
        });
        let must_wait = matches!(result, Ok(503));
        tally.note(result, path, start.elapsed());
        if must_wait {
            thread::sleep(RETRY);
        }
    }

    fn ask(&mut self, method: &str, path: &str, body: Option<&[u8]>) -> Result<(u16, usize)> {
        let mut peer = match self.peer.take() {
            Some(peer) => peer,
            None => Peer::connect(self.media)?,
        };
        let answer = peer.request(method, path, &[], body).context("request")?;
        let is_open =
            answer.head.header("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close"));
        self.peer = is_open.then_some(peer);
        Ok((answer.head.status, answer.body.len()))
    }
}

/// The origin of the mix, with its disk in `folder`.
pub(super) fn arguments(folder: &Folder) -> Result<[String; 4]> {
    let file = folder.write("mix.yaml", SPEC)?;
    let disk = folder.folder("objects")?.display().to_string();
    Ok(["-f".to_owned(), file, "--disk-dir".to_owned(), disk])
}
