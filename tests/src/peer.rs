//! An HTTP/1.1 peer for tests: it sends exactly what it is told, in pieces, and reads answers piece by piece.
//! Blocking sockets with one time-out, so that a test that waits for ever fails instead.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Longest wait for bytes; every wait of a test is a barrier, never a delay, so this only bounds failures.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
pub struct Peer {
    stream: TcpStream,
    /// Received and not yet consumed.
    pending: Vec<u8>,
    /// How the body of the answer in progress ends.
    framing: Framing,
    head_request: bool,
    /// The other side ended the connection by a reset.
    reset: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Framing {
    /// No answer in progress.
    None,
    /// So many bytes are left.
    Length(u64),
    /// Chunked; so many bytes of the current chunk are left.
    Chunked(u64),
    /// Until the peer closes.
    Close,
}

/// Status and headers of an answer.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// Status code.
    pub status: u16,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        self.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }
}

/// What came next of an answer's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Some bytes, at least one.
    Bytes(Vec<u8>),
    /// The body ended as its framing says.
    End,
    /// The connection ended before the body did.
    Cut,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status and headers.
    pub head: Head,
    /// The body.
    pub body: Vec<u8>,
}

impl Peer {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .with_context(|| format!("connect to {address}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, pending: Vec::new(), framing: Framing::None, head_request: false, reset: false })
    }

    /// A reader of an object that is being written, with its head read. The first bytes of the upload may still be on their
    /// way on another connection: until they are there it asks again.
    pub fn follow(address: SocketAddr, target: &str) -> Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut peer = Self::connect(address)?;
            peer.send_head("GET", target, &[])?;
            let head = peer.read_head()?;
            if head.status == 200 {
                return Ok(peer);
            }
            ensure!(Instant::now() < deadline, "{target} cannot be read: {}", head.status);
        }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("send")
    }

    /// Sends a request head. `Host` is added unless given.
    pub fn send_head(&mut self, method: &str, target: &str, headers: &[(String, String)]) -> Result<()> {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str("Host: origin.test\r\n");
        }
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        self.head_request = method == "HEAD";
        self.send(head.as_bytes())
    }

    /// Sends one chunk of a chunked body; an empty one ends it.
    pub fn send_chunk(&mut self, bytes: &[u8]) -> Result<()> {
        let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
        framed.extend_from_slice(bytes);
        framed.extend_from_slice(b"\r\n");
        self.send(&framed)
    }

    /// Ends the connection at once, in the middle of whatever was going on.
    pub fn cut(&mut self) -> Result<()> {
        self.stream.shutdown(Shutdown::Both).context("shutdown")
    }

    /// Ends the sending side only.
    pub fn half_close(&mut self) -> Result<()> {
        self.stream.shutdown(Shutdown::Write).context("shutdown")
    }

    /// Reads the head of the next final or interim (1xx) answer.
    pub fn read_head(&mut self) -> Result<Head> {
        loop {
            if let Some(head) = self.parse_head()? {
                return Ok(head);
            }
            ensure!(
                self.fill()? > 0,
                "the connection ended before an answer; received {:?}",
                self.pending_text()
            );
        }
    }

    /// Whether the peer closed without another byte.
    pub fn read_close(&mut self) -> Result<()> {
        match self.fill() {
            Ok(0) => Ok(()),
            Ok(_) => bail!("expected the connection to end, received {:?}", self.pending_text()),
            Err(error) => match error.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
                Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => Ok(()),
                _ => Err(error.context("expected the connection to end")),
            },
        }
    }

    /// Reads exactly `count` bytes of the body, over as many pieces as they come in.
    pub fn read_exact(&mut self, count: usize) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        while body.len() < count {
            match self.read_piece(count - body.len())? {
                Piece::Bytes(bytes) => body.extend_from_slice(&bytes),
                other => {
                    bail!("{other:?} after {:?}, {count} bytes expected", String::from_utf8_lossy(&body))
                }
            }
        }
        Ok(body)
    }

    /// Reads what comes next of the body, at most `most` bytes.
    pub fn read_piece(&mut self, most: usize) -> Result<Piece> {
        loop {
            match self.framing {
                Framing::None | Framing::Length(0) => {
                    self.framing = Framing::None;
                    return Ok(Piece::End);
                }
                Framing::Chunked(0) => match self.next_chunk()? {
                    Some(0) => {
                        self.framing = Framing::None;
                        return Ok(Piece::End);
                    }
                    Some(length) => self.framing = Framing::Chunked(length),
                    None => return Ok(Piece::Cut),
                },
                Framing::Length(left) | Framing::Chunked(left) => return self.take(left, most),
                Framing::Close => return self.take(u64::MAX, most),
            }
        }
    }

    /// Reads the rest of the body.
    pub fn read_rest(&mut self) -> Result<(Vec<u8>, Piece)> {
        let mut body = Vec::new();
        loop {
            match self.read_piece(usize::MAX)? {
                Piece::Bytes(bytes) => body.extend_from_slice(&bytes),
                end => return Ok((body, end)),
            }
        }
    }

    /// Sends a request with a whole body and reads the whole answer.
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: Option<&[u8]>,
    ) -> Result<Answer> {
        let mut headers = headers.to_vec();
        if let Some(body) = body {
            headers.push(("Content-Length".to_owned(), body.len().to_string()));
        }
        self.send_head(method, target, &headers)?;
        if let Some(body) = body {
            self.send(body)?;
        }
        let head = self.read_head()?;
        let (body, end) = self.read_rest()?;
        ensure!(end == Piece::End, "{method} {target}: the answer was cut after {} bytes", body.len());
        Ok(Answer { head, body })
    }

    fn parse_head(&mut self) -> Result<Option<Head>> {
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = response.parse(&self.pending).context("answer")? else {
            return Ok(None);
        };
        let head = Head {
            status: response.code.unwrap_or_default(),
            headers: response
                .headers
                .iter()
                .map(|header| {
                    (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned())
                })
                .collect(),
        };
        self.pending.drain(..length);
        self.framing = self.framing_of(&head)?;
        Ok(Some(head))
    }

    fn framing_of(&self, head: &Head) -> Result<Framing> {
        if self.head_request || head.status < 200 || matches!(head.status, 204 | 304) {
            return Ok(Framing::Length(0));
        }
        if head.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            ensure!(head.header("content-length").is_none(), "both Content-Length and Transfer-Encoding");
            return Ok(Framing::Chunked(0));
        }
        match head.header("content-length") {
            Some(length) => Ok(Framing::Length(length.parse().context("Content-Length")?)),
            None => Ok(Framing::Close),
        }
    }

    /// The length of the next chunk; `None` where the connection ended first.
    fn next_chunk(&mut self) -> Result<Option<u64>> {
        loop {
            // The line break of the chunk before.
            if self.pending.starts_with(b"\r\n") {
                self.pending.drain(..2);
            }
            if self.pending != b"\r"
                && let httparse::Status::Complete((line, length)) = httparse::parse_chunk_size(&self.pending)
                    .map_err(|_| anyhow::anyhow!("chunk size {:?}", self.pending_text()))?
            {
                if length == 0 && self.pending.len() < line + 2 {
                    // The last line break is still to come.
                } else {
                    self.pending.drain(..if length == 0 { line + 2 } else { line });
                    return Ok(Some(length));
                }
            }
            if self.fill_or_reset()? == 0 {
                return Ok(None);
            }
        }
    }

    fn take(&mut self, left: u64, most: usize) -> Result<Piece> {
        if self.pending.is_empty() && self.fill_or_reset()? == 0 {
            return Ok(if self.framing == Framing::Close && !self.reset { Piece::End } else { Piece::Cut });
        }
        let count = self.pending.len().min(most).min(usize::try_from(left).unwrap_or(usize::MAX));
        let bytes: Vec<u8> = self.pending.drain(..count).collect();
        match &mut self.framing {
            Framing::Length(left) | Framing::Chunked(left) => *left -= count as u64,
            Framing::None | Framing::Close => {}
        }
        Ok(Piece::Bytes(bytes))
    }

    fn fill(&mut self) -> Result<usize> {
        let mut buffer = [0; 16 * 1024];
        let count = self.stream.read(&mut buffer).context("receive")?;
        self.pending.extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    /// A reset in the middle of a body is an end as well.
    fn fill_or_reset(&mut self) -> Result<usize> {
        match self.fill() {
            Err(error) if is_reset(&error) => {
                self.reset = true;
                Ok(0)
            }
            other => other,
        }
    }

    fn pending_text(&self) -> String {
        String::from_utf8_lossy(&self.pending).into_owned()
    }
}

fn is_reset(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

/// One request on a connection of its own.
pub fn fetch(address: SocketAddr, method: &str, target: &str) -> Result<Answer> {
    Peer::connect(address)?.request(method, target, &[("Connection".to_owned(), "close".to_owned())], None)
}
