//! The client: a fixed number of requests over keep-alive connections, every body read to its end and counted.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// What to ask.
#[derive(Clone, Debug)]
pub struct Load {
    /// The server.
    pub address: SocketAddr,
    /// Request target.
    pub target: String,
    /// Connections, each with a thread of its own.
    pub connections: usize,
    /// Requests over all connections.
    pub requests: usize,
    /// Bytes that each body must have.
    pub size: usize,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whole answers with status 200 and the right length.
    pub requests: usize,
    /// Body bytes.
    pub bytes: u64,
}

/// Runs the load; any wrong answer is an error.
pub fn load(load: &Load) -> Result<Outcome> {
    let next = AtomicUsize::new(0);
    let counts = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..load.connections).map(|_| scope.spawn(|| connection(load, &next))).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| bail!("a client thread panicked")))
            .collect::<Result<Vec<_>>>()
    })?;
    let requests = counts.iter().sum();
    Ok(Outcome { requests, bytes: requests as u64 * load.size as u64 })
}

fn connection(load: &Load, next: &AtomicUsize) -> Result<usize> {
    let mut stream = TcpStream::connect(load.address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    // The same host as in the requests that filled the servers: Varnish keeps objects by host.
    let request = format!("GET {} HTTP/1.1\r\nHost: origin.test\r\n\r\n", load.target);
    let mut buffer = vec![0; 256 * 1024];
    let mut answered = 0;
    while next.fetch_add(1, Ordering::Relaxed) < load.requests {
        stream.write_all(request.as_bytes())?;
        read_answer(&mut stream, &mut buffer, load.size)?;
        answered += 1;
    }
    Ok(answered)
}

fn read_answer(stream: &mut TcpStream, buffer: &mut [u8], size: usize) -> Result<()> {
    let mut received = 0;
    let body_start = loop {
        let count = stream.read(&mut buffer[received..]).context("head")?;
        ensure!(count > 0, "the connection ended before the answer");
        received += count;
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        if let httparse::Status::Complete(length) = response.parse(&buffer[..received])? {
            ensure!(response.code == Some(200), "status {:?}", response.code);
            break length;
        }
    };
    let mut body = received - body_start;
    while body < size {
        let count = stream.read(buffer).context("body")?;
        ensure!(count > 0, "the body ended after {body} of {size} bytes");
        body += count;
    }
    ensure!(body == size, "{body} bytes instead of {size}");
    Ok(())
}
