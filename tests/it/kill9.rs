//! kill -9 at any moment: a real process with a disk and an object store is killed again and again, and whatever it had
//! acknowledged is there afterwards, with its bytes, `ETag` and headers; nothing that was deleted comes back.
//!
//! Short in `make test`, long in `make soak`: `MEDIAORIGIN_SOAK_SECONDS`. The seed is printed and taken from
//! `MEDIAORIGIN_SEED`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mediaorigin_crds::load;
use mediaorigin_origin::{Options, start_blocking};
use mediaorigin_tests::peer::{Peer, Piece, fetch};

/// Kills in the short form.
const ROUNDS: usize = 25;
const WRITERS: usize = 6;
/// Paths of each writer: few, so that they are overwritten and deleted often.
const PATHS: usize = 8;
const CHILD: &str = "MEDIAORIGIN_KILL_CHILD";

/// What a path holds after one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Nothing,
    /// The object of this number.
    Holds(u64),
}

/// What is known of a path: the last acknowledged state, and what was asked for and not answered.
#[derive(Clone, Debug)]
struct Known {
    acknowledged: State,
    pending: Option<State>,
    /// The `ETag` that came with the acknowledgement.
    etag: Option<String>,
}

/// The origin in a process of its own, which is this very program.
struct Origin {
    child: Child,
    address: SocketAddr,
}

impl Origin {
    fn start(folder: &Path) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--exact", "kill9::child", "--ignored", "--nocapture"])
            .env(CHILD, folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        let address = loop {
            let line = lines.next().context("the origin ended before it listened")??;
            if let Some((_, address)) = line.split_once("listens on ") {
                break address.trim().parse()?;
            }
        };
        // The rest is read, so that it never waits for a reader.
        thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, address })
    }

    fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        // Fails when it is dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test: the process that is killed.
#[test]
#[ignore = "the process that is killed by the test beside it"]
fn child() {
    let Some(folder) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let store = folder.join("bucket");
    let document = format!(
        "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: kill}}\nspec:\n  \
         memory: {{limit: 256Mi}}\n  limits: {{connections: 100}}\n  \
         disk: {{size: 1Gi, storageClassName: any}}\n  objectStore: {{url: \"file://{}\"}}\n  tierPolicies:\n  \
         - {{name: disk, match: {{paths: [\"disk/**\"]}}, durability: Disk, objectStore: {{keepSeconds: 0}}, memory: {{keepSeconds: 0}}}}\n  \
         - {{name: both, match: {{paths: [\"both/**\"]}}, durability: Disk, memory: {{keepSeconds: 0}}}}\n  \
         - {{name: durable, match: {{paths: [\"durable/**\"]}}, durability: Durable, memory: {{keepSeconds: 0}}}}\n",
        store.display()
    );
    std::fs::create_dir_all(&store).unwrap();
    let resolved = load::parse(&document).unwrap_or_else(|problems| panic!("{problems:?}"));
    let options = Options { disk_dir: Some(folder.join("disk")), ..Options::default() };
    let running = start_blocking(resolved, options).unwrap_or_else(|error| panic!("{error}"));
    println!("listens on {}", running.media_addr);
    loop {
        thread::park();
    }
}

/// The bytes of an object: its number, then a pattern of it, of a length that follows from it.
fn bytes_of(number: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number);
    let length = match random.u8(..) {
        0..150 => random.usize(1..2_000),
        150..240 => random.usize(1..150_000),
        _ => random.usize(1..3_000_000),
    };
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend((0..length).map(|index| (index as u64).wrapping_mul(number | 1).to_le_bytes()[1]));
    bytes
}

fn type_of(number: u64) -> String {
    format!("video/x-{number}")
}

/// Writes and deletes until the origin is gone.
fn write(
    address: SocketAddr,
    known: &mut BTreeMap<String, Known>,
    random: &mut fastrand::Rng,
    stop: &AtomicBool,
) {
    while !stop.load(Ordering::Relaxed) {
        let paths: Vec<_> = known.keys().cloned().collect();
        let path = &paths[random.usize(..paths.len())];
        let Some(entry) = known.get_mut(path) else { return };
        let is_delete = random.u8(..) < 50;
        let number = random.u64(..);
        entry.pending = Some(if is_delete { State::Nothing } else { State::Holds(number) });
        let answer = if is_delete { delete(address, path) } else { put(address, path, number, random) };
        let Ok((status, etag)) = answer else { return };
        let done = matches!((is_delete, status), (false, 200..300) | (true, 204 | 404));
        assert!(done, "{path}: {status}");
        if let Some(state) = entry.pending.take() {
            entry.acknowledged = state;
            entry.etag = etag;
        }
    }
}

