//! A proxy in front of an HTTP server that does what networks do to requests: delays, drops, cuts and reorders them.
//!
//! Every request comes on a connection of its own and is shown to the plan of the test, which says what becomes of it. A
//! held request is kept as it came and delivered when the test says so: whoever sent it has given up long ago.

mod record;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use socket2::SockRef;

pub use record::Exchange;

use crate::peer::PATIENCE;
use record::Exchanges;

/// A request or an answer at most.
const MESSAGE_BYTES_MAX: usize = 64 * 1_024 * 1_024;

/// A request as the plan sees it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its place among all requests, from 0.
    pub number: usize,
    /// `PUT`.
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// `If-Match`.
    pub if_match: Option<String>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is passed on, and its answer back.
    Pass,
    /// It is passed on after a while, whether anybody still waits or not.
    Late(Duration),
    /// It is done at once; the answer comes after a while.
    AnswerLate(Duration),
    /// It is done; the connection ends without an answer.
    AnswerLost,
    /// It is not passed on; this status is the answer.
    Status(u16),
    /// So many bytes of the answer come, then the connection is reset.
    Cut(usize),
    /// It is kept under this name until [`FaultProxy::deliver`].
    Hold(&'static str),
    /// Its answer is that of now, but with the `ETag` that the same request is answered when [`FaultProxy::release`] is
    /// called: so does a server that reads the fields of an object one after the other.
    Torn(&'static str),
}

type Plan = Box<dyn FnMut(&Seen) -> Fate + Send>;

#[derive(Default)]
struct State {
    plan: Option<Plan>,
    seen: Vec<Seen>,
    held: HashMap<&'static str, Vec<u8>>,
    exchanges: Exchanges,
    /// Requests whose fate is not fulfilled yet; held ones until their sender gave up.
    busy: usize,
}

struct Shared {
    upstream: SocketAddr,
    started: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

/// The proxy; its threads end with the process.
pub struct FaultProxy {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl FaultProxy {
    /// Listens in front of `upstream`; everything passes at first.
    pub fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("listen")?;
        let address = listener.local_addr().context("address")?;
        let shared = Arc::new(Shared {
            upstream,
            started: Instant::now(),
            state: Mutex::default(),
            changed: Condvar::default(),
        });
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&for_thread);
                thread::spawn(move || {
                    // A client that gives up, or a server that is gone, is what the tests are about.
                    let _ = shared.serve(client);
                });
            }
        });
        Ok(Self { address, shared })
    }

    /// From now on `plan` decides.
    pub fn plan(&self, plan: impl FnMut(&Seen) -> Fate + Send + 'static) {
        self.shared.lock().plan = Some(Box::new(plan));
    }

    /// From now on everything passes.
    pub fn pass(&self) {
        self.shared.lock().plan = None;
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.lock().seen.clone()
    }

    /// The latest requests and what the server answered, in the order of the answers.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.shared.lock().exchanges.all()
    }

    /// Waits until a request is held under `name`.
    pub fn wait_held(&self, name: &str) -> Result<()> {
        let waited = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), PATIENCE, |state| !state.held.contains_key(name))
            .unwrap_or_else(PoisonError::into_inner);
        ensure!(!waited.1.timed_out(), "no request was held as {name}");
        Ok(())
    }

    /// Waits until every request that came has met its fate.
    pub fn wait_idle(&self) -> Result<()> {
        let waited = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), PATIENCE, |state| state.busy > 0)
            .unwrap_or_else(PoisonError::into_inner);
        ensure!(!waited.1.timed_out(), "requests are still on their way");
        Ok(())
    }

    /// Delivers all held requests whose target contains `part`, one after the other.
    pub fn deliver_all(&self, part: &str) -> Result<()> {
        let names = || -> Vec<&'static str> {
            let state = self.shared.lock();
            let is_wanted =
                |request: &&Vec<u8>| seen(0, request).is_ok_and(|seen| seen.target.contains(part));
            state.held.iter().filter(|(_, request)| is_wanted(request)).map(|(name, _)| *name).collect()
        };
        names().into_iter().try_for_each(|name| self.deliver(name).map(|_| ()))
    }

    /// Delivers a held request now; the status of its answer.
    pub fn deliver(&self, name: &str) -> Result<u16> {
        let request =
            self.shared.lock().held.remove(name).with_context(|| format!("nothing held: {name}"))?;
        let answer = self.shared.exchange(&request)?;
        status(&answer)
    }

    /// Lets a torn answer be completed; it is with its client when this request of the client is over.
    pub fn release(&self, name: &str) -> Result<()> {
        self.shared.lock().held.remove(name).with_context(|| format!("nothing held: {name}"))?;
        self.shared.changed.notify_all();
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut client: TcpStream) -> Result<()> {
        client.set_read_timeout(Some(PATIENCE))?;
        let request = request(&mut client)?;
        let fate = self.decide(&request)?;
        let result = self.fulfil(fate, request, &mut client);
        self.lock().busy -= 1;
        self.changed.notify_all();
        let _ = client.shutdown(Shutdown::Write);
        result
    }

    fn fulfil(&self, fate: Fate, request: Vec<u8>, client: &mut TcpStream) -> Result<()> {
        match fate {
            Fate::Pass => client.write_all(&self.exchange(&request)?)?,
            Fate::Late(delay) => {
                thread::sleep(delay);
                client.write_all(&self.exchange(&request)?)?;
            }
            Fate::AnswerLate(delay) => {
                let answer = self.exchange(&request)?;
                thread::sleep(delay);
                client.write_all(&answer)?;
            }
            Fate::AnswerLost => {
                self.exchange(&request)?;
                reset(client)?;
            }
            Fate::Status(status) => {
                let head = format!(
                    "HTTP/1.1 {status} x\r\netag: \"made-up\"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                client.write_all(head.as_bytes())?;
            }
            Fate::Cut(bytes) => {
                let answer = self.exchange(&request)?;
                let end = head_length(&answer)?.saturating_add(bytes).min(answer.len());
                client.write_all(&answer[..end])?;
                // What was written is readable on the other side: this is one machine.
                reset(client)?;
            }
            Fate::Hold(name) => {
                self.lock().held.insert(name, request);
                self.changed.notify_all();
                // Until the client gives up.
                let _ = client.read(&mut [0]);
            }
            Fate::Torn(name) => {
                let first = self.exchange(&request)?;
                self.keep_until_released(name, request.clone());
                let second = self.exchange(&request)?;
                client.write_all(&with_etag_of(&first, &second)?)?;
            }
        }
        Ok(())
    }

    fn keep_until_released(&self, name: &'static str, request: Vec<u8>) {
        let mut state = self.lock();
        state.held.insert(name, request);
        self.changed.notify_all();
        let released =
            self.changed.wait_timeout_while(state, PATIENCE, |state| state.held.contains_key(name));
        drop(released);
    }

    /// Sends a whole request on a connection of its own and reads the whole answer.
    fn exchange(&self, request: &[u8]) -> Result<Vec<u8>> {
        let begin = self.started.elapsed();
        let answer = exchange(self.upstream, request)?;
        let exchange = Exchange::new(begin, self.started.elapsed(), request, &answer);
        self.lock().exchanges.push(exchange);
        Ok(answer)
    }

    fn decide(&self, request: &[u8]) -> Result<Fate> {
        let mut state = self.lock();
        let seen = seen(state.seen.len(), request)?;
        state.seen.push(seen.clone());
        state.busy += 1;
        Ok(state.plan.as_mut().map_or(Fate::Pass, |plan| plan(&seen)))
    }
}

