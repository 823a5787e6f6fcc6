//! One question and its answer.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;
use crate::times;

const PATH: &str = "live/a b+c/ü%&#?=~.ts";

#[tokio::test]
async fn a_complete_version_comes_whole_with_all_that_is_known_of_it() {
    let (holder, asker) = (Pod::start(), Pod::start());
    let data = pattern(3_000_000, 1);
    let version = holder.put(PATH, &data).await;
    let fetched = soon(asker.peers.fetch(holder.address, PATH, version.uid, None)).await.unwrap();
    let description = fetched.description;
    assert_eq!((description.size, description.first), (Some(3_000_000), 0));
    let (about, started) = (description.about.unwrap(), version.started().unwrap());
    assert_eq!((&about.meta, about.started.sequence), (&version.meta, started.sequence));
    assert_eq!(times::micros(about.started.modified), times::micros(started.modified));
    assert_eq!(all(fetched.bytes).await.unwrap(), data);
    let (there, here) = (holder.counts(), asker.counts());
    assert_eq!((there.answers, there.sent, there.refused), (1, 3_000_000, 0));
    assert_eq!((here.fetches, here.received, here.failed, here.broken), (1, 3_000_000, 0, 0));
}

#[tokio::test]
async fn a_range_comes_alone() {
    let (holder, asker) = (Pod::start(), Pod::start());
    let data = pattern(200_000, 2);
    let uid = holder.put(PATH, &data).await.uid;
    for range in [0..1, 5..65_600, 65_536..131_072, 199_999..200_000, 70_000..u64::MAX] {
        let fetched = asker.peers.fetch(holder.address, PATH, uid, Some(range.clone())).await.unwrap();
        assert_eq!((fetched.description.first, fetched.description.size), (range.start, Some(200_000)));
        let end = usize::try_from(range.end.min(200_000)).unwrap();
        assert_eq!(all(fetched.bytes).await.unwrap(), data[usize::try_from(range.start).unwrap()..end]);
    }
    let behind = asker.peers.fetch(holder.address, PATH, uid, Some(200_000..200_001)).await;
    assert!(matches!(behind, Err(PeerError::Refused(text)) if text.starts_with("416")));
}

#[tokio::test]
async fn only_the_version_that_is_named_is_given() {
    let (holder, asker) = (Pod::start(), Pod::start());
    let old = holder.put(PATH, b"old").await.uid;
    let ask = async |path: &str, uid| asker.peers.fetch(holder.address, path, uid, None).await.map(|_| ());
    assert_eq!(ask(PATH, old).await, Ok(()));
    assert_eq!(ask(PATH, Uid(7)).await, Err(PeerError::Gone));
    assert_eq!(ask("live/other.ts", old).await, Err(PeerError::Gone));
    let new = holder.put(PATH, b"new").await.uid;
    assert_eq!(ask(PATH, old).await, Err(PeerError::Gone), "it was replaced");
    assert_eq!(ask(PATH, new).await, Ok(()));
    holder.memory.delete(PATH, holder.clock.now(), |_| true);
    assert_eq!(ask(PATH, new).await, Err(PeerError::Gone), "it was deleted");
    assert_eq!((asker.counts().fetches, asker.counts().failed), (6, 4));
}

#[tokio::test]
async fn a_version_whose_time_is_over_is_not_given() {
    let (holder, asker) = (Pod::start(), Pod::start());
    let mut upload = holder.open(PATH, None, true).await;
    upload.write(b"abc", &holder.clock).await.unwrap();
    let uid = upload.version().uid;
    let expire = Some(Duration::from_secs(5));
    upload.commit(holder.clock.now(), Terms { keep: Duration::ZERO, expire }, |_| true);
    assert!(asker.peers.fetch(holder.address, PATH, uid, None).await.is_ok());
    holder.clock.advance(Duration::from_secs(5));
    assert!(matches!(asker.peers.fetch(holder.address, PATH, uid, None).await, Err(PeerError::Gone)));
}

