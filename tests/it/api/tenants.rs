//! Tenants: whoever may edit `MediaOrigins` in one namespace reaches nothing of another through them and the operator, which may write
//! in all. The API server's authorizer is real; the user has no right but that one.

use std::collections::BTreeMap;

use mediaorigin_crds::names;
use mediaorigin_tests::apiserver::Client;
use serde_json::{Value, json};

use super::world::{USER, World, condition};

/// Kinds that an operator makes or reads, as collections of a namespace.
const KINDS: [&str; 11] = [
    "/api/v1/namespaces/NS/configmaps",
    "/api/v1/namespaces/NS/persistentvolumeclaims",
    "/api/v1/namespaces/NS/pods",
    "/api/v1/namespaces/NS/secrets",
    "/api/v1/namespaces/NS/serviceaccounts",
    "/api/v1/namespaces/NS/services",
    "/apis/apps/v1/namespaces/NS/deployments",
    "/apis/gateway.networking.k8s.io/v1/namespaces/NS/httproutes",
    "/apis/mediaorigin.io/v1alpha1/namespaces/NS/mediaorigins",
    "/apis/networking.k8s.io/v1/namespaces/NS/networkpolicies",
    "/apis/policy/v1/namespaces/NS/poddisruptionbudgets",
];

fn origins(namespace: &str) -> String {
    format!("/apis/mediaorigin.io/v1alpha1/namespaces/{namespace}/mediaorigins")
}

fn origin(name: &str, spec: &Value) -> Value {
    json!({ "apiVersion": names::API_VERSION, "kind": names::KIND, "metadata": { "name": name }, "spec": spec })
}

/// A `MediaOrigin` asks for an `HTTPRoute`, and this cluster takes any.
fn define_routes(world: &World) {
    let anything = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let schema = json!({ "openAPIV3Schema": { "type": "object", "properties": { "spec": anything } } });
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "httproutes.gateway.networking.k8s.io",
            "annotations": { "api-approved.kubernetes.io": "unapproved, a definition of a test" },
        },
        "spec": {
            "group": "gateway.networking.k8s.io", "scope": "Namespaced",
            "names": { "kind": "HTTPRoute", "plural": "httproutes", "singular": "httproute" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": schema }],
        },
    });
    world.server.define(&definition).unwrap();
}

/// A user who may edit the `MediaOrigins` of a namespace.
fn editor(world: &World, namespace: &str) -> Client {
    let rules = json!([{ "apiGroups": [names::GROUP], "resources": ["mediaorigins"], "verbs": ["*"] }]);
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "editor", "namespace": namespace } },
        { "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": { "name": "editor", "namespace": namespace }, "rules": rules },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": { "name": "editor", "namespace": namespace },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "editor" },
            "subjects": [{ "kind": "ServiceAccount", "name": "editor", "namespace": namespace }],
        },
    ] });
    world.server.kubectl_ok(&["apply", "-f", "-"], &list.to_string()).unwrap();
    let token = world.server.kubectl_ok(&["create", "token", "editor", "-n", namespace], "").unwrap();
    let file = world.server.kubeconfig_of("editor", world.server.address(), Some(token.trim())).unwrap();
    Client::new(&file).unwrap()
}

/// Every object of a namespace with its version.
fn all(world: &World, namespace: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for kind in KINDS {
        let path = kind.replace("NS", namespace);
        for object in world.get(&path)["items"].as_array().unwrap() {
            let metadata = &object["metadata"];
            let version = metadata["resourceVersion"].as_str().unwrap().to_owned();
            all.insert(format!("{path}/{}", metadata["name"].as_str().unwrap()), version);
        }
    }
    all
}

/// What the operator has written in a namespace so far.
fn writes(world: &World, namespace: &str) -> Vec<String> {
    let is_write = |event: &Value| {
        event["user"]["username"] == USER
            && event["objectRef"]["namespace"] == namespace
            && !["get", "list", "watch"].contains(&event["verb"].as_str().unwrap())
    };
    let events = world.server.audit().unwrap();
    events.iter().filter(|event| is_write(event)).map(|event| event["requestURI"].to_string()).collect()
}

