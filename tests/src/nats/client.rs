//! A NATS client for tests on a blocking socket: it sends what it is told when it is told, and forgets nothing that it gave up on into
//! a queue, which a library's client does.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::peer::PATIENCE;

/// One connection with one inbox.
pub struct Client {
    stream: TcpStream,
    pending: Vec<u8>,
    inbox: String,
    requests: u64,
    patience: Duration,
}

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it was sent.
    pub subject: String,
    /// The header block, status line first; empty without headers.
    pub headers: String,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Message {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.headers.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The status of an answer without a payload, e.g. `503`: nobody listens.
    pub fn status(&self) -> Option<&str> {
        self.headers.lines().next()?.split(' ').nth(1)
    }
}

impl Client {
    /// Connects without credentials.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        Self::connect_as(address, None, PATIENCE)
    }

    /// Connects as a user; fails when the server refuses it. Every wait is as long as `patience`.
    pub fn connect_as(
        address: SocketAddr,
        user: Option<&(String, String)>,
        patience: Duration,
    ) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, patience).with_context(|| address.to_string())?;
        stream.set_write_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        let inbox = format!("_INBOX.{:016x}", fastrand::u64(..));
        let mut client = Self { stream, pending: Vec::new(), inbox, requests: 0, patience };
        let deadline = Instant::now() + patience;
        let greeting = client.line(deadline)?;
        ensure!(greeting.starts_with("INFO "), "not a NATS server: {greeting}");
        let mut connect = json!({ "verbose": false, "pedantic": false, "headers": true, "no_responders": true,
            "protocol": 1, "lang": "rust", "version": "0", "name": "mediaorigin-tests" });
        if let Some((user, password)) = user {
            connect["user"] = json!(user);
            connect["pass"] = json!(password);
        }
        let inbox = client.inbox.clone();
        client.send(format!("CONNECT {connect}\r\nSUB {inbox}.* 1\r\nPING\r\n").as_bytes())?;
        loop {
            let line = client.line(deadline)?;
            match line.split(' ').next().unwrap_or_default() {
                "PONG" => return Ok(client),
                "-ERR" => bail!("refused: {line}"),
                _ => {}
            }
        }
    }

    /// From now on no wait is longer.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Follows a subject; its messages come from [`Self::next`].
    pub fn subscribe(&mut self, subject: &str) -> Result<()> {
        self.requests += 1;
        let id = self.requests + 1;
        self.send(format!("SUB {subject} {id}\r\n").as_bytes())
    }

    /// Sends a message and does not wait for anything.
    pub fn publish(
        &mut self,
        subject: &str,
        reply: &str,
        headers: &[(&str, &str)],
        payload: &[u8],
    ) -> Result<()> {
        let mut block = String::new();
        if !headers.is_empty() {
            block.push_str("NATS/1.0\r\n");
            for (name, value) in headers {
                block.extend([name, ": ", value, "\r\n"]);
            }
            block.push_str("\r\n");
        }
        let total = block.len() + payload.len();
        let head = if block.is_empty() {
            format!("PUB {subject} {reply} {total}\r\n")
        } else {
            format!("HPUB {subject} {reply} {} {total}\r\n", block.len())
        };
        self.send(&[head.as_bytes(), block.as_bytes(), payload, b"\r\n"].concat())
    }

    /// Sends a request and waits for its answer.
    pub fn request(&mut self, subject: &str, headers: &[(&str, &str)], payload: &[u8]) -> Result<Message> {
        let deadline = Instant::now() + self.patience;
        self.requests += 1;
        let reply = format!("{}.{}", self.inbox, self.requests);
        self.publish(subject, &reply, headers, payload)?;
        loop {
            let message = self.next_until(deadline).with_context(|| subject.to_owned())?;
            // An answer to a request that was given up on is not this one's.
            if message.subject == reply {
                ensure!(message.status() != Some("503"), "{subject}: nobody answers");
                return Ok(message);
            }
        }
    }

    /// A request of `JetStream`'s API, below `$JS.API.`; its answer, or its error with the code.
    pub fn api(&mut self, subject: &str, body: &Value) -> Result<Value> {
        let payload = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        accepted(&self.request(&format!("$JS.API.{subject}"), &[], &payload)?)
    }

    /// Makes a stream of files with so many replicas; further fields of its configuration in `more`.
    pub fn create_stream(&mut self, name: &str, subjects: &str, replicas: u8, more: &Value) -> Result<()> {
        let mut config = json!({ "name": name, "subjects": [subjects], "num_replicas": replicas, "storage": "file",
            "retention": "limits", "allow_direct": true });
        for (key, value) in more.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        self.api(&format!("STREAM.CREATE.{name}"), &config).map(|_| ())
    }

    /// Publishes into a stream and waits for the acknowledgement; its sequence.
    pub fn store(&mut self, subject: &str, headers: &[(&str, &str)], payload: &[u8]) -> Result<u64> {
        let answer = accepted(&self.request(subject, headers, payload)?)?;
        answer["seq"].as_u64().with_context(|| format!("no sequence: {answer}"))
    }

    /// The last message of a subject, from whichever server of the stream answers.
    pub fn last(&mut self, stream: &str, subject: &str) -> Result<Message> {
        self.request(&format!("$JS.API.DIRECT.GET.{stream}.{subject}"), &[], &[])
    }

    /// The next message.
    #[expect(clippy::should_implement_trait, reason = "it is not an iterator: it fails when nothing comes")]
    pub fn next(&mut self) -> Result<Message> {
        self.next_until(Instant::now() + self.patience)
    }

    fn next_until(&mut self, deadline: Instant) -> Result<Message> {
        loop {
            let line = self.line(deadline)?;
            let words: Vec<_> = line.split_ascii_whitespace().collect();
            match words[..] {
                ["PING"] => self.send(b"PONG\r\n")?,
                ["MSG", subject, _, .., total] => return self.message(subject, 0, total.parse()?, deadline),
                ["HMSG", subject, _, .., headers, total] => {
                    return self.message(subject, headers.parse()?, total.parse()?, deadline);
                }
                ["-ERR", ..] => bail!("the server says {line}"),
                // PONG, +OK, and what changes among the servers.
                _ => {}
            }
        }
    }

    fn message(&mut self, subject: &str, headers: usize, total: usize, deadline: Instant) -> Result<Message> {
        while self.pending.len() < total + 2 {
            self.fill(deadline)?;
        }
        let body: Vec<u8> = self.pending.drain(..total + 2).take(total).collect();
        let (head, payload) = body.split_at_checked(headers).context("headers longer than the message")?;
        Ok(Message {
            subject: subject.to_owned(),
            headers: String::from_utf8_lossy(head).into_owned(),
            payload: payload.to_owned(),
        })
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("send to the NATS server")
    }

    fn line(&mut self, deadline: Instant) -> Result<String> {
        loop {
            if let Some(end) = self.pending.windows(2).position(|window| window == b"\r\n") {
                let line: Vec<u8> = self.pending.drain(..end + 2).take(end).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            self.fill(deadline)?;
        }
    }

    fn fill(&mut self, deadline: Instant) -> Result<()> {
        let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
        self.stream.set_read_timeout(Some(left.context("no answer in time")?))?;
        let mut buffer = vec![0; 65_536];
        let count = self.stream.read(&mut buffer).context("receive from the NATS server")?;
        ensure!(count > 0, "the NATS server closed");
        self.pending.extend_from_slice(&buffer[..count]);
        Ok(())
    }
}

fn accepted(message: &Message) -> Result<Value> {
    let answer: Value = serde_json::from_slice(&message.payload).with_context(|| format!("{message:?}"))?;
    if let Some(error) = answer.get("error") {
        bail!("{} {}", error["err_code"], error["description"]);
    }
    Ok(answer)
}
