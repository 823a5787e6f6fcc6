//! The memory that this process may use, and the budget that follows: planned anew whenever what is configured, or what its
//! container may use, is another number. The lower of the two counts, so an origin grows when its container has grown, and shrinks as
//! soon as it is told to, before its container does.
//!
//! `moka` has no capacity here ([`crate::memory::order`]): the memory tier's own budget gets another limit, and what is beyond it is evicted
//! oldest first. Nothing is copied, and no reader notices.
//!
//! In a fleet every pod has the whole index. What that needs comes out of what objects may use, so both together never need more. A
//! quarter stays for objects, or nothing could be read: where the index has the other three, no new path is taken in.

pub mod squeeze;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use mediaorigin_crds::budget::{Budget, TooSmall};
use mediaorigin_crds::load::Resolved;
use mediaorigin_crds::units::Bytes;

use crate::events::Kind;
use crate::limit::Limit;
use crate::limit::group::{Group, Reading};
use crate::origin::Origin;
use squeeze::{Change, Squeeze};

/// One part in so many of the objects' term is never the index's.
const OWN_SHARE: u64 = 4;

/// What is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The number that the terms derive from.
    pub limit: Limit,
    /// The terms.
    pub budget: Budget,
}

/// The memory of one process.
#[derive(Debug)]
pub struct Ration {
    /// Wins over what is configured.
    flag: Option<Bytes>,
    /// Whose limit counts where it is lower.
    group: Option<Group>,
    terms: ArcSwap<Terms>,
    /// Held while it is planned; the limit that was too small, if the last one was.
    planning: Mutex<Option<Limit>>,
    squeezed: AtomicU64,
    squeezes: AtomicU64,
    /// Bytes that the index of the fleet needs.
    index: AtomicU64,
    is_index_full: AtomicBool,
}

/// What became of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Planned {
    /// Nothing is new.
    Same,
    /// Other terms are in force.
    Anew { before: Terms, now: Terms },
    /// The limit leaves too little for objects: the terms stay.
    TooSmall(TooSmall),
}

impl Ration {
    /// What a process with these settings may use. `flag` wins over what is configured, and the limit of `group` over both where it
    /// is lower.
    pub fn new(resolved: &Resolved, flag: Option<Bytes>, group: Option<Group>) -> Result<Self, TooSmall> {
        let ration = Self { flag, group, ..Self::of(resolved) };
        let limit = ration.decide(resolved.memory_limit);
        let budget = limit.budget(&resolved.cold)?;
        ration.terms.store(Arc::new(Terms { limit, budget }));
        Ok(ration)
    }

    /// What is configured, whatever the container may use.
    pub fn of(resolved: &Resolved) -> Self {
        let terms = Terms { limit: Limit::of_spec(resolved.memory_limit), budget: resolved.budget };
        Self {
            flag: None,
            group: None,
            terms: ArcSwap::from_pointee(terms),
            planning: Mutex::default(),
            squeezed: AtomicU64::new(0),
            squeezes: AtomicU64::new(0),
            index: AtomicU64::new(0),
            is_index_full: AtomicBool::new(false),
        }
    }

    /// What is in force.
    pub fn terms(&self) -> Arc<Terms> {
        self.terms.load_full()
    }

    /// What the container says now, where it has a limit.
    pub fn look(&self) -> Option<Reading> {
        self.group.as_ref()?.look()
    }

    /// Bytes of the objects' term that are not used, because the container has hardly any memory left.
    pub fn squeezed(&self) -> u64 {
        self.squeezed.load(Ordering::Relaxed)
    }

    /// Times that it had hardly any left.
    pub fn squeezes(&self) -> u64 {
        self.squeezes.load(Ordering::Relaxed)
    }

    /// Bytes of the objects' term that the index of the fleet has; whole mebibytes, the rest is in the base term.
    pub fn indexed(&self) -> u64 {
        self.index.load(Ordering::Relaxed).min(self.index_max())
    }

    /// What the index needs and what it may have at most, where that is less.
    pub fn full_index(&self) -> Option<(Bytes, Bytes)> {
        let (needed, most) = (self.index.load(Ordering::Relaxed), self.index_max());
        (needed > most).then_some((Bytes(needed), Bytes(most)))
    }

    /// The most that the index may have of the objects' term.
    fn index_max(&self) -> u64 {
        let objects = self.terms.load().budget.objects.get();
        (objects - objects / OWN_SHARE) / Bytes::MIB * Bytes::MIB
    }

