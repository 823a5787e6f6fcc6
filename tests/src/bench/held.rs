//! What connections cost in memory: idle ones, and readers that take nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::server::{Server, file_name};

/// Connections that are open before the first measurement: the server has grown what it keeps for itself.
const WARM: usize = 200;
/// How long a queue must stand still to be full.
const STILL: Duration = Duration::from_millis(500);

/// Memory of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Of the process, in bytes.
    pub user: f64,
    /// In the kernel's send queues, in bytes.
    pub queued: f64,
}

/// `count` keep-alive connections that have each read a body of `size` bytes.
pub(super) fn idle(server: &Server, count: usize, size: usize) -> Result<Held> {
    let open = |count: usize| (0..count).map(|_| read_once(server.address, size)).collect::<Result<Vec<_>>>();
    let warm = open(WARM)?;
    let before = server.resident_bytes()?;
    let connections = open(count)?;
    let held = difference(server, before, count)?;
    drop((warm, connections));
    Ok(held)
}

/// `count` readers of a body of `size` bytes that read its head and nothing more.
pub(super) fn stalled(server: &Server, count: usize, size: usize) -> Result<Held> {
    let before = server.resident_bytes()?;
    let readers = (0..count)
        .map(|_| {
            let mut stream = ask(server.address, size)?;
            stream.read_exact(&mut [0; 64])?;
            Ok(stream)
        })
        .collect::<Result<Vec<_>>>()?;
    let (mut queued, mut since) = (server.queued_bytes()?, Instant::now());
    while since.elapsed() < STILL {
        std::thread::sleep(Duration::from_millis(20));
        let now = server.queued_bytes()?;
        if now != queued {
            (queued, since) = (now, Instant::now());
        }
    }
    let held = difference(server, before, count)?;
    drop(readers);
    Ok(held)
}

fn difference(server: &Server, before: u64, count: usize) -> Result<Held> {
    let user = server.resident_bytes()?.saturating_sub(before) as f64 / count as f64;
    Ok(Held { user, queued: server.queued_bytes()? as f64 / count as f64 })
}

fn ask(address: SocketAddr, size: usize) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let request = format!("GET /{} HTTP/1.1\r\nHost: origin.test\r\n\r\n", file_name(size));
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}

/// Reads to the end of the body; what follows the head must have its length.
fn read_once(address: SocketAddr, size: usize) -> Result<TcpStream> {
    let mut stream = ask(address, size)?;
    let (mut buffer, mut head, mut received) = (vec![0; 64 * 1024], Vec::new(), None);
    while received.is_none_or(|received| received < size) {
        let count = stream.read(&mut buffer)?;
        ensure!(count > 0, "the connection ended before the body");
        if let Some(received) = &mut received {
            *received += count;
            continue;
        }
        head.extend_from_slice(&buffer[..count]);
        let end = head.windows(4).position(|window| window == b"\r\n\r\n");
        received = end.map(|end| head.len() - end - 4);
    }
    ensure!(received == Some(size), "{received:?} bytes instead of {size}");
    Ok(stream)
}
