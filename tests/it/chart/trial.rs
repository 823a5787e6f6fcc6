//! What `helm test` runs, against a real API server; the test plays the operator.

use std::thread;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use mediaorigin_operator::args::TrialArgs;
use mediaorigin_operator::trial;
use mediaorigin_tests::apiserver::{ApiServer, MEDIA_ORIGINS, origin};
use serde_json::json;

const PATH: &str = "/apis/mediaorigin.io/v1alpha1/namespaces/default/mediaorigins/trial";

/// A trial to its end: whether it passes, or what it says.
fn run(server: &ApiServer, timeout_seconds: u32) -> Result<(), String> {
    let kubeconfig = server.kubeconfig();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let args = TrialArgs { namespace: "default".to_owned(), name: "trial".to_owned(), timeout_seconds };
    let result = runtime.block_on(async {
        let file = Kubeconfig::read_from(kubeconfig)?;
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        trial::run(Client::try_from(config)?, args).await
    });
    result.map_err(|error| format!("{error:#}"))
}

/// Row 75: a trial passes when its origin serves, says why not when it does not, leaves nothing, and touches nobody else's.
#[test]
fn row_75_a_trial_waits_for_its_own_origin_and_leaves_nothing() {
    let server = ApiServer::with_definition().unwrap();
    let client = server.client();
    thread::scope(|scope| {
        let trial = scope.spawn(|| run(&server, 120));
        client.wait_until(|client| Ok(client.get(PATH)?.code == 200)).unwrap();
        let ready = json!({ "type": "Ready", "status": "True", "reason": "Serving", "message": "serves",
            "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z" });
        let status = json!({ "status": { "observedGeneration": 1, "endpoint": "http://trial", "conditions": [ready] } });
        client.merge(&format!("{PATH}/status"), &status).unwrap().success().unwrap();
        assert_eq!(trial.join().unwrap(), Ok(()));
    });
    assert_eq!(client.get(PATH).unwrap().code, 404);

    let refusal = run(&server, 1).unwrap_err();
    assert!(refusal.contains("no operator has seen it yet"), "{refusal}");
    assert_eq!(client.get(PATH).unwrap().code, 404);

    client.create(MEDIA_ORIGINS, &origin("trial", &json!({}))).unwrap().success().unwrap();
    let refusal = run(&server, 1).unwrap_err();
    assert!(refusal.contains("not of a trial"), "{refusal}");
    assert_eq!(client.get(PATH).unwrap().code, 200);
}
