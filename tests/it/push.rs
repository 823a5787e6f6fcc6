//! The operator's talk with a whole origin at its admin port: what it is told, and what it hands over.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mediaorigin_crds::{load, names};
use mediaorigin_operator::agents::Agents;
use mediaorigin_operator::metrics::Metrics;
use mediaorigin_operator::observed::Observed;
use mediaorigin_operator::reasons::HealthReason;
use mediaorigin_origin::{Options, Running, start_blocking};
use mediaorigin_tests::folder::Folder;
use serde_json::json;
use tokio::time::timeout;

/// Bounds failures only.
const PATIENCE: Duration = Duration::from_secs(30);
const TOKEN: &[u8] = b"a-token-of-the-admin-port";

fn configuration(generation: i64, more: &str) -> String {
    format!(
        "apiVersion: mediaorigin.io/v1alpha1\nkind: OriginConfig\nmetadata: {{name: live, uid: u1, generation: {generation}}}\n\
         cold: {{connectionsMax: 100, mediaPort: 8080, adminPort: 8081}}\n\
         hot: {{memoryLimitBytes: 268435456, objectBytesMax: 100000, uploadIdleSeconds: 60{more}}}\n"
    )
}

/// An origin at the admin port of an address of its own, as a pod has one.
fn origin(address: IpAddr, folder: &Folder) -> Running {
    std::fs::write(folder.path().join("token"), TOKEN).unwrap();
    let options = Options {
        admin_listen: SocketAddr::new(address, names::ADMIN_PORT),
        admin_token_file: Some(folder.path().join("token")),
        publisher_dir: Some(folder.path().to_owned()),
        ..Options::default()
    };
    start_blocking(load::parse(&configuration(2, "")).unwrap(), options).unwrap()
}

/// The origin's only pod, as the operator observes it.
fn observed(address: IpAddr) -> Observed {
    let running = json!({
        "name": "origin", "image": "x", "imageID": "", "ready": true, "restartCount": 0, "state": { "running": {} },
    });
    let pod = json!({
        "metadata": { "name": "live-1", "uid": "uid-of-live-1" },
        "status": { "podIP": address, "containerStatuses": [running] },
    });
    let origin = json!({ "metadata": { "name": "live", "namespace": "media", "uid": "u1" } });
    Observed::from_json(&origin, BTreeMap::new(), &[pod], 0).unwrap()
}

#[tokio::test]
async fn an_operator_hands_hot_edits_to_an_origin_and_hears_how_it_does() {
    let (address, folder) = ("127.77.3.1".parse().unwrap(), Folder::new("push").unwrap());
    let running = origin(address, &folder);
    let (agents, mut news) = Agents::new(Arc::new(Metrics::default()));
    let key = ("media".to_owned(), "live".to_owned());
    let reports = agents.reports(&key, &observed(address).pods).await;
    assert_eq!((reports["live-1"].uid.as_str(), reports["live-1"].generation), ("u1", 2));
    assert_eq!(reports["live-1"].troubles, [], "a token is a publisher's credential");

    assert!(agents.push(&key, "live-1", 3, &configuration(3, ", cors: []"), TOKEN).await);
    assert_eq!(running.origin().config.hot().metadata.generation, 3, "in force before the answer");
    assert!(agents.remembered(&key)["live-1"].serves("u1", 3));

    assert!(!agents.push(&key, "live-1", 4, &configuration(4, ", bogus: 1"), TOKEN).await);
    let report = &agents.remembered(&key)["live-1"];
    assert!(report.has_refused(4) && !report.has_refused(5) && report.not_pushed.is_none());
    assert_eq!(report.refused, ["422: hot.bogus: unknown field"]);

    assert!(!agents.push(&key, "live-1", 5, &configuration(5, ""), b"another-token-than-that").await);
    let report = &agents.remembered(&key)["live-1"];
    assert!(report.not_pushed.as_ref().unwrap().starts_with("401:") && !report.has_refused(5));
    assert_eq!(running.origin().config.hot().metadata.generation, 3);

    // What is broken later wakes a reconcile: a Secret without a word of sense.
    std::fs::write(folder.path().join("username"), "half of a credential").unwrap();
    let heard = async {
        loop {
            let woken = news.recv().await.unwrap();
            let report = &agents.remembered(&woken)["live-1"];
            if let [trouble] = &*report.troubles {
                return (trouble.reason, report.generation, report.not_pushed.is_some());
            }
        }
    };
    let heard = timeout(PATIENCE, async {
        tokio::select! { heard = heard => heard, () = agents.rounds() => unreachable!() }
    });
    assert_eq!(heard.await.unwrap(), (HealthReason::SecretRefused, 3, true));
}
