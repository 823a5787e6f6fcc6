//! The servers under comparison: each one process tree on loopback, bound to the first processor; the client has the rest.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::folder::Folder;
use crate::peer::{Peer, fetch};
use crate::program::{Program, free};

/// A running server.
pub struct Server {
    /// Its name in the table.
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    program: Program,
    bodies: Bodies,
}

/// How a server comes by the bodies that it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bodies {
    /// They are uploaded.
    ByPut,
    /// They are files in the folder.
    AsFiles,
    /// It makes them itself.
    Own,
}

pub(crate) fn file_name(size: usize) -> String {
    format!("body-{size}.ts")
}

impl Server {
    /// This origin, with further arguments.
    pub fn origin(name: &'static str, binary: &Path, extra: &[&str], folder: &Folder) -> Result<Self> {
        let (address, admin) = (free()?, free()?);
        let mut command = pinned(binary.as_os_str());
        command.args(["serve", "--listen", &address.to_string(), "--admin-listen", &admin.to_string()]);
        command.args(["--workers", "1"]).args(extra);
        command.env("RUST_LOG", "warn");
        Self::start(name, command, address, Bodies::ByPut, folder)
    }

    /// The least that a server can do (`tests/bench/bare.c`).
    pub fn bare(binary: &Path, sizes: &[usize], folder: &Folder) -> Result<Self> {
        let address = free()?;
        let mut command = pinned(binary.as_os_str());
        command.arg(address.port().to_string()).args(sizes.iter().map(ToString::to_string));
        Self::start("bare (epoll, writev)", command, address, Bodies::Own, folder)
    }

    /// nginx, one worker, sendfile from tmpfs, no access log.
    pub fn nginx(folder: &Folder) -> Result<Self> {
        let address = free()?;
        let path = folder.path().display();
        let configuration = format!(
            "daemon off; user root; worker_processes 1; pid {path}/nginx.pid; error_log {path}/nginx.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;\n\
             types {{ video/mp2t ts; }}\n\
             client_body_temp_path {path}/b; proxy_temp_path {path}/p; fastcgi_temp_path {path}/f;\n\
             uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;\n\
             open_file_cache max=100;\n\
             client_max_body_size 64m; dav_methods PUT; create_full_put_path on;\n\
             server {{ listen {address}; root {path}/files; }} }}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration)?;
        let mut command = pinned("nginx".as_ref());
        command.arg("-c").arg(&file);
        Self::start("nginx (tmpfs, sendfile)", command, address, Bodies::AsFiles, folder)
    }

    /// Varnish with malloc storage in front of a server of its own that it asks once per body.
    pub fn varnish(folder: &Folder) -> Result<Self> {
        let (address, backend) = (free()?, Self::nginx(folder)?);
        let mut command = pinned("varnishd".as_ref());
        command.args(["-F", "-j", "none", "-a", &address.to_string(), "-b", &backend.address.to_string()]);
        command.args(["-s", "malloc,256m", "-t", "3600", "-n"]).arg(folder.path().join("varnish"));
        let server = Self::start("Varnish (malloc)", command, address, Bodies::AsFiles, folder)?;
        for size in [2 << 10, 100 << 10, 1 << 20, 4 << 20] {
            std::fs::write(folder.path().join("files").join(file_name(size)), body(size))?;
            ensure!(
                fetch(address, "GET", &format!("/{}", file_name(size)))?.head.status == 200,
                "Varnish got no body"
            );
        }
        Ok(server) // the backend ends here: every body is in Varnish's memory
    }

    /// Makes the body of `size` bytes available.
    pub fn prepare(&self, folder: &Folder, size: usize) -> Result<()> {
        let (name, body) = (file_name(size), body(size));
        match self.bodies {
            Bodies::ByPut => {
                let answer =
                    Peer::connect(self.address)?.request("PUT", &format!("/{name}"), &[], Some(&body))?;
                ensure!(answer.head.status == 201, "PUT {name}: {}", answer.head.status);
            }
            Bodies::AsFiles => std::fs::write(folder.path().join("files").join(&name), &body)?,
            Bodies::Own => {}
        }
        let answer = fetch(self.address, "GET", &format!("/{name}"))?;
        ensure!(
            answer.head.status == 200 && answer.body == body,
            "{}: wrong body of {size} bytes",
            self.name
        );
        Ok(())
    }

    /// CPU time of all threads of the server and of its children, from the scheduler's statistics.
    pub fn cpu_nanos(&self) -> Result<u64> {
        let mut all = vec![self.program.id()];
        let mut sum = 0;
        while let Some(process) = all.pop() {
            for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
                let path = task?.path();
                let statistics = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
                sum += statistics
                    .split_whitespace()
                    .next()
                    .and_then(|text| text.parse::<u64>().ok())
                    .unwrap_or(0);
                let children = std::fs::read_to_string(path.join("children")).unwrap_or_default();
                all.extend(children.split_whitespace().filter_map(|text| text.parse::<u32>().ok()));
            }
        }
        ensure!(sum > 0, "no CPU statistics of {}", self.name);
        Ok(sum)
    }

    /// Memory of the process itself, in bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        self.program.resident_bytes()
    }

    /// Bytes that the kernel holds in the send queues of its connections, unacknowledged ones included.
    pub fn queued_bytes(&self) -> Result<u64> {
        let local = format!(":{:04X}", self.address.port());
        let table = std::fs::read_to_string("/proc/net/tcp")?;
        let mut sum = 0;
        for line in table.lines().skip(1) {
            let mut fields = line.split_whitespace().skip(1);
            let (Some(address), Some(queues)) = (fields.next(), fields.nth(2)) else { continue };
            if let (true, Some((sent, _))) = (address.ends_with(&local), queues.split_once(':')) {
                sum += u64::from_str_radix(sent, 16)?;
            }
        }
        Ok(sum)
    }

    fn start(
        name: &'static str,
        command: Command,
        address: SocketAddr,
        bodies: Bodies,
        folder: &Folder,
    ) -> Result<Self> {
        let program =
            Program::start(name.split(' ').next().unwrap_or(name), command, address, folder.path())?;
        Ok(Self { name, address, program, bodies })
    }
}

fn pinned(program: &std::ffi::OsStr) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    command
}

fn body(size: usize) -> Vec<u8> {
    (0..size).map(|index| u8::try_from(index % 251).unwrap_or_default()).collect()
}
