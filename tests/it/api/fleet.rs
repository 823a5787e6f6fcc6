//! Origins of several pods against a real API server with the real controllers of Deployments and of disruptions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::world::{NATS, USER, World, condition, deployment, world};

const SECRETS: &str = "/api/v1/namespaces/default/secrets";

fn fleet(replicas: i32, nats: &Value) -> Value {
    json!({ "replicas": replicas, "coordination": { "nats": nats } })
}

/// Row 49: an eviction takes one pod of a fleet, and the next one only when there are as many again that serve.
#[test]
fn evictions_take_one_pod_of_a_fleet_at_a_time() {
    let world = world();
    world.serve_by(3, "evicted", &fleet(3, &json!({ "url": "nats://nats.store:4222" })));
    let status = world.origin("evicted")["status"].clone();
    assert_eq!((&status["replicas"], &status["readyReplicas"]), (&json!(3), &json!(3)));
    let ready = condition(&world.origin("evicted"), "Ready");
    assert_eq!(ready["message"], "3 of 3 pods serve at http://evicted.default.svc");
    let budget = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/evicted";
    let allowed = |count: u64| {
        world.until("the budget is counted", |world| {
            let status = &world.get(budget)["status"];
            status["disruptionsAllowed"] == count && status["expectedPods"] == 3
        });
    };
    // By kubectl: the client of the tests repeats what is turned away for now.
    let evict = |pod: &Value| {
        let name = pod["metadata"]["name"].as_str().unwrap();
        let eviction = json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": name } });
        let path = format!("/api/v1/namespaces/default/pods/{name}/eviction");
        let output =
            world.server.kubectl(&["create", "--raw", &path, "-f", "-"], &eviction.to_string()).unwrap();
        match String::from_utf8(output.stderr).unwrap() {
            _ if output.status.success() => "gone",
            words if words.contains("violate the pod's disruption budget") => "stays",
            words => panic!("{words}"),
        }
    };
    allowed(1);
    let pods = world.pods("evicted");
    assert_eq!(evict(&pods[0]), "gone");
    assert_eq!(evict(&pods[1]), "stays");
    world.until("the pod is replaced", |world| {
        let now = world.pods("evicted");
        now.len() == 3 && now.iter().all(|pod| pod["metadata"]["uid"] != pods[0]["metadata"]["uid"])
    });
    allowed(0);
    assert_eq!(evict(&pods[1]), "stays");
    world.run_pods("evicted", 3);
    allowed(1);
    assert_eq!(evict(&pods[1]), "gone");
}

/// TLS between pods needs a password that others do not know; with one it replaces the pods, and without it they stay as they are.
#[test]
fn pods_speak_tls_to_each_other_where_they_have_a_password() {
    let world = world();
    let with = |nats: &Value, tls: &str| json!({ "replicas": 2, "coordination": { "nats": nats, "peers": { "tls": tls } } });
    let asked_without = json!({ "url": "nats://nats.store:4222" });
    world.serve_by(2, "between", &with(&asked_without, "Disabled"));
    let hash = |world: &World| {
        let template = world.get(&deployment("between"))["spec"]["template"].clone();
        template["metadata"]["annotations"]["mediaorigin.io/cold-config-hash"].clone()
    };
    let before = hash(&world);
    let edit = |spec: &Value| world.edit("between", &json!({ "spec": spec }));
    edit(&with(&asked_without, "Enabled"));
    world.until("what is missing is named", |world| {
        let accepted = condition(&world.origin("between"), "Accepted");
        accepted["status"] == "False"
            && accepted["message"].as_str().is_some_and(|message| {
                message.contains("spec.coordination.peers.tls")
                    && message.contains("spec.coordination.nats.credentialsSecretRef")
            })
    });
    assert_eq!(hash(&world), before);
    let asked_with = json!({ "url": "nats://nats.store:4222", "credentialsSecretRef": { "name": "nats" } });
    edit(&with(&asked_with, "Disabled"));
    world.until("the pods are replaced", |world| hash(world) != before);
    let plain = hash(&world);
    edit(&with(&asked_with, "Enabled"));
    world.until("the pods are replaced again", |world| hash(world) != plain);
    world.until("nothing is wrong", |world| {
        condition(&world.origin("between"), "Accepted")["status"] == "True"
    });
}

