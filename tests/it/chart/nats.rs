//! The chart's NATS: what is rendered, what it runs as, and that its configuration is one that real servers take.

use std::process::Command;

use anyhow::bail;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client as KubeClient, Config as KubeConfig};
use mediaorigin_operator::election::seat::Place as SecretPlace;
use mediaorigin_operator::nats;
use mediaorigin_tests::apiserver::ApiServer;
use mediaorigin_tests::folder::Folder;
use mediaorigin_tests::nats::{Client, Configuration, NatsCluster, PATIENCE, Place, SERVERS, Setup};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};

use super::installation::{done, get, run};
use super::{CHART, NAMESPACE, objects, render};
use crate::fleet::pods::Pod;
use crate::golden;

const STATEFUL_SET: &str = "/apis/apps/v1/namespaces/mediaorigin-system/statefulsets/mediaorigin-nats";

/// `UPDATE=1` rewrites the renders: the servers, and what is around them.
#[test]
fn generated_nats_renders() {
    let base = ["--set", "nats.enabled=true,networkPolicy.enabled=true", "--show-only"];
    let of = |files: &[&str]| -> String {
        files
            .iter()
            .map(|file| render(&[&base[..], &[&format!("templates/nats/{file}.yaml")]].concat()))
            .collect()
    };
    golden::check("tests/golden/chart/nats-servers.yaml", &of(&["statefulset"]));
    let around = of(&["configmap", "services", "poddisruptionbudget", "networkpolicy"]);
    golden::check("tests/golden/chart/nats.yaml", &around);
}

fn one<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects
        .iter()
        .filter(|object| object["kind"] == kind && object["metadata"]["name"] == "mediaorigin-nats");
    let object = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "two of {kind}");
    object
}

/// What a render says of the servers.
struct Rendered {
    configuration: String,
    settings: String,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
}

impl Rendered {
    /// With credentials as the operator makes them.
    fn new(values: &str) -> (Self, (String, String)) {
        let all = objects(&render(&["--set", &format!("nats.enabled=true,{values}")]));
        let files = &one(&all, "ConfigMap")["data"];
        let container = &one(&all, "StatefulSet")["spec"]["template"]["spec"]["containers"][0];
        let made = nats::made(&SecretPlace { namespace: "a".to_owned(), name: "b".to_owned() }).unwrap();
        let secret = |key: &str| String::from_utf8(made.data.as_ref().unwrap()[key].0.clone()).unwrap();
        let mut environment: Vec<(String, String)> = Vec::new();
        for variable in container["env"].as_array().unwrap() {
            let name = variable["name"].as_str().unwrap();
            let value = match variable.pointer("/valueFrom/secretKeyRef/key") {
                Some(key) => secret(key.as_str().unwrap()),
                // As the kubelet does it, with what was named before.
                None => environment.iter().fold(
                    variable["value"].as_str().unwrap_or_default().to_owned(),
                    |value, (name, known)| value.replace(&format!("$({name})"), known),
                ),
            };
            environment.push((name.to_owned(), value));
        }
        environment.retain(|(_, value)| !value.is_empty());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let rendered = Self {
            configuration: text(&files["nats.conf"]),
            settings: text(&files["settings.conf"]),
            environment,
            arguments: container["args"].as_array().unwrap().iter().map(text).collect(),
        };
        (rendered, (secret("username"), secret("password")))
    }

    /// For a server on this machine: addresses and folders are others, everything else is as it was rendered.
    fn at(&self, place: &Place, certificates: &str) -> Configuration {
        let mut text = self.configuration.clone();
        let mut replace = |from: &str, to: &str| {
            assert!(text.contains(from), "no {from} in\n{text}");
            text = text.replacen(from, to, 1);
        };
        replace("include \"settings.conf\"", &self.settings);
        replace("port: 4222", &format!("listen: \"{}\"", place.client));
        replace("http_port: 8222", &format!("http: \"{}\"", place.monitor));
        replace("port: 6222", &format!("listen: \"{}\"", place.route));
        replace("/var/run/nats/nats.pid", &format!("{}.pid", place.data.display()));
        replace("\"/data\"", &format!("\"{}\"", place.data.display()));
        text = text.replace("/etc/nats-tls", certificates);
        let mut peers = place.peers.iter();
        let mut environment = self.environment.clone();
        for index in 0..SERVERS {
            let is_itself = place.name == format!("nats-{index}");
            let address = if is_itself { place.route } else { *peers.next().unwrap() };
            let host = format!("mediaorigin-nats-{index}.mediaorigin-nats-peers.{NAMESPACE}.svc:6222");
            let variable = format!("NATS_ROUTE_{index}");
            let (_, value) = environment.iter_mut().find(|(name, _)| *name == variable).unwrap();
            assert!(value.contains(&host), "{value}");
            *value = value.replace(&host, &address.to_string());
        }
        let is_config = |argument: &&String| argument.starts_with("--config=");
        let arguments = self.arguments.iter().filter(|argument| !is_config(argument));
        let arguments = arguments.map(|argument| argument.replace("$(POD_NAME)", &place.name)).collect();
        Configuration { text, environment, arguments }
    }
}

