//! The rim: asks the pods, and tells the API server.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use http_body_util::Full;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::{MissedTickBehavior, interval};

use super::{REASON, Silence};
use crate::agents::{Agents, Key, Present};
use crate::cluster::Cluster;
use crate::metrics::Metrics;
use crate::pod_client::PodClient;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// A pod that does not answer within this time has not answered; a look that waits for one puts the next one off.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Pods that are asked at the same time, and origins.
const AT_ONCE: usize = 256;

/// Looks at the pods of all origins that have several, for ever.
pub async fn rounds(agents: &Agents, cluster: &Cluster, metrics: &Metrics) {
    let client = PodClient::default();
    let mut silences: HashMap<Key, Silence> = HashMap::new();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let fleets = agents.fleets();
        let answered = answered(&client, metrics, &fleets).await;
        silences.retain(|key, _| fleets.iter().any(|(present, _)| present == key));
        for (key, pods) in &fleets {
            let silence = silences.entry(key.clone()).or_default();
            for pod in silence.look(pods, |pod| answered.contains(&pod.uid)) {
                if withdraw(cluster, key, pod).await {
                    metrics.withdrew();
                } else {
                    silence.failed(&pod.uid);
                }
            }
        }
    }
}

/// The uids of those that answer, whatever they say.
async fn answered(client: &PodClient, metrics: &Metrics, fleets: &[(Key, Vec<Present>)]) -> HashSet<String> {
    let pods = stream::iter(fleets.iter().flat_map(|(_, pods)| pods));
    let asked = pods.map(|pod| async move {
        let request = http_types::Request::get(format!("http://{}/livez", pod.address));
        let answer = client.send(request.body(Full::default()).ok()?, PATIENCE).await;
        metrics.looked(answer.is_ok());
        answer.is_ok().then(|| pod.uid.clone())
    });
    asked.buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await
}

/// Says in the status of a pod that it does not serve.
async fn withdraw(cluster: &Cluster, (namespace, name): &Key, pod: &Present) -> bool {
    let message = "it does not answer the operator, and most of the origin's other pods do";
    let condition = PodCondition {
        type_: "Ready".to_owned(),
        status: "False".to_owned(),
        reason: Some(REASON.to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: Some(Time(Timestamp::now())),
        ..PodCondition::default()
    };
    match cluster.withdraw_pod(namespace, &pod.name, &pod.uid, &condition).await {
        Ok(()) => {
            tracing::warn!(namespace, name, pod = pod.name, "a silent pod is taken out of the Service");
            true
        }
        Err(error) => {
            tracing::warn!(namespace, name, pod = pod.name, %error, "a silent pod stays in the Service");
            false
        }
    }
}
