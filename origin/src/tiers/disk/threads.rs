//! Threads for I/O of the disk alone: neither those that answer requests nor a runtime's pool that others fill.
//!
//! What waits is bounded by whoever submits (a slot per call, see `Inner::call`); a folder's sync is submitted by a call
//! that has a slot. Reads come first, but not for ever, and writes never take the last thread.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{fmt, io, thread};

use tokio::sync::mpsc;

/// Reads that may pass a write that waits.
const READS_IN_A_ROW_MAX: u32 = 8;

/// A piece of work for a thread.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// In which queue a job waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Others wait for it already: the sync of a folder.
    Urgent,
    /// Short.
    Read,
    /// May be long.
    Write,
}

/// The threads of a tier. They end when this is dropped and everything that was submitted is done.
pub(super) struct Threads {
    queue: Arc<Queue>,
    ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

struct Queue {
    lanes: Mutex<Lanes>,
    ready: Condvar,
}

/// What waits, and which of it is next.
pub(super) struct Lanes {
    urgent: VecDeque<Job>,
    reads: VecDeque<Job>,
    writes: VecDeque<Job>,
    writing: usize,
    writing_max: usize,
    reads_in_a_row: u32,
    closing: bool,
    alive: usize,
}

impl Lanes {
    pub(super) fn new(threads: usize) -> Self {
        Self {
            urgent: VecDeque::new(),
            reads: VecDeque::new(),
            writes: VecDeque::new(),
            writing: 0,
            writing_max: threads.saturating_sub(1).max(1),
            reads_in_a_row: 0,
            closing: false,
            alive: threads,
        }
    }

    pub(super) fn push(&mut self, lane: Lane, job: Job) {
        match lane {
            Lane::Urgent => self.urgent.push_back(job),
            Lane::Read => self.reads.push_back(job),
            Lane::Write => self.writes.push_back(job),
        }
    }

    /// The job that a free thread does now; who takes a write tells when it is [`Self::written`].
    pub(super) fn next(&mut self) -> Option<(Lane, Job)> {
        if let Some(job) = self.urgent.pop_front() {
            return Some((Lane::Urgent, job));
        }
        let may_write = !self.writes.is_empty() && self.writing < self.writing_max;
        let is_turn_of_write = may_write && self.reads_in_a_row >= READS_IN_A_ROW_MAX;
        if !is_turn_of_write && let Some(job) = self.reads.pop_front() {
            self.reads_in_a_row = if may_write { self.reads_in_a_row + 1 } else { 0 };
            return Some((Lane::Read, job));
        }
        if may_write && let Some(job) = self.writes.pop_front() {
            self.reads_in_a_row = 0;
            self.writing += 1;
            return Some((Lane::Write, job));
        }
        None
    }

    pub(super) fn written(&mut self) {
        self.writing = self.writing.saturating_sub(1);
    }

    fn is_over(&self) -> bool {
        self.closing && self.urgent.is_empty() && self.reads.is_empty() && self.writes.is_empty()
    }
}

impl Threads {
    /// Starts `count` of them.
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let count = count.max(1);
        let queue = Arc::new(Queue { lanes: Mutex::new(Lanes::new(count)), ready: Condvar::new() });
        let (alive, ended) = mpsc::channel(1);
        let threads = Self { queue, ended: tokio::sync::Mutex::new(ended) };
        for index in 0..count {
            let (queue, alive) = (threads.queue.clone(), alive.clone());
            thread::Builder::new().name(format!("disk-{index}")).spawn(move || {
                queue.work();
                drop(alive);
            })?;
        }
        Ok(threads)
    }

    /// Has a job done. It is dropped when the threads have ended, and with it the answer that somebody waits for.
    pub(super) fn submit(&self, lane: Lane, job: Job) {
        let mut lanes = self.queue.lock();
        if lanes.alive == 0 {
            drop(lanes);
            return drop(job);
        }
        lanes.push(lane, job);
        drop(lanes);
        self.queue.ready.notify_one();
    }

    /// Lets them end when nothing is left to do.
    pub(super) fn close(&self) {
        self.queue.lock().closing = true;
        self.queue.ready.notify_all();
    }

    /// Waits until all of them have ended.
    pub(super) async fn ended(&self) {
        // Nothing is ever sent: this returns when the last thread has dropped its end.
        let _ = self.ended.lock().await.recv().await;
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Threads")
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut lanes = self.lock();
        loop {
            if let Some((lane, job)) = lanes.next() {
                drop(lanes);
                // Whoever waits for it sees its answer dropped; the thread is needed by others.
                if catch_unwind(AssertUnwindSafe(job)).is_err() {
                    tracing::error!("a job of the disk tier panicked");
                }
                lanes = self.lock();
                if lane == Lane::Write {
                    lanes.written();
                    // A write that had to wait may be another thread's now.
                    self.ready.notify_one();
                }
            } else if lanes.is_over() {
                lanes.alive -= 1;
                self.ready.notify_all();
                return;
            } else {
                lanes = self.ready.wait(lanes).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}