#[tokio::test]
async fn what_grows_is_followed_step_by_step_to_its_end() {
    let (holder, asker) = (Pod::start(), Pod::start());
    let mut upload = holder.open(PATH, None, true).await;
    let uid = upload.version().uid;
    let mut written = Vec::new();
    let mut follow: Option<Bytestream> = None;
    for step in 0..20 {
        let part = pattern(1 + step * 7_000, step);
        upload.write(&part, &holder.clock).await.unwrap();
        written.extend_from_slice(&part);
        if let Some(follow) = &mut follow {
            assert_eq!(exactly(follow, part.len()).await, part, "in step {step}");
        } else {
            let fetched = soon(asker.peers.fetch(holder.address, PATH, uid, None)).await.unwrap();
            assert_eq!((fetched.description.size, fetched.description.first), (None, 0));
            let mut bytes = fetched.bytes;
            assert_eq!(exactly(&mut bytes, part.len()).await, part);
            follow = Some(bytes);
        }
    }
    // Who comes late, and who only wants the rest.
    let late = asker.peers.fetch(holder.address, PATH, uid, None).await.unwrap();
    let rest = asker.peers.fetch(holder.address, PATH, uid, Some(30_000..u64::MAX)).await.unwrap();
    assert_eq!((rest.description.first, rest.description.size), (30_000, None));
    upload.commit(holder.clock.now(), KEEP, |_| true);
    assert_eq!(all(follow.unwrap()).await, Ok(Vec::new()));
    assert_eq!(all(late.bytes).await.unwrap(), written);
    assert_eq!(all(rest.bytes).await.unwrap(), written[30_000..]);
}

/// The index may tell other pods of a version a moment before its holder has made it the one under its path.
#[tokio::test]
async fn a_range_of_what_is_not_committed_yet_waits_for_its_bytes() {
    let (holder, asker) = (Pod::start(), Pod::start());
    let mut upload = holder.open(PATH, None, false).await;
    upload.write(b"0123", &holder.clock).await.unwrap();
    let uid = upload.version().uid;
    let mut part = soon(asker.peers.fetch(holder.address, PATH, uid, Some(2..8))).await.unwrap().bytes;
    assert_eq!(exactly(&mut part, 2).await, b"23");
    upload.write(b"456789", &holder.clock).await.unwrap();
    assert_eq!(all(part).await.unwrap(), b"4567");
    let beyond = asker.peers.fetch(holder.address, PATH, uid, Some(8..20)).await.unwrap().bytes;
    upload.commit(holder.clock.now(), KEEP, |_| true);
    let (came, error) = all(beyond).await.unwrap_err();
    assert!(came.len() <= 2 && matches!(error, PeerError::Broken(_)), "{came:?} {error}");
}

#[tokio::test]
async fn an_upload_that_is_given_up_cuts_those_who_follow() {
    let (holder, asker) = (Pod::start(), Pod::start());
    let mut upload = holder.open(PATH, None, true).await;
    upload.write(b"first", &holder.clock).await.unwrap();
    let uid = upload.version().uid;
    let mut bytes = asker.peers.fetch(holder.address, PATH, uid, None).await.unwrap().bytes;
    assert_eq!(exactly(&mut bytes, 5).await, b"first");
    drop(upload);
    assert!(matches!(all(bytes).await, Err((rest, PeerError::Broken(_))) if rest.is_empty()));
    assert_eq!(asker.counts().broken, 1);
    assert!(matches!(asker.peers.fetch(holder.address, PATH, uid, None).await, Err(PeerError::Gone)));
}

#[tokio::test]
async fn an_upload_without_a_byte_is_waited_for() {
    let (holder, asker) = (Pod::start(), Pod::start());
    let mut upload = holder.open(PATH, None, true).await;
    let uid = upload.version().uid;
    let peers = Arc::clone(&asker.peers);
    let address = holder.address;
    let follow = tokio::spawn(async move { peers.follow(address, PATH, uid).await });
    until("the question arrives", || asker.counts().fetches == 1).await;
    upload.write(b"x", &holder.clock).await.unwrap();
    let mut bytes = soon(follow).await.unwrap().unwrap().bytes;
    assert_eq!(exactly(&mut bytes, 1).await, b"x");

    let change = |settings: &mut Settings| settings.first_byte_wait = Duration::from_millis(20);
    let hasty = Pod::start_with(patient(), growing::Limits::default(), change);
    let upload = hasty.open(PATH, None, true).await;
    let none = asker.peers.follow(hasty.address, PATH, upload.version().uid).await;
    assert!(matches!(none, Err(PeerError::Gone)), "but not for ever");
}

