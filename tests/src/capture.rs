//! A proxy that forwards bytes both ways and keeps what the client sent and how it was answered: the bodies of its uploads
//! can be compared with what the origin serves.

mod parse;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use mediaorigin_origin::manifest::is_earlier_state;

/// How long the answers to what was sent may take.
const SETTLE_MAX: Duration = Duration::from_secs(20);

/// What one direction of a connection carried.
#[derive(Clone, Debug, Default)]
struct Record {
    bytes: Vec<u8>,
    /// Where each read began, and when.
    reads: Vec<(usize, Instant)>,
}

/// One connection: what its client sent, and what the origin did.
#[derive(Debug, Default)]
struct Exchange {
    sent: Mutex<Record>,
    answered: Mutex<Record>,
}

type Stream = Arc<Exchange>;
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
    /// What the client calls the body.
    pub content_type: Option<String>,
    /// The body, without its framing.
    pub body: Vec<u8>,
    /// Whether the body ended as its framing says.
    pub complete: bool,
    /// When its head arrived here.
    pub began: Instant,
    /// The status of the answer; none where the connection ended without one.
    pub status: Option<u16>,
    /// The body of the answer, if it has one: of a refusal the reason.
    pub said: String,
}

impl Sent {
    /// Whether the origin has promised to keep it.
    pub fn is_acknowledged(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
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
            let copy = |record: &Mutex<Record>| {
                let record = record.lock().map_err(|_| anyhow::anyhow!("a forwarding thread panicked"))?;
                anyhow::Ok(record.clone())
            };
            parse::connection(&copy(&stream.sent)?, &copy(&stream.answered)?, &mut all)?;
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

fn forward(client: TcpStream, upstream: SocketAddr, stream: &Stream) {
    // An upstream that is not there looks to the client as it would without the proxy: the connection ends.
    let Ok(server) = TcpStream::connect(upstream) else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (Ok(client_back), Ok(server_back)) = (client.try_clone(), server.try_clone()) else { return };
    let kept = Arc::clone(stream);
    let back = thread::spawn(move || pump(server_back, client_back, &kept.answered));
    pump(client, server, &stream.sent);
    let _ = back.join();
}

fn pump(mut from: TcpStream, mut to: TcpStream, record: &Mutex<Record>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(count) if count > 0 => count,
            _ => break,
        };
        if let Ok(mut record) = record.lock() {
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