/// Three real servers with the rendered configuration: a client without credentials is refused, one with those of the Secret is not, and
/// a stream survives the kill of its leader.
#[test]
fn three_real_servers_run_with_the_rendered_configuration() {
    for sync in ["Default", "Always"] {
        let (rendered, user) = Rendered::new(&format!("nats.sync={sync}"));
        let setup = Setup {
            user: Some(user),
            config: Some(Box::new(move |place| rendered.at(place, ""))),
            ..Setup::default()
        };
        let mut cluster = NatsCluster::start_with(setup).unwrap();
        let refusal = Client::connect(cluster.addresses()[0]).err().unwrap();
        assert!(format!("{refusal:#}").contains("Authorization Violation"), "{refusal:#}");
        let state = cluster.monitor(0, "/varz").unwrap();
        assert_eq!(
            state["jetstream"]["config"]["sync_always"].as_bool().unwrap_or_default(),
            sync == "Always"
        );
        assert_eq!(state["jetstream"]["config"]["max_storage"], 9 * 1024 * 1024 * 1024_u64);
        assert_eq!((&state["ping_max"], &state["write_deadline"]), (&json!(2), &json!(2_000_000_000)));

        cluster.make_stream("INDEX", "index.>", 3, &Value::Null).unwrap();
        let mut client = cluster.client(0).unwrap();
        assert_eq!(client.store("index.a", &[], b"kept").unwrap(), 1);
        let leader = cluster.wait_stream_leader("INDEX").unwrap();
        cluster.kill(leader);
        let next = cluster.wait_stream_leader("INDEX").unwrap();
        assert_eq!(cluster.client(next).unwrap().last("INDEX", "index.a").unwrap().payload, b"kept");
        cluster
            .wait_until("a stream that takes messages", |cluster| {
                cluster.hasty_client(next)?.store("index.b", &[], b"later").map(Some)
            })
            .unwrap();
    }
}

/// A server that does not know the others' password is no route of theirs.
#[test]
fn a_stranger_is_no_server_of_the_cluster() {
    let (rendered, user) = Rendered::new("");
    let config = move |place: &Place| {
        let mut configuration = rendered.at(place, "");
        if place.name == "nats-2" {
            let known =
                configuration.environment.iter().find(|(name, _)| name == "NATS_SECRET_ROUTE_PASSWORD");
            let known = known.unwrap().1.clone();
            for (_, value) in &mut configuration.environment {
                *value = value.replace(&known, "guessed");
            }
        }
        configuration
    };
    let setup = Setup { user: Some(user), config: Some(Box::new(config)), ..Setup::default() };
    let mut cluster = NatsCluster::launch_all(setup).unwrap();
    cluster
        .wait_until("a stranger who is refused", |cluster| {
            Ok(cluster.log(2)?.contains("Authorization Violation").then_some(()))
        })
        .unwrap();
    let routes = |cluster: &NatsCluster, index| -> Vec<Value> {
        let answer = cluster.monitor(index, "/routez").unwrap();
        answer["routes"].as_array().into_iter().flatten().map(|route| route["remote_name"].clone()).collect()
    };
    // A stranger knocks again and again, and is listed for the moment until he is refused.
    cluster
        .wait_until("routes between those that know it, and no other", |cluster| {
            let known = routes(cluster, 0);
            let are_all = !known.is_empty() && known.iter().all(|name| name == "nats-1");
            Ok((are_all && routes(cluster, 2).is_empty()).then_some(()))
        })
        .unwrap();
}

