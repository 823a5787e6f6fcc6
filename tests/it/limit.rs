//! The program in a group of processes with a memory limit of its own, as the container of a pod is one: which number counts,
//! and who is told.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mediaorigin_origin::limit;
use mediaorigin_tests::peer::fetch;
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;

/// Where version 1 and version 2 have the groups that limit memory, and the file with the limit.
const HIERARCHIES: [(&str, &str); 2] =
    [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];

/// The program, as new as the sources.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let folder = tests.parent().and_then(Path::parent).unwrap();
    let profile = match folder.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        name => name,
    };
    let arguments = ["build", "--quiet", "--locked", "--profile", profile, "-p", "mediaorigin-origin"];
    let status =
        Command::new(env!("CARGO")).args(arguments).arg("--target-dir").arg(folder.parent().unwrap());
    let status = { status }.args(["--bin", "mediaorigin"]).status().unwrap();
    assert!(status.success(), "the program cannot be built");
    folder.join("mediaorigin")
}

/// A group for one process; removed when that is gone.
struct Group(PathBuf);

impl Group {
    /// A group that may use `bytes`, where this machine lets its user make one.
    fn new(bytes: u64) -> Option<Self> {
        let (hierarchy, file) = HIERARCHIES.into_iter().find(|(folder, _)| {
            let folder = Path::new(folder);
            folder.join("memory.limit_in_bytes").exists() || folder.join("cgroup.controllers").exists()
        })?;
        let group =
            Self(Path::new(hierarchy).join(format!("mediaorigin-test-{}-{bytes}", std::process::id())));
        std::fs::create_dir(&group.0).ok()?;
        std::fs::write(group.0.join(file), bytes.to_string()).ok()?;
        Some(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The process has ended; only folders that were never made are left over.
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// The program in a group, if there is one.
struct Started {
    child: Child,
    _group: Option<Group>,
}

impl Started {
    fn new(group: Option<Group>, arguments: &[&str]) -> Self {
        let mut command = match &group {
            Some(Group(folder)) => {
                // The shell goes into the group and becomes the program.
                let mut shell = Command::new("sh");
                let enter = "echo $$ > \"$1/cgroup.procs\" && shift && exec \"$@\"";
                shell.args(["-c", enter, "sh"]).arg(folder).arg(program());
                shell
            }
            None => Command::new(program()),
        };
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--workers", "1"]);
        let child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { child, _group: group }
    }

    /// Where the admin port listens, from the first line.
    fn admin(&mut self) -> SocketAddr {
        let mut line = String::new();
        BufReader::new(self.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("status: http://").nth(1).and_then(|rest| rest.split('/').next());
        address.unwrap_or_else(|| panic!("{line}")).parse().unwrap()
    }

    /// What it says when it does not start.
    fn refusal(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(!self.child.wait().unwrap().success());
        text
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Fails where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(admin: SocketAddr, target: &str) -> Value {
    serde_json::from_slice(&fetch(admin, "GET", target).unwrap().body).unwrap()
}

/// What the status says of the limit: the number in force, where it comes from, what is configured.
fn limits(status: &Value) -> [Value; 3] {
    ["limit", "limitSource", "configuredLimit"].map(|field| status["memory"][field].clone())
}

#[test]
fn the_limit_of_the_container_counts_where_it_is_lower_and_is_told() {
    let Some(group) = Group::new(200 * MIB) else {
        // Not root, or groups that are not ours: what is left is that the machine's own files can be read.
        println!("no group can be made here; this process may use {:?}", limit::of_cgroup(Path::new("/")));
        return;
    };
    let mut origin = Started::new(Some(group), &["--memory-limit", "1Gi"]);
    let admin = origin.admin();
    let status = get(admin, "/-/status");
    assert_eq!(limits(&status), [json!(200 * MIB), json!("cgroup"), json!(1024 * MIB)]);
    let memory = &status["memory"];
    let terms = ["objects", "base", "connections", "slack"].map(|term| memory[term].as_u64().unwrap());
    assert_eq!(terms.iter().sum::<u64>(), 200 * MIB);
    let events = get(admin, "/-/events");
    let event = &events["events"][0];
    assert_eq!((event["kind"].as_str(), events["latest"].as_u64()), (Some("memoryLimit"), Some(1)));
    let reason = event["reason"].as_str().unwrap();
    assert!(reason.contains("200Mi") && reason.contains("1Gi"), "{reason}");
}

#[test]
fn the_flag_counts_where_the_container_may_use_more() {
    // The test itself may run in a small container.
    let own = limit::of_cgroup(Path::new("/"));
    assert!(own.is_none_or(|limit| limit.get() > 400 * MIB), "this test needs more than 400 MiB");
    let mut origin = Started::new(Group::new(1024 * MIB), &["--memory-limit", "300Mi"]);
    let admin = origin.admin();
    let status = get(admin, "/-/status");
    assert_eq!(limits(&status), [json!(300 * MIB), json!("flag"), json!(300 * MIB)]);
    assert_eq!(get(admin, "/-/events")["latest"], json!(0));
}

#[test]
fn a_limit_that_is_too_small_for_what_is_fixed_is_refused_with_its_name() {
    let refusal = Started::new(None, &["--memory-limit", "64Mi"]).refusal();
    assert!(refusal.contains("a memory limit of 64Mi leaves 0 MiB"), "{refusal}");
    assert!(refusal.contains("raise --memory-limit to at least 124Mi"), "{refusal}");
    let refusal = Started::new(None, &["--memory-limit", "lots"]).refusal();
    assert!(refusal.contains("\"lots\" is not a quantity of bytes"), "{refusal}");
    if let Some(group) = Group::new(64 * MIB) {
        let refusal = Started::new(Some(group), &[]).refusal();
        assert!(
            refusal.contains("raise the memory limit of the container (its cgroup) to at least"),
            "{refusal}"
        );
    }
}