#[test]
fn an_editor_of_one_namespace_reaches_nothing_of_another() {
    let world = World::start();
    define_routes(&world);
    for name in ["mine", "theirs"] {
        world.server.kubectl_ok(&["create", "namespace", name], "").unwrap();
    }
    let secret = ["create", "secret", "generic", "vault", "-n", "theirs", "--from-literal=password=x"];
    world.server.kubectl_ok(&secret, "").unwrap();
    let admin = world.client();
    let victim = origin("live", &json!({ "access": { "write": {} } }));
    admin.create(&origins("theirs"), &victim).unwrap().success().unwrap();
    let editor = editor(&world, "mine");
    let accepted = |world: &World, namespace: &str, name: &str| {
        let origin = world.get(&format!("{}/{name}", origins(namespace)));
        condition(&origin, "Accepted")["observedGeneration"].is_i64()
    };
    world.until("theirs is there, and its pod", |world| {
        let all = all(world, "theirs");
        accepted(world, "theirs", "live") && all.keys().any(|path| path.contains("/pods/live-"))
    });
    world.reconcile_in_vain_in("theirs", "live", 2);
    let (before, written) = (all(&world, "theirs"), writes(&world, "theirs"));
    assert!(before.len() > 10 && written.len() > 8, "{before:?} {written:?}");

    no_right(&editor);
    no_field(&editor);
    make_what_is_allowed(&world, &editor);
    look_at_what_is_made(&world);

    // And goes with it.
    editor.delete(&format!("{}/live", origins("mine"))).unwrap().success().unwrap();
    world.until("what mine made is gone", |world| {
        !all(world, "mine").keys().any(|path| path.contains("/live"))
    });
    world.reconcile_in_vain_in("theirs", "live", 2);
    let mut after = all(&world, "theirs");
    // What this test itself has touched.
    after.retain(|path, _| !path.ends_with("services/live"));
    let before: BTreeMap<_, _> =
        before.into_iter().filter(|(path, _)| !path.ends_with("services/live")).collect();
    assert_eq!(after, before);
    assert_eq!(writes(&world, "theirs"), written);
}

/// Not by the API server: the premise of all else.
fn no_right(editor: &Client) {
    for kind in KINDS {
        assert_eq!(editor.get(&kind.replace("NS", "theirs")).unwrap().code, 403, "{kind}");
    }
    let elsewhere = editor.create(&origins("theirs"), &origin("evil", &json!({}))).unwrap();
    assert_eq!(elsewhere.code, 403);
    let mut elsewhere = origin("evil", &json!({}));
    elsewhere["metadata"]["namespace"] = json!("theirs");
    assert_eq!(editor.create(&origins("mine"), &elsewhere).unwrap().code, 400);
}

/// Nor by a field: what could lead out of the namespace, or to more rights in it, is none.
fn no_field(editor: &Client) {
    for (path, spec) in [
        ("serviceAccountName", json!({ "podTemplate": { "serviceAccountName": "admin" } })),
        ("volumes", json!({ "podTemplate": { "volumes": [{ "name": "a", "hostPath": { "path": "/" } }] } })),
        ("hostNetwork", json!({ "podTemplate": { "hostNetwork": true } })),
        ("securityContext", json!({ "podTemplate": { "securityContext": { "privileged": true } } })),
        (
            "valueFrom",
            json!({ "podTemplate": { "env": [{ "name": "A", "value": "", "valueFrom": { "secretKeyRef": { "name": "vault", "key": "password" } } }] } }),
        ),
        (
            "namespace",
            json!({ "access": { "write": { "secretRef": { "name": "vault", "namespace": "theirs" } } } }),
        ),
        (
            "namespace",
            json!({ "objectStore": { "url": "s3://a", "credentialsSecretRef": { "name": "vault", "namespace": "theirs" } } }),
        ),
        (
            "namespace",
            json!({ "coordination": { "nats": { "url": "nats://a", "credentialsSecretRef": { "name": "vault", "namespace": "theirs" } } } }),
        ),
        (
            "namespace",
            json!({ "service": { "tls": { "secretRef": { "name": "vault", "namespace": "theirs" } } } }),
        ),
        (
            "namespace",
            json!({ "podTemplate": { "imagePullSecrets": [{ "name": "vault", "namespace": "theirs" }] } }),
        ),
    ] {
        let refused = editor.dry_run(&origins("mine"), &origin("field", &spec)).unwrap();
        assert_eq!(refused.code, 400, "{spec}: {}", refused.message());
        assert!(refused.message().contains("unknown field \"spec."), "{}", refused.message());
        assert!(refused.message().contains(path), "{}", refused.message());
    }
    for spec in [
        json!({ "access": { "write": { "secretRef": { "name": "theirs/vault" } } } }),
        json!({ "access": { "write": { "secretRef": { "name": "../theirs" } } } }),
    ] {
        assert_eq!(editor.dry_run(&origins("mine"), &origin("name", &spec)).unwrap().code, 422, "{spec}");
    }
}

