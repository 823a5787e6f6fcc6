//! What waits when there is more to do than can be done: first what has to come from below memory, then recordings, then what
//! is live. Uploads never do: a segment that is not stored is missing for everybody and for ever.
//!
//! ```text
//! once every 100 ms: signals of the workers ─Judge→ level        at each read: level, class of the read → admit or shed
//! ```
//!
//! The judgement is pure and has the time as an argument. A read costs one atomic load while all is well.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use mediaorigin_crds::policy;
use serde::Serialize;

/// Players are no further behind the live edge: three segments of ten seconds, and what a CDN adds.
pub const LIVE_EDGE: Duration = Duration::from_mins(1);
/// How long nothing may call for a level before it is left: what was turned away comes again after five seconds, all at once.
const HOLD: Duration = Duration::from_secs(6);
/// How far behind a worker is, steadily, when each class has to wait. Not less: with a quarter of it, a
/// benchmark was told to wait on a machine that others kept busy. Who waits for twenty seconds has given up.
const LAGS: [(Level, Duration); 3] = [
    (Level::Vod, Duration::from_secs(1)),
    (Level::Dvr, Duration::from_secs(2)),
    (Level::LiveEdge, Duration::from_secs(20)),
];
/// Connections taken, in percent, when each class has to wait. Never what is live: to turn it away makes no place for others.
const PERCENTS: [(Level, u64); 2] = [(Level::Vod, 90), (Level::Dvr, 95)];

/// What a read is of. The higher, the later it has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Of what is not in memory, and not of the live edge.
    Vod = 1,
    /// Of a segment that was written a while ago.
    Dvr = 2,
    /// Of what those who watch live need.
    LiveEdge = 3,
}

/// Up to which class reads have to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// None has to.
    #[default]
    Nothing = 0,
    /// [`Class::Vod`].
    Vod = 1,
    /// That and [`Class::Dvr`].
    Dvr = 2,
    /// All.
    LiveEdge = 3,
}

/// Why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// A worker is behind.
    #[default]
    Lag = 0,
    /// Nearly all connections are taken.
    Connections = 1,
    /// An upload found no memory: who reads what could make room must not hold more of it.
    Memory = 2,
    /// Too many fills from below memory go on. Decided by the tiers, for one read at a time.
    Fills = 3,
    /// The container has hardly any memory left.
    Container = 4,
}

/// What is known of the load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// How far the worker that is furthest behind is, steadily.
    pub lag: Duration,
    /// Connections open.
    pub connections_open: u64,
    /// Connections that may be.
    pub connections_max: u64,
    /// Whether an upload found no memory since the last look.
    pub memory_is_short: bool,
    /// Whether the container has hardly any memory left.
    pub container_is_full: bool,
}

/// Whether a read is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// As ever.
    Admit,
    /// It has to wait.
    Shed(Reason),
}

/// Decides on the level; a level that is reached is not left at once.
#[derive(Debug, Default)]
pub struct Judge {
    level: Level,
    reason: Reason,
    /// When something last called for the level.
    called_at: Duration,
}

/// A change of the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// From.
    pub before: Level,
    /// To.
    pub now: Level,
    /// Why, or why it was.
    pub reason: Reason,
}

impl Class {
    /// Of a read of an object in memory.
    pub fn of(class: policy::Class, modified: Option<SystemTime>, now: SystemTime) -> Self {
        use policy::Class::{Init, Manifest, Other, Part, Segment};
        match class {
            Segment | Part if is_old(modified, now) => Self::Dvr,
            // Who begins to watch live needs the playlist, the init segment and the key, however old: and they are small.
            Segment | Part | Manifest | Init | Other => Self::LiveEdge,
        }
    }

    /// Of a read of a version below memory: a rule may keep even what is live there only.
    pub fn below(modified: SystemTime, now: SystemTime) -> Self {
        if is_old(Some(modified), now) { Self::Vod } else { Self::LiveEdge }
    }

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vod => "vod",
            Self::Dvr => "dvr",
            Self::LiveEdge => "live",
        }
    }
}

fn is_old(modified: Option<SystemTime>, now: SystemTime) -> bool {
    modified.and_then(|modified| now.duration_since(modified).ok()).is_some_and(|age| age > LIVE_EDGE)
}

impl Level {
    /// Whether a read of this class has to wait.
    pub fn covers(self, class: Class) -> bool {
        class as u8 <= self as u8
    }

    /// What has to wait, for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Vod => "what is not in memory",
            Self::Dvr => "what is not in memory, and recordings",
            Self::LiveEdge => "everything but uploads",
        }
    }
}

impl Reason {
    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lag => "lag",
            Self::Connections => "connections",
            Self::Memory => "memory",
            Self::Fills => "fills",
            Self::Container => "container",
        }
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Lag => "the workers are behind",
            Self::Connections => "nearly all connections are taken",
            Self::Memory => "an upload found no memory",
            Self::Fills => "too much that is not in memory is asked for",
            Self::Container => "the container has hardly any memory left",
        }
    }
}

