//! A server program on loopback: started, waited for until it listens, ended by its process id.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::peer::PATIENCE;

/// A running program.
#[derive(Debug)]
pub struct Program(Child);

impl Program {
    /// Starts it with its output in a file of `folder`, and waits until it listens.
    pub fn start(name: &str, mut command: Command, address: SocketAddr, folder: &Path) -> Result<Self> {
        let file = folder.join(format!("{name}-{}.log", address.port()));
        let log = File::create(&file)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut program = Self(command.spawn().with_context(|| format!("start {name}"))?);
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if program.0.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("{name} did not start: {}", std::fs::read_to_string(&file)?);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(program)
    }

    /// Its resident memory, in bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        resident_bytes(self.id())
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SIGTERM by process id, so that nginx and Varnish end their children.
        let _ = Command::new("kill").arg(self.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// Resident memory of a process, in bytes.
pub fn resident_bytes(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Installs a program of Debian's packages where it is missing.
pub fn ensure_installed(name: &str) -> Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("ensure");
    let status = Command::new(script).arg(name).status().context("tests/ensure")?;
    ensure!(status.success(), "tests/ensure {name}: {status}");
    Ok(())
}

/// A Go program of `tests/GROUP/NAME`, built once; its path.
pub fn go_program(group: &str, name: &str) -> Result<PathBuf> {
    built_by("go-build", &[group, name])
}

/// The program that a script of `tests` builds and names, asked once.
pub fn built_by(script: &str, arguments: &[&str]) -> Result<PathBuf> {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    // Whoever comes second waits for the first, as the script would.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let key = format!("{script} {}", arguments.join(" "));
    if let Some(path) = built.get(&key) {
        return Ok(path.clone());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let output =
        Command::new(script).args(arguments).stderr(Stdio::inherit()).output().context(key.clone())?;
    ensure!(output.status.success(), "{key}: {}", output.status);
    let path = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    built.insert(key, path.clone());
    Ok(path)
}

/// A free port of the loopback interface that stays free while the program is away: no outgoing connection is given one of these, and
/// nobody else in this process.
pub fn reserved() -> Result<SocketAddr> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    for _ in 0..100 {
        // Below the ports of outgoing connections (32768 and more), and those of the cluster (30000 and more).
        let port = fastrand::u16(12_000..30_000);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let is_new = GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port);
        if is_new && TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no free port")
}

/// A free port of the loopback interface. Somebody else may take it before the program does; then the program says so.
pub fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
