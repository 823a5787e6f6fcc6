//! Keep-alive, pipelining, versions, and the framing of responses.

use super::{
    TestServer,
    client::{Answer, End},
};

const GET: &str = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

fn is_hello(answer: &Answer) -> bool {
    (answer.status, answer.text().as_str()) == (200, "hello")
}

#[test]
fn a_connection_is_kept_alive() {
    let server = TestServer::start();
    let mut client = server.connect();
    for _ in 0..3 {
        client.send(GET);
        let answer = client.answer();
        assert!(is_hello(&answer), "{answer:?}");
        assert!(answer.head.starts_with("HTTP/1.1 200 OK\r\n") && answer.header("date").is_some());
        assert_eq!((answer.header("content-length"), answer.header("connection")), (Some("5"), None));
    }
    assert_eq!((server.counters.accepted(), server.counters.open(), server.counters.requests()), (1, 1, 3));
    drop(client);
    server.wait_until_empty();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = TestServer::start();
    let mut client = server.connect();
    let put = "PUT /store HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let chunked =
        "POST /store HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n";
    let empty = "DELETE /store HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    client.send([GET, put, GET, chunked, empty, GET].concat());
    let texts: Vec<_> = (0..6).map(|_| client.answer().text()).collect();
    assert_eq!(texts, ["hello", "3 294", "hello", "4 394", "0 0", "hello"]);
}

#[test]
fn a_pipelining_client_gets_all_answers_beyond_the_burst() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(GET.repeat(500));
    client.half_close();
    for _ in 0..500 {
        assert!(is_hello(&client.answer()));
    }
    client.expect_end();
}

#[test]
fn heads_and_bodies_may_come_byte_by_byte() {
    let server = TestServer::start();
    let mut client = server.connect();
    let put = "PUT /store HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for byte in [GET, put, GET].concat().as_bytes() {
        client.send([*byte]);
    }
    let texts: Vec<_> = (0..3).map(|_| client.answer().text()).collect();
    assert_eq!(texts, ["hello", "3 294", "hello"]);
}

#[test]
fn empty_lines_before_a_request_are_skipped() {
    let server = TestServer::start();
    let mut client = server.connect();
    // Four are the limit; the refusals test the fifth.
    client.send(format!("\r\n{GET}\r\n\r\n\r\n\r\n{GET}"));
    assert!(is_hello(&client.answer()) && is_hello(&client.answer()));
}

#[test]
fn the_client_ends_the_connection() {
    let server = TestServer::start();
    for (request, closes) in [
        ("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", true),
        ("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Close\r\n\r\n", true),
        ("GET /hello HTTP/1.0\r\n\r\n", true),
        ("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false),
        ("GET /close HTTP/1.1\r\nHost: a\r\n\r\n", true),
    ] {
        let mut client = server.connect();
        client.send(request);
        let answer = client.answer();
        assert_eq!((answer.status, answer.closes()), (200, closes), "{request}");
        if closes {
            client.expect_end();
        } else {
            assert_eq!(answer.header("connection"), Some("keep-alive"));
            client.send(request);
            assert!(is_hello(&client.answer()));
        }
    }
    server.wait_until_empty();
}

#[test]
fn bodiless_answers_leave_the_connection_in_step() {
    let server = TestServer::start();
    let mut client = server.connect();
    for (request, status, length) in [
        ("HEAD /hello", 200, Some("5")),
        ("HEAD /items/3/10", 200, None),
        ("HEAD /length/1234", 200, Some("1234")),
        ("GET /empty/204", 204, None),
        ("GET /empty/304", 304, None),
        ("HEAD /empty/404", 404, Some("10")),
        ("GET /length/1234", 200, Some("0")),
    ] {
        client.send(format!("{request} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let answer = client.head();
        assert_eq!((answer.status, answer.header("content-length")), (status, length), "{request}");
        client.send(GET);
        assert!(is_hello(&client.answer()), "{request}");
    }
}

#[test]
fn targets_reach_the_application_as_paths() {
    let server = TestServer::start();
    let mut client = server.connect();
    for (target, expected) in [
        ("/target", "/target"),
        ("/target/a%20b?q=%2F&r", "/target/a%20b?q=%2F&r"),
        ("http://other.example:8080/target/x?y", "/target/x?y"),
        ("/target//a/../b", "/target//a/../b"),
    ] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(client.answer().text(), format!("GET {expected}"));
    }
    client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().status, 404);
}

#[test]
fn an_upgrade_is_a_plain_request() {
    let server = TestServer::start();
    let mut client = server.connect();
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc";
    client.send(format!("PUT /store HTTP/1.1\r\nHost: a\r\n{upgrade}{GET}"));
    let answer = client.answer();
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("3 294", None));
    assert!(is_hello(&client.answer()));
}

#[test]
fn a_stream_to_an_http_1_0_client_ends_with_the_connection() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("GET /items/3/10 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let head = client.head();
    assert!(head.closes() && head.header("transfer-encoding").is_none());
    assert_eq!(client.read_to_end(), (vec![b'y'; 30], End::Clean));
}

#[test]
fn a_handler_that_panics_costs_its_connection_only() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n");
    client.expect_end();
    assert!(is_hello(&server.ask(GET)));
    server.wait_until_empty();
}

#[test]
fn the_wire_is_counted() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(GET);
    let answer = client.answer();
    let sent = answer.head.len() + answer.body.len();
    // The client may have its answer before the server has counted it.
    server.wait_for("the count", || server.counters.sent_bytes() == sent as u64);
    assert_eq!(server.counters.received_bytes(), GET.len() as u64);
}
