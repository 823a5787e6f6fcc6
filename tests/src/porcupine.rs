//! A second opinion on what concurrent clients saw: porcupine, a checker of linearizability that others wrote, as a program that
//! `tests/go-build` builds.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::program::go_program;

/// What was done to a path. `None`: nothing was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Did {
    /// Made this its value.
    Write(Option<u64>),
    /// Was told this value.
    Read(Option<u64>),
    /// Took away what was there, and was told whether there was something.
    Remove(bool),
}

/// One operation; its times only have an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operation {
    /// Each path is a register of its own, with nothing in it at first.
    pub path: String,
    /// When it began.
    pub began: u64,
    /// When it ended; `None` if nobody knows what became of it.
    pub ended: Option<u64>,
    /// What it did.
    pub did: Did,
}

/// The paths whose operations no order explains.
pub fn not_linearizable(history: &[Operation]) -> Result<Vec<String>> {
    let mut input = Vec::new();
    for operation in history {
        serde_json::to_writer(&mut input, operation)?;
        input.push(b'\n');
    }
    judged(input)
}

/// The same of a history as text, a JSON object per line.
pub fn judged(input: Vec<u8>) -> Result<Vec<String>> {
    let mut command = Command::new(go_program("porcupine", "register")?);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("porcupine")?;
    let mut sink = child.stdin.take().context("no standard input")?;
    // It may have said no before it has read everything; then its status says so.
    let feeder = thread::spawn(move || drop(sink.write_all(&input)));
    let output = child.wait_with_output()?;
    let _ = feeder.join();
    match output.status.code() {
        Some(0 | 1) => Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect()),
        _ => bail!("porcupine: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()),
    }
}
