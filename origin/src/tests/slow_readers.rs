//! Proves RW-08: readers that take hardly anything must not cost the encoders their memory.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime};

use mediaorigin_crds::load as contract;
use socket2::{Domain, Socket, Type};

use super::{document, get};
use crate::clock::Clock;
use crate::{Options, Running, start_blocking};

const OBJECT_BYTES: usize = 5 << 20;
/// So many objects fill the 135 MiB that a pod of 256 MiB with 1,000 connections has for them.
const OBJECTS: usize = 26;
/// What a reader takes each tenth of a second: 5 KB/s.
const SIP_BYTES: usize = 512;

fn begin() -> Running {
    let text =
        document(1, "", OBJECT_BYTES as u64 * 2).replace("connectionsMax: 100,", "connectionsMax: 1000,");
    let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_hours(400_000));
    start_blocking(contract::parse(&text).unwrap(), Options { clock, ..Options::default() }).unwrap()
}

fn put(address: SocketAddr, path: &str) -> u16 {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {OBJECT_BYTES}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A refusal may come, and the connection end, before the whole body is sent.
    let _ = stream.write_all(&vec![7; OBJECT_BYTES]);
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    String::from_utf8_lossy(&status[9..]).parse().unwrap()
}

/// A reader whose kernel takes little for it.
fn reader(address: SocketAddr, path: &str) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    socket.connect(&address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
    let mut start = [0; 512];
    stream.read_exact(&mut start).unwrap();
    assert!(start.starts_with(b"HTTP/1.1 200 "), "{}", start.escape_ascii());
    stream
}

/// Lets all readers sip for a while and returns how many are still served.
fn sip(readers: &mut [TcpStream], time: Duration) -> usize {
    let (start, mut drop) = (Instant::now(), [0; SIP_BYTES]);
    let mut served = vec![true; readers.len()];
    while start.elapsed() < time {
        for (reader, served) in readers.iter_mut().zip(&mut served) {
            *served &= reader.read_exact(&mut drop).is_ok();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    served.into_iter().filter(|served| *served).count()
}

#[test]
fn slow_readers_of_old_objects_make_way_for_uploads() {
    let running = begin();
    let address = running.media_addr;
    let path = |number: usize| format!("/live/seg-{number}.ts");
    for number in 0..OBJECTS {
        assert_eq!(put(address, &path(number)), 201, "{number}");
    }
    let mut readers: Vec<_> = (0..OBJECTS).map(|number| reader(address, &path(number))).collect();
    // While the objects are live nobody is cut for an upload: it is the upload that has to wait.
    assert_eq!(sip(&mut readers, Duration::from_millis(1_500)), OBJECTS);
    assert_eq!(put(address, &path(OBJECTS)), 503);
    assert_eq!(sip(&mut readers, Duration::ZERO), OBJECTS);

    // Past the live window, every object that could be evicted is in somebody's slow hands.
    running.clock().advance(Duration::from_mins(2));
    assert_eq!(put(address, &path(OBJECTS)), 201);
    assert_eq!(put(address, &path(OBJECTS + 1)), 201);
    // More than a kernel still has for a client that was cut.
    let served = readers.iter_mut().map(|reader| reader.read_exact(&mut vec![0; 128 * 1024]));
    let served = served.flatten().count();
    assert!((OBJECTS - 4..=OBJECTS - 2).contains(&served), "{served}");
    let metrics = get(running.admin_addr, "/metrics");
    let line = format!("connection_timeouts_total{{reason=\"memory\"}} {}", OBJECTS - served);
    assert!(metrics.contains(&line), "{metrics}");
}

#[test]
fn slow_readers_of_deleted_objects_make_way_for_uploads() {
    let running = begin();
    let address = running.media_addr;
    for number in 0..OBJECTS {
        assert_eq!(put(address, &format!("/live/seg-{number}.ts")), 201, "{number}");
    }
    let mut readers: Vec<_> =
        (0..OBJECTS).map(|number| reader(address, &format!("/live/seg-{number}.ts"))).collect();
    for number in 0..OBJECTS {
        let mut stream = TcpStream::connect(address).unwrap();
        let request =
            format!("DELETE /live/seg-{number}.ts HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    }
    assert_eq!(sip(&mut readers, Duration::from_millis(1_500)), OBJECTS);
    assert_eq!(put(address, "/live/new.ts"), 201);
}
