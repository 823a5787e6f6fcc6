//! A program that ends with its owner, and with the process of the tests however that ends.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

type Order = (Command, Sender<io::Result<Child>>);

/// A running program, with its output in a file. It is killed at the end: nothing that it holds is needed any longer.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it with its output added to a file of `folder`.
    pub fn start(name: &'static str, program: &Path, arguments: &[String], folder: &Path) -> Result<Self> {
        Self::start_with(name, program, arguments, &[], folder)
    }

    /// The same with an environment of its own.
    pub fn start_with(
        name: &'static str,
        program: &Path,
        arguments: &[String],
        environment: &[(&str, &str)],
        folder: &Path,
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        // The kernel kills it when the thread that started it ends; that one lives as long as the process of the tests.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program).args(arguments).envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        Ok(Self { name, child: spawn(command).with_context(|| format!("start {name}"))?, log })
    }

    /// Asks until the answer is yes; fails with the program's last words when it has ended or `patience` has.
    pub fn wait_until(&mut self, patience: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + patience;
        while !ready() {
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                bail!("{} is not ready ({ended:?}):\n{}", self.name, self.last_words()?);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// The last lines that it wrote.
    pub fn last_words(&self) -> Result<String> {
        let text = self.output()?;
        let last: Vec<_> = text.lines().rev().take(15).collect();
        Ok(last.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }

    /// What it has written so far, under this and earlier starts.
    pub fn output(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// Sends it a signal, by its name without `SIG`.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let status = Command::new("kill").args(["-s", signal, &self.id().to_string()]).status()?;
        ensure!(status.success(), "{} was not sent SIG{signal}", self.name);
        Ok(())
    }

    /// Waits until it has ended by itself.
    pub fn wait_end(&mut self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        while self.child.try_wait()?.is_none() {
            ensure!(Instant::now() < deadline, "{} does not end:\n{}", self.name, self.last_words()?);
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(command: Command) -> Result<Child> {
    static KEEPER: OnceLock<Sender<Order>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (orders, inbox) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in inbox {
                // Whoever asked has gone; the child of nobody must go too.
                if let Err(lost) = reply.send(command.spawn())
                    && let Ok(mut child) = lost.0
                {
                    let _ = child.kill();
                }
            }
        });
        orders
    });
    let (reply, child) = channel();
    keeper.send((command, reply)).ok().context("the keeper has ended")?;
    Ok(child.recv()??)
}
