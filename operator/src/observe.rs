//! I/O in: the cluster → [`Observed`]. Everything but what pods say is read from the API server, not from a cache: a plan made from
//! what an earlier reconcile has already changed would undo it.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use jiff::Timestamp;

use crate::agents::Agents;
use crate::cluster::{Cluster, ClusterError, Found};
use crate::observed::Observed;
use crate::part::Part;

/// The origin and everything around it; nothing if it is gone.
pub async fn observe(
    cluster: &Cluster,
    agents: &Agents,
    (namespace, name): (&str, &str),
    now: Timestamp,
) -> Result<Option<Observed>, ClusterError> {
    let Some(origin) = cluster.origin(namespace, name).await? else { return Ok(None) };
    // Boxed: the calls side by side would make a future of many KiB.
    let parts = Part::ALL
        .map(|part| Box::pin(async move { Ok((part, cluster.child(part, namespace, name).await?)) }));
    let (pods, parts) =
        tokio::try_join!(Box::pin(cluster.pods(namespace, name)), Box::pin(try_join_all(parts)))?;
    let reports = agents.reports(&(namespace.to_owned(), name.to_owned()), &pods).await;
    let mut observed = Observed { reports, ..Observed::new(&origin, BTreeMap::new(), pods, now) };
    for (part, found) in parts {
        match found {
            Found::Nothing => {}
            Found::NoSuchKind => {
                observed.unknown.insert(part);
            }
            Found::Child(child) => {
                observed.children.insert(part, child);
            }
        }
    }
    Ok(Some(observed))
}
