//! Bodies on their way out.

use super::{TestServer, client::End};

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn each_item_of_a_stream_is_sent_at_once_as_one_chunk() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(get("/gated"));
    assert_eq!(client.head().header("transfer-encoding"), Some("chunked"));
    for index in 0..3 {
        server.probe.open_gate();
        assert_eq!(client.chunk(), format!("item {index}").as_bytes());
    }
    assert!(client.chunk().is_empty());
    client.send(get("/hello"));
    assert_eq!(client.answer().text(), "hello");
}

#[test]
fn large_bodies_arrive_whole() {
    let server = TestServer::start();
    let mut client = server.connect();
    for (target, length, byte) in [
        ("/large/20000000", 20_000_000, b'x'),
        ("/items/3000/7000", 21_000_000, b'y'),
        ("/items/20000/1", 20_000, b'y'),
    ] {
        client.send(get(target));
        let body = client.answer().body;
        assert!(body.len() == length && body.iter().all(|it| *it == byte), "{target}: {}", body.len());
    }
    client.send(get("/hello"));
    assert_eq!(client.answer().text(), "hello");
}

#[test]
fn a_stream_that_fails_never_looks_complete() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(get("/broken"));
    client.head();
    assert_eq!(client.chunk(), b"half");
    client.expect_end();

    let mut client = server.connect();
    client.send("GET /broken HTTP/1.0\r\n\r\n");
    let (_, end) = client.read_to_end();
    assert_eq!(end, End::Reset);
    server.wait_until_empty();
}

#[test]
fn a_body_of_the_wrong_length_never_looks_complete() {
    let server = TestServer::start();
    for (target, sent) in [("/mismatch/10/4", 4), ("/mismatch/4/10", 0)] {
        let mut client = server.connect();
        client.send(get(target));
        client.head();
        let (body, end) = client.read_to_end();
        assert_eq!((body.len(), end), (sent, End::Clean), "{target}");
    }
    server.wait_until_empty();
}

#[test]
fn a_response_may_start_before_the_request_body_is_read() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.head().status, 200);
    for index in 0..100 {
        let text = format!("piece {index}");
        client.send(format!("{:x}\r\n{text}\r\n", text.len()));
        assert_eq!(client.chunk(), text.as_bytes());
    }
    client.send("0\r\n\r\n");
    assert!(client.chunk().is_empty());
    client.send(get("/hello"));
    assert_eq!(client.answer().text(), "hello");
}

#[test]
fn both_directions_of_a_large_echo_progress() {
    const SIZE: usize = 8_000_000;
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n"));
    let mut writer = client.another();
    let sending = std::thread::spawn(move || {
        writer.send(vec![b'e'; SIZE]);
    });
    let body = client.answer().body;
    assert!(body.len() == SIZE && body.iter().all(|byte| *byte == b'e'));
    sending.join().unwrap();
    client.send(get("/hello"));
    assert_eq!(client.answer().text(), "hello");
}
