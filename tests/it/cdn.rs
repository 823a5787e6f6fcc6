//! Real caches in front of an origin in this process, as `docs/behind-a-cdn.md` recommends them: a thousand clients become one
//! request, and what was asked for too early or was replaced is seen as soon as the origin's headers allow.

use std::time::{Duration, Instant};

use mediaorigin_crds::load;
use mediaorigin_origin::{Options, Running, start_blocking};
use mediaorigin_tests::cdn::{Cache, configuration};
use mediaorigin_tests::peer::{Answer, PATIENCE, Peer, Piece, fetch};

const CLIENTS: usize = 1000;
/// Where each becomes a connection to the origin: by its default it takes 1000.
const CLIENTS_OF_CONTROLS: usize = 500;
/// Half of a segment: more than what Traffic Server keeps back until it has a fragment.
const HALF: usize = 128 * 1024;
/// What every client has before the second half is written, where a cache passes on what is being written.
const EARLY: usize = 32 * 1024;
/// What a cache may ask the origin for while all clients ask for one segment. Each was seen to ask once; on a busy machine one that
/// waits for longer than its time-outs may ask again.
const FEW: u64 = 5;

fn start() -> Running {
    start_blocking(load::built_in().unwrap(), Options::default()).unwrap()
}

fn nginx(origin: &Running) -> Cache {
    Cache::nginx(origin.media_addr, &configuration("nginx.conf").unwrap()).unwrap()
}

fn varnish(origin: &Running) -> Cache {
    Cache::varnish(origin.media_addr, &configuration("varnish.vcl").unwrap()).unwrap()
}

fn traffic_server(origin: &Running) -> Cache {
    let file = |name: &str| configuration(&format!("trafficserver/{name}")).unwrap();
    Cache::traffic_server(origin.media_addr, &file("records.config"), &file("remap.config")).unwrap()
}

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The sum over all labels of a metric that begin so.
fn metric(origin: &Running, beginning: &str) -> u64 {
    let page = fetch(origin.admin_addr, "GET", "/metrics").unwrap().body;
    let page = String::from_utf8(page).unwrap();
    let lines = page.lines().filter(|line| line.starts_with(beginning));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// GETs that the origin has answered, none being open.
fn gets(origin: &Running) -> u64 {
    until("the origin has answered", || metric(origin, "mediaorigin_requests_in_progress ") == 0);
    metric(origin, "mediaorigin_requests_total{method=\"GET\"")
}

fn put(origin: &Running, target: &str, body: &[u8]) {
    let answer = Peer::connect(origin.media_addr).unwrap().request("PUT", target, &[], Some(body)).unwrap();
    assert!(matches!(answer.head.status, 201 | 204), "{target}: {}", answer.head.status);
}

/// An upload of which nothing but its head was sent.
fn announce(origin: &Running, target: &str) -> Peer {
    let mut writer = Peer::connect(origin.media_addr).unwrap();
    let chunked = [("Transfer-Encoding".to_owned(), "chunked".to_owned())];
    writer.send_head("PUT", target, &chunked).unwrap();
    writer
}

fn half(number: u8) -> Vec<u8> {
    (0..HALF).map(|index| u8::try_from(index % 251).unwrap() ^ number).collect()
}

/// An upload whose first half can be read.
fn begin(origin: &Running, target: &str) -> Peer {
    let mut writer = announce(origin, target);
    writer.send_chunk(&half(1)).unwrap();
    until("the first half is there", || {
        fetch(origin.media_addr, "HEAD", target).is_ok_and(|answer| answer.head.status == 200)
    });
    writer
}

/// What a cache does with the beginning of a segment whose end it does not have.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// Every client has it at once.
    PassesOn,
    /// nginx: all clients but one wait for the end.
    HoldsBack,
}

