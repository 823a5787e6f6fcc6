//! I/O in: the cluster → [`Observed`]. Everything is read from the API server, not from a cache: a plan made from what an earlier
//! reconcile has already changed would undo it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::cluster::{Cluster, ClusterError};
use crate::observed::{Kind, Observed};

/// The origin and everything around it; nothing if it is gone.
pub async fn observe(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    now: Timestamp,
) -> Result<Option<Observed>, ClusterError> {
    let Some(origin) = cluster.origin(namespace, name).await? else { return Ok(None) };
    // Boxed: the calls side by side would make a future of 20 KiB.
    let child = |kind| Box::pin(cluster.child(kind, namespace, name));
    let (pods, account, config, service, claim, deployment) = tokio::try_join!(
        Box::pin(cluster.pods(namespace, name)),
        child(Kind::ServiceAccount),
        child(Kind::ConfigMap),
        child(Kind::Service),
        child(Kind::PersistentVolumeClaim),
        child(Kind::Deployment),
    )?;
    let children: BTreeMap<_, _> = Kind::ALL
        .into_iter()
        .zip([account, config, service, claim, deployment])
        .filter_map(|(kind, child)| Some((kind, child?)))
        .collect();
    Ok(Some(Observed::new(&origin, children, pods, now)))
}
