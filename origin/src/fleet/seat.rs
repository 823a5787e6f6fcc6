//! The place of this pod in its fleet: empty until NATS lets it join, however late that is. Until then the pod knows nothing that
//! it may answer with, and says why.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use mediaorigin_crds::config::CoordinationConfig;
use mediaorigin_index::key::{BadScope, Scope};
use tokio::runtime::Handle;
use tokio::time::{interval, sleep};

use super::peers::{Counters, Keys, server};
use super::report::Report;
use super::warm::Warmed;
use super::{Fleet, JoinError, Pod};
use crate::clock::Clock;
use crate::connection::Balance;
use crate::memory::Memory;
use crate::tiers::{ErrorKind, TierError, TierName};

/// How long one attempt to join takes at most, and the pause before the next, for which servers have time to come.
pub(super) const ATTEMPT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked whether the index is there.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The place of a pod in its fleet. Once taken it is never left.
pub struct Seat {
    address: String,
    fleet: OnceLock<Arc<Fleet>>,
    /// Set when the live edge is here, or was waited for long enough.
    warmed: OnceLock<Warmed>,
    /// By which other pods are known, once it is joined.
    keys: Arc<OnceLock<Keys>>,
    is_encrypted: bool,
    counters: Arc<Counters>,
    balance: Balance,
    trouble: Mutex<String>,
}

impl fmt::Debug for Seat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Seat").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Why a pod has no place in its fleet yet.
#[derive(Debug, thiserror::Error)]
#[error("it has not joined its fleet yet")]
struct NotJoined;

impl Seat {
    /// Begins to join the fleet, on `runtime`, and tries until it has: credentials are read for each attempt, so that new ones heal.
    pub fn take(
        config: &CoordinationConfig,
        (pod, address): (&Pod, String),
        (memory, clock): (&Arc<Memory>, &Clock),
        runtime: &Handle,
    ) -> Result<Arc<Self>, BadScope> {
        // No later attempt would mend a name.
        let scope = Scope::new(&config.scope)?;
        let trouble = Mutex::new("no NATS server has answered yet".to_owned());
        let (fleet, warmed, keys, counters, balance) = Default::default();
        let is_encrypted = config.peer_tls;
        let seat = Arc::new(Self { address, fleet, warmed, keys, is_encrypted, counters, balance, trouble });
        let (config, pod) = (config.clone(), pod.clone());
        let (memory, clock) = (Arc::clone(memory), clock.clone());
        let (joining, tasks) = (Arc::clone(&seat), runtime.clone());
        runtime.spawn(async move {
            loop {
                let named = (&pod, joining.address.clone());
                let here = (&memory, &clock, &joining.counters);
                match Fleet::join(&config, &scope, named, here, &joining.balance, &tasks).await {
                    Ok(fleet) => return joining.joined(fleet),
                    Err(error) => joining.failed(&error),
                }
                sleep(PAUSE).await;
            }
        });
        Ok(seat)
    }

    fn joined(&self, fleet: Fleet) {
        // Nobody else sets them. Other pods may ask as soon as they can be told of anything here.
        let _ = self.keys.set(fleet.keys.clone());
        let _ = self.fleet.set(Arc::new(fleet));
        tracing::info!(address = self.address, "joined the fleet");
    }

    /// The live edge is here, as far as it could be had in time.
    pub(super) fn warmed(&self, warmed: Warmed) {
        // It is fetched once.
        let _ = self.warmed.set(warmed);
    }

    /// Logged once as long as it stays the same.
    fn failed(&self, error: &JoinError) {
        let text = error.to_string();
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if *trouble != text {
            tracing::error!(%error, "not joined yet, tried again until it is");
            *trouble = text;
        }
    }

    /// The fleet, once it is joined.
    pub fn fleet(&self) -> Option<&Arc<Fleet>> {
        self.fleet.get()
    }

    /// The same, once this pod has read the index.
    pub(crate) async fn when_ready(&self) -> Arc<Fleet> {
        let mut looks = interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            if let Some(fleet) = self.fleet().filter(|fleet| fleet.unready().is_none()) {
                return Arc::clone(fleet);
            }
        }
    }

    /// The same, or the error of whatever cannot be done without.
    pub(crate) fn required(&self) -> Result<&Arc<Fleet>, TierError> {
        self.fleet.get().ok_or_else(|| {
            TierError::new(TierName::Index, "ask".to_owned(), ErrorKind::Unavailable, NotJoined)
        })
    }

    /// How other pods are answered.
    pub fn port(&self) -> (server::Settings, Arc<Counters>) {
        (server::Settings::new(Arc::clone(&self.keys), self.is_encrypted), Arc::clone(&self.counters))
    }

    /// How many pods there are, for readers' connections.
    pub fn balance(&self) -> Balance {
        self.balance.clone()
    }

    /// Why this pod cannot answer for what is there, if it cannot.
    pub fn unready(&self) -> Option<String> {
        if let Some(fleet) = self.fleet() {
            let is_cold = self.warmed.get().is_none();
            let cold = || is_cold.then(|| "the live edge is being fetched from other pods".to_owned());
            return fleet.unready().or_else(cold);
        }
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        Some(format!("the fleet is not joined yet: {trouble}"))
    }

    /// How this pod does in it.
    pub fn report(&self) -> Report {
        let not_joined = || Report { address: self.address.clone(), ..Report::default() };
        self.fleet().map_or_else(not_joined, |fleet| Report::of(fleet, self.warmed.get()))
    }
}
