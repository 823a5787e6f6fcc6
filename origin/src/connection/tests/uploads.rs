//! Bodies on their way in.

use std::{
    io::{ErrorKind, Write as _},
    time::{Duration, Instant},
};

use super::TestServer;
use crate::connection::Refusal;

const GET: &str = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

fn put(target: &str, headers: &str) -> String {
    format!("PUT {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n")
}

/// The body as chunks of `size` with extensions, then trailers.
fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut coded = Vec::new();
    for chunk in body.chunks(size) {
        coded.extend(format!("{:X};name=\"va;lue\";flag\r\n", chunk.len()).bytes());
        coded.extend_from_slice(chunk);
        coded.extend_from_slice(b"\r\n");
    }
    coded.extend_from_slice(b"0;last\r\nX-Checksum: abc\r\nX-More: d\r\n\r\n");
    coded
}

#[test]
fn bodies_may_be_split_anywhere_and_be_followed_by_a_request() {
    let server = TestServer::start();
    let body: Vec<u8> = (0..300_000_u32).map(|index| (index % 251) as u8).collect();
    let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let sized = [put("/store", "Content-Length: 300000").into_bytes(), body.clone()].concat();
    let coded = [put("/store", "Transfer-Encoding: chunked").into_bytes(), chunked(&body, 10_007)].concat();
    for request in [sized, coded] {
        let mut client = server.connect();
        let mut bytes = &[&request[..], GET.as_bytes()].concat()[..];
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(random.usize(1..=bytes.len().min(50_000)));
            client.send(now);
            bytes = later;
        }
        assert_eq!(client.answer().text(), format!("300000 {sum}"));
        assert_eq!(client.answer().text(), "hello");
    }
}

#[test]
fn an_upload_without_body_is_an_empty_one() {
    let server = TestServer::start();
    let mut client = server.connect();
    for headers in ["Content-Length: 0", "X: y", "Content-Length: 0\r\nExpect: 100-continue"] {
        client.send(put("/store", headers));
        assert_eq!(client.answer().text(), "0 0", "{headers}");
    }
}

#[test]
fn the_socket_is_read_only_when_the_handler_reads() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(put("/wait-and-store", "Content-Length: 1000000000"));
    server.wait_for("the handler", || server.probe.waiting() == 1);
    // As much as the kernel holds for both ends, which is far from everything.
    client.socket.set_nonblocking(true).unwrap();
    let block = vec![1; 1 << 20];
    let mut sent = 0;
    loop {
        match client.socket.write(&block) {
            Ok(length) => sent += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
        assert!(sent < 500_000_000, "the server reads what nobody asked for");
    }
    assert!(server.counters.received_bytes() < 1000, "{:?}", server.counters);
    server.probe.open_gate();
    server.wait_for("the kernel's buffers", || server.counters.received_bytes() > sent as u64);
    drop(client);
    server.wait_for("the end", || !server.probe.uploads().is_empty());
    assert!(server.probe.uploads()[0].starts_with(&format!("failed after {sent}: ")));
}

