//! A real S3 server for the tests on a folder of its own, built once by `tests/s3/server`: versitygw, or the one that
//! `MEDIAORIGIN_S3_SERVER` names.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::peer::PATIENCE;
use crate::program::built_by;

/// The access key of every server.
pub const ACCESS_KEY: &str = "AKIAORIGINTESTS";
/// The bucket of every server.
pub const BUCKET: &str = "media";

/// What the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// In every test run: a gateway to a folder, one file per object.
    Versitygw,
    /// The second opinion of `make soak`: other code, with objects in a format of its own.
    Minio,
    /// The control of `make soak`: of two writers that may not both win, both do. Whoever calls that well notices nothing.
    S3sFs,
}

impl Program {
    /// The one that the environment asks for.
    pub fn chosen() -> Result<Self> {
        match std::env::var("MEDIAORIGIN_S3_SERVER").as_deref() {
            Err(_) | Ok("versitygw") => Ok(Self::Versitygw),
            Ok("minio") => Ok(Self::Minio),
            Ok("s3s-fs") => Ok(Self::S3sFs),
            Ok(name) => bail!("no S3 server named {name}"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Versitygw => "versitygw",
            Self::Minio => "minio",
            Self::S3sFs => "s3s-fs",
        }
    }
}

/// A server; it ends with this value, and so does its folder.
pub struct S3Server {
    /// Where it listens.
    pub address: SocketAddr,
    folder: PathBuf,
    secret: String,
    program: Program,
    tls: Option<(PathBuf, PathBuf)>,
    process: Child,
}

impl S3Server {
    /// Starts one with an empty bucket.
    pub fn start(secret: &str) -> Result<Self> {
        Self::start_with(secret, None)
    }

    /// Starts one that speaks TLS with the certificate and key of two files.
    pub fn start_tls(secret: &str, certificate: &Path, key: &Path) -> Result<Self> {
        Self::start_with(secret, Some((certificate.to_owned(), key.to_owned())))
    }

    fn start_with(secret: &str, tls: Option<(PathBuf, PathBuf)>) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("mediaorigin-s3-{:016x}", fastrand::u64(..)));
        std::fs::create_dir_all(folder.join(BUCKET)).context("folder")?;
        // Somebody else may take it before the server does; then the server says so and the test fails.
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let program = Program::chosen()?;
        let process = launch(program, &folder, address, secret, tls.as_ref())?;
        let server = Self { address, folder, secret: secret.to_owned(), program, tls, process };
        server.wait()?;
        Ok(server)
    }

    /// Starts it again on the same folder and port, with another secret key.
    pub fn restart(&mut self, secret: &str) -> Result<()> {
        self.stop()?;
        secret.clone_into(&mut self.secret);
        self.process = launch(self.program, &self.folder, self.address, secret, self.tls.as_ref())?;
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
            .arg(format!("{}://{}/{BUCKET}/{key}", self.scheme(), self.address))
            .output()
            .context("curl")?;
        ensure!(output.status.success(), "curl {key}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(output)
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    fn is_ready(&self) -> bool {
        match self.program {
            Program::Versitygw | Program::S3sFs => TcpStream::connect(self.address).is_ok(),
            // It listens, and calls itself ready, before it answers for its bucket.
            Program::Minio => self.curl("", &["--insecure"]).is_ok(),
        }
    }

    fn wait(&self) -> Result<()> {
        let begin = Instant::now();
        while !self.is_ready() {
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

fn launch(
    program: Program,
    folder: &Path,
    address: SocketAddr,
    secret: &str,
    tls: Option<&(PathBuf, PathBuf)>,
) -> Result<Child> {
    let mut command = Command::new(built_by("s3/server", &[program.name()])?);
    match program {
        Program::Versitygw => {
            command.args(["--quiet", "--port", &address.to_string()]);
            if let Some((certificate, key)) = tls {
                command.arg("--cert").arg(certificate).arg("--key").arg(key);
            }
            command
                .arg("posix")
                .arg(folder)
                .env("ROOT_ACCESS_KEY", ACCESS_KEY)
                .env("ROOT_SECRET_KEY", secret);
        }
        Program::Minio => {
            command.args(["server", "--quiet", "--address", &address.to_string()]);
            // Beside the bucket's folder, in a name that no bucket can have.
            let certificates = folder.join("_certificates");
            if let Some((certificate, key)) = tls {
                std::fs::create_dir_all(&certificates).context("folder of certificates")?;
                std::fs::copy(certificate, certificates.join("public.crt")).context("certificate")?;
                std::fs::copy(key, certificates.join("private.key")).context("key")?;
            }
            command.arg("--certs-dir").arg(&certificates).arg(folder);
            command.env("MINIO_ROOT_USER", ACCESS_KEY).env("MINIO_ROOT_PASSWORD", secret);
            command.env("MINIO_BROWSER", "off").env("MINIO_UPDATE", "off");
        }
        Program::S3sFs => {
            ensure!(tls.is_none(), "s3s-fs is asked without TLS");
            command.args(["--host", &address.ip().to_string(), "--port", &address.port().to_string()]);
            command.args(["--access-key", ACCESS_KEY, "--secret-key", secret]).arg(folder);
        }
    }
    command
        .stdout(Stdio::null())
        // They call every connection that a test cuts an internal error.
        .stderr(Stdio::null())
        .spawn()
        .context("start the S3 server")
}
