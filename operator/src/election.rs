//! Which of several operators acts: one at a time, by a Lease of the coordination API.
//!
//! A candidate takes a lease that nobody holds, or whose record has not changed for as long as it says on the candidate's
//! *own* clock: clocks of machines are never compared. The holder writes it anew every [`PERIOD`], and stops to act when it
//! could not for [`RENEW_DEADLINE`], which is over before anybody else may take it. Every write says which version it
//! read, so of two that take at once the API server refuses one. What is decided here is pure; the calls are in [`seat`].
//!
//! A lease is no fence: a write that the old holder sent at its last moment may arrive after the new one's first. All
//! writes of the operator are applies of what the stored spec asks for, so it is repaired by the next reconcile.

pub mod seat;

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;

/// How long a record is believed that is not written anew. With the two below as in Kubernetes' own components.
pub const DURATION: Duration = Duration::from_secs(15);
/// How long a holder that cannot write goes on to act.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Between two looks of a candidate, and two writes of the holder.
pub const PERIOD: Duration = Duration::from_secs(2);
/// A record cannot ask for more patience than this.
const DURATION_MAX: Duration = Duration::from_mins(5);

/// What a candidate does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is no lease: make one.
    Create,
    /// Nobody holds it, or its holder is silent for too long.
    Take,
    /// It is ours already.
    Renew,
    /// Somebody else holds it.
    Wait,
}

/// What a candidate has seen of the lease so far.
#[derive(Clone, Debug, Default)]
pub struct Watchman {
    seen: Option<(String, Instant)>,
}

impl Watchman {
    /// Decides what `me` does about the lease as it is stored.
    pub fn decide(&mut self, lease: Option<&Lease>, me: &str, now: Instant) -> Step {
        let Some(lease) = lease else { return Step::Create };
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            _ => now,
        };
        self.seen = Some((version, since));
        let spec = lease.spec.clone().unwrap_or_default();
        match spec.holder_identity.as_deref() {
            None | Some("") => Step::Take,
            Some(holder) if holder == me => Step::Renew,
            Some(_) if now.saturating_duration_since(since) > patience(&spec) => Step::Take,
            Some(_) => Step::Wait,
        }
    }
}

fn patience(spec: &LeaseSpec) -> Duration {
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map_or(DURATION, Duration::from_secs).min(DURATION_MAX)
}

/// The lease `name` with `me` as its holder, after `before`.
pub fn held(before: Option<&Lease>, name: &str, me: &str, now: Timestamp) -> Lease {
    let metadata = before.map_or_else(
        || ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        |before| before.metadata.clone(),
    );
    let old = before.and_then(|before| before.spec.clone()).unwrap_or_default();
    let is_ours = old.holder_identity.as_deref() == Some(me);
    let spec = LeaseSpec {
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
        acquire_time: if is_ours { old.acquire_time } else { Some(MicroTime(now)) },
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(old.lease_transitions.unwrap_or(0) + i32::from(!is_ours && before.is_some())),
        ..LeaseSpec::default()
    };
    Lease { metadata, spec: Some(spec) }
}

/// The lease without a holder: the next candidate that looks takes it.
pub fn released(mut lease: Lease, now: Timestamp) -> Lease {
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = None;
    spec.lease_duration_seconds = Some(1);
    spec.renew_time = Some(MicroTime(now));
    lease
}

#[cfg(test)]
mod tests;
