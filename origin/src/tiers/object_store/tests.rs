//! The tier over the stores that need no network: the contract, in memory and in a folder.

mod fields;
mod in_memory;
mod local;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use object_store::memory::InMemory;

use super::bucket::Bucket;
use super::client::{Client, Secrets};
use super::options::ObjectStoreOptions;
use super::place::Place;
use super::requests::Requests;
use super::{ObjectStoreTier, Tier};
use crate::clock::Clock;

const START: Duration = Duration::from_hours(480_000);

fn clock() -> Clock {
    Clock::manual(SystemTime::UNIX_EPOCH + START)
}

/// A process that begins at a bucket that may have something in it.
fn process(store: &Arc<InMemory>, clock: &Clock) -> Arc<ObjectStoreTier> {
    let options = ObjectStoreOptions::new("memory:///media");
    let place = Place::parse(&options.url).unwrap();
    let client = Client::Cloud { objects: Arc::clone(store) as _, pages: None };
    let requests = Requests::over(Bucket::new(client), place, Secrets::default(), options, clock.clone());
    Arc::new(ObjectStoreTier::with(requests))
}

fn as_tier(tier: &Arc<ObjectStoreTier>) -> Arc<dyn Tier> {
    Arc::clone(tier) as Arc<dyn Tier>
}
