//! Clients that go away, or only seem to.

use super::TestServer;

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn a_client_that_leaves_cancels_a_waiting_get() {
    let server = TestServer::start();
    for (round, target) in ["/wait", "/wait", "/wait", "/gated", "/gated", "/gated"].into_iter().enumerate() {
        let mut client = server.connect();
        client.send(get(target));
        server.wait_for("the handler", || server.probe.waiting() == round + 1);
        match round % 3 {
            0 => drop(client),
            1 => client.reset(),
            // A half-close looks like a close until something is written.
            _ => {
                client.half_close();
                client.read_to_end();
            }
        }
        server.wait_for("the cancellation", || server.probe.cancelled() == round + 1);
    }
    server.wait_until_empty();
}

#[test]
fn a_client_that_leaves_amid_a_stream_cancels_it() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(get("/gated"));
    client.head();
    server.probe.open_gate();
    assert_eq!(client.chunk(), b"item 0");
    server.wait_for("the second wait", || server.probe.waiting() == 2);
    drop(client);
    server.wait_for("the cancellation", || server.probe.cancelled() == 1);
    server.wait_until_empty();
}

#[test]
fn an_answer_that_is_ready_reaches_a_half_closed_client() {
    let server = TestServer::start();
    for target in ["/hello", "/large/5000000", "/items/3/10"] {
        let mut client = server.connect();
        client.send(get(target));
        client.half_close();
        assert_eq!(client.answer().status, 200, "{target}");
        client.expect_end();
    }
}

#[test]
fn an_upload_that_is_complete_is_never_cancelled() {
    let server = TestServer::start();
    for (round, way) in ["half-close", "close", "reset"].into_iter().enumerate() {
        let mut client = server.connect();
        client.send("PUT /store-and-wait HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
        server.wait_for("the handler", || server.probe.waiting() == round + 1);
        let mut kept = None;
        match way {
            "half-close" => {
                client.half_close();
                kept = Some(client);
            }
            "close" => drop(client),
            _ => client.reset(),
        }
        // The departure reaches the server before the answer to a later request does.
        server.ask(&get("/hello"));
        server.probe.open_gate();
        server.wait_for("the upload", || server.probe.uploads().len() == round + 1);
        if let Some(mut client) = kept {
            assert_eq!(client.answer().text(), "3");
            client.expect_end();
        }
    }
    assert_eq!((server.probe.uploads(), server.probe.cancelled()), (vec!["stored 3".to_owned(); 3], 0));
    server.wait_until_empty();
}

#[test]
fn a_request_behind_a_waiting_one_is_kept() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(get("/wait"));
    server.wait_for("the handler", || server.probe.waiting() == 1);
    client.send("PUT /store HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    client.send(vec![b'a'; 100_000]);
    server.probe.open_gate();
    assert_eq!(client.answer().text(), "waited");
    assert_eq!(client.answer().text(), "100000 9700000");
}

#[test]
fn an_upload_cut_short_is_an_error_never_an_end() {
    let server = TestServer::start();
    for (round, (framing, body)) in [
        ("Content-Length: 10", "abc"),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n"),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n"),
        ("Transfer-Encoding: chunked", "5\r\nabc"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = server.connect();
        client.send(format!("PUT /store HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{body}"));
        client.half_close();
        assert_eq!(client.answer().status, 500);
        client.expect_end();
        let outcomes = server.probe.uploads();
        assert_eq!(outcomes.len(), round + 1);
        assert!(outcomes[round].starts_with("failed after 3: Incomplete"), "{outcomes:?}");
    }
    let mut client = server.connect();
    client.send("PUT /store HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    server.wait_for("the handler", || server.probe.started() == 5);
    client.reset();
    server.wait_for("the outcome", || server.probe.uploads().len() == 5);
    assert!(server.probe.uploads()[4].starts_with("failed after"));
    server.wait_until_empty();
}
