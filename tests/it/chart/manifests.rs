//! What is made from the chart: golden renders, the kustomize base, the one file.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use super::{CHART, NAMESPACE, helm, objects, render, tool};
use crate::golden;

const HEADER: &str = "# Generated from charts/mediaorigin-operator; `make generate` rewrites it.\n";
/// Labels that only helm may set: with them it would take the objects for its own.
const OF_HELM: [&str; 2] = ["helm.sh/chart: ", "app.kubernetes.io/managed-by: Helm"];

/// The chart's default render without the definition, and without what says that helm made it.
fn operator() -> String {
    let render = render(&["--skip-tests", "--set", "crds.enabled=false"]);
    let is_ours = |line: &&str| {
        !OF_HELM.iter().any(|label| line.trim().starts_with(label)) && !line.starts_with("# Source: ")
    };
    let lines: Vec<_> = render.lines().filter(is_ours).collect();
    format!("{HEADER}{}\n", lines.join("\n"))
}

/// `UPDATE=1` rewrites the golden renders: the rights in one namespace, all that can be asked for but the rules and dashboards (they
/// are files of their own), and the trial. That of the default is `config/operator.yaml`.
#[test]
fn generated_renders() {
    let only = |name: &'static str| ["--show-only", name];
    let namespaced = [&["--set", "watchNamespace=media"][..], &only("templates/rbac.yaml")].concat();
    let more = [
        &["--set", "monitoring.podMonitor.enabled=true,monitoring.podMonitor.labels.release=prometheus,networkPolicy.enabled=true"][..],
        &["--set-json", r#"networkPolicy.metricsFrom=[{"namespaceSelector":{}}]"#],
        &only("templates/monitoring.yaml"),
        &only("templates/networkpolicy.yaml"),
    ]
    .concat();
    for (name, arguments) in [
        ("namespaced", &namespaced[..]),
        ("monitoring", &more),
        ("trial", &only("templates/tests/trial.yaml")),
    ] {
        golden::check(&format!("tests/golden/chart/{name}.yaml"), &render(arguments));
    }
}

/// Row 74: what helm prints after an installation, in all namespaces and in one that brings no definition. `UPDATE=1` rewrites it.
#[test]
fn generated_row_74_notes() {
    let notes = |arguments: &[&str]| {
        let mut command = Command::new(helm());
        command.args(["install", "mediaorigin", CHART, "--namespace", NAMESPACE, "--dry-run=client"]);
        let output = command.args(arguments).current_dir(golden::root()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_once("\nNOTES:\n").unwrap().1.to_owned()
    };
    golden::check("tests/golden/chart/notes.txt", &notes(&[]));
    let other = notes(&["--set", "watchNamespace=media,crds.enabled=false"]);
    golden::check("tests/golden/chart/notes-namespaced.txt", &other);
}

/// `UPDATE=1` rewrites the kustomize base and the one file.
#[test]
fn generated_the_base_and_the_one_file() {
    let operator = operator();
    golden::check("config/operator.yaml", &operator);
    let namespace = golden::read("config/namespace.yaml");
    let definition = mediaorigin_crds::crd::yaml().unwrap();
    golden::check(
        "deploy/install.yaml",
        &format!("{HEADER}{namespace}---\n{definition}{}", operator.replace(HEADER, "")),
    );
}

/// Objects by kind, namespace and name, without what only helm says.
fn keyed(text: &str) -> BTreeMap<String, Value> {
    let mut keyed = BTreeMap::new();
    for mut object in objects(text) {
        strip(&mut object);
        let metadata = &object["metadata"];
        let key = format!("{} {} {}", object["kind"], metadata["namespace"], metadata["name"]);
        assert!(keyed.insert(key, object).is_none(), "an object is there twice");
    }
    keyed
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("helm.sh/chart");
            fields.remove("helm.sh/resource-policy");
            if fields.get("app.kubernetes.io/managed-by").is_some_and(|value| value == "Helm") {
                fields.remove("app.kubernetes.io/managed-by");
            }
            fields.values_mut().for_each(strip);
            fields.retain(|name, value| {
                name != "annotations" || value.as_object().is_none_or(|all| !all.is_empty())
            });
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// Row 78: the kustomize base, built by a real kustomize, is what the chart renders, and so is the one file; both have the namespace
/// besides, which helm makes by itself.
#[test]
fn row_78_kustomize_base_and_one_file_are_what_the_chart_renders() {
    let output = Command::new(tool("kubectl"))
        .args(["kustomize", "config"])
        .current_dir(golden::root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut chart = keyed(&render(&["--skip-tests"]));
    assert!(chart.len() >= 8, "{:?}", chart.keys());
    chart.extend(keyed(&golden::read("config/namespace.yaml")));
    for text in [String::from_utf8(output.stdout).unwrap(), golden::read("deploy/install.yaml")] {
        let found = keyed(&text);
        assert_eq!(found.keys().collect::<Vec<_>>(), chart.keys().collect::<Vec<_>>());
        for (key, object) in &found {
            assert_eq!(object, &chart[key], "{key}");
        }
    }
}

/// Row 46 for the operator's own pods, and for the trial's: what the *restricted* profile asks for, and a read-only root.
#[test]
fn row_46_the_pods_of_the_chart_are_restricted() {
    let mut pods = 0;
    for object in objects(&render(&["--set", "nats.enabled=true,nats.tls.secretName=nats-tls"])) {
        let pod = match object["kind"].as_str().unwrap() {
            "Deployment" | "StatefulSet" => &object["spec"]["template"]["spec"],
            "Pod" => &object["spec"],
            _ => continue,
        };
        pods += 1;
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        assert!(pod["hostNetwork"].is_null());
        for volume in pod["volumes"].as_array().into_iter().flatten() {
            let is_allowed = |kind: &&str| !volume[*kind].is_null();
            assert!(["configMap", "emptyDir", "secret"].iter().any(is_allowed), "{volume}");
        }
        for container in pod["containers"].as_array().unwrap() {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false);
            assert_eq!(context["readOnlyRootFilesystem"], true);
            assert_eq!(context["capabilities"]["drop"], serde_json::json!(["ALL"]));
            assert!(container["resources"]["limits"]["memory"].is_string());
        }
    }
    assert_eq!(pods, 3);
}
