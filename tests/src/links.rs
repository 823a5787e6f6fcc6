//! A link of TCP connections to one server, which a test cuts, silences, slows down and restores: what a network does to processes that are on one
//! machine, without rights over its network.
//!
//! What a silent link has taken is delivered when it is restored, as TCP would send it again. Unlike a network it takes as much as the
//! buffers of three sockets hold before a sender feels anything; that bytes are not acknowledged is not seen by the sender's kernel.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::SockRef;

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From whoever connects to the server.
    ToServer,
    /// Back.
    ToClient,
}

/// A proxy in front of a server; its connections end with this value.
pub struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_refusing: bool,
    /// By [`Way`].
    is_silent: [bool; 2],
    /// How long it takes what comes, beside the network.
    delay: Duration,
    /// How often all connections were ended.
    cuts: u64,
    /// Connections up to this number deliver nothing any more.
    lost: u64,
    /// Words that are looked for in what passes, and whether they did.
    watched: Option<Vec<u8>>,
    has_carried: bool,
    /// Both ends of each connection, by number.
    open: Vec<(u64, TcpStream, TcpStream)>,
    accepted: u64,
    has_ended: bool,
}

impl State {
    /// Something passes: for how long it is held up.
    fn look_at(&mut self, bytes: &[u8]) -> Duration {
        if let Some(words) = &self.watched {
            self.has_carried |= bytes.windows(words.len()).any(|window| window == words);
        }
        self.delay
    }
}

impl Link {
    /// Listens in front of `upstream`; everything passes at first.
    pub fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("listen")?;
        let address = listener.local_addr().context("address")?;
        let shared = Arc::new(Shared { upstream, state: Mutex::default(), changed: Condvar::default() });
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if for_thread.lock().has_ended {
                    break;
                }
                let shared = Arc::clone(&for_thread);
                // A client that gives up, or a server that is gone, is what the tests are about.
                thread::spawn(move || drop(shared.serve(client)));
            }
        });
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections and every new one until [`Self::restore`].
    pub fn cut(&self) {
        self.change(|state| state.is_refusing = true);
        self.reset();
    }

    /// Ends all connections; new ones pass.
    pub fn reset(&self) {
        self.change(|state| {
            state.cuts += 1;
            for (_, client, server) in state.open.drain(..) {
                end(&client);
                end(&server);
            }
        });
    }

    /// Connections stay and new ones come, but nothing is delivered until [`Self::restore`].
    pub fn silence(&self) {
        self.silence_way(Way::ToServer);
        self.silence_way(Way::ToClient);
    }

    /// The same in one direction.
    pub fn silence_way(&self, way: Way) {
        self.change(|state| state.is_silent[way as usize] = true);
    }

    /// Whatever is sent takes so much longer, in both directions.
    pub fn slow_down(&self, delay: Duration) {
        self.change(|state| state.delay = delay);
    }

    /// All connections stay and deliver nothing any more, whatever comes; new ones pass. So does a firewall that forgets them.
    pub fn lose(&self) {
        self.change(|state| state.lost = state.accepted);
    }

    /// Everything passes again, what was held first.
    pub fn restore(&self) {
        self.change(|state| {
            state.is_refusing = false;
            state.is_silent = [false; 2];
            state.delay = Duration::ZERO;
        });
    }

    /// Looks for `words` in whatever passes from now on, as far as they come in one piece.
    pub fn watch(&self, words: &[u8]) {
        self.change(|state| (state.watched, state.has_carried) = (Some(words.to_vec()), false));
    }

    /// Whether what is watched for has passed.
    pub fn has_carried(&self) -> bool {
        self.shared.lock().has_carried
    }

    /// Connections that came so far.
    pub fn accepted(&self) -> u64 {
        self.shared.lock().accepted
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.lock());
        self.shared.changed.notify_all();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.change(|state| state.has_ended = true);
        self.cut();
        // Its listener waits for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(self: &Arc<Self>, client: TcpStream) -> Result<()> {
        let (number, cuts) = {
            let mut state = self.lock();
            state.accepted += 1;
            if state.is_refusing {
                end(&client);
                return Ok(());
            }
            (state.accepted, state.cuts)
        };
        // To the server not even the wish to connect gets through.
        if !self.wait_open(Way::ToServer, (number, cuts)) {
            end(&client);
            return Ok(());
        }
        let server = TcpStream::connect(self.upstream).inspect_err(|_| end(&client))?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        {
            let mut state = self.lock();
            if state.cuts != cuts {
                end(&client);
                return Ok(());
            }
            state.open.push((number, client.try_clone()?, server.try_clone()?));
        }
        let (from, to, back) = (server.try_clone()?, client.try_clone()?, Arc::clone(self));
        let answers = thread::spawn(move || back.carry(from, to, Way::ToClient, (number, cuts)));
        self.carry(client, server, Way::ToServer, (number, cuts));
        let _ = answers.join();
        self.lock().open.retain(|(open, ..)| *open != number);
        Ok(())
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream, way: Way, of: (u64, u64)) {
        let mut buffer = vec![0; 65_536];
        loop {
            let count = match from.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break end(&to),
                Ok(count) => count,
            };
            let delay = self.lock().look_at(&buffer[..count]);
            thread::sleep(delay);
            if !self.wait_open(way, of) {
                break;
            }
            if count == 0 {
                let _ = to.shutdown(Shutdown::Write);
                break;
            }
            if to.write_all(&buffer[..count]).is_err() {
                break end(&from);
            }
        }
    }

    /// Waits while nothing is delivered in a direction; whether the connection is still there then.
    fn wait_open(&self, way: Way, (number, cuts): (u64, u64)) -> bool {
        let is_held = |state: &mut State| {
            state.cuts == cuts && !state.has_ended && (state.is_silent[way as usize] || number <= state.lost)
        };
        let state = self.changed.wait_while(self.lock(), is_held).unwrap_or_else(PoisonError::into_inner);
        state.cuts == cuts
    }
}

/// Ends a connection at once, whoever else holds it.
fn end(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    let _ = stream.shutdown(Shutdown::Both);
}
