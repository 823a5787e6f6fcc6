//! A proxy that forwards bytes both ways and keeps what the client sent: the bodies of its uploads can be compared with
//! what the origin serves.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mediaorigin_origin::manifest::is_earlier_state;

/// How long the answers to what was sent may take.
const SETTLE_MAX: Duration = Duration::from_secs(20);

/// What one connection's client sent.
#[derive(Clone, Debug, Default)]
struct Record {
    bytes: Vec<u8>,
    /// Where each read began, and when.
    reads: Vec<(usize, Instant)>,
}

type Stream = Arc<Mutex<Record>>;
/// All connections in the order of their beginning.
type Streams = Arc<Mutex<Vec<Stream>>>;

/// A running proxy.
pub struct Capture {
    /// Where clients connect to.
    pub address: SocketAddr,
    streams: Streams,
    open: Open,
}

/// Connections that are being forwarded.
type Open = Arc<(Mutex<usize>, Condvar)>;

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
    /// When its head arrived here.
    pub began: Instant,
}

impl Capture {
    /// Listens on a free port of the loopback interface and forwards to `upstream`.
    pub fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let streams = Streams::default();
        let (kept, open) = (Arc::clone(&streams), Open::default());
        let counted = Arc::clone(&open);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let record = Stream::default();
                if let Ok(mut streams) = kept.lock() {
                    streams.push(Arc::clone(&record));
                }
                count(&counted, 1);
                let counted = Arc::clone(&counted);
                thread::spawn(move || {
                    forward(client, upstream, &record);
                    count(&counted, -1);
                });
            }
        });
        Ok(Self { address, streams, open })
    }

    /// Waits until the origin has answered all that was sent. ffmpeg ends without waiting for the answer to its last
    /// uploads.
    pub fn settle(&self) -> Result<()> {
        let (open, changed) = &*self.open;
        let open = open.lock().map_err(|_| anyhow::anyhow!("a forwarding thread panicked"))?;
        let settled = changed.wait_timeout_while(open, SETTLE_MAX, |open| *open > 0);
        let (open, _) = settled.map_err(|_| anyhow::anyhow!("a forwarding thread panicked"))?;
        anyhow::ensure!(*open == 0, "{open} connections are still open after {SETTLE_MAX:?}");
        Ok(())
    }

    /// Connections that were opened so far.
    pub fn connections(&self) -> usize {
        self.streams.lock().map_or(0, |streams| streams.len())
    }

    /// Everything that clients sent so far, parsed, in the order in which the heads arrived.
    pub fn sent(&self) -> Result<Vec<Sent>> {
        let streams =
            self.streams.lock().map_err(|_| anyhow::anyhow!("a forwarding thread panicked"))?.clone();
        let mut all = Vec::new();
        for stream in streams {
            let record = stream.lock().map_err(|_| anyhow::anyhow!("a forwarding thread panicked"))?.clone();
            parse(&record, &mut all)?;
        }
        all.sort_by_key(|sent| sent.began);
        Ok(all)
    }

    /// The complete, non-empty uploads of each target in the order in which their heads arrived.
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

/// What of a target's uploads must be served: the last one. ffmpeg sends its last two manifests over two connections
/// without waiting for an answer: on their way here they may overtake each other, so of these the later state counts.
pub fn last(uploads: &[Vec<u8>]) -> Option<&Vec<u8>> {
    match uploads {
        [.., previous, last] if is_earlier_state(last, previous) => Some(previous),
        _ => uploads.last(),
    }
}

fn count(open: &Open, by: isize) {
    if let Ok(mut count) = open.0.lock() {
        *count = count.saturating_add_signed(by);
        open.1.notify_all();
    }
}

fn forward(client: TcpStream, upstream: SocketAddr, record: &Mutex<Record>) {
    // An upstream that is not there looks to the client as it would without the proxy: the connection ends.
    let Ok(server) = TcpStream::connect(upstream) else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (Ok(client_back), Ok(server_back)) = (client.try_clone(), server.try_clone()) else { return };
    let back = thread::spawn(move || pump(server_back, client_back, None));
    pump(client, server, Some(record));
    let _ = back.join();
}

fn pump(mut from: TcpStream, mut to: TcpStream, record: Option<&Mutex<Record>>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(count) if count > 0 => count,
            _ => break,
        };
        if let Some(record) = record
            && let Ok(mut record) = record.lock()
        {
            let offset = record.bytes.len();
            record.reads.push((offset, Instant::now()));
            record.bytes.extend_from_slice(&buffer[..count]);
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

impl Record {
    /// When the byte at `offset` arrived.
    fn arrival(&self, offset: usize) -> Option<Instant> {
        let behind = self.reads.partition_point(|(start, _)| *start <= offset);
        self.reads.get(behind.checked_sub(1)?).map(|(_, at)| *at)
    }
}

fn parse(record: &Record, all: &mut Vec<Sent>) -> Result<()> {
    let mut bytes = &record.bytes[..];
    while let Some(began) = record.arrival(record.bytes.len() - bytes.len()).filter(|_| !bytes.is_empty()) {
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
            all.push(Sent { method, target, body, complete, began });
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