/// So many clients ask for a segment of which a half is written. The other half is written when the cache has all their requests, and
/// passed on what it passes on. Every client gets all of it; how often the origin was asked.
fn crowd(origin: &Running, cache: &Cache, clients: usize, manner: Manner) -> u64 {
    let target = "/live/a/seg1.m4s";
    let mut writer = begin(origin, target);
    let mut peers: Vec<Peer> = (0..clients)
        .map(|_| {
            let mut client = Peer::connect(cache.address).unwrap();
            client.send_head("GET", target, &[]).unwrap();
            client
        })
        .collect();
    let expected = [half(1), half(2)].concat();
    let early = if manner == Manner::PassesOn { EARLY } else { 0 };
    if manner == Manner::PassesOn {
        for client in &mut peers {
            assert_eq!(client.read_head().unwrap().status, 200);
            assert!(client.read_exact(early).unwrap() == expected[..early]);
        }
    } else {
        until("nginx has all requests", || cache.nginx_in_progress().unwrap() >= clients);
    }
    writer.send_chunk(&half(2)).unwrap();
    writer.send_chunk(b"").unwrap();
    assert_eq!(writer.read_head().unwrap().status, 201);
    for mut client in peers {
        if manner == Manner::HoldsBack {
            assert_eq!(client.read_head().unwrap().status, 200);
        }
        let (rest, end) = client.read_rest().unwrap();
        assert!(end == Piece::End && rest == expected[early..], "{end:?} after {} bytes", early + rest.len());
    }
    gets(origin)
}

fn are_one_request(origin: &Running, cache: &Cache, manner: Manner) {
    let asked = crowd(origin, cache, CLIENTS, manner);
    assert!((1..=FEW).contains(&asked), "the origin was asked {asked} times");
}

fn are_as_many_requests(origin: &Running, cache: &Cache, manner: Manner) {
    let asked = crowd(origin, cache, CLIENTS_OF_CONTROLS, manner);
    assert!(asked > CLIENTS_OF_CONTROLS as u64 / 2, "the origin was asked {asked} times");
}

#[test]
fn a_thousand_clients_of_nginx_are_one_request() {
    let origin = start();
    are_one_request(&origin, &nginx(&origin), Manner::HoldsBack);
}

/// The control: this is what the line in the configuration is for.
#[test]
fn the_clients_of_nginx_without_its_lock_are_as_many_requests() {
    let origin = start();
    let text = configuration("nginx.conf").unwrap();
    let without = text.replace("proxy_cache_lock on;", "proxy_cache_lock off;");
    assert_ne!(text, without);
    let cache = Cache::nginx(origin.media_addr, &without).unwrap();
    are_as_many_requests(&origin, &cache, Manner::HoldsBack);
}

#[test]
fn a_thousand_clients_of_varnish_are_one_request() {
    let origin = start();
    are_one_request(&origin, &varnish(&origin), Manner::PassesOn);
}

#[test]
fn a_thousand_clients_of_traffic_server_are_one_request() {
    let origin = start();
    are_one_request(&origin, &traffic_server(&origin), Manner::PassesOn);
}

/// The control: nobody may read a segment below 1 MiB before its end, and so everybody asks.
#[test]
fn the_clients_of_traffic_server_by_its_defaults_are_as_many_requests() {
    let origin = start();
    let remap = configuration("trafficserver/remap.config").unwrap();
    let records = "CONFIG proxy.config.http.wait_for_cache INT 1\n";
    let cache = Cache::traffic_server(origin.media_addr, records, &remap).unwrap();
    are_as_many_requests(&origin, &cache, Manner::PassesOn);
}

const PLAYLIST: &str = "/live/a/main.m3u8";
/// Its lifetime is half of its target duration, two seconds.
const BEFORE: &[u8] = b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:1\n#EXTINF:4,\nseg1.m4s\n";
const AFTER: &[u8] = b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:1\n#EXTINF:4,\nseg1.m4s\n#EXTINF:4,\nseg2.m4s\n";
const SEGMENT: &str = "/live/a/seg2.m4s";

fn lifetime(answer: &Answer) -> Duration {
    let value = answer.head.header("cache-control").unwrap();
    let seconds = value.split("max-age=").nth(1).unwrap().split(',').next().unwrap();
    Duration::from_secs(seconds.parse().unwrap())
}

/// The answer to a target once the cache gives it without asking the origin.
fn cached(origin: &Running, cache: &Cache, target: &str) -> Answer {
    let mut kept = None;
    until(&format!("{target} is in the cache"), || {
        let before = gets(origin);
        let answer = fetch(cache.address, "GET", target).unwrap();
        let is_kept = gets(origin) == before;
        kept = Some(answer);
        is_kept
    });
    kept.unwrap()
}

