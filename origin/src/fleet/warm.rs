//! The live edge, brought here from the pods that hold it before this pod calls itself ready: the readers that come to it then ask for
//! what is newest, all at once.
//!
//! Manifests ride in the index and need nothing. Of every rendition the newest segments and parts are fetched, with the initialisation
//! segments beside them, as a reader would fetch them; what grows on other pods is followed. Only pods that are heard are asked, and
//! only for a short time: what is missing then is fetched when it is asked for.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use mediaorigin_crds::policy::Class;
use mediaorigin_index::entry::{Entry, Place, State};
use tokio::time::{Instant, timeout};

use super::open::Elsewhere;
use super::peers::address::Address;
use super::peers::ring;
use super::peers::tier::Holders;
use super::seat::Seat;
use super::{Fleet, entry, heard};
use crate::clock::Now;
use crate::config::Hot;
use crate::memory::blob::Uid;
use crate::streams::{folder, rendition_of};
use crate::tiers::walker::{Cold, Tiers};
use crate::times::micros;

/// How long a pod that joins is kept from being ready for this.
const WARMS_FOR: Duration = Duration::from_secs(3);
/// How long the pods that hold the live edge are waited for to be heard: a pod that is there says so every second.
const HEARD_WITHIN: Duration = Duration::from_secs(1);
/// What was begun so long ago, and later, is the live edge.
const EDGE_AGE: Duration = Duration::from_secs(30);
/// Versions of each rendition: more than players keep behind the edge.
const OF_EACH_RENDITION: usize = 6;
/// Versions in all.
const VERSIONS_MAX: usize = 4_096;
/// The part of the free memory that it may take: one in so many.
const MEMORY_SHARE: u64 = 4;
/// Versions that are fetched at once: of the answers of a pod at once ([`super::peers::server::Settings`]) a few.
const AT_ONCE: usize = 8;
/// Pods that are asked for a version which nobody says they hold.
const OTHERS_MAX: usize = 2;
/// Uploads of other pods that are followed.
const FOLLOWED_MAX: usize = 64;

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Warmed {
    /// Bytes that came.
    pub bytes: u64,
    /// Versions that came, and uploads that are followed.
    pub versions: u64,
    /// Versions that did not come.
    pub missed: u64,
    /// How long it took.
    pub time: Duration,
}

#[derive(Debug, Default)]
struct Counters {
    wanted: AtomicU64,
    versions: AtomicU64,
    bytes: AtomicU64,
}

/// Fetches the live edge once the index is there, and tells `seat`.
pub(crate) async fn run(
    tiers: Arc<Tiers>,
    seat: Arc<Seat>,
    hot: impl Fn() -> Option<Arc<Hot>> + Send + 'static,
) {
    let fleet = seat.when_ready().await;
    let Some(hot) = hot() else { return };
    let (start, counters) = (Instant::now(), Counters::default());
    // What is on its way then still comes.
    let _ = timeout(WARMS_FOR, tiers.warm(&fleet, &hot, &counters)).await;
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (wanted, versions, bytes) = (of(&counters.wanted), of(&counters.versions), of(&counters.bytes));
    let warmed = Warmed { bytes, versions, missed: wanted.saturating_sub(versions), time: start.elapsed() };
    let Warmed { missed, time, .. } = warmed;
    tracing::info!(versions, bytes, missed, seconds = time.as_secs_f64(), "the live edge is here");
    seat.warmed(warmed);
    fleet.open.stay();
}

impl Tiers {
    async fn warm(self: &Arc<Self>, fleet: &Arc<Fleet>, hot: &Hot, counters: &Counters) {
        let budget = self.memory.budget();
        let room = budget.limit().saturating_sub(budget.used()) / MEMORY_SHARE;
        let edge = fleet.edge(self.clock.now(), room);
        counters.wanted.store(edge.len() as u64, Ordering::Relaxed);
        let holders: HashSet<String> = edge.iter().flat_map(|entry| pods(entry)).map(str::to_owned).collect();
        // Who is not heard then is not asked.
        let _ = timeout(HEARD_WITHIN, fleet.open.all_heard(&holders)).await;
        let others = fleet.open.others();
        stream::iter(edge)
            .for_each_concurrent(AT_ONCE, async |entry| {
                if let Some(bytes) = self.fetch(fleet, &entry, &others).await {
                    counters.versions.fetch_add(1, Ordering::Relaxed);
                    counters.bytes.fetch_add(bytes, Ordering::Relaxed);
                }
            })
            .await;
        let growing = fleet.open.all_elsewhere(FOLLOWED_MAX).into_iter();
        let is_media = |path: &str| matches!(hot.policies.treat(path).class, Class::Segment | Class::Part);
        stream::iter(growing.filter(|(path, _)| is_media(path)))
            .for_each_concurrent(None, async |(path, Elsewhere { uid, holder })| {
                let Ok(address) = holder.parse() else { return };
                counters.wanted.fetch_add(1, Ordering::Relaxed);
                if fleet.follows.attach(address, &path, uid).await.is_ok() {
                    counters.versions.fetch_add(1, Ordering::Relaxed);
                    // The index may have spoken of it meanwhile.
                    if let Ok(Some(entry)) = fleet.index.peek(&path).entry() {
                        heard(&fleet.follows, &entry, self.clock.now());
                    }
                }
            })
            .await;
    }

