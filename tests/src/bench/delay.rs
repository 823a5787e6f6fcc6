//! RW-02: how long a chunk takes from the writer to its readers, over real sockets and many readers of one object.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use crate::peer::Peer;

/// A chunk as LL-DASH packagers send them: a fifth of a second at 3 Mbit/s.
const CHUNK_BYTES: usize = 75_000;
/// A packager's pace, sped up: readers are idle when a chunk comes.
const PACE: Duration = Duration::from_millis(20);

/// Delays of all chunks at all readers.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    /// Readers.
    pub readers: usize,
    /// Half of the chunks took no longer.
    pub p50: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
}

/// Measures from before the first byte of a chunk is sent until a reader has its last byte.
pub fn chunk_delay(media: SocketAddr, readers: usize, chunks: usize) -> Result<Delays> {
    let target = format!("/live/delay{readers}.m4s");
    let mut writer = Peer::connect(media)?;
    let headers = [("Transfer-Encoding".to_owned(), "chunked".to_owned())];
    writer.send_head("PUT", &target, &headers)?;
    let body = vec![0; CHUNK_BYTES];
    writer.send_chunk(&body)?;
    let peers = (0..readers).map(|_| follow(media, &target)).collect::<Result<Vec<_>>>()?;
    let sent = Mutex::new(Vec::new());
    let mut delays = thread::scope(|scope| {
        let sent = &sent;
        let readers: Vec<_> =
            peers.into_iter().map(|peer| scope.spawn(move || receive(peer, chunks, sent))).collect();
        for _ in 0..chunks {
            thread::sleep(PACE);
            sent.lock().map_err(|_| anyhow!("a reader panicked"))?.push(Instant::now());
            writer.send_chunk(&body)?;
        }
        let mut all = Vec::new();
        for reader in readers {
            all.extend(reader.join().map_err(|_| anyhow!("a reader panicked"))??);
        }
        Ok::<_, anyhow::Error>(all)
    })?;
    writer.send_chunk(b"")?;
    ensure!(writer.read_head()?.status == 201, "the upload failed");
    delays.sort();
    let at = |percent| percentile(&delays, percent).context("no delay");
    Ok(Delays { readers, p50: at(50)?, p99: at(99)? })
}

/// So many percent of the sorted delays are below this one.
pub fn percentile(delays: &[Duration], percent: usize) -> Option<Duration> {
    delays.get(delays.len() * percent / 100).copied()
}

/// A reader that has the first chunk.
fn follow(media: SocketAddr, target: &str) -> Result<Peer> {
    let mut peer = Peer::follow(media, target)?;
    peer.read_exact(CHUNK_BYTES)?;
    Ok(peer)
}

fn receive(mut peer: Peer, chunks: usize, sent: &Mutex<Vec<Instant>>) -> Result<Vec<Duration>> {
    (0..chunks)
        .map(|number| {
            peer.read_exact(CHUNK_BYTES)?;
            let now = Instant::now();
            let sent = sent.lock().map_err(|_| anyhow!("the writer panicked"))?;
            Ok(now - *sent.get(number).context("received before it was sent")?)
        })
        .collect()
}
