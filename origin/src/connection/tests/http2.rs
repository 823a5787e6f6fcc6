//! HTTP/2 by prior knowledge, over real sockets and with the client of `h2`.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client::SendRequest};
use http_types::{HeaderMap, Request, Response};
use tokio::{net::TcpStream, task::JoinHandle};

use super::{PATIENCE, TestServer};
use crate::connection::{Refusal, Settings, TimeoutPhase};

/// A client's connection.
struct Client {
    send: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// One response.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE * 2, test).await.unwrap() })
}

impl Client {
    async fn connect(server: &TestServer) -> Self {
        Self::with_window(server, 1 << 20).await
    }

    async fn with_window(server: &TestServer, size_bytes: u32) -> Self {
        let socket = TcpStream::connect(server.address).await.unwrap();
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(size_bytes);
        let (send, connection) = builder.handshake(socket).await.unwrap();
        Self { send, connection: tokio::spawn(connection) }
    }

    async fn begin(&self, method: &str, target: &str, is_complete: bool) -> (Pending, SendStream<Bytes>) {
        let request = Request::builder().method(method).uri(format!("http://a{target}")).body(()).unwrap();
        let mut send = self.send.clone().ready().await.unwrap();
        let (response, body) = send.send_request(request, is_complete).unwrap();
        (Pending(response), body)
    }

    async fn get(&self, target: &str) -> Answer {
        self.begin("GET", target, true).await.0.answer().await.unwrap()
    }
}

struct Pending(h2::client::ResponseFuture);

impl Pending {
    async fn head(self) -> Result<Response<RecvStream>, h2::Error> {
        self.0.await
    }

    async fn answer(self) -> Result<Answer, h2::Error> {
        let (head, mut body) = self.head().await?.into_parts();
        let mut data = Vec::new();
        while let Some(piece) = body.data().await {
            let piece = piece?;
            body.flow_control().release_capacity(piece.len()).unwrap();
            data.extend_from_slice(&piece);
        }
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: data })
    }
}

fn settings() -> Settings {
    Settings { workers: 1, ..Settings::default() }
}

#[test]
fn requests_are_answered_at_the_same_time() {
    let server = TestServer::start();
    run(async {
        let client = Client::connect(&server).await;
        let (waiting, _) = client.begin("GET", "/wait", true).await;
        let answer = client.get("/target/a%20b?c=d").await;
        assert_eq!((answer.status, &answer.body[..]), (200, &b"GET /target/a%20b?c=d"[..]));
        assert_eq!(answer.headers["content-length"], "21");
        assert!(answer.headers.contains_key("date") && !answer.headers.contains_key("connection"));
        let large = client.get("/large/3000000").await;
        assert_eq!((large.status, large.body.len()), (200, 3_000_000));
        let items = client.get("/items/300/1000").await;
        assert_eq!((items.body.len(), items.headers.get("content-length")), (300_000, None));
        let (head, _) = client.begin("HEAD", "/large/77", true).await;
        let head = head.answer().await.unwrap();
        assert_eq!((head.headers["content-length"].to_str().unwrap(), head.body.len()), ("77", 0));
        server.probe.open_gate();
        assert_eq!(waiting.answer().await.unwrap().body, b"waited");
        assert_eq!(server.counters.requests(), 5);
    });
    server.wait_until_empty();
}

#[test]
fn uploads_are_read_as_the_handler_reads_them() {
    let server = TestServer::start();
    run(async {
        let client = Client::connect(&server).await;
        let (response, mut body) = client.begin("PUT", "/store", false).await;
        for _ in 0..300 {
            body.reserve_capacity(10_000);
            body.send_data(Bytes::from(vec![1; 10_000]), false).unwrap();
        }
        body.send_data(Bytes::new(), true).unwrap();
        let answer = response.answer().await.unwrap();
        assert_eq!((answer.status, answer.body), (201, b"3000000 3000000".to_vec()));

        // A handler that does not read holds the client back at the window.
        let (_waiting, mut body) = client.begin("PUT", "/wait-and-store", false).await;
        body.reserve_capacity(2_000_000);
        let mut taken = 0;
        while let Ok(Some(Ok(capacity))) = tokio::time::timeout(
            Duration::from_millis(300),
            std::future::poll_fn(|cx| body.poll_capacity(cx)),
        )
        .await
        {
            taken += capacity;
            body.send_data(Bytes::from(vec![0; capacity]), false).unwrap();
        }
        assert_eq!(taken, 256 * 1024);

        // One that refuses at once is heard, also by a client that still sends.
        let (response, _body) = client.begin("PUT", "/refuse/403", false).await;
        assert_eq!(response.answer().await.unwrap().status, 403);
    });
}