/// The same name, labels of theirs, a Secret that is only there, a gateway of theirs.
fn make_what_is_allowed(world: &World, editor: &Client) {
    let spec = json!({
        "access": { "write": { "secretRef": { "name": "vault" } } },
        "podTemplate": {
            "labels": { "team": "theirs" }, "annotations": { "example.com/a": "b" },
            "imagePullSecrets": [{ "name": "vault" }],
        },
        "route": { "parentRefs": [{ "name": "gateway", "namespace": "theirs" }], "hostnames": ["theirs.example.com"] },
    });
    editor.create(&origins("mine"), &origin("live", &spec)).unwrap().success().unwrap();
    // A name of what every namespace has: nothing is adopted.
    editor.create(&origins("mine"), &origin("default", &json!({}))).unwrap().success().unwrap();
    // Labels, annotations and an owner that lead elsewhere.
    let mut forged = origin("forged", &json!({ "reconciliation": "Active" }));
    let uid = world.get(&format!("{}/live", origins("theirs")))["metadata"]["uid"].clone();
    forged["metadata"]["labels"] =
        json!({ names::LABEL_INSTANCE: "live", names::LABEL_MANAGED_BY: names::MANAGER });
    forged["metadata"]["annotations"] =
        json!({ names::ANNOTATION_RENEW_PUBLISHER: "now", names::ANNOTATION_RECONCILIATION: "Active" });
    forged["metadata"]["ownerReferences"] =
        json!([{ "apiVersion": names::API_VERSION, "kind": names::KIND, "name": "live", "uid": uid }]);
    editor.create(&origins("mine"), &forged).unwrap().success().unwrap();
}

/// Everything that is made is in this namespace, and no more than an origin is.
fn look_at_what_is_made(world: &World) {
    world.until(
        "the route of mine is there, and the one that is named as the namespace's account is told so",
        |world| {
            let default = world.get(&format!("{}/default", origins("mine")));
            all(world, "mine").keys().any(|path| path.contains("httproutes/live"))
                && condition(&default, "Stalled")["reason"] == "NameCollision"
        },
    );
    let route = world.get("/apis/gateway.networking.k8s.io/v1/namespaces/mine/httproutes/live");
    assert!(route["spec"]["rules"][0]["backendRefs"][0]["namespace"].is_null(), "{route}");
    let pod = &world.get("/apis/apps/v1/namespaces/mine/deployments/live")["spec"]["template"];
    assert_eq!(pod["spec"]["serviceAccountName"], "live");
    assert_eq!(pod["spec"]["automountServiceAccountToken"], false);
    let account = world.get("/api/v1/namespaces/mine/serviceaccounts/default");
    assert!(account["metadata"]["ownerReferences"].is_null(), "{account}");
    let status = world.get(&format!("{}/live", origins("mine")))["status"].to_string();
    assert!(!status.contains("password"), "{status}");
}
