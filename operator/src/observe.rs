//! I/O in: the cluster → [`Observed`]. Everything but what pods say is read from the API server, not from a cache: a plan made from
//! what an earlier reconcile has already changed would undo it.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use jiff::Timestamp;

use crate::agents::Agents;
use crate::cluster::{Cluster, ClusterError, Found};
use crate::observed::Observed;
use crate::part::Part;
use crate::plan::Settings;
use crate::plan::coordination::{ChartNats, of_chart};

/// The origin and everything around it; nothing if it is gone.
pub async fn observe(
    cluster: &Cluster,
    agents: &Agents,
    settings: &Settings,
    (namespace, name): (&str, &str),
    now: Timestamp,
) -> Result<Option<Observed>, ClusterError> {
    let Some(origin) = cluster.origin(namespace, name).await? else { return Ok(None) };
    // Only a fleet has that one: a call for nothing, of every other origin.
    let is_fleet = origin["spec"]["coordination"].is_object();
    let parts = Part::ALL.into_iter().filter(|part| is_fleet || *part != Part::NatsSecret);
    // Boxed: the calls side by side would make a future of many KiB.
    let parts =
        parts.map(|part| Box::pin(async move { Ok((part, cluster.child(part, namespace, name).await?)) }));
    let (pods, parts, rivals) = tokio::try_join!(
        Box::pin(cluster.pods(namespace, name)),
        Box::pin(try_join_all(parts)),
        Box::pin(cluster.rivals(namespace, name))
    )?;
    let reports = agents.reports(&(namespace.to_owned(), name.to_owned()), &pods).await;
    let mut observed = Observed { reports, rivals, ..Observed::new(&origin, BTreeMap::new(), pods, now) };
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
    let chart = observed.spec.as_ref().ok().and_then(|spec| of_chart(settings, namespace, spec));
    if let Some(chart) = chart {
        observed.nats_version = nats_version(cluster, chart).await?;
    }
    Ok(Some(observed))
}

/// Which versions there are of all that is copied; nothing where one cannot be seen.
async fn nats_version(cluster: &Cluster, chart: &ChartNats) -> Result<Option<String>, ClusterError> {
    let credentials = cluster.secret_version(&chart.credentials).await?;
    let Some(place) = &chart.authorities else { return Ok(credentials) };
    let authorities = cluster.secret_version(place).await?;
    Ok(credentials.zip(authorities).map(|(credentials, authorities)| format!("{credentials}/{authorities}")))
}