#[test]
fn an_upload_that_breaks_off_is_an_error_and_one_that_is_complete_is_stored() {
    let server = TestServer::start();
    run(async {
        let client = Client::connect(&server).await;
        let (cut, mut body) = client.begin("PUT", "/store", false).await;
        body.send_data(Bytes::from_static(b"abc"), false).unwrap();
        let (other, mut whole) = client.begin("PUT", "/store-and-wait", false).await;
        whole.send_data(Bytes::from_static(b"abcd"), true).unwrap();
        server
            .wait_for_async("the handlers", || server.probe.waiting() == 1 && server.probe.started() == 2)
            .await;
        body.send_reset(Reason::CANCEL);
        server.wait_for_async("the failure", || server.probe.uploads().len() == 1).await;
        assert!(server.probe.uploads()[0].starts_with("failed after 3: "), "{:?}", server.probe.uploads());
        client.connection.abort();
        drop((client.send, cut, other, whole, body));
        server.probe.open_gate();
        server.wait_for_async("the upload", || server.probe.uploads().len() == 2).await;
        assert_eq!(server.probe.uploads()[1], "stored 4");
    });
    server.wait_until_empty();
}

#[test]
fn readers_that_leave_cancel_their_requests() {
    let server = TestServer::start();
    run(async {
        let client = Client::connect(&server).await;
        let (waiting, mut stream) = client.begin("GET", "/wait", true).await;
        let (gated, _) = client.begin("GET", "/gated", true).await;
        server.wait_for_async("the handlers", || server.probe.waiting() == 2).await;
        stream.send_reset(Reason::CANCEL);
        server.wait_for_async("the first", || server.probe.cancelled() == 1).await;
        drop((waiting, gated));
        client.connection.abort();
        server.wait_for_async("the second", || server.probe.cancelled() == 2).await;
    });
    server.wait_until_empty();
}

#[test]
fn a_body_that_fails_is_no_clean_end() {
    let server = TestServer::start();
    run(async {
        let client = Client::connect(&server).await;
        for target in ["/broken", "/mismatch/5/3", "/mismatch/3/5"] {
            let (response, _) = client.begin("GET", target, true).await;
            let error = response.answer().await.err().unwrap();
            assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "{target}");
        }
        assert_eq!(client.get("/hello").await.body, b"hello", "the connection lives on");
    });
}

#[test]
fn what_no_application_should_see_is_refused_on_the_stream() {
    let server = TestServer::with(Settings { headers_max: 4, ..settings() });
    run(async {
        let client = Client::connect(&server).await;
        let connect = Request::builder().method("CONNECT").uri("a:80").body(()).unwrap();
        let (response, _) = client.send.clone().ready().await.unwrap().send_request(connect, false).unwrap();
        assert_eq!(Pending(response).answer().await.unwrap().status, 405);
        let mut many = Request::builder().uri("http://a/hello");
        for number in 0..5 {
            many = many.header(format!("x-{number}"), "y");
        }
        let (response, _) =
            client.send.clone().ready().await.unwrap().send_request(many.body(()).unwrap(), true).unwrap();
        assert_eq!(Pending(response).answer().await.unwrap().status, 431);
        assert_eq!(server.counters.refused(Refusal::HeadersTooMany), 1);
        assert_eq!(client.get("/hello").await.body, b"hello");
    });
}

