//! The chart, rendered by a real helm, and what is made from it: goldens, rights, values, kustomize base, one file.

mod annotations;
mod installation;
mod manifests;
mod nats;
mod rights;
mod trial;
mod values;

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::Value;

use crate::golden;

const CHART: &str = "charts/mediaorigin-operator";
/// The namespace that the documentation installs into.
const NAMESPACE: &str = "mediaorigin-system";

/// A program of the cluster harness: built once, without a cluster.
fn tool(name: &'static str) -> PathBuf {
    mediaorigin_tests::apiserver::tool(name).unwrap()
}

fn helm() -> &'static PathBuf {
    static HELM: OnceLock<PathBuf> = OnceLock::new();
    HELM.get_or_init(|| tool("helm"))
}

/// What `helm template` says of the chart: its output, or why it refuses.
fn template(arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(helm());
    command.args(["template", "mediaorigin", CHART, "--namespace", NAMESPACE]).args(arguments);
    let output = command.current_dir(golden::root()).output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[track_caller]
fn render(arguments: &[&str]) -> String {
    template(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

/// The objects of a YAML stream.
fn objects(text: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(text);
    let objects = documents.map(|document| Value::deserialize(document).unwrap());
    objects.filter(|object| !object.is_null()).collect()
}

/// `helm lint --strict` has nothing to say, with every value at its default and with all that can be asked for.
#[test]
fn helm_lint_is_content() {
    for arguments in [&[][..], &EVERYTHING] {
        let mut command = Command::new(helm());
        command.args(["lint", "--strict", "--quiet", CHART]).args(arguments);
        let output = command.current_dir(golden::root()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }
    assert!(!render(&["--set", "crds.enabled=false"]).contains("kind: CustomResourceDefinition"));
}

/// The chart with all that can be asked for.
const EVERYTHING: [&str; 12] = [
    "--set-json",
    "monitoring.podMonitor.enabled=true",
    "--set-json",
    "monitoring.rules.enabled=true",
    "--set-json",
    "monitoring.dashboards.enabled=true",
    "--set-json",
    "networkPolicy.enabled=true",
    "--set-json",
    "nats.enabled=true",
    "--set-json",
    "nats.tls.secretName=\"nats-tls\"",
];
