//! A second opinion on what concurrent clients saw: porcupine, a checker of linearizability that others wrote, as a program that
//! `tests/go-build` builds.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use mediaorigin_index::register::Operation;
use serde::Serialize;

use crate::program::go_program;

/// The status of the program where it has no verdict in time.
const NOT_DECIDED: i32 = 3;

/// A line of what porcupine reads. Each path is a register of its own, with nothing in it at first.
#[derive(Serialize)]
struct Line<'a> {
    path: &'a str,
    #[serde(flatten)]
    operation: Operation,
}

/// The paths whose operations no order explains.
pub fn not_linearizable(history: &[(String, Operation)]) -> Result<Vec<String>> {
    let mut input = Vec::new();
    for (path, operation) in history {
        serde_json::to_writer(&mut input, &Line { path, operation: *operation })?;
        input.push(b'\n');
    }
    judged(&input)
}

/// The same of a history as text, a JSON object per line.
pub fn judged(input: &[u8]) -> Result<Vec<String>> {
    let mut command = Command::new(go_program("porcupine", "register")?);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("porcupine")?;
    let mut sink = child.stdin.take().context("no standard input")?;
    // It may have said no before it has read everything; then its status says so.
    let output = thread::scope(|scope| {
        scope.spawn(|| {
            let _ = sink.write_all(input);
            drop(sink);
        });
        child.wait_with_output()
    })?;
    let words = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match output.status.code() {
        Some(0 | 1) => Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect()),
        Some(NOT_DECIDED) => bail!("porcupine: {}; the history is in {}", words(), kept(input)?.display()),
        _ => bail!("porcupine: {}: {}", output.status, words()),
    }
}

/// Keeps a history for whoever wants to know why; its file.
fn kept(input: &[u8]) -> Result<PathBuf> {
    let file = std::env::temp_dir().join(format!("mediaorigin-history-{:016x}.jsonl", fastrand::u64(..)));
    std::fs::write(&file, input)?;
    Ok(file)
}
