//! Clients of all pods that put, get and delete a few paths, and a history of what they were told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fastrand::Rng;
use mediaorigin_index::entry::{Rank, State};
use mediaorigin_index::key::Key;
use mediaorigin_index::register::{Did, Operation};
use mediaorigin_index::{Fence, Index, Outcome};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::fleet::{Fleet, PODS, Place, entry, read};

const CLIENTS: usize = 3;
const PATHS: u64 = 2;
/// Below what an encoder waits.
const PATIENCE: Duration = Duration::from_secs(4);
/// What the clocks of pods say at the beginning, in microseconds: two are nearly right, and one is far behind.
const CLOCKS: [u64; PODS] = [10_000_000, 10_002_000, 0];

/// What clients do: the right thing, or one of the wrong ones that must be noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    Right,
    /// A GET asks the pod's memory.
    LocalRead,
    /// A commit takes a fence that was there before it began.
    OldFence,
}

/// A history under way.
pub(super) struct Workload {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
    watchers: Vec<JoinHandle<()>>,
    began: Instant,
}

struct Shared {
    variant: Variant,
    moment: AtomicU64,
    uid: AtomicU64,
    /// Paths of a round are used in no other, so that no history grows long.
    round: AtomicU64,
    is_over: AtomicBool,
    did: Mutex<Vec<(String, Operation)>>,
    /// What the log held, by path and place, as far as somebody saw it.
    ranks: Mutex<BTreeMap<Key, BTreeMap<u64, Rank>>>,
    /// By pod: when something last succeeded, in microseconds since the beginning, and the longest time without.
    alive: Mutex<[Alive; PODS]>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Alive {
    pub(super) successes: u64,
    last: Duration,
    pub(super) longest: Duration,
}

impl Workload {
    /// Begins, on all pods.
    pub(super) fn start(fleet: &Fleet, variant: Variant, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            variant,
            moment: AtomicU64::new(1),
            uid: AtomicU64::new(1),
            round: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            did: Mutex::default(),
            ranks: Mutex::default(),
            alive: Mutex::default(),
        });
        let began = Instant::now();
        let client = |number: usize| {
            let (shared, place) = (Arc::clone(&shared), Arc::clone(&fleet.pods[number % PODS]));
            let chance = Rng::with_seed(seed.wrapping_add(number as u64));
            fleet.runtime.spawn(client(shared, number % PODS, place, chance, began))
        };
        let clients = (0..CLIENTS * PODS).map(client).collect();
        let watcher = |pod| fleet.runtime.spawn(watch(Arc::clone(&shared), fleet.pod(pod)));
        let watchers = (0..PODS).map(watcher).collect();
        Self { shared, clients, watchers, began }
    }

    /// From now on other paths.
    pub(super) fn next_round(&self) {
        self.shared.round.fetch_add(1, Ordering::SeqCst);
    }

    /// What succeeded so far, by pod.
    pub(super) fn alive(&self) -> [Alive; PODS] {
        *lock(&self.shared.alive)
    }

    /// The longest time without a success since the last call, over all pods.
    pub(super) fn take_gap(&self) -> Duration {
        let mut alive = lock(&self.shared.alive);
        let gap = alive.iter().map(|alive| alive.longest).max().unwrap_or_default();
        alive.iter_mut().for_each(|alive| alive.longest = Duration::ZERO);
        gap
    }

    /// How long it has run.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Ends it; the histories, by path. The log must have put changes into the order of their ranks.
    pub(super) fn finish(self, fleet: &Fleet) -> Vec<(String, Vec<Operation>)> {
        self.shared.is_over.store(true, Ordering::SeqCst);
        fleet.runtime.block_on(async {
            for client in self.clients {
                client.await.unwrap();
            }
        });
        self.watchers.iter().for_each(JoinHandle::abort);
        for places in lock(&self.shared.ranks).values() {
            assert!(places.values().is_sorted_by(|one, next| one < next), "{places:?}");
        }
        let mut histories = BTreeMap::<String, Vec<Operation>>::new();
        for (path, operation) in lock(&self.shared.did).drain(..) {
            histories.entry(path).or_default().push(operation);
        }
        histories.into_iter().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers what the log holds, until the pod is replaced.
async fn watch(shared: Arc<Shared>, index: Arc<Index>) {
    let mut changes = index.watch(0).unwrap();
    drop(index);
    loop {
        match changes.recv().await {
            Ok(change) => {
                let rank = change.slot.rank().unwrap();
                lock(&shared.ranks).entry(change.key).or_default().insert(change.slot.seq, rank);
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// What a client was told.
struct Told {
    did: Did,
    is_known: bool,
    /// The stamp of a change that somebody else's superseded.
    superseded: Option<u64>,
}

async fn client(shared: Arc<Shared>, pod: usize, place: Place, mut chance: Rng, epoch: Instant) {
    let mut fence = None;
    while !shared.is_over.load(Ordering::SeqCst) {
        let index = read(&place);
        let round = shared.round.load(Ordering::SeqCst);
        let path = format!("live/{round}/{}.m3u8", chance.u64(..PATHS));
        let began = shared.moment.fetch_add(1, Ordering::SeqCst);
        let told = match chance.u8(..10) {
            0..5 => get(&shared, &index, &path).await,
            kind => {
                let clock = CLOCKS[pod] + u64::try_from(epoch.elapsed().as_micros()).unwrap();
                change(&shared, &index, &path, kind > 5, clock, &mut fence).await
            }
        };
        let now = epoch.elapsed();
        let ended = shared.moment.fetch_add(1, Ordering::SeqCst);
        if let Some(Told { did, is_known, superseded }) = told {
            let operation = Operation { began, ended: is_known.then_some(ended), did };
            lock(&shared.did).push((path.clone(), operation));
            if is_known {
                let alive = &mut lock(&shared.alive)[pod];
                alive.successes += 1;
                alive.longest = alive.longest.max(now.saturating_sub(alive.last));
                alive.last = now;
            }
            if let (Some(stamp), Ok(fence)) = (superseded, index.fence(&path, PATIENCE).await) {
                assert!(fence.stamp() >= stamp, "superseded by what has a lower stamp");
            }
        }
        sleep(Duration::from_micros(chance.u64(200..4_000))).await;
    }
}

async fn get(shared: &Shared, index: &Index, path: &str) -> Option<Told> {
    let answer = match shared.variant {
        Variant::LocalRead => index.get(path),
        Variant::Right | Variant::OldFence => index.strict_get(path, PATIENCE).await,
    };
    let uid = answer.ok()?.map(|entry| u64::try_from(entry.uid.0).unwrap());
    Some(Told { did: Did::Read(uid), is_known: true, superseded: None })
}

async fn change(
    shared: &Shared,
    index: &Index,
    path: &str,
    is_put: bool,
    clock: u64,
    old: &mut Option<(String, Fence)>,
) -> Option<Told> {
    let uid = shared.uid.fetch_add(1, Ordering::SeqCst);
    let mut entry = entry(path, uid, |version| if is_put { State::Live(version) } else { State::Tombstone });
    entry.stamp = clock;
    let old_fence = old.take().filter(|(of, _)| of == path).map(|(_, fence)| fence);
    let outcome = if is_put || old_fence.is_some() {
        let fence = match old_fence {
            Some(fence) => fence,
            None => index.fence(path, PATIENCE).await.ok()?,
        };
        entry.stamp = fence.stamp_after(clock);
        index.commit_after(fence, &entry, None, PATIENCE, || true).await
    } else {
        index.commit(&entry, None, PATIENCE, || true).await
    };
    if shared.variant == Variant::OldFence {
        *old = index.fence(path, PATIENCE).await.ok().map(|fence| (path.to_owned(), fence));
    }
    let told = |did, is_known| Some(Told { did, is_known, superseded: None });
    let value = is_put.then_some(uid);
    match outcome {
        Outcome::Committed { .. } if !is_put => told(Did::Remove(true), true),
        Outcome::Nothing => told(Did::Remove(false), true),
        Outcome::Committed { .. } => told(Did::Write(value), true),
        Outcome::Superseded => {
            Some(Told { did: Did::Write(value), is_known: true, superseded: Some(entry.stamp) })
        }
        Outcome::Unknown => told(Did::Write(value), false),
        Outcome::Abandoned => None,
        Outcome::Refused | Outcome::Failed(_) => panic!("{outcome:?}"),
    }
}
