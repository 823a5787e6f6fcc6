//! The twin of a tier in memory: the same contract without I/O, with switches that make it fail or wait.
//!
//! What it does is written as plainly as possible, so that it is a second opinion on the contract for the real tiers.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::watch;

use super::fence::Fence;
use super::{Bytestream, ErrorKind, Listed, Put, Record, Removed, Source, Tier, TierError, TierName};

/// A call of a tier, to be failed, held or counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Put,
    Find,
    Read,
    Delete,
    List,
}

/// A tier in memory.
#[derive(Debug)]
pub(crate) struct Twin {
    name: TierName,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    objects: BTreeMap<Arc<str>, (Arc<Record>, Bytes)>,
    fence: Fence,
    faults: HashMap<Operation, VecDeque<ErrorKind>>,
    broken_reads: VecDeque<(usize, ErrorKind)>,
    gates: HashMap<Operation, Gate>,
    calls: HashMap<Operation, u64>,
    piece: usize,
}

#[derive(Clone, Debug)]
struct Gate {
    waiting: Arc<watch::Sender<usize>>,
    open: watch::Receiver<bool>,
}

/// Calls that are held; they go on when this is released or dropped.
#[derive(Debug)]
pub(crate) struct Held {
    waiting: watch::Receiver<usize>,
    open: watch::Sender<bool>,
}

impl Held {
    /// Waits until `count` calls are held.
    pub(crate) async fn arrived(&mut self, count: usize) {
        self.waiting.wait_for(|waiting| *waiting >= count).await.unwrap();
    }

    /// Lets them go on, and those that come later.
    pub(crate) fn release(self) {
        self.open.send_replace(true);
    }
}

impl Twin {
    /// An empty tier that calls itself `name`.
    pub(crate) fn new(name: TierName) -> Self {
        let state = State {
            objects: BTreeMap::new(),
            fence: Fence::new(super::fence::FENCES_MAX),
            faults: HashMap::new(),
            broken_reads: VecDeque::new(),
            gates: HashMap::new(),
            calls: HashMap::new(),
            piece: 64 * 1_024,
        };
        Self { name, state: Mutex::new(state) }
    }

    /// The next call of this operation that has no fault yet fails, and does nothing.
    pub(crate) fn fail_next(&self, operation: Operation, kind: ErrorKind) {
        self.state().faults.entry(operation).or_default().push_back(kind);
    }

    /// The stream of the next read that has no fault yet ends with an error after `bytes` bytes.
    pub(crate) fn break_next_read(&self, bytes: usize, kind: ErrorKind) {
        self.state().broken_reads.push_back((bytes, kind));
    }

    /// Calls of this operation wait before they do anything, until what is returned is released.
    pub(crate) fn hold(&self, operation: Operation) -> Held {
        let (waiting, arrivals) = watch::channel(0);
        let (release, open) = watch::channel(false);
        self.state().gates.insert(operation, Gate { waiting: Arc::new(waiting), open });
        Held { waiting: arrivals, open: release }
    }

    /// How often an operation was called, failures included.
    pub(crate) fn calls(&self, operation: Operation) -> u64 {
        self.state().calls.get(&operation).copied().unwrap_or(0)
    }

    /// Bytes of a piece of a stream at most.
    pub(crate) fn set_piece(&self, bytes: usize) {
        self.state().piece = bytes;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, lets it wait, and fails it if that is what a test wants.
    async fn enter(&self, operation: Operation, path: &str) -> Result<(), TierError> {
        let gate = {
            let mut state = self.state();
            *state.calls.entry(operation).or_default() += 1;
            state.gates.get(&operation).cloned()
        };
        if let Some(mut gate) = gate {
            gate.waiting.send_modify(|waiting| *waiting += 1);
            // An error means that the holder is gone, which opens the gate too.
            let _ = gate.open.wait_for(|open| *open).await;
        }
        let fault = self.state().faults.get_mut(&operation).and_then(VecDeque::pop_front);
        fault.map_or(Ok(()), |kind| Err(self.error(operation, path, kind)))
    }

    fn error(&self, operation: Operation, path: &str, kind: ErrorKind) -> TierError {
        TierError::new(self.name, format!("{operation:?} {path}").to_lowercase(), kind, kind.as_str())
    }
}

impl State {
    fn put(&mut self, record: &Arc<Record>, body: &[Bytes]) -> Put {
        let there = self.objects.get(&record.path);
        if self.fence.bars(&record.path, record.sequence)
            || there.is_some_and(|(there, _)| there.sequence > record.sequence)
        {
            return Put::Superseded;
        }
        let body = Bytes::from(body.concat());
        assert_eq!(body.len() as u64, record.size, "the body of {} has another size", record.path);
        self.objects.insert(record.path.clone(), (record.clone(), body));
        Put::Stored
    }