    fn decide(&self, configured: Bytes) -> Limit {
        Limit::decide(configured, self.flag, self.look().map(|reading| reading.limit))
    }

    fn objects(&self) -> u64 {
        self.terms.load().budget.objects.get().saturating_sub(self.squeezed()).saturating_sub(self.indexed())
    }
}

/// Plans anew, if there is anything new, and tells.
pub(crate) fn replan(origin: &Origin) {
    match plan(origin) {
        Planned::Same => {}
        Planned::Anew { before, now } => {
            let (from, to) = (before.budget, now.budget);
            tracing::info!(
                limit = to.limit.get(),
                objects = to.objects.get(),
                before = from.objects.get(),
                "the memory budget is another one"
            );
            let surprise = now.limit.surprise().map(|surprise| format!("; {surprise}")).unwrap_or_default();
            let text = format!(
                "objects may use {} of {}, after {} of {}{surprise}",
                to.objects, to.limit, from.objects, from.limit
            );
            origin.tell(Kind::MemoryLimit, text);
        }
        Planned::TooSmall(error) => {
            tracing::error!(%error, "the memory limit is too small, the budget stays as it was");
            origin.tell(Kind::MemoryLimit, format!("the budget stays as it was: {error}"));
        }
    }
}

fn plan(origin: &Origin) -> Planned {
    let ration = &origin.ration;
    let mut refused = ration.planning.lock().unwrap_or_else(PoisonError::into_inner);
    let limit = ration.decide(origin.config.hot().memory_limit);
    let before = *ration.terms();
    if limit == before.limit {
        *refused = None;
        return Planned::Same;
    }
    if *refused == Some(limit) {
        return Planned::Same;
    }
    let budget = match limit.budget(origin.config.cold()) {
        Ok(budget) => budget,
        Err(error) => {
            *refused = Some(limit);
            return Planned::TooSmall(error);
        }
    };
    *refused = None;
    let now = Terms { limit, budget };
    ration.terms.store(Arc::new(now));
    origin.memory.budget().set_limit(ration.objects());
    if let Some(below) = &origin.below {
        below.resize(&budget);
    }
    // Another source of the same number, or another configured one above what the container may use, is nothing to tell.
    if budget == before.budget { Planned::Same } else { Planned::Anew { before, now } }
}

/// Looks at what the container uses, and gives up objects before the kernel ends the process.
pub(crate) fn look(origin: &Origin, squeeze: &mut Squeeze) {
    let ration = &origin.ration;
    let Some(reading) = ration.look() else { return };
    let objects = ration.terms().budget.objects.get();
    let change = squeeze.look(origin.clock.now().elapsed, &reading, objects);
    if ration.squeezed.swap(squeeze.bytes(), Ordering::Relaxed) != squeeze.bytes() {
        origin.memory.budget().set_limit(ration.objects());
    }
    let (used, limit) = (reading.working_set, reading.limit);
    match change {
        None => {}
        Some(Change::Began) => {
            ration.squeezes.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                used = used.get(),
                limit = limit.get(),
                "the container has hardly any memory left"
            );
            let text = format!(
                "the container uses {used} of {limit}: objects make room before the kernel ends the process"
            );
            origin.tell(Kind::MemoryPressure, text);
        }
        Some(Change::Ended) => {
            tracing::info!(used = used.get(), limit = limit.get(), "the container has memory left again");
        }
    }
}

/// What objects may use follows what the index of the fleet needs.
pub(crate) fn make_room_for_index(origin: &Origin) {
    let ration = &origin.ration;
    let needed = origin.fleet().map_or(0, |(_, fleet)| fleet.index_bytes());
    // Whoever waits for memory is told of every other number.
    let needed = needed / Bytes::MIB * Bytes::MIB;
    if ration.index.swap(needed, Ordering::Relaxed) != needed {
        origin.memory.budget().set_limit(ration.objects());
    }
    let full = ration.full_index();
    if ration.is_index_full.swap(full.is_some(), Ordering::Relaxed) == full.is_some() {
        return;
    }
    let Some((needed, most)) = full else {
        tracing::info!("the index of the fleet has room again");
        return;
    };
    tracing::warn!(needed = needed.get(), most = most.get(), "the index of the fleet has no room for more");
    let text = format!("the index of the fleet needs {needed} and may have {most}: no new path is taken in");
    origin.tell(Kind::MemoryPressure, text);
}

#[cfg(test)]
mod tests;
