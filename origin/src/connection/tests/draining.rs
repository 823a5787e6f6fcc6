//! Graceful stop: readers leave first, encoders last, nobody waits for nothing.

use std::time::Duration;

use super::TestServer;
use crate::connection::Settings;

const GET: &str = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
const PUT: &str = "PUT /store HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
/// Far below the 30 s after which actix-server kills what is left.
const PROMPT: Duration = Duration::from_secs(5);

#[test]
fn a_drain_sends_readers_away_and_keeps_encoders() {
    let server = TestServer::start();
    let (mut reader, mut encoder, mut fresh) = (server.connect(), server.connect(), server.connect());
    reader.send(GET);
    encoder.send(PUT);
    assert_eq!((reader.answer().status, encoder.answer().status), (200, 201));
    let mut waiting = server.connect();
    waiting.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    server.wait_for("the handler", || server.probe.waiting() == 1);

    server.drain.begin();
    reader.expect_end();
    server.probe.open_gate();
    let answer = waiting.answer();
    assert!(answer.text() == "waited" && answer.closes());

    // The reader's end proves that the sweeper has been here; all of these still work.
    for client in [&mut encoder, &mut fresh, &mut server.connect()] {
        for _ in 0..2 {
            client.send(PUT);
            let answer = client.answer();
            assert_eq!((answer.status, answer.closes()), (201, false));
        }
    }
    let mut late = server.connect();
    late.send(GET);
    let answer = late.answer();
    assert!(answer.status == 200 && answer.closes());
    late.expect_end();

    server.drain.finish();
    encoder.expect_end();
    fresh.expect_end();
    let answer = server.ask(PUT);
    assert!(answer.status == 201 && answer.closes());
    assert!(server.stop() < PROMPT);
}

#[test]
fn a_fresh_connection_of_nobody_leaves_a_drain_after_the_head_timeout() {
    let settings = Settings { workers: 1, head_timeout: Duration::from_millis(300), ..Settings::default() };
    let server = TestServer::with(settings);
    let mut fresh = server.connect();
    server.drain.begin();
    fresh.expect_end();
}

#[test]
fn requests_in_progress_end_well() {
    let server = TestServer::start();
    let mut waiting = server.connect();
    waiting.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut uploading = server.connect();
    uploading.send("PUT /store HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
    let mut idle = server.connect();
    server.wait_for("the handlers", || server.probe.started() == 2);
    server.drain.finish();
    idle.expect_end();
    server.probe.open_gate();
    uploading.send("bc");
    for (client, text) in [(&mut waiting, "waited"), (&mut uploading, "3 294")] {
        let answer = client.answer();
        assert!(answer.text() == text && answer.closes());
        client.expect_end();
    }
    assert!(server.stop() < PROMPT);
}

#[test]
fn a_stop_without_a_drain_does_not_wait_for_idle_connections() {
    let server = TestServer::with(Settings { workers: 2, ..Settings::default() });
    let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(PUT);
        assert_eq!(client.answer().status, 201);
    }
    let counters = server.counters.clone();
    assert!(server.stop() < PROMPT);
    assert_eq!(counters.open(), 0);
}

/// As good as all readers are asked to move on when there are very many servers, each once; encoders stay, and who comes now stays too.
#[test]
fn readers_move_on_to_servers_that_have_come_and_encoders_stay() {
    let server = TestServer::start();
    server.balance.set(1);
    let (mut reader, mut encoder) = (server.connect(), server.connect());
    reader.send(GET);
    encoder.send(PUT);
    assert!(!reader.answer().closes() && !encoder.answer().closes());

    server.balance.set(usize::MAX);
    let mut newcomer = server.connect();
    for client in [&mut encoder, &mut newcomer] {
        client.send(GET);
        let answer = client.answer();
        assert_eq!((answer.status, answer.closes()), (200, false));
    }
    reader.send(GET);
    let answer = reader.answer();
    assert!(answer.status == 200 && answer.closes());
    reader.expect_end();
}
