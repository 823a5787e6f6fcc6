//! PUT, compared with another server: CPU time of the server and time of the client per upload.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Names that are written in turn, as a live window.
const NAMES: usize = 16;

/// Uploads `requests` bodies of `size` bytes over `connections` keep-alive connections; each body is a new one. Returns the
/// time that all took.
pub(super) fn upload(
    address: SocketAddr,
    connections: usize,
    requests: usize,
    size: usize,
) -> Result<Duration> {
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        let workers: Vec<_> =
            (0..connections).map(|_| scope.spawn(|| connection(address, &next, requests, size))).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a client thread panicked")))
    })?;
    Ok(start.elapsed())
}

fn connection(address: SocketAddr, next: &AtomicUsize, requests: usize, size: usize) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut body = vec![0x47; size];
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= requests {
            return Ok(());
        }
        // The same bytes again would be recognised and not be stored.
        body[..16].copy_from_slice(&fastrand::u128(..).to_le_bytes());
        let name = number % NAMES;
        let head = format!(
            "PUT /up-{size}-{name}.ts HTTP/1.1\r\nHost: origin.test\r\nContent-Length: {size}\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body)?;
        read_answer(&mut stream)?;
    }
}

fn read_answer(stream: &mut TcpStream) -> Result<()> {
    let (mut buffer, mut received) = ([0; 4096], 0);
    loop {
        let count = stream.read(&mut buffer[received..]).context("answer")?;
        ensure!(count > 0, "the connection ended before the answer");
        received += count;
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = response.parse(&buffer[..received])? else { continue };
        ensure!(matches!(response.code, Some(201 | 204)), "status {:?}", response.code);
        let body = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let body = body
            .map_or(Ok(0), |header| std::str::from_utf8(header.value)?.parse::<usize>().context("length"))?;
        ensure!(received == length + body, "an answer with a body that came in parts");
        return Ok(());
    }
}
