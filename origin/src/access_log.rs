//! One line and one count per request, with the same word for what became of it.

use std::sync::Arc;
use std::time::Instant;

use actix_web::http::StatusCode;
use mediaorigin_crds::policy::Class;

use crate::metrics::{MethodLabel, Metrics};
use crate::outcome::Outcome;

/// Longest path in a log line, in bytes; the rest is left out.
const PATH_BYTES_MAX: usize = 1024;

/// The record of one request. It is counted when it is answered; the line is written when the last byte of the answer is
/// gone, or when the client is.
#[derive(Debug)]
pub struct Entry {
    metrics: Arc<Metrics>,
    method: MethodLabel,
    path: Box<str>,
    peer: Option<std::net::IpAddr>,
    began: Instant,
    answer: Option<(StatusCode, Outcome, Option<Class>)>,
    received: u64,
    sent: u64,
    is_cut: bool,
    is_reading: bool,
}

impl Entry {
    /// The record of a request that just came in.
    pub fn new(
        metrics: Arc<Metrics>,
        method: MethodLabel,
        path: &str,
        peer: Option<std::net::IpAddr>,
    ) -> Self {
        metrics.in_progress.inc();
        let cut = (0..=PATH_BYTES_MAX.min(path.len())).rev().find(|index| path.is_char_boundary(*index));
        let path = path[..cut.unwrap_or(0)].into();
        let began = Instant::now();
        Self {
            metrics,
            method,
            path,
            peer,
            began,
            answer: None,
            received: 0,
            sent: 0,
            is_cut: false,
            is_reading: false,
        }
    }

    /// Bytes of the request's body came in.
    pub fn received(&mut self, bytes: usize) {
        self.received += bytes as u64;
        self.metrics.received.inc_by(bytes as u64);
    }

    /// Bytes of the answer's body were given to the connection.
    pub fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
        self.metrics.sent.inc_by(bytes as u64);
    }

    /// The answer is known.
    pub fn answered(&mut self, status: StatusCode, outcome: Outcome, class: Option<Class>) {
        self.answer = Some((status, outcome, class));
        self.metrics.count(self.method, class, outcome, status.as_u16());
    }

    /// The answer has bytes of an object.
    pub fn reads(&mut self) {
        self.is_reading = true;
        self.metrics.readers.inc();
    }

    /// The answer was cut off: its writer is gone.
    pub fn cut(&mut self) {
        self.is_cut = true;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.metrics.in_progress.dec();
        if self.is_reading {
            self.metrics.readers.dec();
        }
        let (status, outcome, class) = self.answer.unwrap_or_else(|| {
            // 499 as others log it: there was nobody to answer.
            self.metrics.count(self.method, None, Outcome::Vanished, 499);
            let status = StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST);
            (status, Outcome::Vanished, None)
        });
        let method = self.method.as_str();
        let (status, outcome_word, class) =
            (status.as_u16(), outcome.as_str(), class.map_or("none", Class::as_str));
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let (path, received, sent, cut) = (&*self.path, self.received, self.sent, self.is_cut);
        let peer = self.peer.map(tracing::field::display);
        // Encoders do not report a refused upload (ffmpeg exits 0 without a word): it is a warning here.
        if self.method.is_write() && outcome.lost_upload() {
            tracing::warn!(target: "access", method, path, status, outcome = outcome_word, class, received, sent, micros, peer);
        } else {
            tracing::info!(target: "access", method, path, status, outcome = outcome_word, class, received, sent, micros, cut, peer);
        }
    }
}
