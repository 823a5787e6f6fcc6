//! A server's monitoring port.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::peer::fetch;

/// What it answers under a path; an answer that is not 200 is an error.
pub(super) fn get(address: SocketAddr, path: &str) -> Result<Value> {
    let answer = fetch(address, "GET", path)?;
    let text = String::from_utf8_lossy(&answer.body);
    ensure!(answer.head.status == 200, "{path}: {} {text}", answer.head.status);
    Ok(serde_json::from_str(&text)?)
}

/// What `/jsz` says of a stream.
pub(super) fn stream<'a>(answer: &'a Value, name: &str) -> Option<&'a Value> {
    let accounts = answer["account_details"].as_array()?;
    let mut streams = accounts.iter().filter_map(|account| account["stream_detail"].as_array()).flatten();
    streams.find(|stream| stream["name"] == name)
}

/// The leader of a stream as this server knows it.
pub(super) fn leader_of(answer: &Value, name: &str) -> Option<String> {
    stream(answer, name)?.pointer("/cluster/leader")?.as_str().map(str::to_owned)
}
