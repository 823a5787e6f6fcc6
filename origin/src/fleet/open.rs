//! What other pods are writing: told by notices, renewed every second, forgotten soon after. A hint where an object that
//! grows can be read; whether it is there is asked of its holder. The same notices say who is there ([`Members`]).

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use mediaorigin_index::{Board, Notices};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, interval};

use super::members::Members;
use super::peers::address::Address;
use super::peers::ring;
use crate::connection::Balance;
use crate::memory::blob::Uid;

/// How often an open upload is told of again.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How long what was told is believed.
const BELIEVED_FOR: Duration = Duration::from_secs(3);
/// Uploads of others that are remembered; and uploads in one notice.
const REMEMBERED_MAX: usize = 8_192;
const NOTICE_MAX: usize = 16;

/// Parents that are asked for a piece: the one that all agree on, and one more, as it is heard late that one is gone.
const PARENTS_MAX: usize = 2;

/// What pods tell each other.
#[derive(Debug, Serialize, Deserialize)]
struct Notice {
    /// Who tells: where the rest can be fetched.
    at: String,
    /// Uploads that are open: path and uid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    open: Vec<(String, String)>,
    /// Uids of uploads that have ended, whatever their end was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    over: Vec<String>,
    /// Whether readers are not to count on it: it is about to go, or not ready yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    leaving: bool,
    /// Where it is, if it knows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    zone: String,
}

/// An upload on another pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Elsewhere {
    pub(super) uid: Uid,
    pub(super) holder: String,
}

#[derive(Debug)]
struct Table {
    /// By path: the uploads of others, and when they were last told of.
    others: HashMap<Arc<str>, Vec<(Elsewhere, Instant)>>,
    own: HashMap<u128, Arc<str>>,
    members: Members,
}

/// The open uploads of a fleet.
#[derive(Debug)]
pub(super) struct Open {
    table: Mutex<Table>,
    board: Board,
    runtime: Handle,
    address: String,
    zone: String,
    /// Whether this pod has been ready, and whether it is about to go: between the two readers may count on it.
    is_ready: AtomicBool,
    is_leaving: AtomicBool,
    /// Somebody was heard who was not there before.
    met: Notify,
    balance: Balance,
}

/// An open upload of this pod; it is over with this value.
#[derive(Debug)]
pub struct Announced {
    open: Weak<Open>,
    uid: Uid,
}

impl Open {
    /// The one of the pod at `address` in `zone`; `balance` hears how many pods there are.
    pub(super) fn new(
        board: Board,
        runtime: Handle,
        (address, zone): (String, String),
        balance: Balance,
    ) -> Arc<Self> {
        let members = Members::new((address.clone(), zone.clone()), Instant::now());
        let table = Mutex::new(Table { others: HashMap::new(), own: HashMap::new(), members });
        let (is_ready, is_leaving, met) = Default::default();
        Arc::new(Self { table, board, runtime, address, zone, is_ready, is_leaving, met, balance })
    }

    /// From now on the others count on one pod more: they send readers to it.
    pub(super) fn stay(&self) {
        self.is_ready.store(true, Ordering::Relaxed);
        self.renew();
    }

