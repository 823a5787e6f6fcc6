//! The one browser of the tests, as a process that is given plays line by line (`tests/players/play.mjs`).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

/// Longer than the driver itself waits for a page.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a viewer noticed.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Seen {
    /// Seconds to the first frame; none where there was none.
    #[serde(default)]
    pub(super) started: Option<f64>,
    /// Seconds of media that were played, without what was jumped over.
    #[serde(default)]
    pub(super) played: f64,
    /// Seconds of the browser's clock since the first frame.
    #[serde(default)]
    pub(super) elapsed: f64,
    /// How often playback stood still for want of data.
    #[serde(default)]
    pub(super) stalls: u32,
    /// Seconds behind the clock of a live stream, the median of the second half.
    #[serde(default)]
    pub(super) latency: Option<f64>,
    /// Seconds from a jump to the next frame.
    #[serde(default)]
    pub(super) sought_in: Option<f64>,
    /// Why the player gave up.
    pub(super) fatal: Vec<String>,
    /// What it reported and played on.
    #[serde(default)]
    pub(super) errors: Vec<String>,
    /// Exceptions that nobody caught.
    #[serde(default)]
    pub(super) thrown: Vec<String>,
    /// Requests that failed: how and for what, and how often.
    #[serde(default)]
    pub(super) failed: BTreeMap<String, u32>,
    /// Where the video was, every second.
    #[serde(default)]
    pub(super) times: Vec<f64>,
}

/// Who waits for the lines of which play.
type Listeners = Arc<Mutex<BTreeMap<u64, Sender<Value>>>>;

/// A running browser. Dropping it ends it.
pub(super) struct Driver {
    child: Child,
    orders: Mutex<Option<ChildStdin>>,
    listeners: Listeners,
}

impl Driver {
    /// Installs what is missing and starts it; the browser takes its time in the background.
    pub(super) fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("players/prepare");
        let prepared = Command::new(script).output().unwrap();
        assert!(prepared.status.success(), "{}", String::from_utf8_lossy(&prepared.stderr));
        let command = String::from_utf8(prepared.stdout).unwrap();
        let mut words = command.split_whitespace();
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let listeners = Listeners::default();
        let (lines, kept) = (child.stdout.take().unwrap(), Arc::clone(&listeners));
        thread::spawn(move || distribute(lines, &kept));
        Self { orders: Mutex::new(child.stdin.take()), child, listeners }
    }

    /// Begins to play. `order` is what `play.mjs` reads, without an id.
    pub(super) fn play(&self, order: &Value) -> Play {
        let (sender, lines) = channel();
        let mut order = order.clone();
        let id = fastrand::u64(..1 << 53);
        order["id"] = json!(id);
        self.listeners.lock().unwrap().insert(id, sender);
        let mut orders = self.orders.lock().unwrap();
        writeln!(orders.as_mut().unwrap(), "{order}").unwrap();
        Play { lines }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The end of its input is the end of the driver, and that of the browser.
        if let Ok(orders) = self.orders.get_mut() {
            *orders = None;
        }
        let _ = self.child.wait();
    }
}

/// Hands each line to who waits for it. When the driver is gone, so is every sender, and nobody waits any more.
fn distribute(lines: ChildStdout, listeners: &Mutex<BTreeMap<u64, Sender<Value>>>) {
    for line in BufReader::new(lines).lines().map_while(Result::ok) {
        let value: Value = serde_json::from_str(&line).unwrap();
        let listeners = listeners.lock().unwrap();
        let listener = value["id"].as_u64().and_then(|id| listeners.get(&id));
        if let Some(listener) = listener {
            let _ = listener.send(value);
        }
    }
    listeners.lock().unwrap().clear();
}

/// A play in progress.
pub(super) struct Play {
    lines: Receiver<Value>,
}

impl Play {
    fn line(&self) -> Value {
        self.lines.recv_timeout(PATIENCE).expect("the browser ended, or does not answer")
    }

    /// Waits for an event of it: `playing` or `stall`.
    pub(super) fn wait_for(&self, event: &str) {
        loop {
            let line = self.line();
            assert!(line.get("event").is_some(), "it ended without \"{event}\": {line}");
            if line["event"] == event {
                return;
            }
        }
    }

    /// Waits for its end.
    pub(super) fn end(self) -> Seen {
        loop {
            let line = self.line();
            if line.get("event").is_none() {
                return serde_json::from_value(line).unwrap();
            }
        }
    }
}
