//! Which coding is chosen, that it is what was stored, and that it is paid for.

use std::time::{Duration, SystemTime};

use actix_web::http::header::ACCEPT_ENCODING;
use actix_web::test::TestRequest;

use super::super::request::{self, MediaRequest};
use super::*;
use crate::mediastore::Dialect;
use crate::memory::blob::Uid;
use crate::memory::object::Meta;
use crate::memory::upload::{Committed, Opening, Terms};

#[test]
fn gzip_is_preferred_where_a_client_says_so() {
    let cases = [
        (None, false),
        (Some(""), false),
        (Some("gzip"), true),
        (Some("GZip, deflate, br"), true),
        (Some("x-gzip"), true),
        (Some("deflate, br"), false),
        (Some("gzip;q=0"), false),
        (Some("gzip; q=0.5"), true),
        (Some("gzip;q=0.5, identity"), false),
        (Some("identity;q=0.5, gzip;q=0.9"), true),
        (Some("*"), true),
        (Some("*;q=0"), false),
        (Some("*, gzip;q=0"), false),
        (Some("gzip;q=high"), false),
        (Some("gzipped"), false),
    ];
    for (header, expected) in cases {
        let mut request = TestRequest::default();
        if let Some(header) = header {
            request = request.insert_header((ACCEPT_ENCODING, header));
        }
        assert_eq!(prefers_gzip(&request.to_http_request()), expected, "{header:?}");
    }
}

fn read(headers: &[(&'static str, &'static str)]) -> ReadRequest {
    let request =
        headers.iter().fold(TestRequest::default(), |request, header| request.insert_header(*header));
    let request = request.uri("/live/a.m3u8").to_http_request();
    match request::parse(&request, "/live/a.m3u8", Dialect::Plain) {
        Ok(MediaRequest::Read(read)) => read,
        other => panic!("{other:?}"),
    }
}

struct World {
    memory: Arc<Memory>,
    clock: Clock,
}

impl World {
    fn new(bytes: u64) -> Self {
        let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_hours(400_000));
        Self { memory: Arc::new(Memory::new(bytes)), clock }
    }

    async fn put(&self, path: &str, class: Class, encoding: Option<&str>, body: &[u8]) -> Arc<Version> {
        let meta = Meta {
            content_type: "text/plain".to_owned(),
            content_encoding: encoding.map(str::to_owned),
            cache_control: None,
            class,
        };
        let length = Some(body.len() as u64);
        let opening = Opening { path: Arc::from(path), uid: Uid(7), meta, early: false, length };
        let mut upload = self.memory.open(opening, &self.clock).await.unwrap();
        upload.write(body, &self.clock).await.unwrap();
        let terms = Terms { keep: Duration::from_mins(1), expire: None };
        match upload.commit(self.clock.now(), terms, |_| true) {
            Committed::Created(version) | Committed::Replaced(version) => version,
            other => panic!("{other:?}"),
        }
    }

    async fn bytes(&self, version: &Arc<Version>, request: &ReadRequest) -> (Option<Coding>, Vec<u8>) {
        let chosen = choose(&self.memory, &self.clock, version, request).await;
        let stored = || version.blob.copy(0, u64::MAX);
        let bytes = chosen.variant.as_ref().map_or_else(stored, |variant| variant.bytes.to_vec());
        assert_eq!(chosen.length(), Some(bytes.len() as u64));
        (chosen.variant.map(|variant| variant.coding), bytes)
    }
}