/// The pods of a fleet that uses the chart's NATS get its credentials as a Secret of their origin; what is missing is named, what changes is
/// copied anew, and the chart's own Secret is not written.
#[test]
fn the_credentials_of_the_charts_nats_are_copied() {
    let world = world();
    world.create("copied", &fleet(2, &json!({ "url": NATS[0] })));
    world.until("what is missing is named", |world| {
        let ready = condition(&world.origin("copied"), "Ready");
        let message = ready["message"].as_str().unwrap_or_default();
        ready["reason"] == "ApiError" && message.contains("cannot read Secret default/chart-nats-auth")
    });
    let values = |password: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "chart-nats-auth" },
            "stringData": { "username": "client", "password": password, "routePassword": "of-servers" },
        })
    };
    world.client().create(SECRETS, &values("first-password")).unwrap().success().unwrap();
    world.until("so is the other one", |world| {
        let ready = condition(&world.origin("copied"), "Ready");
        ready["message"]
            .as_str()
            .is_some_and(|message| message.contains("cannot read Secret default/chart-nats-tls"))
    });
    // Of an authority that everybody knows: it comes without `ca.crt`.
    let certificate = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "chart-nats-tls" },
        "stringData": { "tls.crt": "a-certificate", "tls.key": "a-private-key" },
    });
    world.client().create(SECRETS, &certificate).unwrap().success().unwrap();
    let path = format!("{SECRETS}/copied-nats");
    world.until("the copy is there", |world| world.client().get(&path).unwrap().code == 200);
    let copy = world.get(&path);
    let data: BTreeMap<String, String> = serde_json::from_value(copy["data"].clone()).unwrap();
    // In Base64: "first-password" and "client".
    let expected = [("password", "Zmlyc3QtcGFzc3dvcmQ="), ("username", "Y2xpZW50")];
    assert_eq!(data, BTreeMap::from(expected.map(|(key, value)| (key.to_owned(), value.to_owned()))));
    let owner = &copy["metadata"]["ownerReferences"][0];
    assert_eq!(owner["uid"], world.origin("copied")["metadata"]["uid"]);
    let pod = world.get(&deployment("copied"))["spec"]["template"]["spec"].clone();
    let volumes = pod["volumes"].as_array().unwrap();
    let nats = volumes.iter().find(|volume| volume["name"] == "nats").unwrap();
    assert_eq!(nats["secret"]["secretName"], "copied-nats");
    world.run_pods("copied", 2);
    world.until("both serve", |world| world.origin("copied")["status"]["readyReplicas"] == 2);

    let change = json!({ "stringData": { "password": "second-password" } });
    world.client().merge(&format!("{SECRETS}/chart-nats-auth"), &change).unwrap().success().unwrap();
    world.reconcile_in_vain("copied", 1);
    world.until("the copy follows", |world| world.get(&path)["data"]["password"] == "c2Vjb25kLXBhc3N3b3Jk");
    let change = json!({ "stringData": { "ca.crt": "an-authority" } });
    world.client().merge(&format!("{SECRETS}/chart-nats-tls"), &change).unwrap().success().unwrap();
    world.reconcile_in_vain("copied", 1);
    world
        .until("the authority comes along", |world| world.get(&path)["data"]["ca.crt"] == "YW4tYXV0aG9yaXR5");
    assert_eq!(world.get(&path)["data"].as_object().unwrap().len(), 3, "no key of the servers");
    let before = world.get(&path)["metadata"]["resourceVersion"].clone();
    world.reconcile_in_vain("copied", 2);
    assert_eq!(
        world.get(&path)["metadata"]["resourceVersion"],
        before,
        "a copy that is the same is written again"
    );

    let writes = ["create", "update", "patch", "delete"];
    let to_source = |event: &Value| {
        event["user"]["username"] == USER
            && ["chart-nats-auth", "chart-nats-tls"].iter().any(|name| event["objectRef"]["name"] == *name)
            && writes.contains(&event["verb"].as_str().unwrap_or_default())
    };
    assert!(!world.server.audit().unwrap().iter().any(to_source));
    let log = world.running().log();
    assert!(
        !["first-password", "second-password", "of-servers", "a-private-key", "Zmlyc3Qt", "c2Vjb25kL"]
            .iter()
            .any(|value| log.contains(value)),
        "{log}"
    );
}