#[tokio::test]
async fn who_does_not_show_the_token_is_told_nothing() {
    let holder = Pod::start();
    let uid = holder.put(PATH, b"secret").await.uid;
    let ask = async |keys: Keys| {
        let peers = Peers::new(&keys, patient(), Arc::default()).unwrap();
        peers.fetch(holder.address, PATH, uid, None).await.map(|_| ())
    };
    assert_eq!(ask(keys()).await, Ok(()));
    for other in [Keys::of(b"another password", "live"), Keys::of(b"the password of all pods", "other")] {
        let refused = ask(other.unwrap()).await.unwrap_err();
        assert!(matches!(&refused, PeerError::Refused(text) if text.starts_with("401")), "{refused}");
    }
    assert_eq!(format!("{:?}", keys()), "Keys(…)");
}

/// A pod that has not joined its fleet yet has nothing to give.
#[tokio::test]
async fn a_pod_that_knows_no_token_yet_sends_elsewhere() {
    let known = Arc::new(OnceLock::new());
    let settable = Arc::clone(&known);
    let holder = Pod::start_with(patient(), growing::Limits::default(), |settings| settings.keys = settable);
    let uid = holder.put(PATH, b"secret").await.uid;
    let ask = async || holder.peers.fetch(holder.address, PATH, uid, None).await.map(|_| ());
    assert_eq!(ask().await, Err(PeerError::Busy));
    known.set(keys()).unwrap();
    assert_eq!(ask().await, Ok(()));
}

