//! The end: keep accepting until readers have gone elsewhere and uploads are done, then finish.

use std::time::Duration;

use crate::origin::Origin;

/// How long a drain takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At least this long: so much time passes until every node has taken the pod out of its Services.
    pub min: Duration,
    /// At most this long, however many uploads are open.
    pub max: Duration,
}

/// How often it looks.
const TICK: Duration = Duration::from_millis(50);

/// Waits until the origin may stop: at least the minimum, then until no upload is open, at most the maximum.
pub(crate) async fn wait(origin: &Origin, limits: Limits) {
    tokio::time::sleep(limits.min.min(limits.max)).await;
    let rest = limits.max.saturating_sub(limits.min);
    let quiet = async {
        let owed = || origin.tiers().map_or(0, |tiers| tiers.owed());
        while origin.memory.counts().uploads > 0 || owed() > 0 {
            tokio::time::sleep(TICK).await;
        }
    };
    if tokio::time::timeout(rest, quiet).await.is_err() {
        let uploads = origin.memory.counts().uploads;
        tracing::warn!(
            uploads,
            seconds = limits.max.as_secs(),
            "uploads are still open at the end of the drain"
        );
    }
}
