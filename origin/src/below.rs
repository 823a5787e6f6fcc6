//! The threads of the tiers below memory: opened before the origin listens, closed after it has ended.

use std::sync::{Arc, Weak};
use std::thread;

use mediaorigin_crds::config::Cold;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::fleet::{forget, sweep, warm};
use crate::origin::Origin;
use crate::running::StartError;
use crate::streams::elsewhere;
use crate::tiers::open::{self, Folders, Opened};
use crate::tiers::tend;

/// Threads that move bytes between tiers: they mostly wait.
const THREADS: usize = 2;

/// The tiers below memory and what they run on.
#[derive(Debug)]
pub(crate) struct Below {
    opened: Opened,
    runtime: Option<Runtime>,
    tending: Vec<JoinHandle<()>>,
}

impl Below {
    /// Opens the tiers that `cold` names and gives them to `origin`; waits until no other process has the disk.
    pub(crate) fn start(
        cold: &Cold,
        folders: &Folders,
        origin: &mut Origin,
    ) -> Result<Option<Self>, StartError> {
        if cold.disk.is_none() && cold.object_store.is_none() && cold.coordination.is_none() {
            return Ok(None);
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("tiers")
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let opened = {
            let (memory, clock, index) =
                (&origin.memory, &origin.clock, origin.ration.terms().budget.index.get());
            let open = open::open(cold, folders, memory, index, clock, runtime.handle().clone());
            // The caller may be a task of another runtime, which must not be entered twice.
            thread::scope(|scope| scope.spawn(|| runtime.block_on(open)).join())
        };
        let gone = |_| StartError::Thread(std::io::Error::other("a tier could not be opened"));
        let Some(opened) = opened.map_err(gone)?? else { return Ok(None) };
        origin.below = Some(opened.clone());
        Ok(Some(Self { opened, runtime: Some(runtime), tending: Vec::new() }))
    }

    /// Begins the housekeeping.
    pub(crate) fn tend(mut self, origin: &Arc<Origin>) -> Self {
        let origin = Arc::downgrade(origin);
        let (here, whole) = (Weak::clone(&origin), Weak::clone(&origin));
        let limit = move || whole.upgrade().map(|origin| origin.ration.terms().budget.limit.get());
        let policies = move || origin.upgrade().map(|origin| origin.config.hot());
        if let Some(runtime) = &self.runtime {
            self.tending.push(runtime.spawn(tend::run(self.opened.clone(), policies.clone())));
            let tiers = &self.opened.tiers;
            if let Some(seat) = &tiers.seat {
                let streams = elsewhere::follow(here, Arc::clone(seat));
                let warm = warm::run(Arc::clone(tiers), Arc::clone(seat), policies.clone());
                let sweep = sweep::run(Arc::clone(tiers), Arc::clone(seat), policies);
                let forget = forget::run(Arc::clone(tiers), Arc::clone(seat), limit);
                self.tending.extend([runtime.spawn(warm), runtime.spawn(sweep), runtime.spawn(forget)]);
                self.tending.push(runtime.spawn(streams));
            }
        }
        self
    }

    /// Gives the disk to the next process: nothing is written after this.
    pub(crate) async fn close(mut self) {
        self.end();
        if let Some(disk) = &self.opened.disk {
            disk.close().await;
        }
    }

    fn end(&mut self) {
        for task in self.tending.drain(..) {
            task.abort();
        }
        if let Some(runtime) = self.runtime.take() {
            // What is still going on ends at its next wait; nobody was told that it is done.
            runtime.shutdown_background();
        }
    }
}

impl Drop for Below {
    fn drop(&mut self) {
        self.end();
    }
}