fn put(
    address: SocketAddr,
    path: &str,
    number: u64,
    random: &mut fastrand::Rng,
) -> Result<(u16, Option<String>)> {
    let bytes = bytes_of(number);
    let mut peer = Peer::connect(address)?;
    let mut headers = vec![("Content-Type".to_owned(), type_of(number))];
    if random.bool() {
        headers.push(("Content-Length".to_owned(), bytes.len().to_string()));
        peer.send_head("PUT", &format!("/{path}"), &headers)?;
        peer.send(&bytes)?;
    } else {
        headers.push(("Transfer-Encoding".to_owned(), "chunked".to_owned()));
        peer.send_head("PUT", &format!("/{path}"), &headers)?;
        for chunk in bytes.chunks(100_000) {
            peer.send_chunk(chunk)?;
        }
        peer.send_chunk(b"")?;
    }
    let head = peer.read_head()?;
    Ok((head.status, head.header("ETag").map(str::to_owned)))
}

fn delete(address: SocketAddr, path: &str) -> Result<(u16, Option<String>)> {
    Ok((fetch(address, "DELETE", &format!("/{path}"))?.head.status, None))
}

/// What is there must be what was acknowledged, or what was under way; and it must be whole.
fn check(address: SocketAddr, path: &str, known: &mut Known) -> Result<()> {
    let mut peer = Peer::connect(address)?;
    peer.send_head("GET", &format!("/{path}"), &[])?;
    let head = peer.read_head()?;
    let (body, end) = peer.read_rest()?;
    anyhow::ensure!(end == Piece::End, "{path} is cut");
    let state = match head.status {
        404 | 410 => State::Nothing,
        200 => State::Holds(u64::from_le_bytes(body[..8].try_into()?)),
        status => anyhow::bail!("{path}: status {status}: {}", String::from_utf8_lossy(&body)),
    };
    let is_pending = known.pending.as_ref() == Some(&state);
    anyhow::ensure!(
        state == known.acknowledged || is_pending,
        "{path}: {state:?}, acknowledged was {:?}, under way {:?}",
        known.acknowledged,
        known.pending
    );
    if let State::Holds(number) = state {
        anyhow::ensure!(body == bytes_of(number), "{path}: wrong bytes");
        anyhow::ensure!(head.header("Content-Type") == Some(&type_of(number)), "{path}: wrong type");
        let etag = head.header("ETag").map(str::to_owned);
        anyhow::ensure!(is_pending || etag == known.etag, "{path}: ETag {etag:?}, not {:?}", known.etag);
        known.etag = etag;
    }
    (known.acknowledged, known.pending) = (state, None);
    Ok(())
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let seed = std::env::var("MEDIAORIGIN_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let soak = std::env::var("MEDIAORIGIN_SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let until = soak.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let folder = std::env::temp_dir().join(format!("mediaorigin-kill-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut random = fastrand::Rng::with_seed(seed);
    let kinds = ["disk", "both", "durable"];
    let nothing = Known { acknowledged: State::Nothing, pending: None, etag: None };
    let mut known: Vec<BTreeMap<String, Known>> = (0..WRITERS)
        .map(|writer| {
            (0..PATHS)
                .map(|path| (format!("{}/{writer}/{path}.ts", kinds[(writer + path) % 3]), nothing.clone()))
                .collect()
        })
        .collect();
    let mut rounds = 0;
    let mut operations_checked = 0;
    while until.map_or(rounds < ROUNDS, |until| Instant::now() < until) {
        rounds += 1;
        let origin = Origin::start(&folder).unwrap();
        for (path, known) in known.iter_mut().flatten() {
            check(origin.address, path, known).unwrap_or_else(|error| panic!("round {rounds}: {error:#}"));
            operations_checked += 1;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let address = origin.address;
        thread::scope(|scope| {
            for (writer, known) in known.iter_mut().enumerate() {
                let mut random = fastrand::Rng::with_seed(random.u64(..) ^ writer as u64);
                let stop = Arc::clone(&stop);
                scope.spawn(move || write(address, known, &mut random, &stop));
            }
            // When it is killed is what is tried out: this is no wait for something.
            thread::sleep(Duration::from_micros(random.u64(1_000..250_000)));
            origin.kill().unwrap();
            stop.store(true, Ordering::Relaxed);
        });
    }
    let holds = known.iter().flatten().filter(|(_, known)| known.acknowledged != State::Nothing).count();
    println!("{rounds} kills, {operations_checked} checks, {holds} paths hold something at the end");
    assert!(holds > 0, "nothing was written");
    std::fs::remove_dir_all(&folder).unwrap();
}
