//! In a fleet an encoder's uploads go to any pod: each hears of all of them from the index.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use mediaorigin_index::Change;
use mediaorigin_index::entry::Entry;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::fleet::Fleet;
use crate::fleet::seat::Seat;
use crate::origin::Origin;
use crate::times::of_micros;

/// What was begun longer ago is read again after a time without NATS, or was long on its way: it says nothing of when segments come.
const NEWS: Duration = Duration::from_mins(1);

/// Follows the changes of all pods until the origin is gone: from when this pod has read the index, as what was committed before is no news.
pub(crate) async fn follow(origin: Weak<Origin>, seat: Arc<Seat>) {
    hear(&origin, &*seat.when_ready().await).await;
}

async fn hear(origin: &Weak<Origin>, fleet: &Fleet) {
    let followed = fleet.changes().into_iter().map(|changes| hear_one(origin, changes));
    join_all(followed).await;
}

async fn hear_one(origin: &Weak<Origin>, mut changes: Receiver<Change>) {
    loop {
        match changes.recv().await {
            Ok(change) => {
                let Some(origin) = origin.upgrade() else { return };
                if let Some(entry) = change.slot.entry() {
                    heard(&origin, entry);
                }
            }
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "changes of streams were missed: their segments count as missing");
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn heard(origin: &Origin, entry: &Entry) {
    let now = origin.clock.now();
    let age = now.wall.duration_since(of_micros(entry.stamp)).unwrap_or_default();
    if entry.is_live() && age < NEWS {
        origin.streams.committed(&entry.path, crate::fleet::class(entry), now.elapsed);
    }
}