#[test]
fn a_reader_that_opens_no_window_is_cut_and_its_connection_is_not() {
    let short = Duration::from_millis(300);
    let server = TestServer::with(Settings { write_stall_timeout: short, ..settings() });
    run(async {
        let client = Client::with_window(&server, 1_000).await;
        let (stalled, _) = client.begin("GET", "/large/60000", true).await;
        let (head, mut body) = stalled.head().await.unwrap().into_parts();
        assert_eq!(head.status, 200);
        let error = loop {
            match body.data().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break error,
                None => panic!("a clean end"),
            }
        };
        assert_eq!(error.reason(), Some(Reason::ENHANCE_YOUR_CALM));
        assert_eq!(server.counters.timed_out(TimeoutPhase::WriteStall), 1);
        assert_eq!(client.get("/large/60000").await.body.len(), 60_000);
    });
}

#[test]
fn a_peer_that_takes_nothing_from_the_socket_is_cut() {
    let short = Duration::from_millis(300);
    let server = TestServer::with(Settings { write_stall_timeout: short, ..settings() });
    let mut socket = server.connect();
    // Preface, SETTINGS with a window of 2^31 - 1, WINDOW_UPDATE for the connection, and requests for a lot.
    socket.send(super::super::http2::PREFACE);
    socket.send(b"\0\0\x06\x04\0\0\0\0\0\0\x04\x7f\xff\xff\xff");
    socket.send(b"\0\0\x04\x08\0\0\0\0\0\x7f\x00\x00\x00");
    for stream in 0..40_u8 {
        // HPACK: GET, http, /large/9000000 as a literal, authority a.
        let mut block = b"\x82\x86\x04\x0e/large/9000000\x01\x01a".to_vec();
        let mut frame = vec![0, 0, u8::try_from(block.len()).unwrap(), 1, 5, 0, 0, 0, stream * 2 + 1];
        frame.append(&mut block);
        socket.send(&frame);
    }
    server.wait_for("the cut", || server.counters.timed_out(TimeoutPhase::WriteStall) >= 1);
    server.wait_until_empty();
}

#[test]
fn silent_connections_are_closed() {
    let short = Duration::from_millis(300);
    let server = TestServer::with(Settings { head_timeout: short, idle_timeout: short, ..settings() });
    let mut half = server.connect();
    half.send(&super::super::http2::PREFACE[..20]);
    let answer = half.answer();
    assert_eq!(answer.status, 408);
    run(async {
        let client = Client::connect(&server).await;
        assert_eq!(client.get("/hello").await.status, 200);
        // A clean end: GOAWAY without an error.
        client.connection.await.unwrap().unwrap();
    });
    assert_eq!(server.counters.timed_out(TimeoutPhase::Idle), 1);
    server.wait_until_empty();
}

#[test]
fn a_client_has_so_many_requests_at_a_time_and_no_more() {
    let server = TestServer::with(Settings { streams_max: 3, ..settings() });
    run(async {
        let client = Client::connect(&server).await;
        // The settings have arrived when a request was answered.
        client.get("/hello").await;
        assert_eq!(client.send.current_max_send_streams(), 3);
    });
}

#[test]
fn a_drain_sends_readers_away_and_keeps_encoders() {
    let server = TestServer::start();
    run(async {
        let (reader, encoder) = (Client::connect(&server).await, Client::connect(&server).await);
        assert_eq!(reader.get("/hello").await.status, 200);
        let (stored, mut body) = encoder.begin("PUT", "/store", false).await;
        body.send_data(Bytes::from_static(b"abc"), true).unwrap();
        assert_eq!(stored.answer().await.unwrap().status, 201);
        let busy = Client::connect(&server).await;
        let (waiting, _) = busy.begin("GET", "/wait", true).await;
        server.wait_for_async("the handler", || server.probe.waiting() == 1).await;

        server.drain.begin();
        reader.connection.await.unwrap().unwrap();
        let (stored, mut body) = encoder.begin("PUT", "/store", false).await;
        body.send_data(Bytes::from_static(b"abc"), true).unwrap();
        assert_eq!(stored.answer().await.unwrap().status, 201);
        server.probe.open_gate();
        assert_eq!(waiting.answer().await.unwrap().body, b"waited");
        busy.connection.await.unwrap().unwrap();

        server.drain.finish();
        encoder.connection.await.unwrap().unwrap();
    });
    assert!(server.stop() < Duration::from_secs(5));
}