/// By hand: the head as it is on the wire, and the questions that no pod of ours asks.
#[tokio::test]
async fn a_head_has_no_body_and_nonsense_is_not_found() {
    let holder = Pod::start();
    let uid = holder.put("a.ts", b"abcdef").await.uid;
    let growing = {
        let mut upload = holder.open("b.ts", None, true).await;
        upload.write(b"abc", &holder.clock).await.unwrap();
        upload
    };
    let ask = |line: String, more: &str| {
        let mut stream = TcpStream::connect(holder.address.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let token = keys().token;
        let head = format!(
            "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n{more}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_ascii_lowercase(), body.to_owned())
    };
    let (head, body) = ask(format!("HEAD /blob/{uid}?path=a.ts"), "");
    assert!(head.starts_with("http/1.1 200 ") && head.contains("\r\ncontent-length: 6\r\n"), "{head}");
    assert_eq!(body, "");
    let (head, body) = ask(format!("GET /blob/{uid}?path=a%2Ets"), "Range: bytes=2-3\r\n");
    assert!(head.starts_with("http/1.1 206 ") && head.contains("\r\ncontent-range: bytes 2-3/6"), "{head}");
    assert_eq!(body, "cd");
    let grown = growing.version().uid;
    let (head, body) = ask(format!("HEAD /blob/{grown}?path=b.ts"), "Range: bytes=1-\r\n");
    assert!(head.contains("\r\ncontent-range: bytes 1-9007199254740991/*"), "{head}");
    assert_eq!(body, "");
    for line in
        ["GET /", "GET /blob/", "GET /blob/x?path=a.ts", &format!("GET /blob/{uid}"), "GET /blob/0?path=%00"]
    {
        assert!(ask(line.to_owned(), "").0.starts_with("http/1.1 404 "), "{line}");
    }
    assert!(ask(format!("DELETE /blob/{uid}?path=a.ts"), "").0.starts_with("http/1.1 405 "));
}

#[tokio::test]
async fn who_comes_when_too_many_are_served_is_sent_elsewhere() {
    let holder = Pod::start_with(patient(), growing::Limits::default(), |settings| {
        (settings.answers_max, settings.follows_max) = (1, 1);
    });
    let asker = Pod::start();
    // More than sockets hold: its place is taken until it is read or left.
    let large = holder.put("large.mp4", &pattern(64 << 20, 3)).await.uid;
    let small = holder.put("small.ts", b"abc").await.uid;
    let ask = async || asker.peers.fetch(holder.address, "small.ts", small, None).await.map(|_| ());
    let taking = asker.peers.fetch(holder.address, "large.mp4", large, None).await.unwrap();
    assert_eq!(ask().await, Err(PeerError::Busy));
    assert_eq!(holder.counts().refused, 1);
    // Those who follow what grows are counted apart.
    let mut upload = holder.open("b.ts", None, true).await;
    upload.write(b"x", &holder.clock).await.unwrap();
    let uid = upload.version().uid;
    let following = asker.peers.follow(holder.address, "b.ts", uid).await.unwrap();
    assert!(matches!(asker.peers.follow(holder.address, "b.ts", uid).await, Err(PeerError::Busy)));
    drop(taking);
    let free = async {
        while let Err(error) = ask().await {
            assert_eq!(error, PeerError::Busy);
        }
    };
    soon(free).await;
    drop((following, upload));
}

#[tokio::test]
async fn a_pod_that_takes_nothing_loses_its_place() {
    let holder = Pod::start_with(patient(), growing::Limits::default(), |settings| {
        (settings.answers_max, settings.stall_max) = (1, Duration::from_secs(1));
    });
    let asker = Pod::start();
    let large = holder.put("large.mp4", &pattern(64 << 20, 3)).await.uid;
    let small = holder.put("small.ts", b"abc").await.uid;
    let stalled = asker.peers.fetch(holder.address, "large.mp4", large, None).await.unwrap();
    let free = async {
        while let Err(error) = asker.peers.fetch(holder.address, "small.ts", small, None).await.map(|_| ()) {
            // With so little time the question itself may come too late on a busy machine.
            assert!(error != PeerError::Gone, "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(free).await;
    assert!(matches!(all(stalled.bytes).await, Err((_, PeerError::Broken(_)))), "it was cut");
}

#[tokio::test]
async fn who_is_silent_or_not_there_is_given_up() {
    let hasty = Limits {
        connect: Duration::from_millis(250),
        head: Duration::from_millis(100),
        fill_head: Duration::from_millis(100),
        growing_head: Duration::from_millis(100),
        idle: Duration::from_millis(100),
        growing_idle: Duration::from_millis(100),
    };
    let asker = Pod::start_with(hasty, growing::Limits::default(), |_| {});
    // It takes connections and says nothing.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = Address::new(silent.local_addr().unwrap(), false);
    let answer = soon(asker.peers.fetch(address, PATH, Uid(1), None)).await;
    assert!(matches!(answer, Err(PeerError::Unreachable(_))));
    let (_nobody, address) = nobody();
    let answer = soon(asker.peers.fetch(address, PATH, Uid(1), None)).await;
    assert!(matches!(answer, Err(PeerError::Unreachable(_))));

    let holder = Pod::start();
    let mut upload = holder.open(PATH, None, true).await;
    upload.write(b"abc", &holder.clock).await.unwrap();
    let uid = upload.version().uid;
    // On a busy machine the head itself may come too late for such a short time.
    let fetched = loop {
        match soon(asker.peers.fetch(holder.address, PATH, uid, None)).await {
            Ok(fetched) => break fetched,
            Err(error) => assert!(matches!(error, PeerError::Unreachable(_)), "{error}"),
        }
    };
    assert!(matches!(all(fetched.bytes).await, Err((_, PeerError::Broken(_)))));
}

#[tokio::test]
async fn who_takes_no_connection_is_given_up() {
    let (socket, address) = nobody();
    socket.listen(0).unwrap();
    // What waits to be accepted has one place, and it is taken: whoever comes now has no answer at all.
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address.socket().into());
            socket
        })
        .collect();
    let limits = Limits { connect: Duration::from_millis(250), ..patient() };
    let asker = Pod::start_with(limits, growing::Limits::default(), |_| {});
    let answer = soon(asker.peers.fetch(address, PATH, Uid(1), None)).await;
    assert!(matches!(answer, Err(PeerError::Unreachable(_))));
    drop(waiting);
}