/// With a certificate: clients must speak TLS, and the servers do among themselves; an origin joins by the authorities beside its
/// credentials, as soon as they are there.
#[test]
fn with_a_certificate_clients_and_servers_speak_tls() {
    let folder = Folder::new("nats-tls").unwrap();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    folder.write("tls.crt", &cert.pem()).unwrap();
    folder.write("tls.key", &signing_key.serialize_pem()).unwrap();
    folder.write("ca.crt", &cert.pem()).unwrap();
    let certificates = folder.path().display().to_string();
    let (rendered, user) = Rendered::new("nats.tls.secretName=nats-tls,nats.tls.routes=true");
    let setup =
        Setup { config: Some(Box::new(move |place| rendered.at(place, &certificates))), ..Setup::default() };
    let mut cluster = NatsCluster::launch_all(setup).unwrap();
    let leader = cluster.wait_meta_leader().unwrap();
    cluster.wait_healthy(leader).unwrap();
    let size = cluster.monitor(leader, "/jsz").unwrap()["meta_cluster"]["cluster_size"].clone();
    assert_eq!(size, SERVERS);
    assert_eq!(cluster.monitor(leader, "/varz").unwrap()["cluster"]["tls_required"], true);
    let address = cluster.addresses()[leader];
    let refusal = Client::connect_as(address, Some(&user), PATIENCE / 10).err().unwrap();
    assert!(refusal.to_string().contains("closed"), "a client without TLS: {refusal:#}");
    let answer = |password: &str| {
        let mut python = Command::new("python3");
        python.arg(golden::root().join("tests/nats/tls.py")).arg(address.ip().to_string());
        python.arg(address.port().to_string()).arg(folder.path().join("ca.crt")).args([&user.0, password]);
        let output = python.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(answer(&user.1).contains("PONG"), "{}", answer(&user.1));
    assert!(answer("guessed").contains("Authorization Violation"), "{}", answer("guessed"));

    let secret = Folder::new("nats-secret").unwrap();
    secret.write("username", &user.0).unwrap();
    secret.write("password", &user.1).unwrap();
    let servers: Vec<String> = cluster.addresses().iter().map(|address| format!("tls://{address}")).collect();
    let pod = Pod::alone(&servers, secret.path().to_owned());
    cluster
        .wait_until("an authority that it does not know is named", |_| match pod.readiness() {
            Err(why) if why.contains("certificate") => Ok(Some(())),
            other => bail!("{other:?}"),
        })
        .unwrap();
    secret.write("ca.crt", &cert.pem()).unwrap();
    cluster.wait_until("it joins", |_| Ok(pod.readiness().ok())).unwrap();
}

/// The operator makes the Secret where it is missing, and never changes it; what is in it is what the servers ask for.
#[test]
fn the_operator_makes_the_credentials_once() {
    let server = ApiServer::start().unwrap();
    let place = SecretPlace { namespace: "default".to_owned(), name: "mediaorigin-nats-auth".to_owned() };
    let ensure = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let file = Kubeconfig::read_from(server.kubeconfig()).unwrap();
            let config =
                KubeConfig::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
            nats::ensure_secret(KubeClient::try_from(config).unwrap(), place.clone()).await;
        });
    };
    let path = "/api/v1/namespaces/default/secrets/mediaorigin-nats-auth";
    ensure();
    let first = get(&server, path);
    let keys: Vec<_> = first["data"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["password", "routePassword", "username"]);
    ensure();
    assert_eq!(get(&server, path), first);
}

/// A real API server takes all of it, an upgrade that changes nothing changes nothing, and two renders are the same: nothing is made by
/// chance.
#[test]
fn nats_is_installed_upgraded_and_rendered_without_a_difference() {
    let server = ApiServer::start().unwrap();
    let more = ["--set", "nats.enabled=true,networkPolicy.enabled=true"];
    done(&server, &[&["install", "mediaorigin", CHART, "--create-namespace"][..], &more].concat());
    let installed = get(&server, STATEFUL_SET);
    let pod = &installed["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(installed["spec"]["podManagementPolicy"], "Parallel");
    done(&server, &[&["upgrade", "mediaorigin", CHART][..], &more].concat());
    assert_eq!(get(&server, STATEFUL_SET)["metadata"]["generation"], installed["metadata"]["generation"]);
    assert_eq!(render(&more), render(&more));

    // A volume's size cannot be changed in place; docs/nats.md says what to do.
    let larger = ["upgrade", "mediaorigin", CHART, "--set", "nats.enabled=true,nats.storage.size=20Gi"];
    let refusal = run(&server, &larger).unwrap_err();
    assert!(refusal.contains("mediaorigin-nats") && refusal.contains("orbidden"), "{refusal}");

    // What was acknowledged is kept where the release is removed.
    let policy = &installed["spec"]["persistentVolumeClaimRetentionPolicy"];
    assert_eq!(*policy, json!({ "whenDeleted": "Retain", "whenScaled": "Retain" }));
}

/// An own Secret is used as it is, and the operator is not asked for one.
#[test]
fn an_own_secret_is_used_and_none_is_made() {
    let made = render(&["--set", "nats.enabled=true"]);
    assert!(made.contains("$(POD_NAMESPACE)/mediaorigin-nats-auth"));
    assert!(made.contains("value: nats://mediaorigin-nats.$(POD_NAMESPACE).svc:4222"));
    let own = render(&["--set", "nats.enabled=true,nats.auth.secretName=mine"]);
    assert!(own.contains("value: $(POD_NAMESPACE)/mine"));
    assert!(!own.contains("MEDIAORIGIN_NATS_SECRET") && !own.contains("mediaorigin-nats-auth"));
    let secrets = objects(&own).iter().filter(|object| object["kind"] == "Secret").count();
    assert_eq!((own.matches("name: mine").count(), secrets), (3, 0));
}
