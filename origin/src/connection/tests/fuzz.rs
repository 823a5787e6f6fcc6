//! Random damage to valid requests must harm nobody.

use std::io::{Read as _, Write as _};

use super::TestServer;
use crate::connection::Settings;

// A failure that names a waiting read (`WouldBlock`) is a server that did not answer.
const CONNECTIONS: usize = 4000;
const GET: &str = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

const SEEDS: [&str; 7] = [
    GET,
    "HEAD /items/3/10 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    "PUT /store HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789",
    "PUT /store HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nabcde\r\n0\r\nT: u\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "PUT /refuse/403 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nabcde",
    "GET http://a/large/100000 HTTP/1.0\r\nConnection: keep-alive\r\nUpgrade: websocket\r\n\r\n",
];

const SPICES: [&[u8]; 14] = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b":",
    b"\xff",
    b"0",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: b\r\n",
    b"HTTP/1.0",
    b"ffffffffffffffff",
    b"\t",
];

/// Some requests in a row, damaged in some places.
fn damaged(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.usize(1..=3) {
        bytes.extend(random.choice(SEEDS).unwrap_or(GET).bytes());
    }
    for _ in 0..random.usize(0..=4) {
        let at = random.usize(0..bytes.len());
        match random.u8(0..5) {
            0 => bytes[at] = random.u8(..),
            1 => drop(bytes.remove(at)),
            2 => drop(bytes.splice(at..at, random.choice(SPICES).unwrap_or_default().iter().copied())),
            3 => bytes.truncate(at.max(1)),
            _ => {
                let end = random.usize(at..bytes.len().min(at + 40));
                let copy = bytes[at..=end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
        if bytes.is_empty() {
            bytes.push(b'G');
        }
    }
    bytes
}

/// Sends bytes in random pieces and leaves in a random way; what the server makes of it does not matter.
fn visit(server: &TestServer, random: &mut fastrand::Rng) {
    let bytes = damaged(random);
    let mut socket = std::net::TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(super::PATIENCE)).unwrap();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let (now, later) = rest.split_at(random.usize(1..=rest.len()));
        if socket.write_all(now).is_err() {
            return;
        }
        rest = later;
    }
    match random.u8(0..3) {
        0 => {}
        1 => socket2::SockRef::from(&socket).set_linger(Some(std::time::Duration::ZERO)).unwrap(),
        _ => {
            // May fail when the server has reset the connection already.
            let _ = socket.shutdown(std::net::Shutdown::Write);
            let mut answers = Vec::new();
            match socket.read_to_end(&mut answers) {
                Ok(_) => {}
                Err(error) => assert_eq!(
                    error.kind(),
                    std::io::ErrorKind::ConnectionReset,
                    "{:?}",
                    bytes.escape_ascii().to_string()
                ),
            }
            if !answers.is_empty() {
                assert!(answers.starts_with(b"HTTP/1.1 "), "{:?}", answers.escape_ascii().to_string());
            }
        }
    }
}

#[test]
fn damaged_requests_harm_nobody() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let server = TestServer::with(Settings { workers: 2, ..Settings::default() });
    std::thread::scope(|scope| {
        for lane in 0..4 {
            let server = &server;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed.wrapping_add(lane));
                for _ in 0..CONNECTIONS / 4 {
                    visit(server, &mut random);
                }
            });
        }
    });
    assert_eq!(server.ask(GET).text(), "hello");
    server.wait_until_empty();
    assert_eq!(server.counters.accepted(), CONNECTIONS as u64 + 1);
}
