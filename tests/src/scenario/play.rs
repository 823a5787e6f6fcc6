//! Plays a script against an origin in this process, over real sockets. The clock is the script's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use mediaorigin_crds::load::Resolved;
use mediaorigin_crds::{load, names};
use mediaorigin_origin::clock::Clock;
use mediaorigin_origin::{Options, Running, start_blocking};
use serde_json::Value;

use super::script::{Expect, Script, Step};
use crate::folder::Folder;
use crate::peer::{PATIENCE, Peer, Piece, fetch};

/// Plays a script to its end.
pub(crate) fn play(script: &Script) -> Result<()> {
    let mut world = World::start(script)?;
    for (number, step) in &script.steps {
        world.step(step).with_context(|| format!("line {number}"))?;
    }
    Ok(())
}

/// When scripts begin: 2023-11-14T22:13:20Z, in seconds.
const START_SECS: u64 = 1_700_000_000;

struct World {
    origin: Option<Running>,
    resolved: Resolved,
    tiers: Folder,
    clock: Clock,
    peers: BTreeMap<String, Peer>,
    /// Connections whose request body is chunked.
    chunked: BTreeMap<String, bool>,
    _publisher: Option<Folder>,
}

impl World {
    fn start(script: &Script) -> Result<Self> {
        let document = format!(
            "apiVersion: {}\nkind: {}\nmetadata: {{name: script}}\nspec:\n{}",
            names::API_VERSION,
            names::KIND,
            if script.spec.trim().is_empty() { "  {}" } else { &script.spec }
        );
        let tiers = Folder::new("tiers")?;
        let bucket = tiers.path().join("bucket");
        std::fs::create_dir(&bucket)?;
        let document = document.replace("{bucket}", &format!("file://{}", bucket.display()));
        let mut resolved = load::parse(&document).map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
        let publisher = (!script.secret.is_empty()).then(|| files(&script.secret)).transpose()?;
        if let Some(folder) = &publisher {
            resolved.cold.publisher_dir = Some(folder.path().display().to_string());
        }
        let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(START_SECS));
        let (peers, chunked) = (BTreeMap::new(), BTreeMap::new());
        let mut world = Self { origin: None, resolved, tiers, clock, peers, chunked, _publisher: publisher };
        world.restart()?;
        Ok(world)
    }

    /// Ends the origin, if there is one, and starts another one on the same disk and bucket.
    fn restart(&mut self) -> Result<()> {
        self.peers.clear();
        self.origin = None;
        let disk_dir = Some(self.tiers.path().join("disk"));
        let options = Options { clock: self.clock.clone(), disk_dir, ..Options::default() };
        self.origin = Some(start_blocking(self.resolved.clone(), options)?);
        Ok(())
    }

    fn origin(&self) -> Result<&Running> {
        self.origin.as_ref().context("no origin runs")
    }

    fn peer(&mut self, name: &str) -> Result<&mut Peer> {
        if !self.peers.contains_key(name) {
            let peer = Peer::connect(self.origin()?.media_addr)?;
            self.peers.insert(name.to_owned(), peer);
        }
        self.peers.get_mut(name).context("connection")
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Request { on, method, target, headers, body } => {
                self.request(on, method, target, headers, body.as_deref())
            }
            Step::Raw(on, bytes) => self.peer(on)?.send(bytes),
            Step::Send(on, bytes) => {
                let chunked = self.chunked.get(on).copied().unwrap_or(false);
                let peer = self.peer(on)?;
                if chunked { peer.send_chunk(bytes) } else { peer.send(bytes) }
            }
            Step::SendEnd(on) => self.peer(on)?.send_chunk(b""),
            Step::Cut(on) => self.peers.remove(on).context("connection")?.cut(),
            Step::HalfClose(on) => self.peer(on)?.half_close(),
            Step::Expect(expect) => self.expect(expect),
            Step::ExpectBytes(on, bytes) => {
                let received = self.peer(on)?.read_exact(bytes.len())?;
                ensure!(received == *bytes, "received {}, expected {}", show(&received), show(bytes));
                Ok(())
            }
            Step::ExpectEnd(on) => self.ends(on, &Piece::End),
            Step::ExpectCut(on) => self.ends(on, &Piece::Cut),
            Step::ExpectClosed(on) => self.peers.remove(on).context("connection")?.read_close(),
            Step::Restart => self.restart(),
            Step::Clock(seconds) => {
                self.clock.advance(Duration::from_secs(*seconds));
                Ok(())
            }
            Step::Wait(field, value) => self.wait(field, value),
        }
    }

    fn request(
        &mut self,
        on: &str,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: Option<&[u8]>,
    ) -> Result<()> {
        let chunked = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"));
        self.chunked.insert(on.to_owned(), chunked);
        let mut headers = headers.to_vec();
        if let Some(body) = body {
            headers.push(("Content-Length".to_owned(), body.len().to_string()));
        }
        let peer = self.peer(on)?;
        peer.send_head(method, target, &headers)?;
        // An answer that comes before the body may close the connection: what matters is the answer.
        let _ = body.map(|body| peer.send(body));
        Ok(())
    }

    fn expect(&mut self, expect: &Expect) -> Result<()> {
        let peer = self.peer(&expect.on)?;
        let head = peer.read_head()?;
        let status = head.status.to_string();
        let matches = status.len() == 3
            && status.bytes().zip(expect.status.bytes()).all(|(is, want)| want == b'*' || is == want);
        if !matches {
            let (body, _) = peer.read_rest().unwrap_or((Vec::new(), Piece::Cut));
            bail!("status {status}, expected {}: {}", expect.status, show(&body));
        }
        for (name, pattern) in &expect.headers {
            let value = head.header(name);
            match (pattern, value) {
                (None, Some(value)) => bail!("{name}: {value}, expected to be absent"),
                (Some(pattern), None) => bail!("{name} is absent, expected {pattern}"),
                (Some(pattern), Some(value)) if !glob(pattern, value) => {
                    bail!("{name}: {value}, expected {pattern}")
                }
                _ => {}
            }
        }
        if expect.pieces {
            return Ok(());
        }
        let (body, end) = peer.read_rest()?;
        ensure!(end == Piece::End, "the body was cut after {} bytes", body.len());
        if let Some(pattern) = &expect.body_like {
            ensure!(
                glob(pattern, &String::from_utf8_lossy(&body)),
                "body {}, expected {pattern}",
                show(&body)
            );
        }
        match &expect.body {
            Some(expected) if body != *expected => bail!("body {}, expected {}", show(&body), show(expected)),
            _ => Ok(()),
        }
    }

    fn ends(&mut self, on: &str, expected: &Piece) -> Result<()> {
        let piece = self.peer(on)?.read_piece(usize::MAX)?;
        ensure!(
            piece == *expected,
            "{}, expected {expected:?}",
            match &piece {
                Piece::Bytes(bytes) => show(bytes),
                other => format!("{other:?}"),
            }
        );
        Ok(())
    }

    /// Polls `/-/status`: the barrier between a script and what the origin does on its own.
    fn wait(&self, field: &str, value: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = fetch(self.origin()?.admin_addr, "GET", "/-/status")?;
            let status: Value = serde_json::from_slice(&answer.body)?;
            let path = format!("/{}", field.replace('.', "/"));
            let found = status.pointer(&path).with_context(|| format!("no field {field} in {status}"))?;
            let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            if text == value {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{field} is {text}, waited for {value}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn show(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    if bytes.len() > 200 { format!("{} bytes: {text:?}…", bytes.len()) } else { format!("{text:?}") }
}

/// `*` matches anything, everything else itself.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => match text.strip_prefix(start) {
            None => false,
            Some(_) if rest.is_empty() => true,
            Some(left) => {
                (0..=left.len()).filter(|at| left.is_char_boundary(*at)).any(|at| glob(rest, &left[at..]))
            }
        },
    }
}

/// A folder with files of these names and texts.
fn files(files: &[(String, String)]) -> Result<Folder> {
    let folder = Folder::new("publisher")?;
    for (name, text) in files {
        folder.write(name, text)?;
    }
    Ok(folder)
}
