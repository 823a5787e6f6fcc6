//! More readers than an origin can have: who watches live and who publishes must not notice. Bounded, on this machine only.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use mediaorigin_crds::load;
use mediaorigin_origin::clock::Clock;
use mediaorigin_origin::{Options, Running, start_blocking};
use mediaorigin_tests::folder::Folder;
use mediaorigin_tests::peer::{PATIENCE, Peer, fetch};
use serde_json::Value;

use crate::program::Program;

/// Connections that the origin takes.
const CONNECTIONS: usize = 64;
/// Viewers of the live stream, each with a connection.
const VIEWERS: usize = 8;
/// Readers of recordings at a time: with the others 95 % of the connections and more.
const READERS: usize = 53;
/// Requests of each of them: ten times and more what there are connections for.
const REQUESTS: usize = 12;
const SEGMENT: usize = 50_000;

/// Statuses, and how often.
type Statuses = BTreeMap<u16, usize>;

fn count(statuses: impl IntoIterator<Item = Statuses>) -> Statuses {
    let mut sum = Statuses::new();
    for (status, count) in statuses.into_iter().flatten() {
        *sum.entry(status).or_default() += count;
    }
    sum
}

fn status(admin: SocketAddr) -> Value {
    serde_json::from_slice(&fetch(admin, "GET", "/-/status").unwrap().body).unwrap()
}