#[test]
fn continue_is_sent_at_the_first_read_of_the_body() {
    let server = TestServer::start();
    let mut client = server.connect();
    for round in 1..=2 {
        client.send(put("/wait-and-store", "Content-Length: 3\r\nExpect: 100-continue"));
        server.wait_for("the handler", || server.probe.waiting() == round);
        client.expect_silence();
        server.probe.open_gate();
        assert_eq!(client.read_through("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
        client.send("abc");
        assert_eq!(client.answer().text(), "3 294");
    }
}

#[test]
fn a_client_that_does_not_wait_for_continue_gets_none() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(put("/wait-and-store", "Content-Length: 3\r\nExpect: 100-continue") + "abc" + GET);
    server.probe.open_gate();
    assert_eq!(client.answer().status, 201);
    assert_eq!(client.answer().text(), "hello");
}

#[test]
fn a_refusal_before_continue_ends_the_connection() {
    let server = TestServer::start();
    for status in [401, 413] {
        let mut client = server.connect();
        let target = format!("/refuse/{status}");
        client.send(put(&target, "Content-Length: 1000000000\r\nExpect: 100-continue"));
        let answer = client.answer();
        assert_eq!((answer.status, answer.text().as_str()), (status, "refused"));
        assert!(answer.closes());
        client.expect_end();
    }
    server.wait_until_empty();
}

#[test]
fn a_refused_small_body_is_read_and_the_connection_kept() {
    let server = TestServer::start();
    let mut client = server.connect();
    let small = vec![b'a'; 200_000];
    for (headers, body) in [
        ("Content-Length: 200000", small.clone()),
        ("Transfer-Encoding: chunked", chunked(&small, 5000)),
        ("Content-Length: 3\r\nExpect: 100-continue", b"abc".to_vec()),
    ] {
        client.send([put("/refuse/403", headers).into_bytes(), body].concat());
        let answer = client.answer();
        assert_eq!((answer.status, answer.closes()), (403, false), "{headers}");
        client.send(GET);
        assert_eq!(client.answer().text(), "hello", "{headers}");
    }
}

#[test]
fn the_rest_that_is_read_for_the_connection_s_sake_has_a_limit() {
    let server = TestServer::start();
    for (length, closes) in [(256 * 1024, false), (256 * 1024 + 1, true)] {
        let mut client = server.connect();
        client.send(put("/refuse/403", &format!("Content-Length: {length}")));
        let answer = client.answer();
        assert_eq!((answer.status, answer.closes()), (403, closes), "{length}");
        client.send(vec![b'a'; length]);
        if closes {
            client.half_close();
            client.expect_end();
        } else {
            client.send(GET);
            assert_eq!(client.answer().text(), "hello");
        }
    }
}

#[test]
fn the_answer_to_a_refused_large_body_survives_the_close() {
    let server = TestServer::start();
    for (headers, announced) in [("Content-Length: 4000000", true), ("Transfer-Encoding: chunked", false)] {
        let mut client = server.connect();
        client.send(put("/refuse/413", headers));
        // All of it before the answer is read, so that a reset would eat the answer.
        client.send(if announced { vec![b'a'; 4_000_000] } else { chunked(&vec![b'a'; 4_000_000], 60_000) });
        client.half_close();
        let answer = client.answer();
        assert_eq!((answer.status, answer.closes()), (413, announced));
        client.expect_end();
    }
    server.wait_until_empty();
}

#[test]
fn a_malformed_chunk_is_answered_with_400_whatever_the_handler_says() {
    let server = TestServer::start();
    for (round, (target, body)) in
        [("/store", "xyz\r\n"), ("/swallow", "3\r\nabcd\r\n"), ("/swallow", "3\nabc\n0\n\n")]
            .into_iter()
            .enumerate()
    {
        let mut client = server.connect();
        client.send(put(target, "Transfer-Encoding: chunked") + body + GET);
        let answer = client.answer();
        assert_eq!((answer.status, answer.text().as_str()), (400, "the chunked body is malformed\n"));
        assert!(answer.closes());
        client.half_close();
        client.expect_end();
        assert_eq!(server.counters.refused(Refusal::BodyMalformed), round as u64 + 1);
    }
    assert_eq!(server.probe.started(), 1, "the GET behind never ran");
}

#[test]
fn a_payload_kept_after_the_answer_reads_nothing_more() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(put("/detach", "Content-Length: 6") + "abc");
    assert_eq!(client.answer().text(), "detached");
    client.send(format!("def{GET}"));
    assert_eq!(client.answer().text(), "hello");
    server.probe.open_gate();
    server.wait_for("the task", || !server.probe.uploads().is_empty());
    let outcomes = server.probe.uploads();
    assert!(outcomes == ["None"] || outcomes[0].contains("Incomplete"), "{outcomes:?}");
    client.send(GET);
    assert_eq!(client.answer().text(), "hello");
}

/// Nagle's algorithm holds the body back until the head is acknowledged, and a lazy acknowledgement takes 40 ms.
#[test]
fn an_upload_in_two_writes_does_not_wait_for_a_delayed_acknowledgement() {
    const ROUNDS: u32 = 60;
    let server = TestServer::start();
    let mut client = server.connect();
    client.socket.set_nodelay(false).unwrap();
    let start = Instant::now();
    for _ in 0..ROUNDS {
        client.send(put("/store", "Content-Length: 3"));
        client.send("abc");
        assert_eq!(client.answer().text(), "3 294");
    }
    let mean = start.elapsed() / ROUNDS;
    assert!(mean < Duration::from_millis(20), "{mean:?} per upload");
}