/// Whether a read of this class is answered at this level.
pub fn decide(level: Level, reason: Reason, class: Class) -> Decision {
    if level.covers(class) { Decision::Shed(reason) } else { Decision::Admit }
}

/// The level that the signals call for, where every threshold is `share` percent of itself.
fn called_for(signals: &Signals, share: u64) -> (Level, Reason) {
    let lag_percent = signals.lag.as_millis().saturating_mul(100);
    let by_lag = LAGS.iter().filter(|(_, lag)| lag_percent >= lag.as_millis() * u128::from(share));
    let taken = signals.connections_open.saturating_mul(100 * 100);
    let by_connections =
        PERCENTS.iter().filter(|(_, percent)| taken >= signals.connections_max * percent * share);
    let highest = |level: Option<Level>, reason| (level.unwrap_or_default(), reason);
    let memory = signals.memory_is_short.then_some(Level::Dvr);
    let container = signals.container_is_full.then_some(Level::Dvr);
    let mut found = highest(by_lag.map(|(level, _)| *level).max(), Reason::Lag);
    for other in [
        highest(by_connections.map(|(level, _)| *level).max(), Reason::Connections),
        highest(memory, Reason::Memory),
        highest(container, Reason::Container),
    ] {
        if other.0 > found.0 {
            found = other;
        }
    }
    found
}

/// Of the threshold that led to a level, what must be fallen below to leave it, in percent.
const LEAVE_PERCENT: u64 = 80;

impl Judge {
    /// Looks at the signals; says where the level changes. Up at once, down when nothing called for it for a while.
    pub fn look(&mut self, now: Duration, signals: &Signals) -> Option<Change> {
        let before = self.level;
        let (enter, reason) = called_for(signals, 100);
        let (stay, _) = called_for(signals, LEAVE_PERCENT);
        if enter > self.level {
            (self.level, self.reason, self.called_at) = (enter, reason, now);
        } else if stay >= self.level {
            self.called_at = now;
        } else if now.saturating_sub(self.called_at) >= HOLD {
            (self.level, self.called_at) = (stay, now);
        }
        (self.level != before).then_some(Change { before, now: self.level, reason: self.reason })
    }
}

/// The load of one origin, and what follows from it.
#[derive(Debug, Default)]
pub struct Overload {
    /// The level in the lower four bits, the reason above: a read loads both at once.
    packed: AtomicU8,
    judge: Mutex<(Judge, Signals)>,
    episodes: AtomicU64,
}

/// `/-/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Which reads have to wait: `nothing`, `vod`, `dvr` (and `vod`), `liveEdge` (all).
    pub shedding: Level,
    /// Why; absent where none has to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// How far the worker that is furthest behind is, steadily, in milliseconds.
    pub worker_lag_millis: u64,
    /// Times that it began.
    pub episodes: u64,
}

impl Overload {
    /// Whether a read is answered. `class` is asked for only where it matters.
    pub fn decide(&self, class: impl FnOnce() -> Class) -> (Decision, Class) {
        let packed = self.packed.load(Ordering::Relaxed);
        if packed == 0 {
            return (Decision::Admit, Class::LiveEdge);
        }
        let (level, reason) = unpack(packed);
        let class = class();
        (decide(level, reason, class), class)
    }

    /// Takes the signals in; says where the level changes.
    pub fn observe(&self, now: Duration, signals: Signals) -> Option<Change> {
        let mut judge = self.lock();
        judge.1 = signals;
        let change = judge.0.look(now, &signals)?;
        self.packed.store(pack(change.now, change.reason), Ordering::Relaxed);
        if change.before == Level::Nothing {
            self.episodes.fetch_add(1, Ordering::Relaxed);
        }
        Some(change)
    }

    /// How it is.
    pub fn report(&self) -> Report {
        let judge = self.lock();
        let level = judge.0.level;
        Report {
            shedding: level,
            reason: (level != Level::Nothing).then_some(judge.0.reason),
            worker_lag_millis: u64::try_from(judge.1.lag.as_millis()).unwrap_or(u64::MAX),
            episodes: self.episodes.load(Ordering::Relaxed),
        }
    }

    fn lock(&self) -> MutexGuard<'_, (Judge, Signals)> {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing is zero, whatever the reason was.
fn pack(level: Level, reason: Reason) -> u8 {
    if level == Level::Nothing { 0 } else { level as u8 | (reason as u8) << 4 }
}

fn unpack(packed: u8) -> (Level, Reason) {
    let level = match packed & 0xf {
        0 => Level::Nothing,
        1 => Level::Vod,
        2 => Level::Dvr,
        _ => Level::LiveEdge,
    };
    let reason = match packed >> 4 {
        0 => Reason::Lag,
        1 => Reason::Connections,
        2 => Reason::Memory,
        3 => Reason::Fills,
        _ => Reason::Container,
    };
    (level, reason)
}

#[cfg(test)]
mod tests;