fn wait(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Reads the playlist and the newest segment again and again.
fn view(address: SocketAddr, target: &str, end: &AtomicBool) -> Statuses {
    let mut peer = Peer::connect(address).unwrap();
    let mut statuses = Statuses::new();
    while !end.load(Ordering::Relaxed) {
        for target in ["/live/index.m3u8", target] {
            let answer = peer.request("GET", target, &[], None).unwrap();
            *statuses.entry(answer.head.status).or_default() += 1;
        }
    }
    statuses
}

/// Publishes one segment after the other, so many at most; how long each took, in order.
fn publish(address: SocketAddr, most: usize, end: &AtomicBool) -> Vec<Duration> {
    let mut peer = Peer::connect(address).unwrap();
    let (mut times, body) = (Vec::new(), vec![7; SEGMENT]);
    while times.len() < most && !end.load(Ordering::Relaxed) {
        let (target, begin) = (format!("/live/seg{}.ts", times.len() % 20), Instant::now());
        let answer = peer.request("PUT", &target, &[], Some(&body)).unwrap();
        assert!(matches!(answer.head.status, 200 | 201 | 204), "{target}: {}", answer.head.status);
        times.push(begin.elapsed());
    }
    times
}

/// Reads a recording, on a new connection where the one before was ended.
fn read_recordings(address: SocketAddr, barrier: &Barrier) -> Statuses {
    let mut peer = Peer::connect(address).unwrap();
    assert_eq!(peer.request("HEAD", "/live/old.ts", &[], None).unwrap().head.status, 200);
    barrier.wait();
    // All have their places, and the origin sees that there are few left.
    barrier.wait();
    let mut statuses = Statuses::new();
    for _ in 0..REQUESTS {
        let answer = peer.request("GET", "/live/old.ts", &[], None).unwrap();
        if answer.head.status == 503 {
            let header = |name| answer.head.header(name);
            assert_eq!(
                (header("cache-control"), header("retry-after")),
                (Some("public, max-age=5"), Some("1"))
            );
            assert_eq!(header("connection"), Some("close"));
            peer = Peer::connect(address).unwrap();
        }
        *statuses.entry(answer.head.status).or_default() += 1;
    }
    statuses
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// An origin with few connections.
fn start(clock: &Clock) -> Running {
    let document = format!(
        "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: storm}}\nspec:\n  \
         limits: {{connections: {CONNECTIONS}}}\n"
    );
    let options = Options { clock: clock.clone(), ..Options::default() };
    start_blocking(load::parse(&document).unwrap(), options).unwrap()
}

/// Stores a segment, on a connection that ends with it.
fn put(address: SocketAddr, target: &str) {
    let headers = [("Connection".to_owned(), "close".to_owned())];
    let body = vec![7; SEGMENT];
    let answer = Peer::connect(address).unwrap().request("PUT", target, &headers, Some(&body)).unwrap();
    assert_eq!(answer.head.status, 201);
}

/// Reads that had to wait, by the metric.
fn shed(metrics: &str, class: &str) -> usize {
    let lines = metrics.lines().filter(|line| line.starts_with("mediaorigin_reads_shed_total{"));
    let lines = lines.filter(|line| line.contains(&format!("class=\"{class}\"")));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum()
}

/// Proves OP-04 and the functional part of OP-05: ten times more reads than there are connections for. Every live read is answered
/// 200, every upload is stored, every read of a recording is told to come back.
#[test]
fn in_a_storm_on_recordings_what_is_live_is_served_and_stored() {
    let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let origin = start(&clock);
    let (address, admin) = (origin.media_addr, origin.admin_addr);
    let put = |target: &str| put(address, target);
    put("/live/old.ts");
    clock.advance(Duration::from_mins(5));
    put("/live/index.m3u8");
    put("/live/new.ts");
    let end = Arc::new(AtomicBool::new(false));
    let viewers: Vec<_> = (0..VIEWERS)
        .map(|_| {
            let end = Arc::clone(&end);
            thread::spawn(move || view(address, "/live/new.ts", &end))
        })
        .collect();
    let calm = publish(address, 50, &end);
    assert_eq!(status(admin)["overload"]["shedding"], "nothing");

    let publishing = {
        let end = Arc::clone(&end);
        thread::spawn(move || publish(address, usize::MAX, &end))
    };
    let barrier = Arc::new(Barrier::new(READERS + 1));
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            thread::spawn(move || read_recordings(address, &barrier))
        })
        .collect();
    barrier.wait();
    wait("recordings have to wait", || status(admin)["overload"]["shedding"] == "dvr");
    barrier.wait();
    let recordings = count(readers.into_iter().map(|reader| reader.join().unwrap()));
    end.store(true, Ordering::Relaxed);
    let live = count(viewers.into_iter().map(|viewer| viewer.join().unwrap()));
    let uploads = publishing.join().unwrap();

    assert_eq!(recordings, Statuses::from([(503, READERS * REQUESTS)]));
    assert_eq!(live.keys().collect::<Vec<_>>(), [&200], "{live:?}");
    assert!(live[&200] > 100 && uploads.len() > 10, "{live:?} {}", uploads.len());
    println!(
        "median of an upload: {:?} without, {:?} in the storm ({} and {} uploads)",
        median(&calm),
        median(&uploads),
        calm.len(),
        uploads.len()
    );
    assert!(median(&uploads) < Duration::from_secs(5), "{:?}", median(&uploads));
    let metrics = String::from_utf8(fetch(admin, "GET", "/metrics").unwrap().body).unwrap();
    assert_eq!(["live", "dvr", "vod"].map(|class| shed(&metrics, class)), [0, READERS * REQUESTS, 0]);
    let events: Value = serde_json::from_slice(&fetch(admin, "GET", "/-/events").unwrap().body).unwrap();
    let told =
        events["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "overload").count();
    assert_eq!(told, 1, "{events}");
}

/// Names of a storm, and requesters.
const NAMES: usize = 40_000;
const REQUESTERS: usize = 4;

/// The functional part of OP-06: forty thousand names that nobody has, asked of an origin with an object store. Each is
/// answered 404, every live read 200 meanwhile, and the process does not grow with the names.
#[test]
fn in_a_storm_of_names_that_nobody_has_memory_is_bounded_and_live_is_served() {
    let folder = Folder::new("storm").unwrap();
    let bucket = folder.folder("bucket").unwrap();
    let document = format!(
        "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: storm}}\nspec:\n  \
         objectStore: {{url: \"file://{}\"}}\n",
        bucket.display()
    );
    let file = folder.write("origin.yaml", &document).unwrap();
    let mut program = Program::start(None, &["-f", &file]);
    let [address, admin] = program.ports();
    let mut peer = Peer::connect(address).unwrap();
    for target in ["/live/index.m3u8", "/live/new.ts"] {
        let body = vec![7; SEGMENT];
        assert_eq!(peer.request("PUT", target, &[], Some(&body)).unwrap().head.status, 201);
    }
    let ask = |requester: usize, names: usize| {
        let mut peer = Peer::connect(address).unwrap();
        let mut statuses = Statuses::new();
        for name in 0..names {
            // The length of a signed or a random name.
            let target = format!("/live/{requester}/{name:0180}.ts");
            let answer = peer.request("GET", &target, &[], None).unwrap();
            *statuses.entry(answer.head.status).or_default() += 1;
        }
        statuses
    };
    // Threads, buffers and caches have what they need, and both objects the lines that are said of them.
    for target in ["/live/index.m3u8", "/live/new.ts"] {
        assert_eq!(peer.request("GET", target, &[], None).unwrap().head.status, 200);
    }
    assert_eq!(ask(REQUESTERS, 500), Statuses::from([(404, 500)]));
    let (before, used) = (program.resident(), status(admin)["memory"]["used"].clone());
    let end = AtomicBool::new(false);
    let (missing, live) = thread::scope(|scope| {
        let viewer = scope.spawn(|| view(address, "/live/new.ts", &end));
        let ask = &ask;
        let asking: Vec<_> =
            (0..REQUESTERS).map(|number| scope.spawn(move || ask(number, NAMES / REQUESTERS))).collect();
        let missing = count(asking.into_iter().map(|asking| asking.join().unwrap()));
        end.store(true, Ordering::Relaxed);
        (missing, viewer.join().unwrap())
    });
    assert_eq!(missing, Statuses::from([(404, NAMES)]));
    assert!(live.keys().collect::<Vec<_>>() == [&200] && live[&200] > 100, "{live:?}");
    // What is remembered of names is bounded by 16 Ki of them.
    let grown = program.resident().saturating_sub(before);
    println!("{NAMES} names: the process grew by {} KiB", grown / 1_024);
    assert!(grown < 24 << 20, "{grown} bytes");
    assert_eq!(status(admin)["memory"]["used"], used);
}
