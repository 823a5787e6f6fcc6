//! Time-outs and the limit of connections.

use std::time::{Duration, Instant};

use super::{TestServer, client::End};
use crate::connection::{Refusal, Settings, TimeoutPhase};

const GET: &str = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
const LONG: Duration = Duration::from_mins(10);
const SHORT: Duration = Duration::from_millis(300);

fn settings(head: Duration, idle: Duration, write_stall: Duration) -> Settings {
    let timeouts = Settings {
        head_timeout: head,
        idle_timeout: idle,
        write_stall_timeout: write_stall,
        ..Settings::default()
    };
    Settings { workers: 1, ..timeouts }
}

fn timeouts(server: &TestServer) -> [u64; 3] {
    [TimeoutPhase::Head, TimeoutPhase::Idle, TimeoutPhase::WriteStall]
        .map(|phase| server.counters.timed_out(phase))
}

#[test]
fn a_partial_head_is_cut() {
    let server = TestServer::with(settings(SHORT, LONG, LONG));
    let mut client = server.connect();
    client.send(GET);
    assert_eq!(client.answer().status, 200);
    let start = Instant::now();
    client.send("GET /hello HTTP/1.1\r\nHost:");
    let answer = client.answer();
    assert!(answer.status == 408 && answer.closes() && start.elapsed() >= SHORT);
    client.half_close();
    client.expect_end();
    assert_eq!((timeouts(&server), server.counters.refused(Refusal::HeadTimeout)), ([1, 0, 0], 1));
    server.wait_until_empty();
}

#[test]
fn a_head_is_cut_although_bytes_trickle_in() {
    let server = TestServer::with(settings(SHORT, LONG, LONG));
    let mut client = server.connect();
    let mut writer = client.another();
    let trickling = std::thread::spawn(move || {
        // Ends when the server has closed its end.
        while std::io::Write::write(&mut writer.socket, b"G").is_ok() {
            std::thread::park_timeout(Duration::from_millis(20));
        }
    });
    assert_eq!(client.answer().status, 408);
    client.read_to_end();
    trickling.join().unwrap();
}

#[test]
fn an_idle_connection_is_cut() {
    // One that never said anything has the time of a head, the other the idle time.
    let server = TestServer::with(settings(SHORT, SHORT, LONG));
    let mut fresh = server.connect();
    let mut used = server.connect();
    used.send(GET);
    assert_eq!(used.answer().status, 200);
    let start = Instant::now();
    used.expect_end();
    fresh.expect_end();
    // The connections are a little older than `start`, and time is counted in ticks of 100 ms.
    assert!(start.elapsed() >= SHORT / 2);
    server.wait_until_empty();
    assert_eq!(timeouts(&server), [0, 2, 0]);
}

#[test]
fn a_reader_that_stalls_is_cut() {
    let server = TestServer::with(settings(LONG, LONG, SHORT));
    for (round, target) in ["/large/60000000", "/items/6000/10000"].into_iter().enumerate() {
        let mut client = server.connect();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        server.wait_for("the cut", || timeouts(&server)[2] == round as u64 + 1);
        let (body, end) = client.read_to_end();
        assert!(body.len() < 60_000_000 && end == End::Reset, "{} {end:?}", body.len());
    }
    assert_eq!(timeouts(&server), [0, 0, 2]);
    server.wait_until_empty();
}

#[test]
fn a_reader_below_the_minimum_rate_is_cut_and_one_above_is_not() {
    let settings = Settings {
        workers: 1,
        rate_bytes_min: 2_000_000,
        rate_window: Duration::from_secs(1),
        rate_grace: Duration::ZERO,
        ..Settings::default()
    };
    let server = TestServer::with(settings);
    let ask = "GET /large/60000000 HTTP/1.1\r\nHost: a\r\n\r\n";
    let (mut slow, mut quick) = (server.connect(), server.connect());
    slow.send(ask);
    quick.send(ask);
    // What the kernel holds for a client counts as taken, so it must be much less than the rate asks for.
    let taken = |server: &TestServer| server.counters.timed_out(TimeoutPhase::Rate);
    let start = Instant::now();
    let mut received = 0;
    while taken(&server) == 0 {
        assert!(start.elapsed() < super::PATIENCE);
        // Three times the minimum.
        let due = (start.elapsed().as_millis() * 6_000) as usize;
        if received < due.min(50_000_000) {
            received += quick.read_exactly(100_000).len();
        }
        std::thread::yield_now();
    }
    let (_, end) = slow.read_to_end();
    assert_eq!(end, End::Reset);
    quick.read_exactly(60_000_000 - received);
    assert_eq!((taken(&server), timeouts(&server)), (1, [0, 0, 0]));
}

#[test]
fn work_and_uploads_have_no_time_out() {
    let server = TestServer::with(settings(SHORT, SHORT, SHORT));
    let mut waiting = server.connect();
    waiting.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut uploading = server.connect();
    uploading.send("PUT /store HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    server.wait_for("the handlers", || server.probe.started() == 2);
    // Three connections that time out one after the other: proof that the time has passed.
    for _ in 0..3 {
        server.connect().expect_end();
    }
    server.probe.open_gate();
    assert_eq!(waiting.answer().text(), "waited");
    uploading.send("3\r\nabc\r\n0\r\n\r\n");
    assert_eq!(uploading.answer().text(), "3 294");
}

#[test]
fn connections_above_the_limit_wait_for_their_turn() {
    let server = TestServer::with(Settings { workers: 1, connections_max: 2, ..Settings::default() });
    let mut clients = [server.connect(), server.connect()];
    for client in &mut clients {
        client.send(GET);
        assert_eq!(client.answer().status, 200);
    }
    let mut third = server.connect();
    third.send(GET);
    for client in &mut clients {
        client.send(GET);
        assert_eq!(client.answer().status, 200);
    }
    assert_eq!((server.counters.accepted(), server.counters.open()), (2, 2));
    third.expect_silence();
    drop(clients);
    assert_eq!(third.answer().status, 200);
}

#[test]
fn no_worker_is_an_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = Settings { workers: 0, ..Settings::default() };
    let app = || super::app::app(super::app::Probe::default());
    let shared = crate::connection::Shared::default();
    let result = crate::connection::serve(listener, settings, shared, app, crate::connection::Never);
    assert_eq!(result.err().unwrap().to_string(), "workers must be 1 to 512, not 0");
}

/// Run by hand: `cargo test --release -p mediaorigin-origin idle_connections_are_small -- --ignored --nocapture`.
#[test]
#[ignore = "measures the memory of the whole process, so it must run alone"]
fn idle_connections_are_small() {
    const CONNECTIONS: usize = 400;
    fn resident_bytes() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }
    let server = TestServer::start();
    let connect = |count: usize| -> Vec<_> {
        let connections = (0..count).map(|_| {
            let mut client = server.connect();
            client.send("PUT /store HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
            assert_eq!(client.answer().status, 201);
            client
        });
        connections.collect()
    };
    let warm = connect(50);
    let before = resident_bytes();
    let connections = connect(CONNECTIONS);
    let each = (resident_bytes() - before) / CONNECTIONS;
    println!("{each} bytes per idle connection, both ends in this process");
    assert!(each < 6 * 1024);
    drop((warm, connections));
}
