//! What `Chart.yaml` says about the chart, for Artifact Hub and for helm.

use serde_json::Value;

use super::CHART;
use crate::golden;

fn chart() -> Value {
    serde_yaml::from_str(&golden::read(&format!("{CHART}/Chart.yaml"))).unwrap()
}

fn annotation(chart: &Value, name: &str) -> String {
    let text = chart["annotations"][format!("artifacthub.io/{name}")].as_str();
    text.unwrap_or_else(|| panic!("no annotation {name}")).to_owned()
}

fn list(chart: &Value, name: &str) -> Vec<Value> {
    serde_yaml::from_str(&annotation(chart, name)).unwrap()
}

/// Row 76: the annotations say what is true of definition, examples, licence and level.
#[test]
fn row_76_the_annotations_for_artifact_hub_are_true() {
    let chart = chart();
    let definition = mediaorigin_crds::crd::definition().unwrap();
    let crds = list(&chart, "crds");
    let [crd] = &crds[..] else { panic!("{crds:?}") };
    assert_eq!(crd["name"], definition["metadata"]["name"]);
    assert_eq!(crd["kind"], definition["spec"]["names"]["kind"]);
    assert_eq!(crd["version"], definition["spec"]["versions"][0]["name"]);
    let examples = list(&chart, "crdsExamples");
    assert!(!examples.is_empty());
    for example in examples {
        let read = mediaorigin_crds::load::parse(&example.to_string());
        assert!(read.is_ok(), "{example}: {:?}", read.err());
    }
    for change in list(&chart, "changes") {
        let kind = change["kind"].as_str().unwrap();
        assert!(
            ["added", "changed", "deprecated", "removed", "fixed", "security"].contains(&kind),
            "{change}"
        );
        assert!(change["description"].as_str().is_some_and(|text| !text.is_empty()), "{change}");
    }
    let images = list(&chart, "images");
    let version = chart["appVersion"].as_str().unwrap();
    let values: Value = serde_yaml::from_str(&golden::read(&format!("{CHART}/values.yaml"))).unwrap();
    for name in ["image", "originImage"] {
        let image = format!("{}:{version}", values[name]["repository"].as_str().unwrap());
        assert!(images.iter().any(|found| found["image"] == image.as_str()), "{image} is not in {images:?}");
    }
    assert_eq!(annotation(&chart, "license"), "Apache-2.0");
    assert!(golden::read("LICENSE").contains("Apache License"));
    assert_eq!(annotation(&chart, "operator"), "true");
    assert_eq!(annotation(&chart, "prerelease"), "true", "until there is a release");
    let level = annotation(&chart, "operatorCapabilities");
    assert!(golden::read("docs/capability-levels.md").contains(&format!("`{level}`")), "{level}");
}

/// Row 77: the oldest Kubernetes is the one whose API the operator is built for.
#[test]
fn row_77_the_bound_of_kubernetes_is_the_one_of_the_operators_client() {
    let manifest = golden::read("operator/Cargo.toml");
    let version = manifest.split("k8s-openapi = { workspace = true, features = [\"v").nth(1).unwrap();
    let version = version.split('"').next().unwrap().replace('_', ".");
    assert_eq!(chart()["kubeVersion"], format!(">={version}.0-0"));
}
