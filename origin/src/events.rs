//! What happened lately that somebody should know: uploads that were refused or lost first of all, since encoders do not
//! say so (ffmpeg exits 0). Bounded; the log has the same lines for longer.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::Serialize;

use crate::times;

/// Events that are remembered; the oldest is forgotten first. 3 KiB each at the most.
pub const EVENTS_MAX: usize = 256;

/// What kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// An upload was answered with an error.
    UploadRefused,
    /// An upload ended before its end, or its client did not wait for the answer.
    UploadLost,
    /// A new configuration is served.
    ConfigChanged,
    /// A new configuration is refused, the one before is served.
    ConfigRefused,
    /// The publisher's credentials changed, or cannot be read.
    Credentials,
    /// The certificate of the media port changed, cannot be used, or is about to end.
    Certificate,
    /// All connections are taken: further ones wait to be accepted.
    ConnectionsFull,
    /// Another memory limit is in force than before, or than the one that is configured.
    MemoryLimit,
    /// The container has hardly any memory left: what may go is evicted before the kernel ends the process.
    MemoryPressure,
    /// Reads have to wait because there is too much to do.
    Overload,
    /// The log says more, or less, from now on.
    LogLevel,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// What kind.
    pub kind: Kind,
    /// The path of the request, still percent-encoded; empty where there was none.
    pub path: String,
    /// The status of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What became of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'static str>,
    /// Why, for people.
    pub reason: String,
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// The client's `User-Agent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Event {
    /// An event that is about no request.
    pub fn of(kind: Kind, reason: impl Into<String>) -> Self {
        let (path, reason) = (String::new(), reason.into());
        Self { kind, path, status: None, outcome: None, reason, peer: None, agent: None, request_id: None }
    }
}

/// An event with its place and time.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Numbered {
    sequence: u64,
    time: String,
    #[serde(flatten)]
    event: Event,
}

/// `/-/events`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    events: Vec<Numbered>,
    /// The place of the newest event: ask for what comes after it.
    latest: u64,
    /// Events that were asked for and are forgotten.
    forgotten: u64,
}

/// What happened lately.
#[derive(Debug, Default)]
pub struct Events(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Numbered>,
    latest: u64,
}

impl Events {
    /// Adds an event.
    pub fn add(&self, time: SystemTime, event: Event) {
        let mut ring = self.lock();
        ring.latest += 1;
        let sequence = ring.latest;
        if ring.events.len() == EVENTS_MAX {
            ring.events.pop_front();
        }
        ring.events.push_back(Numbered { sequence, time: times::text(time), event });
    }

    /// The events behind the one in place `after`; 0 for all.
    pub fn report(&self, after: u64) -> Report {
        let ring = self.lock();
        let events: Vec<_> = ring.events.iter().filter(|event| event.sequence > after).cloned().collect();
        let wanted = ring.latest.saturating_sub(after);
        Report { latest: ring.latest, forgotten: wanted - events.len() as u64, events }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_newest_events_are_kept_and_told_since_a_place() {
        let events = Events::default();
        assert_eq!(
            serde_json::to_string(&events.report(0)).unwrap(),
            r#"{"events":[],"latest":0,"forgotten":0}"#
        );
        for number in 1..=300_u64 {
            let event = Event::of(Kind::ConfigChanged, format!("generation {number}"));
            events.add(SystemTime::UNIX_EPOCH + Duration::from_secs(number), event);
        }
        let all = events.report(0);
        assert_eq!((all.events.len(), all.latest, all.forgotten), (EVENTS_MAX, 300, 44));
        assert_eq!((all.events[0].sequence, all.events[0].event.reason.as_str()), (45, "generation 45"));
        assert_eq!(all.events[0].time, "1970-01-01T00:00:45.000Z");
        let last = events.report(299);
        assert_eq!((last.events.len(), last.latest, last.forgotten), (1, 300, 0));
        assert_eq!(events.report(999).events.len(), 0);
    }
}
