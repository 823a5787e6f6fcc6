//! A proxy that forwards bytes both ways and keeps what the client sent: the bodies of its uploads can be compared with
//! what the origin serves.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::{Context, Result, bail};
use mediaorigin_crds::policy::Class;

/// What one connection's client sent.
type Stream = Arc<Mutex<Vec<u8>>>;
/// All connections in the order of their beginning.
type Streams = Arc<Mutex<Vec<Stream>>>;

/// A running proxy.
pub struct Capture {
    /// Where clients connect to.
    pub address: SocketAddr,
    streams: Streams,
}

/// One upload or deletion as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// `PUT`, `POST` or `DELETE`.
    pub method: String,
    /// The request target.
    pub target: String,
    /// The body, without its framing.
    pub body: Vec<u8>,
    /// Whether the body ended as its framing says.
    pub complete: bool,
}

impl Capture {
    /// Listens on a free port of the loopback interface and forwards to `upstream`.
    pub fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let streams = Streams::default();
        let kept = Arc::clone(&streams);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let record = Stream::default();
                if let Ok(mut streams) = kept.lock() {
                    streams.push(Arc::clone(&record));
                }
                thread::spawn(move || forward(client, upstream, &record));
            }
        });
        Ok(Self { address, streams })
    }

    /// Connections that were opened so far.
    pub fn connections(&self) -> usize {
        self.streams.lock().map_or(0, |streams| streams.len())
    }

    /// Everything that clients sent so far, parsed, in the order of their connections.
    pub fn sent(&self) -> Result<Vec<Sent>> {
        let streams =
            self.streams.lock().map_err(|_| anyhow::anyhow!("a forwarding thread panicked"))?.clone();
        let mut all = Vec::new();
        for stream in streams {
            let bytes = stream.lock().map_err(|_| anyhow::anyhow!("a forwarding thread panicked"))?.clone();
            parse(&bytes, &mut all)?;
        }
        Ok(all)
    }

    /// The complete, non-empty uploads of each target in the order of their connections.
    pub fn objects(&self) -> Result<BTreeMap<String, Vec<Vec<u8>>>> {
        let mut objects: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        for sent in self.sent()? {
            if sent.complete && sent.method != "DELETE" && !sent.body.is_empty() {
                objects.entry(sent.target).or_default().push(sent.body);
            }
        }
        Ok(objects)
    }

    /// Targets that were deleted.
    pub fn deleted(&self) -> Result<Vec<String>> {
        Ok(self.sent()?.into_iter().filter(|sent| sent.method == "DELETE").map(|sent| sent.target).collect())
    }
}

/// Whether `served` is what was uploaded last. ffmpeg sends its last two manifests over two connections without waiting
/// for an answer: on their way here they may overtake each other, so for a manifest either will do.
pub fn is_last(target: &str, uploads: &[Vec<u8>], served: &[u8]) -> bool {
    let is_manifest = Class::of(target) == Class::Manifest;
    uploads.iter().rev().take(if is_manifest { 2 } else { 1 }).any(|body| body == served)
}

fn forward(client: TcpStream, upstream: SocketAddr, record: &Mutex<Vec<u8>>) {
    // An upstream that is not there looks to the client as it would without the proxy: the connection ends.
    let Ok(server) = TcpStream::connect(upstream) else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (Ok(client_back), Ok(server_back)) = (client.try_clone(), server.try_clone()) else { return };
    let back = thread::spawn(move || pump(server_back, client_back, None));
    pump(client, server, Some(record));
    let _ = back.join();
}

fn pump(mut from: TcpStream, mut to: TcpStream, record: Option<&Mutex<Vec<u8>>>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(count) if count > 0 => count,
            _ => break,
        };
        if let Some(record) = record
            && let Ok(mut record) = record.lock()
        {
            record.extend_from_slice(&buffer[..count]);
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn parse(mut bytes: &[u8], all: &mut Vec<Sent>) -> Result<()> {
    while !bytes.is_empty() {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(length) = request.parse(bytes).context("captured request")? else {
            return Ok(());
        };
        let header = |name: &str| {
            let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.map(|header| String::from_utf8_lossy(header.value).into_owned())
        };
        let chunked = header("transfer-encoding").is_some();
        let content_length: usize = header("content-length").map_or(Ok(0), |text| text.parse())?;
        let (method, target) =
            (request.method.unwrap_or_default().to_owned(), request.path.unwrap_or_default().to_owned());
        bytes = &bytes[length..];
        let (body, rest, complete) = if chunked { dechunk(bytes)? } else { sized(bytes, content_length) };
        bytes = rest;
        if method != "GET" && method != "HEAD" {
            all.push(Sent { method, target, body, complete });
        }
    }
    Ok(())
}

fn sized(bytes: &[u8], length: usize) -> (Vec<u8>, &[u8], bool) {
    let count = length.min(bytes.len());
    (bytes[..count].to_vec(), &bytes[count..], count == length)
}

fn dechunk(mut bytes: &[u8]) -> Result<(Vec<u8>, &[u8], bool)> {
    let mut body = Vec::new();
    loop {
        let size = httparse::parse_chunk_size(bytes).map_err(|_| anyhow::anyhow!("captured chunk size"))?;
        let httparse::Status::Complete((line, length)) = size else { return Ok((body, &[], false)) };
        let length = usize::try_from(length)?;
        let Some(rest) = bytes.get(line..) else { bail!("captured chunk") };
        if rest.len() < length + 2 {
            body.extend_from_slice(&rest[..length.min(rest.len())]);
            return Ok((body, &[], false));
        }
        body.extend_from_slice(&rest[..length]);
        bytes = &rest[length + 2..];
        if length == 0 {
            return Ok((body, bytes, true));
        }
    }
}
