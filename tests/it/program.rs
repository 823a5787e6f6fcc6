//! The program as it is installed: a process of its own, in a group with a memory limit of its own where that is wanted.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mediaorigin_tests::program::resident_bytes;

/// Where version 1 and version 2 have the groups that limit memory, and the file with the limit.
const HIERARCHIES: [(&str, &str); 2] =
    [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];

/// A program of this workspace, as new as the sources.
pub(crate) fn built(package: &str, name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let folder = tests.parent().and_then(Path::parent).unwrap();
    let profile = match folder.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        name => name,
    };
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--profile", profile]);
    // With this package beside it, so that everything below has the features that it was built with already.
    cargo.args(["-p", env!("CARGO_PKG_NAME"), "-p", package, "--bin", name, "--target-dir"]);
    // What cargo says to tests about their package is read by build scripts below, which would be run again, now and at the
    // next build from outside, and everything above them with them.
    for (name, _) in std::env::vars_os() {
        let about_tests = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];
        if about_tests.iter().any(|prefix| name.to_str().is_some_and(|name| name.starts_with(prefix))) {
            cargo.env_remove(name);
        }
    }
    let status = cargo.arg(folder.parent().unwrap()).status().unwrap();
    assert!(status.success(), "the program cannot be built");
    folder.join(name)
}

/// A group for one process; removed when that is gone.
pub(crate) struct Group(PathBuf);

impl Group {
    /// A group that may use `bytes`, where this machine lets its user make one.
    pub(crate) fn new(bytes: u64) -> Option<Self> {
        let (hierarchy, file) = HIERARCHIES.into_iter().find(|(folder, _)| {
            let folder = Path::new(folder);
            folder.join("memory.limit_in_bytes").exists() || folder.join("cgroup.controllers").exists()
        })?;
        let group =
            Self(Path::new(hierarchy).join(format!("mediaorigin-test-{}-{bytes}", std::process::id())));
        fs::create_dir(&group.0).ok()?;
        fs::write(group.0.join(file), bytes.to_string()).ok()?;
        Some(group)
    }

    /// To change its limit while the process runs.
    pub(crate) fn handle(&self) -> Handle {
        Handle(self.0.clone())
    }
}

/// The files of a group, while it is there.
pub(crate) struct Handle(PathBuf);

impl Handle {
    /// From now on it may use `bytes`; the kernel must be able to enforce it at once.
    pub(crate) fn set(&self, bytes: u64) {
        fs::write(self.0.join(self.file()), bytes.to_string()).unwrap();
    }

    /// What it may use.
    pub(crate) fn limit(&self) -> u64 {
        fs::read_to_string(self.0.join(self.file())).unwrap().trim().parse().unwrap()
    }

    /// Processes that the kernel has ended because it used more.
    pub(crate) fn kills(&self) -> u64 {
        let files = ["memory.oom_control", "memory.events"];
        let text = files.iter().find_map(|file| fs::read_to_string(self.0.join(file)).ok()).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill ")).unwrap();
        line.trim().parse().unwrap()
    }

    fn file(&self) -> &'static str {
        let (_, file) = HIERARCHIES.into_iter().find(|(_, file)| self.0.join(file).exists()).unwrap();
        file
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The process has ended; only folders that were never made are left over.
        let _ = fs::remove_dir(&self.0);
    }
}

/// The program, in a group if there is one.
pub(crate) struct Program {
    child: Child,
    _group: Option<Group>,
}

impl Program {
    pub(crate) fn start(group: Option<Group>, arguments: &[&str]) -> Self {
        let mut command = match &group {
            Some(Group(folder)) => {
                // The shell goes into the group and becomes the program.
                let mut shell = Command::new("sh");
                let enter = "echo $$ > \"$1/cgroup.procs\" && shift && exec \"$@\"";
                shell.args(["-c", enter, "sh"]).arg(folder).arg(built("mediaorigin-origin", "mediaorigin"));
                shell
            }
            None => Command::new(built("mediaorigin-origin", "mediaorigin")),
        };
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--workers", "1"]);
        let child = command
            .args(arguments)
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, _group: group }
    }

    /// Where the media and the admin port listen, from the first line.
    pub(crate) fn ports(&mut self) -> [SocketAddr; 2] {
        let mut line = String::new();
        BufReader::new(self.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        ["PUT http://", "status: http://"].map(|before| {
            let address = line.split(before).nth(1).and_then(|rest| rest.split('/').next());
            address.unwrap_or_else(|| panic!("{line}")).parse().unwrap()
        })
    }

    /// Its resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        resident_bytes(self.child.id()).unwrap()
    }

    /// What it says when it does not start.
    pub(crate) fn refusal(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(!self.child.wait().unwrap().success());
        text
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
