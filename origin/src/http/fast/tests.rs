//! The fast part against the application: the same requests, whole and damaged, must come to the same answers, counts and
//! log lines.

mod described;
mod http2;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use actix_server::ServerHandle;
use actix_web::App;
use mediaorigin_crds::load;
use prometheus_client::encoding::text::encode;

use super::Memory;
use crate::clock::Clock;
use crate::connection::{self, Counters, Fast, HeadView, Refusal, Reply, Settings, Shared};
use crate::http::app;
use crate::http::body::MediaBody;
use crate::origin::Origin;
use crate::overload::Signals;

const SPEC: &str = "
apiVersion: mediaorigin.io/v1alpha1
kind: MediaOrigin
metadata: {name: live}
spec:
  tierPolicies:
    - {name: short, match: {paths: [\"short/**\"]}, memory: {keepSeconds: 1}, expireSeconds: 5}
    - {name: fixed, match: {paths: [\"fixed/**\"]}, memory: {keepSeconds: 60}, cacheControl: \"max-age=7\"}
  access:
    cors:
      - {allowedOrigins: [\"https://player.example\"], allowedMethods: [GET], exposeHeaders: [ETag, Date]}
      - {allowedOrigins: [\"*\"], allowedMethods: [HEAD]}
";

/// Every object with the headers of its upload and its length.
const OBJECTS: [(&str, &str, usize); 7] = [
    ("/live/index.m3u8", "", 300),
    ("/live/seg-1.ts", "Content-Type: video/mp2t\r\n", 200_000),
    ("/live/init.mp4", "Cache-Control: max-age=3\r\n", 700),
    ("/live/sub%20title.vtt", "Content-Encoding: br\r\n", 4),
    ("/fixed/a.bin", "Cache-Control: no-store\r\n", 65_536),
    ("/short/gone.ts", "", 10),
    ("/a", "", 1),
];

/// Targets beside those of the objects.
const TARGETS: [&str; 15] = [
    "/live/seg-1.ts?token=a%20b&x=/?",
    "/live/seg%2D1.ts",
    "/live/seg-1.ts?",
    "/live/seg-1.ts?a\"<b>",
    "http://x/live/seg-1.ts",
    "//live/seg-1.ts",
    "/live/seg-1.ts#a",
    "/live/none.ts",
    "/live/",
    "/",
    "*",
    "/live/../a",
    "/live/%zz",
    "/live/growing.m4s",
    "/a{b}",
];

/// Lines of a request; `ETAG` stands for the entity tag of the segment.
const LINES: [&str; 44] = [
    "Range: bytes=0-99",
    "Range: bytes=100-",
    "Range: bytes=-1",
    "Range: bytes=65530-131080",
    "Range: bytes=0-0,1-1",
    "Range: bytes=0-0,7-9",
    "Range: bytes=999999999-",
    "Range: bytes=5-1",
    "Range: lines=1-2",
    "Range: bytes=0-3, ",
    "If-Range: ETAG",
    "If-Range: \"other\"",
    "If-Range: Fri, 21 Nov 2025 00:00:00 GMT",
    "If-None-Match: ETAG",
    "If-None-Match: W/ETAG, \"x\"",
    "If-None-Match: *",
    "If-None-Match: \"x\"",
    "If-None-Match: \"\u{fc}\"",
    "If-Match: ETAG",
    "If-Match: \"x\"",
    "If-Match: *",
    "If-Modified-Since: Sat, 21 Nov 2026 00:00:00 GMT",
    "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
    "If-Modified-Since: yesterday",
    "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
    "If-Unmodified-Since: Sat, 21 Nov 2026 00:00:00 GMT",
    "Origin: https://player.example",
    "Origin: https://other.example",
    "Origin: \u{fc}",
    "Accept-Encoding: gzip, br",
    "Accept-Encoding: identity",
    "X-Request-Id: a-1",
    "X-Request-Id: <a>",
    "Authorization: Basic eDp5",
    "Connection: close",
    "Connection: keep-alive",
    "Connection: keep-alive, Upgrade",
    "Upgrade: websocket",
    "Expect: 100-continue",
    "Content-Length: 0",
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "Cookie: a=b",
    "Host: b",
];

/// The fast part, and how often it has answered.
#[derive(Clone)]
struct Counted(Memory, Arc<AtomicUsize>);

impl Fast for Counted {
    type Body = MediaBody;

    fn answer(&self, head: &HeadView<'_>) -> Option<Reply<MediaBody>> {
        let reply = self.0.answer(head);
        self.1.fetch_add(usize::from(reply.is_some()), Relaxed);
        reply
    }
}

/// Lines of the access log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let lines = self.0.lock();
        lines.map_err(|_| std::io::ErrorKind::Other)?.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A media port of the origin, with or without the fast part.
struct Port {
    address: SocketAddr,
    counters: Arc<Counters>,
    answered: Arc<AtomicUsize>,
    log: Log,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Port {
    fn start(origin: &Arc<Origin>, fast: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (shared, answered, log) = (Shared::default(), Arc::default(), Log::default());
        let counters = Arc::clone(&shared.counters);
        let (send_handle, handle) = std::sync::mpsc::channel();
        let part = Counted(Memory(Arc::clone(origin)), Arc::clone(&answered));
        let (origin, lines) = (Arc::clone(origin), log.clone());
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let factory = move || {
                    capture(lines.clone());
                    App::new().configure(app::configure(Arc::clone(&origin)))
                };
                let settings = Settings { workers: 1, fast, ..Settings::default() };
                let server = connection::serve(listener, settings, shared, factory, part).unwrap();
                send_handle.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        let handle = handle.recv().unwrap();
        Self { address, counters, answered, log, handle, thread: Some(thread) }
    }

    /// Sends bytes and returns all that comes until the connection ends.
    fn send(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answers = Vec::new();
        stream.read_to_end(&mut answers).unwrap();
        answers
    }

    /// The log since the last look, without the time that requests took.
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.log.0.lock().unwrap())).unwrap();
        let words = |line: &str| {
            let words =
                line.split(' ').filter(|word| !word.starts_with("micros=") && !word.starts_with("id="));
            words.collect::<Vec<_>>().join(" ")
        };
        text.lines().map(words).collect()
    }

    fn answered(&self) -> usize {
        self.answered.load(Relaxed)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
        let result = self.thread.take().map(JoinHandle::join);
        assert!(matches!(result, Some(Ok(()))) || std::thread::panicking(), "the port panicked");
    }
}

/// Logs what this thread does from now on to `lines`.
fn capture(lines: Log) {
    let lines = Mutex::new(lines);
    let subscriber = tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(lines).finish();
    std::mem::forget(tracing::subscriber::set_default(subscriber));
}

/// One origin, both ports, and some objects.
struct World {
    origin: Arc<Origin>,
    fast: Port,
    slow: Port,
    etag: String,
    _growing: TcpStream,
}

impl World {
    fn new() -> Self {
        let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000));
        let origin = Arc::new(Origin::new(load::parse(SPEC).unwrap(), None, clock));
        let (fast, slow) = (Port::start(&origin, true), Port::start(&origin, false));
        for (path, headers, length) in OBJECTS {
            let body = "0123456".repeat(length / 7 + 1)[..length].to_owned();
            let head = format!("PUT {path} HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {length}\r\n\r\n");
            let answer = slow.send(format!("{head}{body}").as_bytes());
            assert!(answer.starts_with(b"HTTP/1.1 201 "), "{path}");
        }
        let mut growing = TcpStream::connect(slow.address).unwrap();
        let head =
            "PUT /live/growing.m4s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n";
        growing.write_all(head.as_bytes()).unwrap();
        origin.clock.advance(Duration::from_secs(20));
        let answer = slow.send(b"HEAD /live/seg-1.ts HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = String::from_utf8(answer).unwrap();
        let etag = answer.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
        while !slow
            .send(b"HEAD /live/growing.m4s HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n")
            .starts_with(b"HTTP/1.1 200 ")
        {
            std::thread::yield_now();
        }
        Self { origin, fast, slow, etag, _growing: growing }
    }

    /// The origin's counters by their lines.
    fn counts(&self) -> BTreeMap<String, i64> {
        let mut text = String::new();
        encode(&mut text, &self.origin.metrics.registry()).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').unwrap();
                (name.to_owned(), value.parse().unwrap())
            })
            .collect()
    }

    /// What the bytes come to on one of the ports: answers, log lines and counts.
    fn outcome(&self, port: &Port, bytes: &[u8]) -> (Vec<String>, Vec<String>, BTreeMap<String, i64>) {
        let _ = port.lines();
        let before = self.counts();
        let answers = normalised(&port.send(bytes));
        let mut counts = self.counts();
        for (name, value) in before {
            *counts.entry(name).or_default() -= value;
        }
        counts.retain(|_, value| *value != 0);
        (answers, port.lines(), counts)
    }

    /// Asserts that both ports agree, and returns the answers.
    fn compare(&self, bytes: &[u8]) -> Vec<String> {
        let slow = self.outcome(&self.slow, bytes);
        let requests = slow.2.iter().filter(|(name, _)| name.starts_with("mediaorigin_requests_total"));
        assert_eq!(slow.1.len(), requests.map(|(_, count)| usize::try_from(*count).unwrap()).sum::<usize>());
        assert_eq!(self.outcome(&self.fast, bytes), slow, "{}", bytes.escape_ascii());
        slow.0
    }

    fn request(&self, random: &mut fastrand::Rng) -> String {
        let methods = ["GET", "GET", "GET", "GET", "GET", "HEAD", "HEAD", "OPTIONS", "PATCH"];
        let method = random.choice(methods).unwrap_or("GET");
        let target = if random.u8(0..3) > 0 {
            random.choice(OBJECTS).map_or("/", |(path, ..)| path)
        } else {
            random.choice(TARGETS).unwrap_or("/")
        };
        // A growing object would be followed to an end that never comes.
        let method = if target.contains("growing") { "HEAD" } else { method };
        let version = if random.u8(0..8) == 0 { "1.0" } else { "1.1" };
        let mut text = format!("{method} {target} HTTP/{version}\r\n");
        if random.u8(0..40) > 0 {
            text.push_str("Host: a\r\n");
        }
        let mut body = "";
        for _ in 0..random.usize(0..5) {
            let line = random.choice(LINES).unwrap_or_default().replace("ETAG", &self.etag);
            // Lines that end the story for all that follows are rarer.
            let ends = ["Host", "Content", "Transfer"].iter().any(|name| line.starts_with(name));
            if ends && random.u8(0..4) > 0 {
                continue;
            }
            body = match line.as_str() {
                "Content-Length: 5" => "abcde",
                "Transfer-Encoding: chunked" => "3\r\nabc\r\n0\r\n\r\n",
                _ => body,
            };
            text.push_str(&line);
            text.push_str("\r\n");
        }
        text + "\r\n" + body
    }
}

/// Headers that no two answers share.
fn is_its_own(line: &str) -> bool {
    ["date: ", "x-amzn-requestid: "].iter().any(|name| line.starts_with(name))
}

/// Answers with their headers in alphabetical order and without dates and ids.
fn normalised(stream: &[u8]) -> Vec<String> {
    let (mut answers, mut rest) = (Vec::new(), stream);
    while let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
        let head = String::from_utf8(rest[..end].to_vec()).unwrap();
        let mut lines: Vec<_> = head.split("\r\n").filter(|line| !is_its_own(line)).collect();
        lines[1..].sort_unstable();
        rest = &rest[end + 4..];
        let length = lines.iter().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        // The answer to a HEAD has a length and no body; no body of these tests looks like an answer.
        let has_body = !rest.is_empty() && !rest.starts_with(b"HTTP/1.1 ");
        let (body, behind) = rest.split_at(if has_body { length } else { 0 });
        rest = behind;
        answers.push(format!("{}\n\n{}", lines.join("\n"), body.escape_ascii()));
    }
    assert!(rest.is_empty(), "{}", rest.escape_ascii());
    answers
}

fn random() -> fastrand::Rng {
    let seed =
        std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

#[test]
fn both_parts_answer_whole_requests_alike() {
    let (world, mut random, mut statuses) = (World::new(), random(), BTreeMap::<String, usize>::new());
    for _ in 0..1_500 {
        let requests = (0..random.usize(1..=4)).map(|_| world.request(&mut random));
        let bytes = requests.collect::<String>();
        for answer in world.compare(bytes.as_bytes()) {
            *statuses.entry(answer[9..12].to_owned()).or_default() += 1;
        }
    }
    for status in ["200", "206", "304", "400", "404", "405", "412", "416"] {
        assert!(statuses.get(status).is_some_and(|count| *count > 10), "{status} is rare: {statuses:?}");
    }
    assert!(world.fast.answered() > 500 && world.slow.answered() == 0, "{}", world.fast.answered());
    let (fast, slow) = (&world.fast.counters, &world.slow.counters);
    for reason in Refusal::ALL {
        assert_eq!(fast.refused(reason), slow.refused(reason), "{reason:?}");
    }
}

/// What has to wait does so on both parts, with the same answer, count and log line; what is live is served by both.
#[test]
fn both_parts_shed_alike() {
    let world = World::new();
    world.origin.clock.advance(Duration::from_mins(2));
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    for (lag, statuses) in
        [(0, ["200", "200", "200"]), (2_400, ["503", "200", "200"]), (24_000, ["503", "503", "503"])]
    {
        let lag = Duration::from_millis(lag);
        let signals = Signals { lag, connections_max: 100, ..Signals::default() };
        world.origin.overload.observe(Duration::ZERO, signals);
        for (path, status) in
            ["/live/seg-1.ts", "/live/index.m3u8", "/live/init.mp4"].into_iter().zip(statuses)
        {
            let before = world.fast.answered();
            let answers = world.compare(get(path).as_bytes());
            assert_eq!(&answers[0][9..12], status, "{path} {lag:?}");
            assert_eq!(world.fast.answered() - before, 1, "the fast part leaves {path} to the application");
            if status == "503" {
                assert!(answers[0].contains("\ncache-control: public, max-age=5\n"), "{}", answers[0]);
                assert!(answers[0].contains("\nretry-after: 1"), "{}", answers[0]);
            }
        }
    }
    let signals = Signals { connections_open: 100, connections_max: 100, ..Signals::default() };
    let after = Duration::from_secs(10);
    world.origin.overload.observe(after, Signals { connections_open: 0, ..signals });
    world.origin.overload.observe(after, signals);
    let answers = world.compare(get("/live/seg-1.ts").as_bytes());
    assert!(answers[0].contains("\nconnection: close"), "its place is needed: {}", answers[0]);
}

#[test]
fn both_parts_answer_damaged_requests_alike() {
    let (world, mut random) = (World::new(), random());
    let spices: [&[u8]; 10] =
        [b"\r", b"\n", b"\r\n", b"\0", b" ", b":", b"\xff", b"Host: b\r\n", b"HTTP/1.0", b"\t"];
    for _ in 0..1_500 {
        let requests = (0..random.usize(1..=3)).map(|_| world.request(&mut random));
        let mut bytes = requests.collect::<String>().into_bytes();
        for _ in 0..random.usize(1..=3) {
            let at = random.usize(0..bytes.len());
            match random.u8(0..3) {
                0 => bytes[at] = random.u8(..),
                1 if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => drop(bytes.splice(at..at, random.choice(spices).unwrap_or_default().iter().copied())),
            }
        }
        world.compare(&bytes);
    }
    assert!(world.fast.answered() > 100, "{}", world.fast.answered());
}

#[test]
fn reads_of_complete_objects_are_answered_by_the_fast_part_and_nothing_else_is() {
    let world = World::new();
    let etag = &world.etag;
    for (request, expected) in [
        ("GET /live/seg-1.ts HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 1),
        ("HEAD /live/seg-1.ts HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 1),
        ("GET /live/seg-1.ts HTTP/1.0\r\n\r\n".to_owned(), 1),
        ("GET /live/sub%20title.vtt?x=y HTTP/1.1\r\nHost: a\r\nRange: bytes=1-2\r\n\r\n".to_owned(), 1),
        (format!("GET /live/seg-1.ts HTTP/1.1\r\nHost: a\r\nIf-None-Match: {etag}\r\n\r\n"), 1),
        ("GET /live/seg-1.ts HTTP/1.1\r\nHost: a\r\nOrigin: https://player.example\r\n\r\n".to_owned(), 1),
        ("GET /live/none.ts HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 0),
        ("GET /short/gone.ts HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 0),
        ("HEAD /live/growing.m4s HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 0),
        ("OPTIONS /live/seg-1.ts HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 0),
        ("GET /live/seg-1.ts HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx".to_owned(), 0),
        ("GET /live/seg-1.ts HTTP/1.1\r\n\r\n".to_owned(), 0),
    ] {
        let before = world.fast.answered();
        world.compare(request.as_bytes());
        assert_eq!(world.fast.answered() - before, expected, "{request}");
    }
    // After a request that was none of its business it is asked again.
    let before = world.fast.answered();
    let hit = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    let answers = world.compare(format!("{hit}OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n{hit}").as_bytes());
    assert_eq!((answers.len(), world.fast.answered() - before), (3, 2));
}
