//! What never reaches the application.

use super::TestServer;
use crate::connection::Refusal;

/// Asserts that `request` is refused for `reason`, with a text, and that the connection ends.
fn check(server: &TestServer, request: &[u8], status: u16, reason: Refusal) {
    let shown = request[..request.len().min(100)].escape_ascii().to_string();
    let before = (server.counters.refused(reason), server.counters.requests());
    let mut client = server.connect();
    client.send(request);
    let answer = client.answer();
    assert_eq!(answer.status, status, "{shown}: {answer:?}");
    assert!(answer.closes() && answer.body.len() > 10 && answer.body.ends_with(b"\n"), "{shown}: {answer:?}");
    client.half_close();
    client.expect_end();
    let after = (server.counters.refused(reason), server.counters.requests());
    assert_eq!(after, (before.0 + 1, before.1), "{shown}");
}

#[test]
fn request_lines() {
    use Refusal::{
        LineFeedBare, RequestLineInvalid, TargetInvalid, TargetTooLong, TunnelUnsupported, VersionUnsupported,
    };
    let server = TestServer::start();
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9000));
    let endless = format!("GET /{}", "a".repeat(20_000));
    for (request, status, reason) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage"[..], 400, RequestLineInvalid),
        (b"\0\0\0\0", 400, RequestLineInvalid),
        (b"hello world\r\n\r\n", 400, RequestLineInvalid),
        (b"GET  /hello HTTP/1.1\r\nHost: a\r\n\r\n", 400, TargetInvalid),
        (b" GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 400, RequestLineInvalid),
        (b"\r\n\r\n\r\n\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 400, RequestLineInvalid),
        (b"GET /hello HTTP/1.1\nHost: a\n\n", 400, LineFeedBare),
        (b"GET /hello HTTP/1.1\r\nHost: a\n\r\n", 400, LineFeedBare),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\n\n", 400, LineFeedBare),
        (b"GET /hello\r\n\r\n", 400, TargetInvalid),
        (b"GET /hello FTP/1.1\r\nHost: a\r\n\r\n", 400, RequestLineInvalid),
        (b"GET /hello HTTP/2.0\r\nHost: a\r\n\r\n", 505, VersionUnsupported),
        (b"GET /hello HTTP/1.2\r\nHost: a\r\n\r\n", 505, VersionUnsupported),
        (b"PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n\0\0\0\x04\0\0\0\0\0", 505, VersionUnsupported),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 405, TunnelUnsupported),
        (b"GET hello HTTP/1.1\r\nHost: a\r\n\r\n", 400, TargetInvalid),
        (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, TargetInvalid),
        (b"GET ftp://a/hello HTTP/1.1\r\nHost: a\r\n\r\n", 400, TargetInvalid),
        (b"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n", 400, TargetInvalid),
        (b"GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n", 400, TargetInvalid),
        (b"GET /a\x7fb HTTP/1.1\r\nHost: a\r\n\r\n", 400, TargetInvalid),
        (b"GET /a\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400, TargetInvalid),
        (b"GET /a\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400, TargetInvalid),
        (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400, TargetInvalid),
        (long.as_bytes(), 414, TargetTooLong),
        (endless.as_bytes(), 414, TargetTooLong),
    ] {
        check(&server, request, status, reason);
    }
    assert_eq!(server.probe.started(), 0);
    server.wait_until_empty();
}

#[test]
fn headers() {
    use Refusal::{
        EncodingUnsupported, HeadTooLong, HeaderInvalid, HeadersTooMany, HostInvalid, HostMissing,
        HostRepeated, LengthInvalid, LengthRepeated, LengthWithEncoding,
    };
    let server = TestServer::start();
    let one_too_many = format!("Host: a\r\n{}", "a: b\r\n".repeat(96));
    let ten_thousand = format!("Host: a\r\n{}", "a: b\r\n".repeat(10_000));
    let long = format!("Host: a\r\nX: {}", "x".repeat(40_000));
    for (headers, status, reason) in [
        ("X: y\r\n", 400, HostMissing),
        ("Host: a\r\nHost: a\r\n", 400, HostRepeated),
        ("Host: a b\r\n", 400, HostInvalid),
        ("Host: a/b\r\n", 400, HostInvalid),
        ("Host: a\r\nX: a\0b\r\n", 400, HeaderInvalid),
        ("Host: a\r\nX: a\x01b\r\n", 400, HeaderInvalid),
        ("Host: a\r\nX: a\rb\r\n", 400, HeaderInvalid),
        ("Host: a\r\nX : b\r\n", 400, HeaderInvalid),
        ("Host: a\r\nX\r\n", 400, HeaderInvalid),
        ("Host: a\r\n folded: b\r\n", 400, HeaderInvalid),
        ("Host: a\r\n: b\r\n", 400, HeaderInvalid),
        ("Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400, LengthWithEncoding),
        ("Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400, LengthWithEncoding),
        ("Host: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n", 400, LengthRepeated),
        ("Host: a\r\nContent-Length: 5\r\ncontent-length: 5\r\n", 400, LengthRepeated),
        ("Host: a\r\nContent-Length: 5, 5\r\n", 400, LengthInvalid),
        ("Host: a\r\nContent-Length: +5\r\n", 400, LengthInvalid),
        ("Host: a\r\nContent-Length: -5\r\n", 400, LengthInvalid),
        ("Host: a\r\nContent-Length: 0x5\r\n", 400, LengthInvalid),
        ("Host: a\r\nContent-Length:\r\n", 400, LengthInvalid),
        ("Host: a\r\nContent-Length: 99999999999999999999\r\n", 400, LengthInvalid),
        ("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n", 400, EncodingUnsupported),
        ("Host: a\r\nTransfer-Encoding: identity\r\n", 400, EncodingUnsupported),
        ("Host: a\r\nTransfer-Encoding: chunked, chunked\r\n", 400, EncodingUnsupported),
        ("Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400, EncodingUnsupported),
        ("Host: a\r\nTransfer-Encoding: \x0bchunked\r\n", 400, HeaderInvalid),
        ("Host: a\r\nTransfer-Encoding: xchunked\r\n", 400, EncodingUnsupported),
        (&one_too_many, 431, HeadersTooMany),
        (&ten_thousand, 431, HeadersTooMany),
        (&long, 431, HeadTooLong),
    ] {
        check(&server, format!("GET /hello HTTP/1.1\r\n{headers}\r\n").as_bytes(), status, reason);
    }
    assert_eq!(server.probe.started(), 0);
    server.wait_until_empty();
}

#[test]
fn http_1_0() {
    use Refusal::{EncodingUnsupported, HostRepeated, LengthMissing};
    let server = TestServer::start();
    for (request, status, reason) in [
        (&b"PUT /store HTTP/1.0\r\n\r\nabc"[..], 411, LengthMissing),
        (b"POST /store HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, EncodingUnsupported),
        (b"GET /hello HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, HostRepeated),
    ] {
        check(&server, request, status, reason);
    }
}

#[test]
fn the_largest_allowed_head_is_served() {
    let server = TestServer::start();
    let headers = "a: b\r\n".repeat(95);
    assert_eq!(server.ask(&format!("GET /hello HTTP/1.1\r\nHost: a\r\n{headers}\r\n")).status, 200);
    let start = "GET /hello HTTP/1.1\r\nHost: a\r\nX: ";
    let value = "x".repeat(32 * 1024 - start.len() - 4);
    assert_eq!(server.ask(&format!("{start}{value}\r\n\r\n")).status, 200);
    assert_eq!(server.ask(&format!("{start}{value}x\r\n\r\n")).status, 431);
    let target = "/target/".to_owned() + &"a".repeat(8 * 1024 - 8);
    assert_eq!(server.ask(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).status, 200);
    assert_eq!(server.ask(&format!("GET {target}a HTTP/1.1\r\nHost: a\r\n\r\n")).status, 414);
}

#[test]
fn nothing_behind_a_refused_request_is_served() {
    let server = TestServer::start();
    let smuggled = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    let request =
        "POST /store HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let mut client = server.connect();
    client.send([request, smuggled].concat());
    assert_eq!(client.answer().status, 400);
    client.half_close();
    client.expect_end();
    assert_eq!((server.counters.requests(), server.probe.started()), (0, 0));
}

#[test]
fn a_refused_head_request_gets_no_body() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("HEAD /hello HTTP/1.1\r\nHost: a\r\nX\r\n\r\n");
    assert_eq!(client.head().status, 400);
    client.half_close();
    client.expect_end();
}
