//! What an origin is reached with: the credentials that the operator made, renewed, and a certificate that is renewed.

use std::process::Command;

use mediaorigin_tests::folder::Folder;

use super::cluster::Cluster;
use super::turn;
use super::{ACCESS_PORT, eventually, pod_uids, ready, serve, shape};

const NAMESPACE: &str = "e2e-credentials";
/// So many find every pod, where there are several.
const CONNECTIONS: usize = 12;

/// User and password as curl and ffmpeg want them, from the Secret that the status names.
fn publisher(cluster: &Cluster) -> String {
    let origin = cluster.json(&format!("get -n {NAMESPACE} mediaorigin/live"));
    let name = origin["status"]["publisherSecretName"].as_str().unwrap_or_default().to_owned();
    let key = |key: &str| cluster.secret(NAMESPACE, &name, key);
    format!("{}:{}", key("username"), key("password"))
}

/// The status of an upload over HTTP; 0 where nothing answers.
fn put(target: &str, credentials: &str) -> String {
    curl(
        &format!("http://localhost:{ACCESS_PORT}{target}"),
        &["--user", credentials, "--request", "PUT", "--data", "a segment"],
    )
}

/// The status of a request over HTTPS to a server that shows the certificate of `authority`; 000 where it shows another.
fn https(authority: &str, arguments: &[&str]) -> String {
    let mut arguments = arguments.to_vec();
    arguments.extend(["--cacert", authority]);
    curl(&format!("https://localhost:{ACCESS_PORT}/live/a.ts"), &arguments)
}

fn curl(url: &str, arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", "10"])
        .args(arguments)
        .arg(url)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The authority of a new certificate, in a file, after it was put into the Secret `tls`.
fn certificate(cluster: &Cluster, folder: &Folder, name: &str) -> String {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = folder.write(&format!("{name}.crt"), &own.cert.pem()).unwrap();
    let key = folder.write(&format!("{name}.key"), &own.signing_key.serialize_pem()).unwrap();
    cluster.kubectl(&format!("delete -n {NAMESPACE} secret/tls --ignore-not-found"));
    cluster.kubectl(&format!("create secret tls -n {NAMESPACE} tls --cert={file} --key={key}"));
    file
}

#[test]
fn made_credentials_and_a_certificate_are_renewed_without_a_restart() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    serve(NAMESPACE, ACCESS_PORT, "  access: {write: {overlapSeconds: 3600}}\n");
    let before = publisher(cluster);
    assert_eq!(put("/live/a.ts", &before), "201");
    assert_eq!(put("/live/a.ts", "live:a guess"), "403");

    let pods = pod_uids(NAMESPACE);
    cluster.kubectl(&format!("annotate -n {NAMESPACE} mediaorigin/live mediaorigin.io/renew-publisher=once"));
    eventually("the Secret has other credentials", 60, || publisher(cluster) != before);
    let renewed = publisher(cluster);
    eventually("all pods take them", 150, || {
        (0..CONNECTIONS).all(|_| matches!(put("/live/b.ts", &renewed).as_str(), "201" | "204"))
    });
    assert!(put("/live/c.ts", &before) == "201", "the ones before are good for an hour");
    let printed = [
        cluster.kubectl(&format!("get -n {NAMESPACE} mediaorigin/live -o yaml")),
        cluster.kubectl(&format!("get -n {NAMESPACE} events -o yaml")),
        cluster.kubectl("logs -n mediaorigin-system deployment/mediaorigin-operator --tail=-1"),
    ]
    .join("\n");
    for credentials in [&before, &renewed] {
        let (_, password) = credentials.split_once(':').unwrap();
        assert!(!printed.contains(password), "a password is shown");
    }
    assert_eq!(pod_uids(NAMESPACE), pods);

    let folder = Folder::new("certificates").unwrap();
    let authority = certificate(cluster, &folder, "first");
    cluster.patch(NAMESPACE, "live", r#"{"spec":{"service":{"tls":{"secretRef":{"name":"tls"}}}}}"#);
    let upload = ["--user", renewed.as_str(), "--upload-file", authority.as_str()];
    ready_over_tls(cluster);
    eventually("it is served over TLS", 120, || {
        matches!(https(&authority, &upload).as_str(), "200" | "201" | "204")
    });
    assert_eq!(https(&authority, &[]), "200");
    let origin = cluster.json(&format!("get -n {NAMESPACE} mediaorigin/live"));
    assert!(
        origin["status"]["endpoint"].as_str().is_some_and(|endpoint| endpoint.starts_with("https://")),
        "{origin}"
    );

    let pods = pod_uids(NAMESPACE);
    let next = certificate(cluster, &folder, "second");
    eventually("the renewed certificate is served", 180, || https(&next, &[]) == "200");
    eventually("no pod serves the certificate before", 60, || {
        (0..CONNECTIONS).all(|_| https(&authority, &[]) == "000")
    });
    assert_eq!(pod_uids(NAMESPACE), pods);

    cluster.patch(NAMESPACE, "live", r#"{"spec":{"service":{"tls":null}}}"#);
    eventually("it is served over HTTP again", 120, || put("/live/a.ts", &renewed) != "000");
    ready(NAMESPACE, ACCESS_PORT);
    cluster.kubectl(&format!("delete namespace {NAMESPACE} --timeout=120s"));
}

/// The roll-out is over: one pod, the new one.
fn ready_over_tls(cluster: &Cluster) {
    cluster.kubectl(&format!(
        "wait -n {NAMESPACE} --for=condition=Reconciling=False mediaorigin/live --timeout=120s"
    ));
    shape::all_serve(NAMESPACE);
    eventually("no pod is left that was", 120, || pod_uids(NAMESPACE).len() == shape::pods());
}
