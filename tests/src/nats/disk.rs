//! A disk that is slow: `strace` between a server and the kernel holds up each call that writes to a file.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{NatsCluster, PATIENCE};
use crate::folder::Folder;
use crate::process::Process;
use crate::program::ensure_installed;

/// What a server calls of the kernel to write its streams, and nobody on a socket.
const CALLS: &str = "pwrite64,fsync,fdatasync";

/// A server's disk is slow until [`SlowDisk::end`].
#[derive(Debug)]
pub struct SlowDisk {
    strace: Process,
    _folder: Folder,
}

impl NatsCluster {
    /// From now on each call of a server that writes to its disk takes so much longer.
    pub fn slow_disk(&self, index: usize, delay: Duration) -> Result<SlowDisk> {
        ensure_installed("strace")?;
        let server = self.process(index)?.id().to_string();
        let calls = format!("trace={CALLS}");
        let delay = format!("inject={CALLS}:delay_enter={}", delay.as_micros());
        let arguments = ["strace", "-f", "-p", &server, "-e", &calls, "-e", &delay];
        let folder = Folder::new("strace")?;
        let mut strace =
            Process::start("strace", "/usr/bin/env".as_ref(), &arguments.map(str::to_owned), folder.path())?;
        let log = folder.path().join("strace.log");
        let is_attached = || std::fs::read_to_string(&log).is_ok_and(|text| text.contains(" attached"));
        strace.wait_until(PATIENCE, is_attached)?;
        Ok(SlowDisk { strace, _folder: folder })
    }
}

impl SlowDisk {
    /// Lets the disk be as it is; how many calls were held up.
    pub fn end(mut self) -> Result<usize> {
        self.strace.signal("TERM")?;
        self.strace.wait_end(PATIENCE)?;
        // The last ones may be let go in the middle.
        let is_call = |line: &&str| CALLS.split(',').any(|call| line.contains(&format!("{call}(")));
        let held_up = self.strace.output()?.lines().filter(is_call).count();
        ensure!(held_up > 0, "no call was held up:\n{}", self.strace.last_words()?);
        Ok(held_up)
    }
}
