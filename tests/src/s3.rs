//! A real S3 server for the tests: versitygw on a folder of its own, built once by `tests/s3/server`.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::peer::PATIENCE;

/// The access key of every server.
pub const ACCESS_KEY: &str = "AKIAORIGINTESTS";
/// The bucket of every server.
pub const BUCKET: &str = "media";

/// A server; it ends with this value, and so does its folder.
pub struct S3Server {
    /// Where it listens.
    pub address: SocketAddr,
    folder: PathBuf,
    secret: String,
    tls: Vec<String>,
    process: Child,
}

impl S3Server {
    /// Starts one with an empty bucket.
    pub fn start(secret: &str) -> Result<Self> {
        Self::start_with(secret, Vec::new())
    }

    /// Starts one that speaks TLS with the certificate and key of two files.
    pub fn start_tls(secret: &str, certificate: &Path, key: &Path) -> Result<Self> {
        let file = |file: &Path| file.display().to_string();
        Self::start_with(secret, vec!["--cert".to_owned(), file(certificate), "--key".to_owned(), file(key)])
    }

    fn start_with(secret: &str, tls: Vec<String>) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("mediaorigin-s3-{:016x}", fastrand::u64(..)));
        std::fs::create_dir_all(folder.join(BUCKET)).context("folder")?;
        // Somebody else may take it before the server does; then the server says so and the test fails.
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let process = launch(&folder, address, secret, &tls)?;
        let server = Self { address, folder, secret: secret.to_owned(), tls, process };
        server.wait()?;
        Ok(server)
    }

    /// Starts it again on the same folder and port, with another secret key.
    pub fn restart(&mut self, secret: &str) -> Result<()> {
        self.stop()?;
        secret.clone_into(&mut self.secret);
        self.process = launch(&self.folder, self.address, secret, &self.tls)?;
        self.wait()
    }

    /// Ends it.
    pub fn stop(&mut self) -> Result<()> {
        self.process.kill().context("kill")?;
        self.process.wait().context("wait")?;
        Ok(())
    }

    /// A request by another client of S3 (curl), with its arguments behind the URL of `key`.
    pub fn curl(&self, key: &str, arguments: &[&str]) -> Result<Output> {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--aws-sigv4", "aws:amz:us-east-1:s3"])
            .args(["--user", &format!("{ACCESS_KEY}:{}", self.secret)])
            .args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
            .args(arguments)
            .arg(format!("http://{}/{BUCKET}/{key}", self.address))
            .output()
            .context("curl")?;
        ensure!(output.status.success(), "curl {key}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(output)
    }

    fn wait(&self) -> Result<()> {
        let begin = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            ensure!(begin.elapsed() < PATIENCE, "the S3 server does not listen at {}", self.address);
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        let _ = self.stop();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn launch(folder: &Path, address: SocketAddr, secret: &str, tls: &[String]) -> Result<Child> {
    Command::new(program()?)
        .args(["--quiet", "--port", &address.to_string()])
        .args(tls)
        .arg("posix")
        .arg(folder)
        .env("ROOT_ACCESS_KEY", ACCESS_KEY)
        .env("ROOT_SECRET_KEY", secret)
        .stdout(Stdio::null())
        // It calls every connection that a test cuts an internal error.
        .stderr(Stdio::null())
        .spawn()
        .context("start the S3 server")
}

/// The program, built first if need be.
fn program() -> Result<&'static str> {
    static PROGRAM: OnceLock<Result<String, String>> = OnceLock::new();
    let built = PROGRAM.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/s3/server");
        let output = Command::new(script).arg("versitygw").stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| format!("{script}: {error}"))?;
        if !output.status.success() {
            return Err(format!("{script}: {}", output.status));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    });
    built.as_deref().map_err(|text| anyhow::anyhow!("{text}"))
}
