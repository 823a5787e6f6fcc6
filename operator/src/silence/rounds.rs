//! The rim: asks the pods, and tells the API server.

use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use http_body_util::Full;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::{Present, REASON, Sight, Silence};
use crate::agents::Key;
use crate::cluster::Cluster;
use crate::metrics::Metrics;
use crate::pod_client::PodClient;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// A pod that does not answer within this time has not answered; a look that waits for one puts the next one off.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Where an answer takes longer, it is looked meanwhile whether anything is at the address.
const PROMPT: Duration = Duration::from_millis(300);
/// So often in a row, and with this time between, a kernel that lives is knocked at; it answers within microseconds, and over a network that
/// is fit for media within this patience.
const KNOCKS: u32 = 3;
const KNOCK_PAUSE: Duration = Duration::from_millis(100);
const KNOCK_PATIENCE: Duration = Duration::from_millis(250);
/// Pods that are asked at the same time, and origins.
const AT_ONCE: usize = 256;

/// Looks at the pods of all origins that have several, for ever; which they are is asked before each look.
pub async fn rounds(fleets: impl Fn() -> BTreeMap<Key, Vec<Present>>, cluster: &Cluster, metrics: &Metrics) {
    let client = PodClient::default();
    let mut silences: HashMap<Key, Silence> = HashMap::new();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let fleets = fleets();
        let sights = sights(&client, metrics, &fleets).await;
        let sight = |pod: &Present| sights.get(&pod.uid).copied().unwrap_or(Sight::Answers);
        silences.retain(|key, _| fleets.contains_key(key));
        for (key, pods) in &fleets {
            let silence = silences.entry(key.clone()).or_default();
            for pod in silence.look(pods, sight) {
                if withdraw(cluster, key, pod, sight(pod)).await {
                    metrics.withdrew();
                } else {
                    silence.failed(&pod.uid);
                }
            }
        }
    }
}

/// What is seen of each pod, by uid.
async fn sights(
    client: &PodClient,
    metrics: &Metrics,
    fleets: &BTreeMap<Key, Vec<Present>>,
) -> HashMap<String, Sight> {
    let pods = stream::iter(fleets.values().flatten());
    let asked = pods.map(|pod| async move {
        let sight = look(client, pod.address).await;
        metrics.looked(sight == Sight::Answers);
        (pod.uid.clone(), sight)
    });
    asked.buffer_unordered(AT_ONCE).collect().await
}

async fn look(client: &PodClient, address: SocketAddr) -> Sight {
    let request = http_types::Request::get(format!("http://{address}/livez")).body(Full::default());
    // An address makes a valid request.
    let Ok(request) = request else { return Sight::Silent };
    let is_late_and_gone = async {
        sleep(PROMPT).await;
        is_gone(address).await
    };
    tokio::select! {
        answer = client.send(request, PATIENCE) => match answer {
            Ok(_) => Sight::Answers,
            Err(_) if is_gone(address).await => Sight::Gone,
            Err(_) => Sight::Silent,
        },
        true = is_late_and_gone => Sight::Gone,
    }
}

/// Whether nothing at an address says anything, however often it is asked.
async fn is_gone(address: SocketAddr) -> bool {
    for _ in 0..KNOCKS {
        if is_there(address).await {
            return false;
        }
        sleep(KNOCK_PAUSE).await;
    }
    true
}

/// Whether somebody listens there, or a kernel says that nobody does.
async fn is_there(address: SocketAddr) -> bool {
    match timeout(KNOCK_PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset),
        Err(_) => false,
    }
}

/// Says in the status of a pod that it does not serve.
async fn withdraw(cluster: &Cluster, (namespace, name): &Key, pod: &Present, sight: Sight) -> bool {
    let condition = PodCondition {
        type_: "Ready".to_owned(),
        status: "False".to_owned(),
        reason: Some(REASON.to_owned()),
        message: Some(sight.message().to_owned()),
        last_transition_time: Some(Time(Timestamp::now())),
        ..PodCondition::default()
    };
    match cluster.withdraw_pod(namespace, &pod.name, &pod.uid, &condition).await {
        Ok(()) => {
            tracing::warn!(
                namespace,
                name,
                pod = pod.name,
                ?sight,
                "a silent pod is taken out of the Service"
            );
            true
        }
        Err(error) => {
            tracing::warn!(namespace, name, pod = pod.name, %error, "a silent pod stays in the Service");
            false
        }
    }
}
