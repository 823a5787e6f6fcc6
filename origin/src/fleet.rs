//! The fleet: what this pod agrees on with the other pods of its origin.
//!
//! ```text
//! commit   a PUT or DELETE: fence → bytes → durability → index → memory        `Tiers::commit`, `Tiers::delete`
//! read     a GET: index (behind a barrier where it must be) → memory → bytes of the entry → peers → object store
//! follow   what others change leaves this pod's memory
//! ```
//!
//! The index (crate `mediaorigin_index`) says which version lies under which path; everything else is asked for bytes of a
//! version only. Every version has a *stamp*: the place of its beginning in the order of all versions of its path, above the
//! stamp of whatever had been committed when its request arrived. Index, object store and memory order by it, so they agree.

mod adopt;
mod change;
mod commit;
mod delete;
mod eager;
mod entry;
pub(crate) mod forget;
mod leftovers;
mod list;
pub mod log;
mod members;
mod open;
mod overtaking;
mod pause;
pub mod peers;
mod places;
mod read;
pub mod report;
pub mod seat;
pub(crate) mod sweep;
pub(crate) mod warm;

use std::fmt;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use mediaorigin_crds::config::CoordinationConfig;
use mediaorigin_crds::names;
use mediaorigin_index::entry::Entry;
use mediaorigin_index::{Change, Config, ConnectError, Fence, Health, Index, Kind, Scope, SubscribeError};
use tokio::runtime::Handle;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::chance::{NoChance, short_number};
use crate::clock::{Clock, Now};
use crate::connection::Balance;
use crate::memory::Memory;
use crate::memory::blob::Uid;
use crate::memory::upload::Terms;
use crate::tiers::TierError;
use crate::times::of_micros;
use eager::Eager;
use leftovers::Leftovers;
use log::Log;
use open::Open;
use pause::Heart;
use peers::address::Address;
use peers::client::{self, PeerError, Peers};
use peers::growing::{self, Follows, Word};
use peers::{Counters, Keys};

pub use change::Arrival;
pub(crate) use change::Client;
pub(crate) use entry::class;
pub use open::Announced;
pub use read::read;

/// How long a read waits for the index: below the first-byte time-out of players and CDNs.
const READ_PATIENCE: Duration = Duration::from_secs(2);
/// How long it waits where its rule allows it to show what was there a while ago.
const STALE_AFTER: Duration = Duration::from_millis(500);
/// How long an upload or a deletion waits for the index, at its end: as long as the log may be silent when the server that leads it dies hard
/// (`docs/fleet.md`), and below the ten seconds for which an encoder should wait for an answer.
const COMMIT_PATIENCE: Duration = Duration::from_secs(9);
/// How long a version that was acknowledged eagerly is tried to be committed, and how often.
const SETTLE_FOR: Duration = Duration::from_mins(10);
const SETTLE_PAUSE: Duration = Duration::from_millis(250);
/// How long what was followed here while it grew elsewhere stays in memory.
const FOLLOWED_KEEP: Duration = Duration::from_mins(1);
/// Bodies up to this size ride inside the entry of a manifest: a quorum of the log's servers has them.
const INSIDE_BYTES_MAX: u64 = mediaorigin_index::entry::BODY_BYTES_MAX as u64;

/// This pod among the others.
pub struct Fleet {
    index: Index,
    /// Where other pods fetch what this one holds.
    address: String,
    forget_after: Duration,
    open: Arc<Open>,
    eager: Arc<Eager>,
    /// Reads that were shown what had been there a while ago.
    stale_reads: AtomicU64,
    peers: Arc<Peers>,
    follows: Arc<Follows>,
    keys: Keys,
    counters: Arc<Counters>,
    log: Arc<Log>,
    leftovers: Leftovers,
    heart: Arc<Heart>,
    following: Vec<JoinHandle<()>>,
}

/// Bytes of a password of which the key of TLS between pods may be made: anybody who reaches a peer port sees the public one, and may try
/// passwords on it.
const PASSWORD_LENGTH_MIN: usize = 16;

/// Who this pod is among others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Where other pods fetch what it holds: `host:port`, or only the host; where it listens, if it is not said.
    pub peer_address: Option<String>,
    /// Where it listens for them; a free port of this machine, if it is not said.
    pub peer_listen: Option<SocketAddr>,
    /// The zone that it is in; empty where that is not known.
    pub zone: String,
    /// How long what nobody needs to find in the index stays there in any case; two hours, if it is not said.
    pub forget_after: Option<Duration>,
    /// Folder with `username` and `password`; wins over the one in the configuration.
    pub credentials_dir: Option<PathBuf>,
}

