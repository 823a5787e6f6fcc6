//! Wrong clocks: libfaketime between a process and the time of day. The clock that never goes back, by which it waits, stays right.

use std::path::PathBuf;
use std::process::Command;

use fastrand::Rng;
use mediaorigin_origin::memory::blob::Uid;
use mediaorigin_tests::folder::Folder;
use mediaorigin_tests::program::ensure_installed;

use super::pods::Fleet;

/// Seconds by which clocks are wrong at first, by pod.
const FIRST: [f64; 3] = [0.0, 2.0, -2.0];

/// A clock for each pod.
#[derive(Debug)]
pub(super) struct Clocks {
    library: PathBuf,
    folder: Folder,
}

impl Clocks {
    /// Those of three pods.
    pub(super) fn wrong() -> Self {
        let clocks = Self { library: library(), folder: Folder::new("clocks").unwrap() };
        for (pod, offset) in FIRST.into_iter().enumerate() {
            clocks.set(pod, offset);
        }
        clocks
    }

    fn set(&self, pod: usize, offset: f64) {
        // Renamed, so that nobody reads half of it.
        let new = self.folder.write("new", &format!("{offset:+.3}s\n")).unwrap();
        std::fs::rename(new, self.file(pod)).unwrap();
    }

    fn file(&self, pod: usize) -> PathBuf {
        self.folder.path().join(pod.to_string())
    }

    /// The clock of a pod jumps, within a second from now.
    pub(super) fn jump(&self, pod: usize, chance: &mut Rng) {
        self.set(pod, 4.0 * chance.f64() - 2.0);
    }

    /// Whether the processes believe in them: the dates of two pods are seconds apart.
    pub(super) fn check(&self, fleet: &Fleet) {
        let second = |pod| {
            let head = fleet.get(pod, "/live/none.m3u8").head;
            let time = head.header("date").and_then(|date| date.split(' ').nth(4)).unwrap().to_owned();
            time.split(':').fold(0, |sum, part| 60 * sum + part.parse::<i64>().unwrap())
        };
        let (early, late) = (second(2), second(1));
        let apart = (late - early).rem_euclid(86_400);
        assert!((3..600).contains(&apart), "the pods' clocks are {apart} s apart: {self:?}");
    }

    /// What a process is told.
    pub(super) fn environment(&self, pod: usize) -> Vec<(&'static str, String)> {
        vec![
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file(pod).display().to_string()),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }
}

/// What a process loads that is to be told a wrong time.
fn library() -> PathBuf {
    ensure_installed("faketime").unwrap();
    let files = Command::new("dpkg").args(["-L", "libfaketime"]).output().unwrap();
    let files = String::from_utf8(files.stdout).unwrap();
    let library = files.lines().find(|file| file.ends_with("/libfaketimeMT.so.1"));
    PathBuf::from(library.unwrap_or_else(|| panic!("no library: {files}")))
}

/// Not a test: a process that draws what only its clock and its thread decide, and a name for a version.
#[test]
#[ignore = "a process of the test beside it"]
fn child() {
    if std::env::var_os("FAKETIME").is_some() {
        println!("drew {:032x} {}", fastrand::u128(..), Uid::draw().unwrap());
    }
}

/// Two processes for which time stands still at the same moment, as it may be on two machines that run for the same time.
#[test]
fn processes_that_start_in_the_same_instant_give_different_names() {
    let library = library();
    let draw = || {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "fleet::clocks::child", "--ignored", "--nocapture", "--test-threads=1"])
            .env("LD_PRELOAD", &library)
            .env("FAKETIME", "2030-01-01 00:00:00")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let drawn = text.split_once("drew ").unwrap_or_else(|| panic!("{text}")).1;
        drawn.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let (one, other) = (draw(), draw());
    assert_eq!(one[0], other[0], "this is why: the clock decides");
    assert_ne!(one[1], other[1]);
}
