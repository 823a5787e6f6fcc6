//! A client that stores one message after the other, whatever happens to the servers, and knows how long it had to wait.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Client, PATIENCE};

/// One attempt. As long is the shortest wait that is seen when a server goes without an answer.
const ATTEMPT: Duration = Duration::from_millis(500);

/// What became of it.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// Messages that were acknowledged, under `PREFIX.0`, `PREFIX.1`, …
    pub stored: u64,
    /// The longest time until one was.
    pub longest: Duration,
}

/// Stores until told to stop, each message until it is acknowledged by one of the servers.
pub fn store_until(
    is_over: &AtomicBool,
    addresses: &[SocketAddr],
    user: Option<&(String, String)>,
    prefix: &str,
) -> Result<Written> {
    let mut written = Written { stored: 0, longest: Duration::ZERO };
    let mut attempts = addresses.iter().cycle();
    let mut client = None;
    while !is_over.load(Ordering::Relaxed) {
        let begin = Instant::now();
        let subject = format!("{prefix}.{}", written.stored);
        loop {
            let mut attempt = || -> Result<()> {
                let client = match &mut client {
                    Some(client) => client,
                    none => {
                        let address = attempts.next().context("no server")?;
                        none.insert(Client::connect_as(*address, user, ATTEMPT)?)
                    }
                };
                store_once(client, &subject)
            };
            let Err(error) = attempt() else { break };
            client = None;
            ensure!(begin.elapsed() < PATIENCE, "{subject} is not taken: {error:#}");
            thread::sleep(Duration::from_millis(20));
        }
        written.longest = written.longest.max(begin.elapsed());
        written.stored += 1;
    }
    Ok(written)
}

/// On condition that nothing is there, so that an attempt without an answer is not stored twice.
fn store_once(client: &mut Client, subject: &str) -> Result<()> {
    match client.store(subject, &[("Nats-Expected-Last-Subject-Sequence", "0")], b"acknowledged") {
        Err(error) if !error.to_string().starts_with("10071 ") => Err(error),
        _ => Ok(()),
    }
}