    /// From now on the others count on one pod less.
    pub(super) fn leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
        self.post(Vec::new(), Vec::new());
    }

    /// How many pods there are, this one among them; 0 as long as it is not known.
    pub(super) fn pods(&self) -> usize {
        self.balance.servers()
    }

    /// Whether this pod does what one of them has to do.
    pub(super) fn is_first(&self) -> bool {
        self.table().members.is_first(Instant::now())
    }

    /// Whether the pod at `address` has been heard of late.
    pub(super) fn is_here(&self, address: &str) -> bool {
        self.table().members.is_here(address, Instant::now())
    }

    /// The other pods that have been heard of late.
    pub(super) fn others(&self) -> Vec<String> {
        self.table().members.others(Instant::now())
    }

    /// The zone of this pod; empty where that is not known.
    pub(super) fn zone(&self) -> &str {
        &self.zone
    }

    /// The other pods that may be asked for piece `index` of `uid`, which they fetch from the bucket for those of this zone.
    pub(super) fn parents(&self, uid: Uid, index: u64) -> Vec<Address> {
        let Ok(own) = self.address.parse() else { return Vec::new() };
        let table = self.table();
        let others = table.members.beside(Instant::now()).filter_map(|pod| pod.parse().ok());
        let others: Vec<Address> = others.collect();
        drop(table);
        ring::parents(own, &others, (uid, index), PARENTS_MAX)
    }

    /// Returns when all pods at `addresses` have been heard. Each of them answers the first notice of a new one at once.
    pub(super) async fn all_heard(&self, addresses: &HashSet<String>) {
        loop {
            let met = self.met.notified();
            if addresses.iter().all(|address| self.is_here(address)) {
                return;
            }
            met.await;
        }
    }

    /// How many pods have gone since this was last asked.
    pub(super) fn take_gone(&self) -> usize {
        self.table().members.take_gone()
    }

    /// Whether the pod at `address` is surely not there any more.
    pub(super) fn is_gone(&self, address: &str) -> bool {
        self.table().members.is_gone(address, Instant::now())
    }

    /// Tells the others of an upload of this pod.
    pub(super) fn announce(self: &Arc<Self>, path: &Arc<str>, uid: Uid) -> Announced {
        self.table().own.insert(uid.0, Arc::clone(path));
        self.post(vec![(path.to_string(), uid.to_string())], Vec::new());
        Announced { open: Arc::downgrade(self), uid }
    }

    /// Who writes something under `path`: the one that was told of last.
    pub(super) fn elsewhere(&self, path: &str) -> Option<Elsewhere> {
        newest(self.table().others.get(path)?)
    }

    /// Up to `max` uploads of other pods: their paths, and where they are.
    pub(super) fn all_elsewhere(&self, max: usize) -> Vec<(Arc<str>, Elsewhere)> {
        let table = self.table();
        let told = table.others.iter().filter_map(|(path, there)| Some((Arc::clone(path), newest(there)?)));
        told.take(max).collect()
    }

    /// An upload of another pod is not there any more.
    pub(super) fn doubt(&self, path: &str, uid: Uid) {
        let mut table = self.table();
        let Some(there) = table.others.get_mut(path) else { return };
        there.retain(|(elsewhere, _)| elsewhere.uid != uid);
        if there.is_empty() {
            table.others.remove(path);
        }
    }

    /// Hears what others tell, and renews what is our own.
    pub(super) async fn run(self: Arc<Self>, mut notices: Notices) {
        let mut renew = interval(RENEW_EVERY);
        loop {
            tokio::select! {
                notice = notices.next() => match notice {
                    Some(notice) => self.hear(&notice.body),
                    None => return,
                },
                _ = renew.tick() => self.renew(),
            }
        }
    }

    fn hear(&self, notice: &[u8]) {
        // A newer pod may say what this one does not know.
        let Ok(Notice { at, open, over, leaving, zone }) = serde_json::from_slice(notice) else { return };
        let parse = |uid: &str| u128::from_str_radix(uid, 16).map(Uid).ok();
        let (mut table, now) = (self.table(), Instant::now());
        let is_new = table.members.hear((&at, &zone), leaving, now);
        if at == self.address {
            return;
        }
        for (path, uid) in open {
            let Some(uid) = parse(&uid) else { continue };
            if table.others.len() >= REMEMBERED_MAX && !table.others.contains_key(path.as_str()) {
                continue;
            }
            let there = table.others.entry(path.into()).or_default();
            there.retain(|(elsewhere, seen)| elsewhere.uid != uid && seen.elapsed() < BELIEVED_FOR);
            there.push((Elsewhere { uid, holder: at.clone() }, now));
        }
        for uid in over.iter().filter_map(|uid| parse(uid)) {
            table.others.retain(|_, there| {
                there.retain(|(elsewhere, _)| elsewhere.uid != uid);
                !there.is_empty()
            });
        }
        drop(table);
        if is_new {
            // It need not wait to know who is here, and what grows here.
            self.renew();
            self.met.notify_waiters();
        }
    }

    fn renew(&self) {
        let mut table = self.table();
        table.others.retain(|_, there| {
            there.retain(|(_, seen)| seen.elapsed() < BELIEVED_FOR);
            !there.is_empty()
        });
        let own: Vec<_> =
            table.own.iter().map(|(uid, path)| (path.to_string(), Uid(*uid).to_string())).collect();
        let count = table.members.count(Instant::now());
        drop(table);
        if let Some(count) = count {
            self.balance.set(count);
        }
        if own.is_empty() {
            self.post(Vec::new(), Vec::new());
        }
        for open in own.chunks(NOTICE_MAX) {
            self.post(open.to_vec(), Vec::new());
        }
    }

    fn post(&self, open: Vec<(String, String)>, over: Vec<String>) {
        let leaving = !self.is_ready.load(Ordering::Relaxed) || self.is_leaving.load(Ordering::Relaxed);
        let notice = Notice { at: self.address.clone(), open, over, leaving, zone: self.zone.clone() };
        let Ok(text) = serde_json::to_vec(&notice) else { return };
        let board = self.board.clone();
        self.runtime.spawn(async move { board.post(Bytes::from(text)).await });
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one that was told of last.
fn newest(there: &[(Elsewhere, Instant)]) -> Option<Elsewhere> {
    let told = there.iter().filter(|(_, at)| at.elapsed() < BELIEVED_FOR);
    told.max_by_key(|(_, at)| *at).map(|(elsewhere, _)| elsewhere.clone())
}

impl Drop for Announced {
    fn drop(&mut self) {
        let Some(open) = self.open.upgrade() else { return };
        open.table().own.remove(&self.uid.0);
        open.post(Vec::new(), vec![self.uid.to_string()]);
    }
}
