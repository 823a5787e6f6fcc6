//! The log: lines go to a bounded queue and a thread writes them. A slow terminal or pipe loses lines, which are counted;
//! it never stops a worker.

mod filter;

use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::access_log::Sink;
pub use filter::{Filter, FilterError, LENGTH_MAX};

/// Lines that may wait for the writer.
const LINES_MAX: usize = 8_192;
/// How long the writer rests after it has written: lines that come meanwhile are written together, and nobody who has one wakes it.
const REST: Duration = Duration::from_millis(5);
/// What is logged when `RUST_LOG` says nothing. The dispatcher calls it an error when an answer to another pod is cut on purpose.
const FILTER: &str = "info,actix_server=warn,actix_http::h1::dispatcher=off";

/// Counted for the whole process, as its log is one.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// How requests are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Requests {
    /// Our own lines, in the log's format.
    Own,
    /// One JSON object per line with the 15 fields of AWS Elemental MediaStore's access logs.
    Mediastore,
}

/// The writer's thread; dropping it writes what is left.
#[derive(Debug)]
pub struct Log {
    /// Which lines are logged.
    pub filter: Filter,
    queue: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    End,
}

/// Lines dropped so far.
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Starts the log of the process, on standard error.
pub fn start(format: Format) -> io::Result<Log> {
    let (sender, receiver) = sync_channel(LINES_MAX);
    let thread = thread::Builder::new().name("log".to_owned()).spawn(move || write(&receiver))?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    let text = filter.to_string();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Queue(sender.clone()));
    let filter = match format {
        Format::Text => {
            let lines = lines.with_ansi(false).with_filter_reloading();
            let filter = Filter::new(lines.reload_handle(), &text);
            lines.init();
            filter
        }
        Format::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            let lines = lines.with_filter_reloading();
            let filter = Filter::new(lines.reload_handle(), &text);
            lines.init();
            filter
        }
    };
    Ok(Log { filter, queue: Some(sender), thread: Some(thread) })
}

impl Log {
    /// Takes lines that are written as they are.
    pub fn sink(&self) -> Sink {
        let queue = self.queue.clone();
        Sink::new(move |line| {
            if queue.as_ref().is_some_and(|queue| queue.try_send(Message::Line(line)).is_err()) {
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
        })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            // Fails only when the thread is gone already.
            let _ = queue.send(Message::End);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(lines: &Receiver<Message>) {
    let mut out = BufWriter::new(io::stderr());
    while let Ok(message) = lines.recv() {
        let mut next = Some(message);
        while let Some(message) = next {
            match message {
                // A closed standard error leaves nobody to tell.
                Message::Line(line) => drop(out.write_all(&line)),
                Message::End => return drop(out.flush()),
            }
            next = lines.try_recv().ok();
        }
        drop(out.flush());
        thread::sleep(REST);
    }
}

/// Gives each line a writer that puts it into the queue.
#[derive(Clone, Debug)]
struct Queue(SyncSender<Message>);

struct Line {
    queue: SyncSender<Message>,
    text: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { queue: self.0.clone(), text: Vec::new() }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.text.is_empty()
            && self.queue.try_send(Message::Line(std::mem::take(&mut self.text))).is_err()
        {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
}