impl Pod {
    /// The address that other pods are told, where this one listens at `bound`, by TLS or not.
    pub fn address(&self, bound: SocketAddr, is_encrypted: bool) -> String {
        let address = match self.peer_address.as_deref() {
            None => bound.to_string(),
            Some(text) => match text.parse::<IpAddr>() {
                Ok(ip) => SocketAddr::from((ip, bound.port())).to_string(),
                Err(_) => text.to_owned(),
            },
        };
        Address::told(&address, is_encrypted)
    }
}

/// Why there is no fleet to join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// This pod cannot be told from others.
    #[error(transparent)]
    Chance(#[from] NoChance),
    /// The credentials cannot be read.
    #[error("cannot read {file}: {source}")]
    Credentials {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The index cannot be reached or used.
    #[error("cannot join the fleet: {0}")]
    Connect(#[from] ConnectError),
    /// The notices of other pods cannot be read.
    #[error("cannot read notices of other pods: {0}")]
    Notices(String),
    /// Who knows the password can read what pods send each other.
    #[error(
        "TLS between pods needs a password of NATS with {PASSWORD_LENGTH_MIN} characters at least, of which their key is made, and this one \
         is shorter: replace it, or write spec.coordination.peers.tls: Disabled"
    )]
    Password,
    /// The key of the fleet cannot be made.
    #[error("cannot make the key of the fleet: {0}")]
    Keys(#[from] rustls::Error),
    /// There is no way to ask other pods.
    #[error("cannot ask other pods: {0}")]
    Peers(#[from] PeerError),
}

impl fmt::Debug for Fleet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Fleet").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for task in &self.following {
            task.abort();
        }
    }
}

impl Fleet {
    /// Tries to join the fleet; what others change leaves `memory` from then on.
    pub async fn join(
        config: &CoordinationConfig,
        scope: &Scope,
        (pod, address): (&Pod, String),
        (memory, clock, counters): (&Arc<Memory>, &Clock, &Arc<Counters>),
        balance: &Balance,
        runtime: &Handle,
    ) -> Result<Self, JoinError> {
        let settings = settings(config, scope, pod)?;
        let password = settings.credentials.as_ref().map_or("", |(_, password)| password.as_str());
        if config.peer_tls && password.len() < PASSWORD_LENGTH_MIN {
            return Err(JoinError::Password);
        }
        let keys = Keys::of(password.as_bytes(), &config.scope)?;
        let peers = Arc::new(Peers::new(&keys, client::Limits::default(), Arc::clone(counters))?);
        let follows = Follows::new(
            Arc::clone(memory),
            clock.clone(),
            Arc::clone(&peers),
            growing::Limits::default(),
            runtime.clone(),
        );
        let index = Index::connect(&settings).await?;
        let receivers = (0..index.partitions()).filter_map(|partition| index.watch(partition));
        let (board, holds) = (index.board(Kind::Open), index.board(Kind::Hold));
        let unread = |error: SubscribeError| JoinError::Notices(error.to_string());
        let (notices, asked) = (board.read().await.map_err(unread)?, holds.read().await.map_err(unread)?);
        let eager = Eager::new(holds, address.clone());
        let named = (address.clone(), pod.zone.clone());
        let open = Open::new(board, runtime.clone(), named, balance.clone());
        let mut following: Vec<_> = receivers
            .map(|mut changes| {
                let (memory, eager) = (Arc::clone(memory), Arc::clone(&eager));
                let (follows, clock) = (Arc::clone(&follows), clock.clone());
                runtime.spawn(async move {
                    loop {
                        match changes.recv().await {
                            Ok(change) => {
                                if let Some(entry) = change.slot.entry() {
                                    eager.settled(entry);
                                    memory.outdate(&entry.path, Uid(entry.uid.0), entry.stamp);
                                    heard(&follows, entry, clock.now());
                                }
                            }
                            // What was missed is noticed by whoever reads: the index is asked for every path.
                            Err(RecvError::Lagged(_)) => {}
                            Err(RecvError::Closed) => return,
                        }
                    }
                })
            })
            .collect();
        following.push(runtime.spawn(Arc::clone(&open).run(notices)));
        following.push(runtime.spawn(Arc::clone(&eager).run(asked)));
        let heart = Arc::new(Heart::new(Instant::now()));
        let (beating, wall) = (Arc::clone(&heart), clock.clone());
        following.push(runtime.spawn(async move { beating.run(|| wall.now().wall).await }));
        let log = Arc::new(Log::new(settings, clock.clone()));
        let (leftovers, stale_reads, counters) =
            (Leftovers::default(), AtomicU64::new(0), Arc::clone(counters));
        Ok(Self {
            index,
            address,
            forget_after: pod.forget_after.unwrap_or(forget::SETTLED),
            open,
            eager,
            stale_reads,
            peers,
            follows,
            keys,
            counters,
            log,
            leftovers,
            heart,
            following,
        })
    }

