//! From the settings of an origin to its tiers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mediaorigin_crds::budget::Budget;
use mediaorigin_crds::config::{Cold, DiskConfig, ObjectStoreConfig};
use mediaorigin_index::key::BadScope;
use tokio::runtime::Handle;

use super::disk::{self, Disk, DiskOptions};
use super::local::Local;
use super::object_store::{self, Credentials, ObjectStoreOptions, ObjectStoreTier};
use super::walker::Tiers;
use crate::clock::Clock;
use crate::fleet::Pod;
use crate::fleet::seat::Seat;
use crate::memory::Memory;

/// How long a start waits for the disk: longer than Kubernetes lets the pod before it live (60 s).
const LOCK_WAIT_MAX: Duration = Duration::from_secs(90);

/// Folders that win over those in the settings.
#[derive(Clone, Debug, Default)]
pub struct Folders {
    /// Where the disk tier is.
    pub disk: Option<PathBuf>,
    /// Where the object store's credentials are.
    pub credentials: Option<PathBuf>,
    /// Who this pod is among others, and where they reach it.
    pub pod: Option<(Pod, SocketAddr)>,
}

/// The tiers that were opened, by what they are.
#[derive(Clone, Debug)]
pub struct Opened {
    /// All together.
    pub tiers: Arc<Tiers>,
    /// The disk.
    pub disk: Option<Arc<Disk>>,
    /// What it may occupy, in bytes.
    pub disk_bytes_max: u64,
    /// The object store.
    pub object_store: Option<Arc<ObjectStoreTier>>,
}

impl Opened {
    /// The memory that they may use follows a new budget.
    pub fn resize(&self, budget: &Budget) {
        self.tiers.outbound.resize(budget.objects.get());
        let Some(disk) = self.disk.clone().filter(|disk| disk.index_bytes_max() != budget.index.get()) else {
            return;
        };
        let bytes = budget.index.get();
        self.tiers.runtime.spawn(async move {
            if let Err(error) = disk.resize_index(bytes).await {
                // The next write to the disk makes room.
                tracing::warn!(%error, "the index of the disk tier has not made room yet");
            }
        });
    }
}

/// Why a tier cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk.
    #[error("cannot open the disk tier: {0}")]
    Disk(#[from] disk::OpenError),
    /// The object store.
    #[error("cannot open the object store: {0}")]
    ObjectStore(#[from] object_store::OpenError),
    /// The name of the fleet cannot be one.
    #[error(transparent)]
    Fleet(#[from] BadScope),
}

/// Opens the tiers below `memory`, if the settings have any, the disk with an index of `index_bytes_max`; waits until no other process has the disk's folder.
pub async fn open(
    cold: &Cold,
    folders: &Folders,
    memory: &Arc<Memory>,
    index_bytes_max: u64,
    clock: &Clock,
    runtime: Handle,
) -> Result<Option<Opened>, OpenError> {
    let disk = match &cold.disk {
        Some(config) => Some(Arc::new(open_disk(config, folders, memory, index_bytes_max).await?)),
        None => None,
    };
    let object_store = match &cold.object_store {
        Some(config) => Some(Arc::new(open_object_store(config, folders, clock)?)),
        None => None,
    };
    let seat = match (&cold.coordination, &folders.pod) {
        (Some(config), Some((pod, bound))) => {
            let named = (pod, pod.address(*bound, config.peer_tls));
            Some(Seat::take(config, named, (memory, clock), &runtime)?)
        }
        _ => None,
    };
    if disk.is_none() && object_store.is_none() && seat.is_none() {
        return Ok(None);
    }
    let tiers = Tiers::new(
        Arc::clone(memory),
        clock.clone(),
        disk.clone().map(|disk| disk as Arc<dyn Local>),
        object_store.clone().map(|store| store as Arc<dyn super::Tier>),
        (runtime, seat),
    );
    let disk_bytes_max = cold.disk.as_ref().map_or(0, |disk| disk.size_bytes);
    Ok(Some(Opened { tiers, disk, disk_bytes_max, object_store }))
}

async fn open_disk(
    config: &DiskConfig,
    folders: &Folders,
    memory: &Memory,
    index_bytes_max: u64,
) -> Result<Disk, OpenError> {
    let folder = folders.disk.clone().unwrap_or_else(|| PathBuf::from(&config.dir));
    let mut options = DiskOptions::new(folder, config.size_bytes);
    options.lock_wait_max = LOCK_WAIT_MAX;
    options.index_bytes_max = index_bytes_max;
    let (disk, scan) = Disk::open(options).await?;
    memory.pass_sequence(scan.sequence_max);
    tracing::info!(files = scan.files, bytes = scan.bytes, damaged = scan.damaged, "the disk tier is open");
    Ok(disk)
}

fn open_object_store(
    config: &ObjectStoreConfig,
    folders: &Folders,
    clock: &Clock,
) -> Result<ObjectStoreTier, OpenError> {
    let ObjectStoreConfig { url, endpoint, region, credentials_dir } = config;
    let folder = folders.credentials.clone().or_else(|| credentials_dir.as_ref().map(PathBuf::from));
    let mut options = ObjectStoreOptions::new(url.clone());
    options.allow_http = endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    options.endpoint.clone_from(endpoint);
    options.region.clone_from(region);
    options.credentials = folder.map_or(Credentials::Environment, Credentials::Folder);
    Ok(ObjectStoreTier::open(options, clock.clone())?)
}