/// What clients are told after the lifetimes that the origin gave to an early 404 and to a playlist that was replaced.
fn after_the_lifetimes(origin: &Running, cache: &Cache) -> [Answer; 2] {
    put(origin, PLAYLIST, BEFORE);
    let (early, playlist) = (cached(origin, cache, SEGMENT), cached(origin, cache, PLAYLIST));
    assert_eq!((early.head.status, playlist.head.status), (404, 200));
    assert_eq!(playlist.body, BEFORE);
    let longest = lifetime(&early).max(lifetime(&playlist));
    assert!(longest <= Duration::from_secs(2), "{longest:?}");
    put(origin, SEGMENT, &half(1));
    put(origin, PLAYLIST, AFTER);
    // Time itself is what is tested. Caches count in whole seconds. The first who asks then must not get what is over.
    std::thread::sleep(longest + Duration::from_secs(1));
    [SEGMENT, PLAYLIST].map(|target| fetch(cache.address, "GET", target).unwrap())
}

/// A segment that was asked for before it had a byte is held by the origin, and by the cache, until it has.
fn held(origin: &Running, cache: &Cache) {
    let mut writer = announce(origin, "/live/a/seg3.m4s");
    until("the segment is announced", || metric(origin, "mediaorigin_uploads_open ") == 1);
    let mut client = Peer::connect(cache.address).unwrap();
    client.send_head("GET", "/live/a/seg3.m4s", &[]).unwrap();
    until("the origin holds the request", || metric(origin, "mediaorigin_readers_waiting ") == 1);
    writer.send_chunk(&half(1)).unwrap();
    writer.send_chunk(b"").unwrap();
    assert_eq!(client.read_head().unwrap().status, 200);
    assert!(client.read_rest().unwrap() == (half(1), Piece::End));
}

/// A segment whose upload was cut off is cut off for its reader too, and not kept: what is sent again is served.
fn cut_off(origin: &Running, cache: &Cache) {
    let target = "/live/a/seg4.m4s";
    let mut writer = begin(origin, target);
    let mut client = Peer::connect(cache.address).unwrap();
    client.send_head("GET", target, &[]).unwrap();
    assert_eq!(client.read_head().unwrap().status, 200);
    client.read_exact(1).unwrap();
    writer.cut().unwrap();
    let (rest, end) = client.read_rest().unwrap();
    assert!(end == Piece::Cut && rest.len() < HALF, "{end:?} after {} bytes", 1 + rest.len());
    put(origin, target, &half(2));
    until("the cache serves what was sent again", || {
        let answer = fetch(cache.address, "GET", target).unwrap();
        answer.head.status == 200 && answer.body == half(2)
    });
}

fn serves_what_is_so(origin: &Running, cache: &Cache) {
    let [segment, playlist] = after_the_lifetimes(origin, cache);
    assert!(segment.head.status == 200 && segment.body == half(1), "{:?}", segment.head);
    assert_eq!(playlist.body, AFTER, "{:?}", playlist.head);
    held(origin, cache);
    cut_off(origin, cache);
}

#[test]
fn what_is_over_or_cut_off_is_not_served_by_nginx() {
    let origin = start();
    serves_what_is_so(&origin, &nginx(&origin));
}

#[test]
fn what_is_over_or_cut_off_is_not_served_by_varnish() {
    let origin = start();
    serves_what_is_so(&origin, &varnish(&origin));
}

/// The control: Varnish by its defaults gives both once more.
#[test]
fn what_is_over_is_served_by_varnish_with_its_own_grace() {
    let origin = start();
    let text = configuration("varnish.vcl").unwrap();
    let cache = Cache::varnish(origin.media_addr, &text.replace("beresp.grace = 0s", "beresp.grace = 10s"));
    let [segment, playlist] = after_the_lifetimes(&origin, &cache.unwrap());
    assert_eq!((segment.head.status, playlist.body.as_slice()), (404, BEFORE));
}

#[test]
fn what_is_over_or_cut_off_is_not_served_by_traffic_server() {
    let origin = start();
    serves_what_is_so(&origin, &traffic_server(&origin));
}
