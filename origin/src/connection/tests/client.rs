//! A blocking client that sees every byte.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
};

use super::PATIENCE;

/// A connection and what was read from it and not used yet.
pub(super) struct Client {
    pub(super) socket: TcpStream,
    buffer: Vec<u8>,
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    Clean,
    Reset,
}

/// One response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(super) fn closes(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

impl Client {
    pub(super) fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, buffer: Vec::new() }
    }

    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).unwrap();
    }

    /// A second handle on the same connection, for another thread.
    pub(super) fn another(&self) -> Self {
        Self { socket: self.socket.try_clone().unwrap(), buffer: Vec::new() }
    }

    /// Makes the close that follows a reset.
    pub(super) fn reset(self) {
        socket2::SockRef::from(&self.socket).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }

    /// Asserts that nothing has arrived so far.
    pub(super) fn expect_silence(&mut self) {
        self.socket.set_nonblocking(true).unwrap();
        let error = self.fill().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        self.socket.set_nonblocking(false).unwrap();
    }

    pub(super) fn half_close(&mut self) {
        self.socket.shutdown(Shutdown::Write).unwrap();
    }

    /// Reads once; 0 is a clean end.
    fn fill(&mut self) -> std::io::Result<usize> {
        let mut block = [0; 16 * 1024];
        let length = self.socket.read(&mut block)?;
        self.buffer.extend_from_slice(&block[..length]);
        Ok(length)
    }

    fn fill_more(&mut self) {
        let length = self.fill().unwrap();
        assert!(length > 0, "the connection ended after {:?}", String::from_utf8_lossy(&self.buffer));
    }

    /// Reads through the first `pattern`.
    pub(super) fn read_through(&mut self, pattern: &str) -> String {
        loop {
            let found = self.buffer.windows(pattern.len()).position(|window| window == pattern.as_bytes());
            if let Some(position) = found {
                let rest = self.buffer.split_off(position + pattern.len());
                let bytes = std::mem::replace(&mut self.buffer, rest);
                return String::from_utf8(bytes).unwrap();
            }
            self.fill_more();
        }
    }

    pub(super) fn read_exactly(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length {
            self.fill_more();
        }
        let rest = self.buffer.split_off(length);
        std::mem::replace(&mut self.buffer, rest)
    }

    /// Reads a head alone.
    pub(super) fn head(&mut self) -> Answer {
        let head = self.read_through("\r\n\r\n");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: Vec::new() }
    }

    /// Reads one chunk; empty is the last one.
    pub(super) fn chunk(&mut self) -> Vec<u8> {
        let line = self.read_through("\r\n");
        let length = usize::from_str_radix(line.trim_end(), 16).unwrap();
        let data = self.read_exactly(length);
        assert_eq!(self.read_exactly(2), b"\r\n");
        data
    }

    /// Reads a whole response to a request other than HEAD.
    pub(super) fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if answer.header("transfer-encoding").is_some() {
            loop {
                match self.chunk() {
                    data if data.is_empty() => return answer,
                    data => answer.body.extend(data),
                }
            }
        }
        let length = match answer.status {
            100..200 | 204 | 304 => 0,
            _ => answer.header("content-length").map_or(0, |length| length.parse().unwrap()),
        };
        answer.body = self.read_exactly(length);
        answer
    }

    /// Reads to the end of the connection: what came and how it ended.
    pub(super) fn read_to_end(&mut self) -> (Vec<u8>, End) {
        loop {
            match self.fill() {
                Ok(0) => return (std::mem::take(&mut self.buffer), End::Clean),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return (std::mem::take(&mut self.buffer), End::Reset);
                }
                Err(error) => panic!("reading failed: {error}"),
            }
        }
    }

    /// Asserts that the server ends the connection without a further byte.
    pub(super) fn expect_end(&mut self) {
        assert_eq!(self.read_to_end(), (Vec::new(), End::Clean));
    }
}