    /// Brings the version of `entry` to memory; its bytes, if it came.
    async fn fetch(self: &Arc<Self>, fleet: &Fleet, entry: &Entry, others: &[String]) -> Option<u64> {
        let record = entry::record(entry)?;
        if self.memory.wanted(&record.path, record.uid).is_some() {
            return Some(0);
        }
        let addresses = asked(entry, others);
        if addresses.is_empty() {
            return None;
        }
        let size = record.size;
        let tier = Arc::new(Holders::new(Arc::clone(&fleet.peers), addresses, None));
        let brought = self.fill_all(&Cold { record: Arc::new(record), tier }).await;
        brought.inspect_err(|error| tracing::debug!(%error, path = &*entry.path, "not here yet")).ok()?;
        Some(size)
    }
}

impl Fleet {
    /// What has to be fetched of the live edge, up to `room` bytes, what is wanted most first.
    fn edge(&self, now: Now, room: u64) -> Vec<Arc<Entry>> {
        let time = micros(now.wall);
        let since = time.saturating_sub(u64::try_from(EDGE_AGE.as_micros()).unwrap_or(u64::MAX));
        let (mut recent, mut inits) = (Vec::new(), Vec::new());
        self.index.for_each(|entry| {
            if entry.stamp >= since
                && is_outside(entry, time)
                && matches!(entry::class(entry), Class::Segment | Class::Part)
            {
                recent.push(Arc::clone(entry));
            }
        });
        let folders: HashSet<&str> = recent.iter().map(|entry| folder(&entry.path)).collect();
        if !folders.is_empty() {
            self.index.for_each(|entry| {
                if folders.contains(folder(&entry.path))
                    && is_outside(entry, time)
                    && entry::class(entry) == Class::Init
                {
                    inits.push(Arc::clone(entry));
                }
            });
        }
        choose(inits, recent, room)
    }
}

/// Whether the entry has a version with bytes that it does not carry itself.
fn is_outside(entry: &Entry, time: u64) -> bool {
    matches!(&entry.state, State::Live(version) if version.body.is_none()
        && version.size > 0
        && version.expires_at.is_none_or(|at| at > time))
}

/// Of the versions `recent` those that are wanted most, behind `inits`: of every rendition the newest first.
fn choose(inits: Vec<Arc<Entry>>, recent: Vec<Arc<Entry>>, room: u64) -> Vec<Arc<Entry>> {
    let mut renditions: HashMap<String, Vec<Arc<Entry>>> = HashMap::new();
    for entry in recent {
        let name = rendition_of(&entry.path).map_or_else(|| folder(&entry.path).to_owned(), |(name, _)| name);
        renditions.entry(name).or_default().push(entry);
    }
    let mut placed = Vec::new();
    for mut versions in renditions.into_values() {
        versions.sort_unstable_by_key(|entry| Reverse(entry.rank()));
        placed.extend(versions.into_iter().take(OF_EACH_RENDITION).enumerate());
    }
    placed.sort_unstable_by_key(|(place, entry)| (*place, Reverse(entry.rank())));
    let mut room = room;
    let fits = |entry: &Arc<Entry>| {
        let left = room.checked_sub(entry.version().map_or(0, |version| version.size));
        room = left.unwrap_or(room);
        left.is_some()
    };
    let wanted = inits.into_iter().chain(placed.into_iter().map(|(_, entry)| entry));
    wanted.filter(fits).take(VERSIONS_MAX).collect()
}

/// The pods that hold the version of an entry, as it says.
fn pods(entry: &Entry) -> impl Iterator<Item = &str> {
    let places = entry.version().map_or(&[][..], |version| &version.places);
    places.iter().filter_map(|place| match place {
        Place::Pod(address) => Some(address.as_str()),
        Place::Log | Place::ObjectStore(_) => None,
    })
}

/// Whom of `others` to ask for the version of an entry: those that it names, then a few that may have read it, or fetched it when
/// they came themselves. Each version has other ones.
fn asked(entry: &Entry, others: &[String]) -> Vec<Address> {
    let is_named = |other: &&String| pods(entry).any(|pod| pod == other.as_str());
    let address = |other: &String| other.parse::<Address>().ok();
    let rest: Vec<_> = others.iter().filter(|other| !is_named(other)).filter_map(address).collect();
    let rest = ring::order(&rest, Uid(entry.uid.0)).into_iter().take(OTHERS_MAX);
    others.iter().filter(is_named).filter_map(address).chain(rest).collect()
}
