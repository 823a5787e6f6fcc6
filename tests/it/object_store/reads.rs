//! Reads and listings through a network that stalls, cuts and lies; how long a call takes at most.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mediaorigin_origin::tiers::object_store::{Conditions, Limits};
use mediaorigin_origin::tiers::{ErrorKind, Listed, Removed, Source, Tier};
use mediaorigin_tests::faults::{Fate, Seen};

use super::{World, body, collect, first, limits, record};

const MEGABYTE: usize = 1_024 * 1_024;

fn is_get(seen: &Seen) -> bool {
    seen.method == "GET" && !seen.target.contains("list-type")
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_bytes_come_back_from_a_real_server() {
    let world = World::start().await;
    let paths = [
        "live/Ä/日本語 🎬.m3u8",
        "100%/%41/a%20b.ts",
        "k=v:w;x@y,z+q!$'()*~.ts",
        "what?now#here&there[0].ts",
    ];
    let data = body(1, 3 * MEGABYTE + 17);
    for path in paths {
        let record = world.store(path, 5, &data).await;
        world.assert_holds(path, 5, &data).await;
        let range = collect(&world.tier, &record, 1_000_000..2_000_001).await.unwrap();
        assert!(range == data[1_000_000..2_000_001]);
    }
    world.store("empty", 1, b"").await;
    world.assert_holds("empty", 1, b"").await;
    let names = |listed: Vec<Listed>| listed.iter().map(|one| one.name().to_owned()).collect::<Vec<_>>();
    let all = names(world.tier.list("", "", 100).await.unwrap());
    assert_eq!(all, ["100%/", "empty", "k=v:w;x@y,z+q!$'()*~.ts", "live/", "what?now#here&there[0].ts"]);
    let (mut paged, mut after) = (Vec::new(), String::new());
    loop {
        let page = names(world.tier.list("", &after, 2).await.unwrap());
        after = page.last().cloned().unwrap_or_default();
        let is_last = page.len() < 2;
        paged.extend(page);
        if is_last {
            break;
        }
    }
    assert_eq!(paged, all);
    for path in paths {
        assert_eq!(world.tier.delete(path, 5).await.unwrap(), Removed::Gone);
        world.assert_nothing(path).await;
    }
    assert_eq!(names(world.tier.list("", "", 100).await.unwrap()), ["empty"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_client_put_there_is_served() {
    let world = World::start().await;
    let upload = ["--request", "PUT", "--data-binary", "#EXTM3U", "--header", "content-type: text/plain"];
    world.server.curl("origin/vod/index.m3u8", &upload).unwrap();
    // As consoles make folders.
    world.server.curl("origin/vod/", &["--request", "PUT"]).unwrap();
    let found = world.tier.find("vod/index.m3u8").await.unwrap().unwrap();
    assert_eq!((found.sequence, found.size, found.meta.content_type.as_str()), (0, 7, "text/plain"));
    assert_eq!(world.read(&found).await.unwrap(), b"#EXTM3U");
    assert_eq!(world.tier.list("vod/", "", 9).await.unwrap(), [Listed::Object(Arc::clone(&found))]);
    let ours = world.store("vod/index.m3u8", 1, b"ours").await;
    assert_eq!(world.read(&found).await.unwrap_err().kind, ErrorKind::Gone);
    let seen_by_others = world.server.curl("origin/vod/index.m3u8", &["--include"]).unwrap();
    let text = String::from_utf8(seen_by_others.stdout).unwrap().to_lowercase();
    for expected in
        ["content-type: video/mp2t", "cache-control: max-age=5", "x-amz-meta-mo-sequence: 1", "\r\n\r\nours"]
    {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    world.server.curl("origin/vod/index.m3u8", &upload).unwrap();
    assert_eq!(world.read(&ours).await.unwrap_err().kind, ErrorKind::Gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_cut_goes_on_where_it_ended_and_only_of_its_version() {
    let world = World::start().await;
    let data = body(2, 5 * MEGABYTE);
    let old = world.store("vod/film.mp4", 1, &data).await;
    let before = world.proxy.seen().len();
    let cuts = [100, MEGABYTE, 2 * MEGABYTE].map(Fate::Cut);
    world.proxy.plan(first(cuts.to_vec(), is_get));
    assert!(world.read(&old).await.unwrap() == data);
    let gets: Vec<Seen> = world.proxy.seen().drain(before..).filter(is_get).collect();
    assert_eq!(gets.len(), 4);
    assert!(gets[1..].iter().all(|seen| seen.if_match.is_some()), "{gets:?}");

    let newer = Mutex::new(Some(Fate::Cut(MEGABYTE)));
    world.proxy.plan(move |seen| newer.lock().unwrap().take_if(|_| is_get(seen)).unwrap_or(Fate::Pass));
    let mut stream = world.tier.read(&old, 0..old.size).await.unwrap();
    let begun = futures_util::TryStreamExt::try_next(&mut stream).await.unwrap().unwrap();
    world.store("vod/film.mp4", 2, &body(3, 5 * MEGABYTE)).await;
    let rest: Result<Vec<bytes::Bytes>, _> = futures_util::TryStreamExt::try_collect(stream).await;
    assert!(data.starts_with(&begun));
    assert_eq!(rest.unwrap_err().kind, ErrorKind::Gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_errors_are_not_seen() {
    let world = World::start().await;
    let record = world.store("a.ts", 1, b"bytes").await;
    for (fate, sequence) in [Fate::Status(500), Fate::Status(503), Fate::AnswerLost].into_iter().zip(1..) {
        world.proxy.plan(first(vec![fate; 2], |_| true));
        assert_eq!(world.read(&record).await.unwrap(), b"bytes", "{fate:?}");
        world.proxy.plan(first(vec![fate; 2], |_| true));
        world.store("b.ts", sequence, b"bytes").await;
        assert_eq!(world.tier.delete("b.ts", sequence).await.unwrap(), Removed::Gone, "{fate:?}");
        world.clock.advance(super::WINDOW);
        world.tier.tend().await;
        world.proxy.plan(first(vec![fate; 2], |_| true));
        assert_eq!(world.tier.list("", "", 9).await.unwrap().len(), 1);
    }
    assert!(world.tier.counters().retries() >= 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_answer_takes_no_longer_than_the_limit() {
    let world = World::start().await;
    let record = world.store("a.ts", 1, b"bytes").await;
    world.store("b.ts", 1, b"bytes").await;
    // It need not be said whether anybody still waits: 5 seconds are longer than every limit.
    world.proxy.plan(|_| Fate::AnswerLate(Duration::from_secs(5)));
    let limit = limits().call + Duration::from_millis(500);
    let begin = Instant::now();
    let (found, read, put, deleted, listed) = tokio::join!(
        world.tier.find("a.ts"),
        world.read(&record),
        world.put("b.ts", 2, b"newer"),
        world.tier.delete("a.ts", 1),
        world.tier.list("", "", 9),
    );
    let kinds = [
        found.unwrap_err().kind,
        read.unwrap_err().kind,
        put.unwrap_err().kind,
        deleted.unwrap_err().kind,
        listed.unwrap_err().kind,
    ];
    assert_eq!(kinds, [ErrorKind::Unavailable; 5]);
    assert!(begin.elapsed() < limit, "{:?}", begin.elapsed());
    assert!(world.tier.health().in_doubt >= 1);
    let error = world.tier.health().last_error.unwrap();
    assert!(error.text.contains("no answer within"), "{error:?}");

    // A body that stops in the middle.
    world.proxy.pass();
    let large = world.store("large.ts", 1, &body(4, 2 * MEGABYTE)).await;
    world.proxy.plan(|seen| if is_get(seen) { Fate::Cut(1_000) } else { Fate::Pass });
    let begin = Instant::now();
    assert_eq!(world.read(&large).await.unwrap_err().kind, ErrorKind::Unavailable);
    assert!(begin.elapsed() < limit, "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_takes_long_is_asked_again_but_not_when_all_do() {
    let world = World::with(Limits { hedge_after: Duration::from_millis(100), ..limits() }).await;
    let record = world.store("a.ts", 1, b"bytes").await;
    world.proxy.plan(first(vec![Fate::AnswerLate(Duration::from_secs(5))], is_get));
    let begin = Instant::now();
    assert_eq!(world.read(&record).await.unwrap(), b"bytes");
    assert!(begin.elapsed() < limits().attempt, "{:?}", begin.elapsed());
    assert_eq!(world.tier.counters().hedges(), 1);

    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    world.proxy.plan(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        Fate::AnswerLate(Duration::from_millis(250))
    });
    let finds = (0..60).map(|_| world.tier.find("a.ts"));
    for found in futures_util::future::join_all(finds).await {
        assert!(found.unwrap().is_some());
    }
    // Ten at once, and one for each twenty requests.
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked <= 60 + 10 + 3 + 1, "{asked} requests for 60 calls");
    assert!(world.tier.counters().hedges_denied() >= 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_calls_than_there_are_places_are_turned_away_in_time() {
    let few = Limits { reads_max: 2, waiting_max: 3, wait: Duration::from_millis(200), ..limits() };
    let world = World::with(few).await;
    world.proxy.plan(|_| Fate::AnswerLate(Duration::from_secs(5)));
    let begin = Instant::now();
    let finds = (0..10).map(|_| async {
        let error = world.tier.find("a.ts").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        begin.elapsed()
    });
    let took = futures_util::future::join_all(finds).await;
    let quick = took.iter().filter(|took| **took < Duration::from_millis(100)).count();
    assert_eq!(quick, 5, "{took:?}");
    assert_eq!(world.tier.counters().turned_away(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_ignores_conditions_is_only_read() {
    let world = World::start().await;
    world.store("a.ts", 1, b"bytes").await;
    let proxy = &world.proxy;
    // Every writer wins.
    proxy.plan(|seen| if seen.method == "PUT" { Fate::Status(200) } else { Fate::Pass });
    let options = super::options(proxy.address, world.secret.path());
    let other =
        mediaorigin_origin::tiers::object_store::ObjectStoreTier::open(options, world.clock.clone()).unwrap();
    let error = other.put(&record("b.ts", 1, b""), &[]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(error.to_string().contains("If-None-Match"), "{error}");
    assert_eq!(other.health().conditions, Conditions::Ignored);
    assert!(other.find("a.ts").await.unwrap().is_some());
}
