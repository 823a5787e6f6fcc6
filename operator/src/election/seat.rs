//! The calls of an election.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use tokio::time::{sleep, timeout, timeout_at};

use super::{PERIOD, RENEW_DEADLINE, Step, Watchman, held, released};

/// Deadline of one call: several fit into the time for which a holder may be silent.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// Where the lease is, and who wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Namespace of the lease.
    pub namespace: String,
    /// Name of the lease.
    pub name: String,
}

/// What is not a `NAMESPACE/NAME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not NAMESPACE/NAME")]
pub struct NotAPlace;

impl std::str::FromStr for Place {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err(NotAPlace),
        }
    }
}

/// One candidate for a lease.
pub struct Seat {
    api: Api<Lease>,
    name: String,
    me: String,
    watchman: Watchman,
}

/// Why a call of an election did not succeed.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Call(#[from] kube::Error),
    #[error("no answer within {}s", CALL_TIMEOUT.as_secs())]
    Timeout,
}

impl Trouble {
    /// Somebody else was faster: that is no trouble.
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Call(kube::Error::Api(status)) if status.code == 409)
    }
}

impl Seat {
    /// A candidate named `me`. `client` must not repeat calls by itself: that would use up the time to renew.
    pub fn new(client: kube::Client, place: &Place, me: String) -> Self {
        let api = Api::namespaced(client, &place.namespace);
        Self { api, name: place.name.clone(), me, watchman: Watchman::default() }
    }

    /// Waits until the lease is ours.
    pub async fn win(&mut self) {
        let mut said = String::new();
        loop {
            match self.attempt().await {
                Ok(true) => return,
                Ok(false) => said.clear(),
                Err(error) => {
                    let text = error.to_string();
                    if text != said {
                        tracing::warn!(
                            lease = self.name,
                            error = text,
                            "cannot ask for the lease, trying again"
                        );
                    }
                    said = text;
                }
            }
            sleep(spread(PERIOD)).await;
        }
    }

    /// Keeps the lease; returns with the reason when it is lost.
    pub async fn hold(&mut self) -> String {
        // From the beginning of the last call that succeeded: others count from its end.
        let mut renewed = tokio::time::Instant::now();
        loop {
            let begun = tokio::time::Instant::now();
            match timeout_at(renewed + RENEW_DEADLINE, self.attempt()).await {
                Ok(Ok(true)) => renewed = begun,
                Ok(Ok(false)) => return "another operator holds it".to_owned(),
                Ok(Err(error)) => {
                    tracing::warn!(lease = self.name, %error, "cannot renew the lease, trying again");
                }
                Err(_) => return format!("it could not be renewed for {}s", RENEW_DEADLINE.as_secs()),
            }
            let _ = timeout_at(renewed + RENEW_DEADLINE, sleep(PERIOD)).await;
        }
    }

    /// Gives the lease up, so that the next candidate need not wait. One attempt: it ends by itself otherwise.
    pub async fn release(&mut self) {
        let release = async {
            let Some(lease) = within(self.api.get_opt(&self.name)).await? else { return Ok(()) };
            if lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()) != Some(&self.me) {
                return Ok(());
            }
            let lease = released(lease, Timestamp::now());
            within(self.api.replace(&self.name, &PostParams::default(), &lease)).await.map(|_| ())
        };
        match release.await {
            Ok(()) => tracing::info!(lease = self.name, "the lease is given up"),
            Err::<_, Trouble>(error) => {
                tracing::warn!(lease = self.name, %error, "the lease could not be given up, it ends by itself");
            }
        }
    }

    /// One look, and one write where it is called for. True when the lease is ours now.
    async fn attempt(&mut self) -> Result<bool, Trouble> {
        let lease = within(self.api.get_opt(&self.name)).await?;
        let step = self.watchman.decide(lease.as_ref(), &self.me, Instant::now());
        let ours = held(lease.as_ref(), &self.name, &self.me, Timestamp::now());
        let parameters = PostParams::default();
        let written = match step {
            Step::Wait => return Ok(false),
            Step::Create => within(self.api.create(&parameters, &ours)).await,
            Step::Take | Step::Renew => within(self.api.replace(&self.name, &parameters, &ours)).await,
        };
        match written {
            Ok(_) => Ok(true),
            // Of a renewal it may be our own write before, whose answer was lost: the next look tells.
            Err(error) if error.is_conflict() && step != Step::Renew => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Candidates that were started together do not stay together.
fn spread(time: Duration) -> Duration {
    time.mul_f64(0.8 + fastrand::f64() / 5.0)
}

async fn within<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, Trouble> {
    match timeout(CALL_TIMEOUT, call).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Trouble::Timeout),
    }
}
