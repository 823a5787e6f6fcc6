//! Where the bytes of versions are, beside this pod's memory: on the pods that hold them, in the log, in the bucket.
//!
//! What lies in the bucket one pod of each zone fetches, piece by piece, and the others of the zone fetch it from that one: its *parent*
//! ([`ring::parents`](super::peers::ring::parents)). A parent is a hint, as is who is there: where it has no time, or does not answer, the bucket is asked.

use std::ops::Range;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mediaorigin_index::entry::{Entry, Place};

use super::log::Logged;
use super::open::Open;
use super::peers::address::Address;
use super::peers::client::Peers;
use super::peers::server::Fill;
use super::peers::tier::Holders;
use super::{Fleet, entry};
use crate::memory::blob::Uid;
use crate::memory::fill::PIECE_BYTES;
use crate::memory::object::Version;
use crate::tiers::walker::{Cold, Tiers};
use crate::tiers::{Bytestream, Record, Source, TierError, TierName};

impl Fleet {
    /// Where the bytes of the version of `entry` are: on the pods that the entry names, else in the log, else in `store`. Where there
    /// is none of them, the answer says of all bytes that they are gone.
    pub(crate) fn holders(&self, entry: &Entry, store: Option<Arc<dyn Source>>) -> Arc<dyn Source> {
        let places = entry.version().map_or(&[][..], |version| &version.places);
        let others = places.iter().filter_map(|place| match place {
            // What only the memory of a pod held goes with it.
            Place::Pod(address) if *address != self.address && !self.open.is_gone(address) => {
                address.parse().ok()
            }
            _ => None,
        });
        let others: Vec<Address> = others.collect();
        let store = store.map(|store| self.by_parents(store));
        let below = if places.contains(&Place::Log) {
            let logged: Arc<dyn Source> = Arc::new(Logged { log: Arc::clone(&self.log), below: store });
            Some(logged)
        } else {
            store
        };
        match below {
            Some(below) if others.is_empty() => below,
            below => Arc::new(Holders::new(Arc::clone(&self.peers), others, below)),
        }
    }

    /// What `store` has, from another pod where that one fetches it for this one.
    pub(crate) fn by_parents(&self, store: Arc<dyn Source>) -> Arc<dyn Source> {
        Arc::new(Parents { open: Arc::clone(&self.open), peers: Arc::clone(&self.peers), below: store })
    }
}

/// The bucket, which another pod may be asked for.
#[derive(Debug)]
struct Parents {
    open: Arc<Open>,
    peers: Arc<Peers>,
    below: Arc<dyn Source>,
}

impl Source for Parents {
    fn name(&self) -> TierName {
        self.below.name()
    }

    fn read<'a>(
        &'a self,
        record: &'a Arc<Record>,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<Bytestream, TierError>> {
        let parents = self.open.parents(record.uid, range.start / PIECE_BYTES);
        if parents.is_empty() {
            return self.below.read(record, range);
        }
        let through = Holders::through(Arc::clone(&self.peers), parents, Arc::clone(&self.below));
        async move { through.read(record, range).await }.boxed()
    }
}

impl Fill for Tiers {
    fn fill(self: Arc<Self>, path: String, uid: Uid, index: u64) -> BoxFuture<'static, Option<Arc<Version>>> {
        async move {
            let fleet = self.fleet().ok()??;
            let known = fleet.index.peek(&path).entry().ok()?;
            let known = known.and_then(|entry| Some((entry::record(&entry)?, entry)));
            let cold = match known {
                Some((record, entry)) => Cold { record: Arc::new(record), tier: self.source(fleet, &entry) },
                None => self.find_stored(&path).await.ok()??,
            };
            if cold.record.uid != uid {
                return None;
            }
            self.give(cold, index).await
        }
        .boxed()
    }
}