    /// The stamp of what is held under `path` without the index; 0 where nothing is.
    fn held_stamp(&self, path: &str) -> u64 {
        self.eager.newer(path, None).map_or(0, |entry| entry.stamp)
    }

    /// What is committed from now on, by whichever pod: a receiver for each partition of the index.
    pub(crate) fn changes(&self) -> Vec<Receiver<Change>> {
        (0..self.index.partitions()).filter_map(|partition| self.index.watch(partition)).collect()
    }

    /// Tells the other pods that this one is about to go.
    pub fn leave(&self) {
        self.open.leave();
    }

    /// The stamp of what lies under `path`, deleted or not, as far as this pod knows; 0 where it never heard of it.
    pub(crate) fn known_stamp(&self, path: &str) -> u64 {
        self.index.peek(path).stamp()
    }

    /// What lies under `path` now.
    async fn fence(&self, path: &str) -> Result<Fence, TierError> {
        let fence = self.index.fence(path, COMMIT_PATIENCE).await;
        fence.map_err(|error| commit::unavailable("look at", path, &error.to_string()))
    }

    /// A version need not be in the log any more.
    pub(crate) async fn forget(&self, uid: Uid) {
        self.log.forget(mediaorigin_index::entry::Uid(uid.0)).await;
    }

    /// Tells the other pods of an upload of this one that may be read while it grows.
    pub fn announce(&self, path: &Arc<str>, uid: Uid) -> Announced {
        self.open.announce(path, uid)
    }

    /// Where other pods fetch what this one holds.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Why this pod cannot answer for what is there, if it cannot.
    pub fn unready(&self) -> Option<String> {
        let of = |health: Health| {
            let reason = match (health.trouble, health.cut_off, health.age) {
                (Some(trouble), ..) => trouble,
                (None, Some(time), _) => format!("no NATS server for {} s", time.as_secs()),
                (None, None, None) => "the log is being read".to_owned(),
                (None, None, Some(age)) => format!("the log has not answered for {} s", age.as_secs()),
            };
            (!health.is_ready).then(|| format!("the index is not ready: {reason}"))
        };
        self.index.health().into_iter().find_map(of)
    }

    /// Bytes of memory that the index needs, estimated.
    pub fn index_bytes(&self) -> u64 {
        self.index.memory_bytes() as u64
    }

    /// Whether something is under `path`, as far as this pod has heard.
    pub fn knows(&self, path: &str) -> bool {
        self.index.peek(path).entry().is_ok_and(|entry| entry.is_some())
    }

    /// How each partition of the index is.
    pub fn health(&self) -> Vec<Health> {
        self.index.health()
    }

    /// Whether the version `uid` is the one under `path`, as far as this pod knows without asking anybody.
    pub fn is_current(&self, path: &str, uid: Uid) -> bool {
        self.index.get(path).is_ok_and(|entry| entry.is_some_and(|entry| entry.uid.0 == uid.0))
    }
}

/// The index has `entry`: an upload of another pod that is followed under its name is complete with its last byte.
fn heard(follows: &Follows, entry: &Entry, now: Now) {
    if let Some(version) = entry.version() {
        let left = |at| of_micros(at).duration_since(now.wall).unwrap_or_default();
        let terms = Terms { keep: FOLLOWED_KEEP, expire: version.expires_at.map(left) };
        follows.finish(Uid(entry.uid.0), Word::Committed { sequence: entry.stamp, terms });
    }
}

/// How the index, and the log, reach their servers.
fn settings(config: &CoordinationConfig, scope: &Scope, pod: &Pod) -> Result<Config, JoinError> {
    let dir = pod.credentials_dir.clone().or_else(|| config.credentials_dir.as_ref().map(PathBuf::from));
    // Without one the authorities that the system knows vouch for the servers.
    let authorities = dir.as_deref().map(|dir| dir.join(names::CA_FILE)).filter(|file| file.is_file());
    Ok(Config {
        credentials: dir.as_deref().map(credentials).transpose()?,
        root_certificates: authorities,
        replicas: config.copies,
        partitions: config.partitions,
        wal_bytes_max: config.log_bytes,
        patience: seat::ATTEMPT,
        ..Config::new(config.servers.clone(), scope.clone(), pod.name.clone(), short_number()?)
    })
}

fn credentials(dir: &Path) -> Result<(String, String), JoinError> {
    let read = |name: &str| {
        let file = dir.join(name);
        let text = fs::read_to_string(&file);
        text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
            .map_err(|source| JoinError::Credentials { file, source })
    };
    Ok((read("username")?, read("password")?))
}
