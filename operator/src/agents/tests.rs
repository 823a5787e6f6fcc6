use std::time::Instant;

use serde_json::json;

use super::*;

/// The talk with a whole origin is tested where there is one (`tests/it/push.rs`); here is what no origin says.
#[test]
fn answers_to_a_push_are_told_apart() {
    let refused = json!({ "generation": 3, "refused": ["hot.x: unknown field", "hot.y: unknown field"] });
    for (status, body, expected) in [
        (200, json!({ "generation": 4 }).to_string(), Push::Served(4)),
        (
            422,
            refused.to_string(),
            Push::Refused("422: hot.x: unknown field; hot.y: unknown field".to_owned()),
        ),
        (
            409,
            refused.to_string(),
            Push::Refused("409: hot.x: unknown field; hot.y: unknown field".to_owned()),
        ),
        (401, "the token is needed\n".to_owned(), Push::Failed("401: the token is needed".to_owned())),
        (200, "hello".to_owned(), Push::Failed("200: hello".to_owned())),
        (502, "x".repeat(10_000), Push::Failed(format!("502: {}", "x".repeat(WORDS_MAX)))),
    ] {
        assert_eq!(Push::of(status, body.as_bytes()), expected);
    }
}

fn pod(name: &str, address: &str) -> Pod {
    let pod = json!({
        "metadata": { "name": name, "uid": format!("uid-of-{name}") },
        "status": {
            "podIP": address,
            "containerStatuses": [{
                "name": "origin", "image": "x", "imageID": "", "ready": true, "restartCount": 0,
                "state": { "running": {} },
            }],
        },
    });
    serde_json::from_value(pod).unwrap()
}

/// A pod that cannot be reached says nothing, holds nobody up for long, and is asked once.
#[tokio::test]
async fn a_pod_that_does_not_answer_is_waited_for_once() {
    let (agents, _news) = Agents::new(Arc::new(Metrics::default()));
    let key = ("media".to_owned(), "live".to_owned());
    // Of loopback, where nothing listens on the admin port of this address.
    let pods = [pod("live-1", "127.1.2.3"), pod("live-2", "127.1.2.4")];
    assert!(agents.reports(&key, &pods).await.is_empty());
    let again = Instant::now();
    assert!(agents.reports(&key, &pods).await.is_empty());
    assert!(again.elapsed() < PATIENCE / 2, "they are known to say nothing");
    assert!(!agents.push(&key, "live-1", 2, "x", b"token").await);
    agents.forget(&key);
    assert!(!agents.push(&key, "live-1", 2, "x", b"token").await);
}