fn playlist(lines: u32) -> Vec<u8> {
    (0..lines).flat_map(|line| format!("#EXTINF:2.000000,\nseg{line}.m4s\n").into_bytes()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    convert(bytes, Coding::Gzip, u64::MAX).unwrap()
}

#[tokio::test]
async fn a_manifest_is_given_in_the_coding_that_its_reader_can_read() {
    let world = World::new(16 << 20);
    let (plain, packed) = (read(&[]), read(&[("accept-encoding", "gzip")]));
    // Small enough to be made at once, and on a thread of its own.
    for lines in [30, 3_000] {
        let text = playlist(lines);
        let version = world.put(&format!("{lines}.m3u8"), Class::Manifest, None, &text).await;
        assert!(at_once(&version, &packed).is_none(), "it is not made yet");
        assert_eq!(world.bytes(&version, &plain).await, (None, text.clone()));
        let (coding, bytes) = world.bytes(&version, &packed).await;
        assert_eq!(coding, Some(Coding::Gzip));
        assert!(bytes.len() < text.len() / 2);
        assert_eq!(convert(&bytes, Coding::Identity, u64::MAX).unwrap(), text);
        let ready = at_once(&version, &packed).unwrap();
        assert_eq!((ready.etag(), ready.varies()), (format!("\"{}-gzip\"", version.uid), true));
        let range = read(&[("accept-encoding", "gzip"), ("range", "bytes=0-1")]);
        assert_eq!(
            world.bytes(&version, &range).await.0,
            None,
            "a range is one of the bytes that were stored"
        );

        let stored =
            world.put(&format!("{lines}.gz.m3u8"), Class::Manifest, Some("gzip"), &gzip(&text)).await;
        assert_eq!(world.bytes(&stored, &packed).await, (None, gzip(&text)));
        assert_eq!(world.bytes(&stored, &plain).await, (Some(Coding::Identity), text));
    }
}

#[tokio::test]
async fn what_gains_nothing_is_given_as_it_was_stored() {
    let world = World::new(64 << 20);
    let (plain, packed) = (read(&[]), read(&[("accept-encoding", "gzip")]));
    let noise: Vec<u8> = (0..2_000).map(|_| fastrand::u8(..)).collect();
    let cases = [
        ("a.ts", Class::Segment, None, playlist(100), &packed),
        ("a.m3u8", Class::Manifest, None, playlist(2), &packed),
        ("b.m3u8", Class::Manifest, None, noise, &packed),
        ("c.m3u8", Class::Manifest, None, playlist(100_000), &packed),
        ("d.m3u8", Class::Manifest, Some("br"), playlist(100), &packed),
        ("e.m3u8", Class::Manifest, Some("br"), playlist(100), &plain),
        // Not gzip at all, cut off, and a bomb: 32 MiB of nothing in 32 KiB.
        ("f.m3u8", Class::Manifest, Some("gzip"), playlist(100), &plain),
        ("g.m3u8", Class::Manifest, Some("gzip"), gzip(&playlist(100))[..100].to_vec(), &plain),
        ("h.m3u8", Class::Manifest, Some("gzip"), gzip(&vec![0; 32 << 20]), &plain),
    ];
    for (path, class, encoding, body, request) in cases {
        let version = world.put(path, class, encoding, &body).await;
        let used = world.memory.counts().used;
        assert_eq!(world.bytes(&version, request).await, (None, body), "{path}");
        assert_eq!(world.memory.counts().used, used, "{path} is paid for twice");
    }
}

#[tokio::test]
async fn another_coding_is_paid_from_the_budget_and_made_only_where_there_is_some() {
    let world = World::new(200_000);
    let packed = read(&[("accept-encoding", "gzip")]);
    let version = world.put("a.m3u8", Class::Manifest, None, &playlist(300)).await;
    let before = world.memory.counts().used;
    let rest = world.memory.budget().try_acquire(200_000 - before).unwrap();
    assert_eq!(world.bytes(&version, &packed).await.0, None, "there is no memory for it");
    drop(rest);
    let (coding, bytes) = world.bytes(&version, &packed).await;
    assert_eq!(coding, Some(Coding::Gzip));
    assert_eq!(world.memory.counts().used, before + Variant::cost(bytes.len() as u64));
    world.memory.delete("a.m3u8", world.clock.now(), |_| true);
    drop(version);
    assert_eq!(world.memory.counts().used, 0);
}
