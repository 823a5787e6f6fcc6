//! The pods of all origins as the API server tells of them, and the looks at those that are silent. Every operator does this, also one that
//! waits for its turn: the one that acts may be on the node that stands still.

use std::collections::BTreeMap;
use std::future;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use mediaorigin_crds::names;

use super::{SteadyPause, labelled, scoped};
use crate::agents::Key;
use crate::cluster::Cluster;
use crate::metrics::Metrics;
use crate::silence::{self, Present};

/// Looks for ever.
pub(super) async fn look_out(cluster: &Cluster, namespace: Option<&str>, metrics: &Metrics) {
    let (store, writer) = reflector::store();
    let labels =
        [(names::LABEL_MANAGED_BY, names::MANAGER), (names::LABEL_COMPONENT, names::COMPONENT_ORIGIN)];
    let pods = watcher(scoped::<Pod>(&cluster.client, namespace), labelled(&labels));
    let known = pods.modify(strip).backoff(SteadyPause).reflect(writer).for_each(|event| {
        if let Err(error) = event {
            metrics.watch_failed();
            tracing::warn!(%error, "the watch of pods broke, starting it again");
        }
        future::ready(())
    });
    tokio::select! {
        () = known => {}
        () = silence::rounds(|| fleets(&store), cluster, metrics) => {}
    }
}

/// The pods of each origin that has several.
fn fleets(store: &Store<Pod>) -> BTreeMap<Key, Vec<Present>> {
    let mut fleets: BTreeMap<Key, Vec<Present>> = BTreeMap::new();
    for (key, pod) in store.state().iter().filter_map(|pod| Present::of(pod)) {
        fleets.entry(key).or_default().push(pod);
    }
    fleets.retain(|_, pods| pods.len() > 1);
    fleets
}

/// Leaves out what nobody looks at, which is most of it.
fn strip(pod: &mut Pod) {
    pod.spec = None;
    let ObjectMeta { name, namespace, uid, labels, deletion_timestamp, resource_version, .. } =
        std::mem::take(&mut pod.metadata);
    pod.metadata = ObjectMeta {
        name,
        namespace,
        uid,
        labels,
        deletion_timestamp,
        resource_version,
        ..ObjectMeta::default()
    };
}
