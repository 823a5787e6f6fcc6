//! Keep-alive, pipelining, versions, and the framing of responses.

use super::TestServer;

const GET: &str = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_connection_is_kept_alive() {
    let server = TestServer::start();
    let mut client = server.connect();
    for _ in 0..3 {
        client.send(GET);
        let answer = client.answer();
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
        assert!(answer.head.starts_with("HTTP/1.1 200 OK\r\n") && answer.header("date").is_some());
        assert_eq!((answer.header("content-length"), answer.header("connection")), (Some("5"), None));
    }
    assert_eq!((server.counters.accepted(), server.counters.open(), server.counters.requests()), (1, 1, 3));
    drop(client);
    server.wait_until_empty();
}
