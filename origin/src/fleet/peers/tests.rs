//! Several pods in one process, with the memory and the sockets that they have in a cluster.

mod encrypted;
mod fetches;
mod fills;
mod follows;
mod holders;

use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use actix_web::dev::ServerHandle;
use futures_util::StreamExt;
use mediaorigin_crds::policy::Class;
use socket2::{Domain, Socket, Type};

use super::address::Address;
use super::client::{Bytestream, Limits, PeerError, Peers};
use super::growing::{self, Follows};
use super::server::{Settings, serve};
use super::{Counters, Counts, Keys};
use crate::clock::Clock;
use crate::memory::blob::{Read, Uid};
use crate::memory::object::{Meta, Reader, Version};
use crate::memory::upload::{Opening, Terms, Upload};
use crate::memory::{Found, Memory};

/// Bounds failures only.
const PATIENCE: Duration = Duration::from_mins(1);
const KEEP: Terms = Terms { keep: Duration::from_mins(10), expire: None };
const MEMORY_BYTES: u64 = 128 << 20;

/// One pod: its memory, its peer port, and what it asks others with.
struct Pod {
    memory: Arc<Memory>,
    clock: Clock,
    address: Address,
    peers: Arc<Peers>,
    follows: Arc<Follows>,
    counters: Arc<Counters>,
    server: Option<(ServerHandle, JoinHandle<()>)>,
}

fn keys() -> Keys {
    Keys::of(b"the password of all pods", "live").unwrap()
}

/// Nothing on a busy machine is late.
fn patient() -> Limits {
    Limits {
        connect: PATIENCE,
        head: PATIENCE,
        fill_head: PATIENCE,
        growing_head: PATIENCE,
        idle: PATIENCE,
        growing_idle: PATIENCE,
    }
}

impl Pod {
    fn start() -> Self {
        Self::start_with(patient(), growing::Limits { word_wait: PATIENCE, ..Default::default() }, |_| {})
    }

    /// Its peer port speaks TLS.
    fn start_encrypted() -> Self {
        let follows = growing::Limits { word_wait: PATIENCE, ..Default::default() };
        Self::start_with(patient(), follows, |settings| settings.is_encrypted = true)
    }

    fn start_with(limits: Limits, follows: growing::Limits, change: impl FnOnce(&mut Settings)) -> Self {
        let memory = Arc::new(Memory::new(MEMORY_BYTES));
        let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_765_432_100));
        let counters = Arc::new(Counters::default());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let mut settings =
            Settings { stall_max: PATIENCE, ..Settings::new(Arc::new(OnceLock::from(keys())), false) };
        change(&mut settings);
        let address = Address::new(address, settings.is_encrypted);
        let shared = (Arc::clone(&memory), clock.clone(), Arc::clone(&counters));
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            let (memory, clock, counters) = shared;
            actix_rt::System::new().block_on(async {
                let server = serve(listener, settings, memory, clock, counters).unwrap();
                tell.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        let server = Some((told.recv().unwrap(), thread));
        let peers = Arc::new(Peers::new(&keys(), limits, Arc::clone(&counters)).unwrap());
        let runtime = tokio::runtime::Handle::current();
        let follows = Follows::new(Arc::clone(&memory), clock.clone(), Arc::clone(&peers), follows, runtime);
        Self { memory, clock, address, peers, follows, counters, server }
    }

    async fn open(&self, path: &str, length: Option<u64>, early: bool) -> Upload {
        let meta = Meta {
            content_type: "video/mp2t".to_owned(),
            content_encoding: Some("identity".to_owned()),
            cache_control: Some("max-age=7".to_owned()),
            class: Class::Segment,
        };
        let opening = Opening { path: path.into(), uid: Uid(fastrand::u128(..)), meta, early, length };
        self.memory.open(opening, &self.clock).await.unwrap()
    }

    async fn put(&self, path: &str, data: &[u8]) -> Arc<Version> {
        let mut upload = self.open(path, Some(data.len() as u64), true).await;
        upload.write(data, &self.clock).await.unwrap();
        let version = Arc::clone(upload.version());
        upload.commit(self.clock.now(), KEEP, |_| true);
        version
    }

    fn find(&self, path: &str) -> Found {
        self.memory.find(path, self.clock.now())
    }

    fn counts(&self) -> Counts {
        self.counters.counts()
    }

    /// Ends its peer port; what other pods read is cut off.
    fn stop(&mut self) {
        if let Some((handle, thread)) = self.server.take() {
            // The command is sent by the call; the thread is what is waited for.
            drop(handle.stop(false));
            thread.join().unwrap();
        }
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An address where nobody listens, for as long as the socket lives.
fn nobody() -> (Socket, Address) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, Address::new(address, false))
}

/// Fails where something that must end does not.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it does not end")
}

/// Waits for a condition that nobody tells about.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

async fn all(mut bytes: Bytestream) -> Result<Vec<u8>, (Vec<u8>, PeerError)> {
    let mut data = Vec::new();
    while let Some(next) = soon(bytes.next()).await {
        match next {
            Ok(more) => data.extend_from_slice(&more),
            Err(error) => return Err((data, error)),
        }
    }
    Ok(data)
}

/// Exactly the next bytes of a stream, in however many pieces they come.
async fn exactly(bytes: &mut Bytestream, length: usize) -> Vec<u8> {
    let mut data = Vec::new();
    while data.len() < length {
        data.extend_from_slice(&soon(bytes.next()).await.expect("it goes on").unwrap());
    }
    data
}

/// All bytes of a version, or those that came before it was cut.
async fn read_all(version: Arc<Version>) -> Result<Vec<u8>, Vec<u8>> {
    let mut reader = Reader::new(version, 0, u64::MAX);
    let mut data = Vec::new();
    loop {
        match soon(poll_fn(|cx| reader.poll_next(cx))).await {
            Read::Bytes(bytes) => data.extend_from_slice(&bytes),
            Read::End => return Ok(data),
            Read::Aborted => return Err(data),
        }
    }
}

fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from((index * 31 + index / 1_000 + seed) % 251).unwrap()).collect()
}