    fn delete(&mut self, path: &str, through: u64) -> Removed {
        self.fence.raise(path, through);
        match self.objects.get(path) {
            None => Removed::Nothing,
            Some((there, _)) if there.sequence > through => Removed::Newer,
            Some(_) => {
                self.objects.remove(path);
                Removed::Gone
            }
        }
    }

    fn list(&self, folder: &str, after: &str, limit: usize) -> Vec<Listed> {
        let all = self.objects.keys().filter_map(|path| {
            let inside = path.strip_prefix(folder)?;
            Some(inside.find('/').map_or(&**path, |slash| &path[..=folder.len() + slash]))
        });
        let names: BTreeSet<&str> = all.filter(|name| *name > after).collect();
        let listed = names.into_iter().take(limit).map(|name| match self.objects.get(name) {
            Some((record, _)) => Listed::Object(record.clone()),
            None => Listed::Folder(name.to_owned()),
        });
        listed.collect()
    }
}

impl Source for Twin {
    fn name(&self) -> TierName {
        self.name
    }

    fn read<'a>(
        &'a self,
        record: &'a Arc<Record>,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<Bytestream, TierError>> {
        async move {
            self.enter(Operation::Read, &record.path).await?;
            let mut state = self.state();
            let Some((_, body)) =
                state.objects.get(&record.path).filter(|(there, _)| there.uid == record.uid)
            else {
                return Err(self.error(Operation::Read, &record.path, ErrorKind::Gone));
            };
            let bound = |at: u64| usize::try_from(at).unwrap();
            let mut bytes = body.slice(bound(range.start)..bound(range.end));
            let broken = state.broken_reads.pop_front();
            let piece = state.piece;
            drop(state);
            if let Some((after, _)) = broken {
                bytes.truncate(after);
            }
            let pieces: Vec<_> = (0..bytes.len())
                .step_by(piece)
                .map(|at| Ok(bytes.slice(at..bytes.len().min(at + piece))))
                .collect();
            let error = broken.map(|(_, kind)| Err(self.error(Operation::Read, &record.path, kind)));
            Ok(stream::iter(pieces.into_iter().chain(error)).boxed())
        }
        .boxed()
    }
}

impl Tier for Twin {
    fn put<'a>(
        &'a self,
        record: &'a Arc<Record>,
        body: &'a [Bytes],
    ) -> BoxFuture<'a, Result<Put, TierError>> {
        async move {
            self.enter(Operation::Put, &record.path).await?;
            Ok(self.state().put(record, body))
        }
        .boxed()
    }

    fn find<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<Arc<Record>>, TierError>> {
        async move {
            self.enter(Operation::Find, path).await?;
            Ok(self.state().objects.get(path).map(|(record, _)| record.clone()))
        }
        .boxed()
    }

    fn delete<'a>(&'a self, path: &'a str, through: u64) -> BoxFuture<'a, Result<Removed, TierError>> {
        async move {
            self.enter(Operation::Delete, path).await?;
            Ok(self.state().delete(path, through))
        }
        .boxed()
    }

    fn list<'a>(
        &'a self,
        folder: &'a str,
        after: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Listed>, TierError>> {
        async move {
            self.enter(Operation::List, folder).await?;
            Ok(self.state().list(folder, after, limit))
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
