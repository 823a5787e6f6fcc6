//! Many readers of one object: what the text scripts are too small for.

use std::net::SocketAddr;

use mediaorigin_crds::load;
use mediaorigin_origin::{Options, Running, start_blocking};
use mediaorigin_tests::bench::{Load, Outcome, chunk_delay, load};
use mediaorigin_tests::peer::{Peer, Piece, fetch};
use serde_json::Value;

const READERS: usize = 100;
const CHUNK: usize = 64 * 1024;
const CHUNKS: u8 = 16;

fn start() -> Running {
    start_blocking(load::built_in().unwrap(), Options::default()).unwrap()
}

fn memory_used(admin: SocketAddr) -> u64 {
    let status: Value = serde_json::from_slice(&fetch(admin, "GET", "/-/status").unwrap().body).unwrap();
    status["memory"]["used"].as_u64().unwrap()
}

/// Proves RW-01: a hundred readers each have a chunk before the next one is written, and the bytes are there once.
#[test]
fn a_hundred_readers_get_each_chunk_as_it_arrives_from_one_copy() {
    let origin = start();
    let mut writer = Peer::connect(origin.media_addr).unwrap();
    let chunked = [("Transfer-Encoding".to_owned(), "chunked".to_owned())];
    writer.send_head("PUT", "/live/seg1.m4s", &chunked).unwrap();
    writer.send_chunk(&vec![0; CHUNK]).unwrap();
    let mut readers: Vec<Peer> =
        (0..READERS).map(|_| Peer::follow(origin.media_addr, "/live/seg1.m4s").unwrap()).collect();
    for number in 0..CHUNKS {
        if number > 0 {
            writer.send_chunk(&vec![number; CHUNK]).unwrap();
        }
        for reader in &mut readers {
            assert!(reader.read_exact(CHUNK).unwrap().iter().all(|byte| *byte == number));
        }
    }
    let size = u64::from(CHUNKS) * CHUNK as u64;
    let used = memory_used(origin.admin_addr);
    assert!(used >= size && used < size + size / 8, "{used} bytes are held for an object of {size}");
    writer.send_chunk(b"").unwrap();
    assert_eq!(writer.read_head().unwrap().status, 201);
    for reader in &mut readers {
        assert_eq!(reader.read_piece(1).unwrap(), Piece::End);
    }
}

/// RW-08: a reader that takes nothing keeps neither the writer nor other readers.
#[test]
fn a_reader_that_takes_nothing_holds_up_nobody() {
    let origin = start();
    let mut writer = Peer::connect(origin.media_addr).unwrap();
    let chunked = [("Transfer-Encoding".to_owned(), "chunked".to_owned())];
    writer.send_head("PUT", "/live/seg1.m4s", &chunked).unwrap();
    writer.send_chunk(&vec![0; CHUNK]).unwrap();
    let _idle = Peer::follow(origin.media_addr, "/live/seg1.m4s").unwrap();
    let mut eager = Peer::follow(origin.media_addr, "/live/seg1.m4s").unwrap();
    for _ in 1..200 {
        writer.send_chunk(&vec![0; CHUNK]).unwrap();
    }
    writer.send_chunk(b"").unwrap();
    assert_eq!(writer.read_head().unwrap().status, 201);
    assert_eq!(eager.read_rest().unwrap().0.len(), 200 * CHUNK);
}

/// The bench's client in its smallest size: it counts whole answers only.
#[test]
fn the_load_of_the_bench_reads_whole_answers() {
    let origin = start();
    let body = vec![7; 100 * 1024];
    let answer = Peer::connect(origin.media_addr).unwrap().request("PUT", "/a.ts", &[], Some(&body)).unwrap();
    assert_eq!(answer.head.status, 201);
    let plan = Load {
        address: origin.media_addr,
        target: "/a.ts".to_owned(),
        connections: 4,
        requests: 40,
        size: body.len(),
    };
    assert_eq!(load(&plan).unwrap(), Outcome { requests: 40, bytes: 40 * body.len() as u64 });
    assert!(load(&Load { size: 1, ..plan.clone() }).is_err(), "a wrong length was accepted");
    assert!(load(&Load { target: "/none.ts".to_owned(), ..plan }).is_err(), "a 404 was accepted");
}

/// The other bench in its smallest size: every chunk reaches every reader.
#[test]
fn the_delay_of_the_bench_is_measured_at_every_reader() {
    let origin = start();
    let delays = chunk_delay(origin.media_addr, 3, 5).unwrap();
    assert!(delays.readers == 3 && !delays.p50.is_zero() && delays.p50 <= delays.p99, "{delays:?}");
}
