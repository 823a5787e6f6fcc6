//! Pods with an index each, over links that can be cut, to a cluster of real servers.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use mediaorigin_index::entry::{Entry, State, Uid, Version};
use mediaorigin_index::{Config, Index, Scope};
use mediaorigin_tests::links::Link;
use mediaorigin_tests::nats::{NatsCluster, PATIENCE, SERVERS, Setup};
use tokio::runtime::{Builder, Runtime};

pub(super) const PODS: usize = 3;

/// Where a pod's index is; another one after the pod was replaced.
pub(super) type Place = Arc<RwLock<Arc<Index>>>;

/// Three pods and three servers.
pub(super) struct Fleet {
    pub(super) pods: Vec<Place>,
    /// By pod and server.
    pub(super) links: Vec<Vec<Link>>,
    pub(super) runtime: Runtime,
    pub(super) cluster: NatsCluster,
    scope: String,
}

/// An entry with a small body.
pub(super) fn entry(path: &str, uid: u64, state: impl FnOnce(Version) -> State) -> Entry {
    let body = format!("#EXTM3U {uid}").into_bytes();
    let version = Version { size: body.len() as u64, body: Some(body.into()), ..Version::default() };
    Entry { path: path.into(), uid: Uid(uid.into()), stamp: uid, state: state(version) }
}

impl Fleet {
    /// A cluster and pods that are ready.
    pub(super) fn start(scope: &str) -> Self {
        let setup = Setup { has_links: true, ..Setup::default() };
        Self::over(NatsCluster::start_with(setup).unwrap(), scope)
    }

    fn over(cluster: NatsCluster, scope: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let to = |address| Link::start(address).unwrap();
        let links = (0..PODS).map(|_| cluster.addresses().into_iter().map(to).collect()).collect();
        let mut fleet = Self { pods: Vec::new(), links, runtime, cluster, scope: scope.to_owned() };
        for pod in 0..PODS {
            let index = fleet.connect(pod, |_| {});
            fleet.pods.push(Arc::new(RwLock::new(index)));
        }
        fleet
    }

    /// The configuration of a pod.
    pub(super) fn config(&self, pod: usize) -> Config {
        let servers = self.links[pod].iter().map(|link| format!("nats://{}", link.address())).collect();
        let mut config =
            Config::new(servers, Scope::new(&self.scope).unwrap(), format!("pod-{pod}"), fastrand::u64(..));
        config.patience = PATIENCE;
        config
    }

    /// A new process of a pod, ready.
    pub(super) fn connect(&self, pod: usize, change: impl FnOnce(&mut Config)) -> Arc<Index> {
        let mut config = self.config(pod);
        change(&mut config);
        let index = Arc::new(self.runtime.block_on(Index::connect(&config)).unwrap());
        wait_until(&format!("pod {pod} to be ready"), || {
            index.is_ready().then_some(()).ok_or_else(|| format!("{:?}", index.health()))
        });
        index
    }

    /// The index of a pod.
    pub(super) fn pod(&self, pod: usize) -> Arc<Index> {
        read(&self.pods[pod])
    }

    /// Another process in place of a pod's.
    pub(super) fn replace(&self, pod: usize) {
        let index = self.connect(pod, |_| {});
        *self.pods[pod].write().unwrap_or_else(PoisonError::into_inner) = index;
    }

    /// The stream of the first partition.
    pub(super) fn stream(&self) -> String {
        format!("MO_IDX_{}_0", self.scope)
    }

    /// Servers that run and lead the stream, or not.
    pub(super) fn leader(&mut self) -> usize {
        let stream = self.stream();
        self.cluster.wait_stream_leader(&stream).unwrap()
    }

    /// One of the others.
    pub(super) fn follower(&mut self) -> usize {
        (self.leader() + 1) % SERVERS
    }
}

pub(super) fn read(place: &Place) -> Arc<Index> {
    Arc::clone(&place.read().unwrap_or_else(PoisonError::into_inner))
}

/// Asks until there is an answer.
pub(super) fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    // A pod that reads a million entries needs more than one minute.
    let deadline = Instant::now() + PATIENCE * 3;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < deadline, "waited in vain for {what}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
