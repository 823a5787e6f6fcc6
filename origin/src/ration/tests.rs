//! An origin whose container becomes larger and smaller; the files of its group are files of the test.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mediaorigin_crds::load;
use serde_json::Value;

use super::*;
use crate::config::{Change, Way};
use crate::{Options, Running, reload, start_blocking, status};

const MIB: u64 = Bytes::MIB;
const PATIENCE: Duration = Duration::from_secs(30);

/// A container of version 2.
struct Container(PathBuf);

impl Container {
    fn new(limit: u64, used: u64) -> Self {
        let root = std::env::temp_dir().join(format!("mediaorigin-ration-{:x}", fastrand::u64(..)));
        for folder in ["proc/self", "group"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(root.join("proc/self/cgroup"), "0::/\n").unwrap();
        fs::write(root.join("proc/self/mountinfo"), "30 24 0:27 / /group rw - cgroup2 cgroup rw\n").unwrap();
        let container = Self(root);
        container.set("memory.max", limit);
        container.set("memory.current", used);
        container
    }

    /// Replaced as a whole, as a kernel would: nobody reads half a number.
    fn set(&self, file: &str, mib: u64) {
        let (new, file) = (self.0.join("new"), self.0.join("group").join(file));
        fs::write(&new, format!("{}\n", mib * MIB)).unwrap();
        fs::rename(new, file).unwrap();
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn configuration(generation: u64, limit: u64) -> String {
    format!(
        "apiVersion: mediaorigin.io/v1alpha1\nkind: OriginConfig\nmetadata: {{name: live, uid: u1, generation: {generation}}}\n\
         cold: {{connectionsMax: 100, mediaPort: 8080, adminPort: 8081}}\n\
         hot: {{memoryLimitBytes: {}, objectBytesMax: 100000, uploadIdleSeconds: 60}}\n",
        limit * MIB
    )
}

fn start(container: &Container, limit: u64) -> Running {
    let options = Options { group: Group::own(&container.0), ..Options::default() };
    start_blocking(load::parse(&configuration(1, limit)).unwrap(), options).unwrap()
}

fn memory(running: &Running) -> Value {
    serde_json::to_value(status::Status::of(running.origin()).memory).unwrap()
}

/// Limit in force, configured, of the container; in MiB.
fn limits(running: &Running) -> [u64; 3] {
    let memory = memory(running);
    ["limit", "configuredLimit", "containerLimit"].map(|field| memory[field].as_u64().unwrap() / MIB)
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

fn told(running: &Running, word: &str) -> bool {
    let events = serde_json::to_string(&running.origin().book.events.report(0)).unwrap();
    events.contains(word)
}

#[test]
fn an_origin_grows_with_its_container_and_shrinks_before_it() {
    let container = Container::new(256, 100);
    let running = start(&container, 256);
    assert_eq!(limits(&running), [256, 256, 256]);
    let objects = || running.origin().memory.budget().limit();
    let before = objects();

    assert_eq!(reload::take(running.origin(), &configuration(2, 512), Way::Push), Change::Swapped);
    assert_eq!((limits(&running), objects()), ([256, 512, 256], before), "the container is what it was");
    container.set("memory.max", 512);
    wait_for("it does not grow", || limits(&running)[0] == 512);
    assert!(objects() > before + 200 * MIB);
    assert!(told(&running, "of 512Mi, after"));

    assert_eq!(reload::take(running.origin(), &configuration(3, 192), Way::Push), Change::Swapped);
    assert_eq!(limits(&running), [192, 192, 512], "at once, whatever the container may use");
    assert!(objects() < before);
    container.set("memory.max", 192);
    wait_for("the status does not follow", || limits(&running) == [192, 192, 192]);
    assert_eq!(memory(&running)["workingSet"], 100 * MIB);
}

/// As many connections as these need more than this limit.
#[test]
fn a_limit_that_is_too_small_is_refused_and_the_budget_stays() {
    let container = Container::new(512, 100);
    let running = start(&container, 256);
    assert_eq!(reload::take(running.origin(), &configuration(2, 40), Way::Push), Change::Refused);
    let refused = running.origin().config.report().refused.join("; ");
    assert!(refused.contains("hot.memoryLimitBytes") && refused.contains("leaves 0 MiB"), "{refused}");
    assert_eq!(limits(&running), [256, 256, 512]);
    container.set("memory.max", 40);
    wait_for("nobody is told", || told(&running, "the budget stays as it was"));
    assert_eq!(limits(&running), [256, 256, 40]);
    container.set("memory.max", 200);
    wait_for("it does not recover", || limits(&running)[0] == 200);
}

#[test]
fn a_container_that_is_nearly_full_makes_objects_give_way_and_reads_wait() {
    let container = Container::new(256, 100);
    let running = start(&container, 256);
    let objects = running.origin().memory.budget().limit();
    container.set("memory.current", 254);
    wait_for("nothing gives way", || running.origin().memory.budget().limit() < objects);
    wait_for("reads need not wait", || {
        let report = serde_json::to_value(running.origin().overload.report()).unwrap();
        report["reason"] == "container" && report["shedding"] == "dvr"
    });
    assert!(told(&running, "memoryPressure"));
    assert_eq!(running.origin().ration.squeezes(), 1);
    container.set("memory.current", 100);
    wait_for("the room is not given back", || running.origin().memory.budget().limit() == objects);
}
