//! A request as AWS Elemental `MediaStore` logged it: one JSON object with its 15 fields.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::{Answered, Entry};
use crate::metrics::MethodLabel;
use crate::times;

/// The fields, in `MediaStore`'s order and names. What does not exist here is `null`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Record<'a> {
    path: &'a str,
    /// Whose credentials were accepted.
    requester: Option<&'a str>,
    #[serde(rename = "AWSAccountId")]
    aws_account_id: Option<&'a str>,
    #[serde(rename = "RequestID")]
    request_id: &'a str,
    container_name: &'a str,
    /// Milliseconds from the head of the request to the last byte of the answer.
    total_time: u64,
    bytes_received: u64,
    bytes_sent: u64,
    received_time: String,
    operation: &'static str,
    error_code: Option<&'static str>,
    source: Option<String>,
    #[serde(rename = "HTTPStatus")]
    http_status: u16,
    /// Milliseconds from the last byte of the request to the first of the answer.
    turn_around_time: Option<u64>,
    expires_at: Option<String>,
}

impl<'a> Record<'a> {
    pub(super) fn of(entry: &'a Entry, answer: &'a Answered) -> Self {
        let status = answer.status.as_u16();
        Self {
            path: &entry.path,
            requester: entry.requester.as_deref(),
            aws_account_id: None,
            request_id: &entry.id,
            container_name: &entry.book.origin,
            total_time: millis(entry.began.elapsed()),
            bytes_received: entry.received,
            bytes_sent: entry.sent,
            received_time: times::text(entry.received_at),
            operation: operation(entry.method),
            error_code: error_code(status, answer.outcome.as_str()),
            source: entry.peer.map(|peer| peer.to_string()),
            http_status: status,
            turn_around_time: entry.turned_around.map(millis),
            expires_at: answer.expires_at.map(|at: SystemTime| times::text(at)),
        }
    }

    /// The line, with its line feed.
    pub(super) fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

fn operation(method: MethodLabel) -> &'static str {
    match method {
        MethodLabel::PUT | MethodLabel::POST => "PutObject",
        MethodLabel::GET => "GetObject",
        MethodLabel::HEAD => "DescribeObject",
        MethodLabel::DELETE => "DeleteObject",
        other @ (MethodLabel::OPTIONS | MethodLabel::OTHER) => other.as_str(),
    }
}

/// `MediaStore`'s word where it has one, else our own.
fn error_code(status: u16, outcome: &'static str) -> Option<&'static str> {
    match status {
        404 | 410 => Some("ObjectNotFoundException"),
        416 => Some("RequestedRangeNotSatisfiableException"),
        500.. => Some("InternalServerError"),
        400.. => Some(outcome),
        _ => None,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