fn exchange(upstream: SocketAddr, request: &[u8]) -> Result<Vec<u8>> {
    let mut server = TcpStream::connect(upstream).context("connect to the server")?;
    server.set_read_timeout(Some(PATIENCE))?;
    let head = head_length(request)? - 2;
    // Not among the signed headers.
    let parts: [&[u8]; 3] = [&request[..head], b"connection: close\r\n\r\n", &request[head + 2..]];
    for part in parts {
        server.write_all(part)?;
    }
    let mut answer = Vec::new();
    match server.read_to_end(&mut answer) {
        // A server that has not read the whole body (minio) may reset the connection behind its answer.
        Err(error) if !is_whole(&answer) => Err(error).context("read the answer"),
        _ => Ok(answer),
    }
}

/// Whether an answer says its length and has it.
fn is_whole(answer: &[u8]) -> bool {
    let length =
        header(answer, "content-length").ok().flatten().and_then(|length| length.parse::<usize>().ok());
    length.zip(head_length(answer).ok()).is_some_and(|(length, head)| answer.len() >= head + length)
}

/// Head and body; bodies come with their length.
fn request(client: &mut TcpStream) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 65_536];
    loop {
        if let Ok(head) = head_length(&bytes) {
            let length = header(&bytes, "content-length")?.map_or(Ok(0), |length| length.parse::<usize>())?;
            if bytes.len() >= head + length {
                return Ok(bytes);
            }
        }
        ensure!(bytes.len() < MESSAGE_BYTES_MAX, "a request without end");
        let count = client.read(&mut buffer)?;
        ensure!(count > 0, "the client closed");
        bytes.extend_from_slice(&buffer[..count]);
    }
}

fn head_length(bytes: &[u8]) -> Result<usize> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    Ok(end.context("no whole head")? + 4)
}

fn header(bytes: &[u8], name: &str) -> Result<Option<String>> {
    let head = std::str::from_utf8(&bytes[..head_length(bytes)?]).context("a head that is not text")?;
    let mut fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let value = fields.find(|(key, _)| key.eq_ignore_ascii_case(name));
    Ok(value.map(|(_, value)| value.trim().to_owned()))
}

fn seen(number: usize, request: &[u8]) -> Result<Seen> {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).context("a request line that is not text")?;
    let [method, target, _] = line.split(' ').collect::<Vec<_>>()[..] else { bail!("not a request: {line}") };
    Ok(Seen {
        number,
        method: method.to_owned(),
        target: target.to_owned(),
        if_none_match: header(request, "if-none-match")?,
        if_match: header(request, "if-match")?,
    })
}

/// An answer with the `ETag` of another.
fn with_etag_of(answer: &[u8], other: &[u8]) -> Result<Vec<u8>> {
    let (head, body) = answer.split_at(head_length(answer)?);
    let etag = header(other, "etag")?.context("no ETag")?;
    let replaced =
        std::str::from_utf8(head)?.split_inclusive("\r\n").map(|line| match line.split_once(':') {
            Some((name, _)) if name.eq_ignore_ascii_case("etag") => format!("etag: {etag}\r\n"),
            _ => line.to_owned(),
        });
    Ok([replaced.collect::<String>().as_bytes(), body].concat())
}

fn status(answer: &[u8]) -> Result<u16> {
    let text = answer.get(9..12).and_then(|status| std::str::from_utf8(status).ok());
    text.and_then(|text| text.parse().ok()).context("an answer without a status")
}

/// Ends a connection by a reset.
fn reset(client: &TcpStream) -> Result<()> {
    Ok(SockRef::from(client).set_linger(Some(Duration::ZERO))?)
}
