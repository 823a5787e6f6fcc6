//! What went through the proxy: requests and the answers of the server, with their times.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// The latest exchanges that are kept.
const EXCHANGES_MAX: usize = 4_096;

/// A request and what the server answered, whether the answer reached its client or not.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// When the request was sent to the server, since the proxy started.
    pub begin: Duration,
    /// When its answer had come.
    pub end: Duration,
    request: String,
    answer: String,
}

impl Exchange {
    pub(super) fn new(begin: Duration, end: Duration, request: &[u8], answer: &[u8]) -> Self {
        Self { begin, end, request: head(request), answer: head(answer) }
    }

    /// `PUT`.
    pub fn method(&self) -> &str {
        self.request.split(' ').next().unwrap_or_default()
    }

    /// The status of the answer.
    pub fn status(&self) -> &str {
        self.answer.split(' ').nth(1).unwrap_or_default()
    }

    /// A header of the request.
    pub fn asked(&self, name: &str) -> Option<&str> {
        field(&self.request, name)
    }

    /// A header of the answer.
    pub fn answered(&self, name: &str) -> Option<&str> {
        field(&self.answer, name)
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.request.lines().next().unwrap_or_default();
        let (begin, end) = (self.begin.as_micros(), self.end.as_micros());
        write!(out, "{begin:>9}–{end:<9} µs {line}")?;
        for name in ["if-match", "if-none-match", "x-amz-meta-mo-sequence"] {
            if let Some(value) = self.asked(name) {
                write!(out, ", {name}: {value}")?;
            }
        }
        write!(out, " → {}", self.status())?;
        for name in ["etag", "x-amz-meta-mo-sequence"] {
            if let Some(value) = self.answered(name) {
                write!(out, ", {name}: {value}")?;
            }
        }
        Ok(())
    }
}

/// The latest exchanges, in the order of their answers.
#[derive(Debug, Default)]
pub(super) struct Exchanges(VecDeque<Exchange>);

impl Exchanges {
    pub(super) fn push(&mut self, exchange: Exchange) {
        if self.0.len() >= EXCHANGES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(exchange);
    }

    pub(super) fn all(&self) -> Vec<Exchange> {
        self.0.iter().cloned().collect()
    }
}

fn head(message: &[u8]) -> String {
    let end = super::head_length(message).unwrap_or(message.len());
    String::from_utf8_lossy(&message[..end]).into_owned()
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}
