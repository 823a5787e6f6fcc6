//! helm and kubectl against a real API server. Nothing runs there, so what is seen is what is stored: definitions, rights, what an
//! upgrade changes and what a removal leaves.

use std::path::Path;
use std::process::Command;

use mediaorigin_tests::apiserver::{ApiServer, MEDIA_ORIGINS, origin};
use serde_json::{Value, json};

use super::{CHART, NAMESPACE, helm};
use crate::golden;

const FIRST: &str = "tests/fixtures/chart-0.1.0/mediaorigin-operator";
const DEFINITION: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/mediaorigins.mediaorigin.io";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/mediaorigin-system/deployments/mediaorigin-operator";
/// A field that the definition has today.
const FIELD: &str = "cdnProfile";

/// helm on a server: its output, or why it fails.
pub(super) fn run(server: &ApiServer, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(helm());
    command.arg("--kubeconfig").arg(server.kubeconfig()).args(["--namespace", NAMESPACE]).args(arguments);
    for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(name, server.folder().join("helm"));
    }
    let output = command.current_dir(golden::root()).output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[track_caller]
pub(super) fn done(server: &ApiServer, arguments: &[&str]) {
    run(server, arguments).unwrap_or_else(|error| panic!("helm {arguments:?}: {error}"));
}

pub(super) fn get(server: &ApiServer, path: &str) -> Value {
    let answer = server.client().get(path).unwrap();
    if answer.code == 404 { Value::Null } else { answer.success().unwrap() }
}

fn knows(definition: &Value) -> bool {
    let fields = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    definition.pointer(fields).unwrap().as_object().unwrap().contains_key(FIELD)
}

/// The first chart with a definition that is older still: it lacks a field, so that an upgrade of it is seen.
fn first_chart(folder: &Path) -> String {
    let chart = folder.join("first");
    let copied =
        Command::new("cp").args(["-r", FIRST]).arg(&chart).current_dir(golden::root()).status().unwrap();
    assert!(copied.success());
    let file = chart.join("files/mediaorigins.yaml");
    let mut definition: Value = serde_yaml::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let fields = definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties");
    fields.unwrap().as_object_mut().unwrap().remove(FIELD).unwrap();
    let metadata = json!({ "metadata": definition["metadata"].take() });
    let mut text = serde_yaml::to_string(&definition).unwrap().replace("metadata: null\n", "");
    text = format!("{}{text}", serde_yaml::to_string(&metadata).unwrap());
    // As in the generated file: the template looks for the line.
    std::fs::write(&file, format!("# older\n{text}")).unwrap();
    chart.display().to_string()
}

/// Rows 72 and 79: `helm upgrade` from the first chart upgrades the definition, again changes nothing more, and touches no
/// `MediaOrigin`; `helm uninstall` leaves both, and a new installation takes the definition over.
#[test]
fn rows_72_and_79_an_upgrade_brings_the_definition_and_a_removal_leaves_it() {
    let server = ApiServer::start().unwrap();
    let first = first_chart(server.folder());
    done(&server, &["install", "mediaorigin", &first, "--create-namespace"]);
    server.client().wait_until(|client| Ok(client.get(MEDIA_ORIGINS)?.code == 200)).unwrap();
    assert!(!knows(&get(&server, DEFINITION)));
    let live = server.client().create(MEDIA_ORIGINS, &origin("live", &json!({}))).unwrap().success().unwrap();

    done(&server, &["upgrade", "mediaorigin", CHART]);
    let upgraded = get(&server, DEFINITION);
    assert!(knows(&upgraded), "the definition is the old one");
    done(&server, &["upgrade", "mediaorigin", CHART]);
    let again = get(&server, DEFINITION);
    assert_eq!(
        again["metadata"]["generation"], upgraded["metadata"]["generation"],
        "a second upgrade changes it"
    );

    done(&server, &["uninstall", "mediaorigin"]);
    assert!(get(&server, DEPLOYMENT).is_null(), "the operator is still there");
    assert_eq!(get(&server, DEFINITION)["metadata"]["uid"], again["metadata"]["uid"]);
    let left = get(&server, &format!("{MEDIA_ORIGINS}/live"));
    assert_eq!(
        left["metadata"]["resourceVersion"], live["metadata"]["resourceVersion"],
        "the origin was touched"
    );

    done(&server, &["install", "mediaorigin", CHART]);
    assert_eq!(get(&server, DEFINITION)["metadata"]["uid"], again["metadata"]["uid"]);
    assert!(!get(&server, DEPLOYMENT).is_null());
}

/// Row 35 for everything that is installed: what is applied comes back as it was sent, twice.
#[test]
fn row_35_the_one_file_is_applied_and_leaves_no_difference() {
    let server = ApiServer::start().unwrap();
    let file = golden::root().join("deploy/install.yaml");
    let file = file.to_str().unwrap();
    let apply = ["apply", "--server-side", "-f", file];
    let applied = server.kubectl_ok(&apply, "").unwrap();
    assert_eq!(applied.lines().count(), 10, "{applied}");
    server.client().wait_until(|client| Ok(client.get(MEDIA_ORIGINS)?.code == 200)).unwrap();
    let difference = server.kubectl_ok(&["diff", "--server-side", "-f", file], "").unwrap();
    assert_eq!(difference, "");
    let changed = golden::read("deploy/install.yaml").replace("replicas: 2", "replicas: 3");
    let output = server.kubectl(&["diff", "--server-side", "-f", "-"], &changed).unwrap();
    assert_eq!(output.status.code(), Some(1), "a difference is not seen");
}

/// Whether the operator of a release may.
fn may(server: &ApiServer, release: &str, verb: &str, resource: &str, namespace: &str) -> bool {
    let account = format!("system:serviceaccount:{NAMESPACE}:{release}-operator");
    let (resource, part) = resource.split_once('/').unwrap_or((resource, ""));
    let arguments =
        ["auth", "can-i", verb, resource, "--subresource", part, "-n", namespace, "--as", &account];
    let output = server.kubectl(&arguments, "").unwrap();
    match String::from_utf8(output.stdout).unwrap().trim() {
        "yes" => true,
        "no" => false,
        other => panic!("{other}: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// Rows 57 to 59, asked of a real authorizer: what the operator may, and what it may not, everywhere or in its one namespace.
#[test]
fn rows_57_to_59_a_real_authorizer_grants_no_more_than_is_listed() {
    let server = ApiServer::start().unwrap();
    for namespace in ["media", "other"] {
        server.kubectl_ok(&["create", "namespace", namespace], "").unwrap();
    }
    done(&server, &["install", "all", CHART, "--create-namespace"]);
    done(
        &server,
        &["install", "one", CHART, "--set", "crds.enabled=false,watchNamespace=media,nats.enabled=true"],
    );
    server.client().wait_until(|client| Ok(client.get(MEDIA_ORIGINS)?.code == 200)).unwrap();
    let granted = [
        ("watch", "mediaorigins.mediaorigin.io"),
        ("patch", "mediaorigins.mediaorigin.io/status"),
        ("create", "deployments.apps"),
        ("patch", "services"),
        ("patch", "pods"),
        ("create", "events.events.k8s.io"),
    ];
    let refused = [
        ("list", "secrets"),
        ("watch", "secrets"),
        ("delete", "secrets"),
        ("update", "mediaorigins.mediaorigin.io"),
        ("patch", "mediaorigins.mediaorigin.io"),
        ("delete", "mediaorigins.mediaorigin.io"),
        ("delete", "deployments.apps"),
        ("create", "pods"),
        ("create", "pods/exec"),
        ("create", "clusterroles.rbac.authorization.k8s.io"),
        ("*", "*"),
    ];
    for (verb, resource) in granted {
        assert!(may(&server, "all", verb, resource, "other"), "all: {verb} {resource}");
        assert!(may(&server, "one", verb, resource, "media"), "one: {verb} {resource}");
        assert!(!may(&server, "one", verb, resource, "other"), "one: {verb} {resource} elsewhere");
    }
    // For the credentials of the chart's NATS.
    assert!(may(&server, "one", "create", "secrets", NAMESPACE));
    assert!(!may(&server, "one", "get", "secrets", NAMESPACE));
    for (verb, resource) in refused {
        assert!(!may(&server, "all", verb, resource, "other"), "all: {verb} {resource}");
        assert!(!may(&server, "one", verb, resource, "media"), "one: {verb} {resource}");
    }
}

/// Row 67: where the kinds of the Prometheus operator are not there, what is not asked for is not missed, and what is asked for is
/// named.
#[test]
fn row_67_kinds_that_are_not_there_are_missed_only_where_they_are_asked_for() {
    let server = ApiServer::start().unwrap();
    let with = |what: &str| {
        run(&server, &["upgrade", "--install", "mediaorigin", CHART, "--create-namespace", "--set", what])
    };
    let more = "monitoring.dashboards.enabled=true,networkPolicy.enabled=true";
    with(more).unwrap();
    for (value, kind) in [("podMonitor", "PodMonitor"), ("rules", "PrometheusRule")] {
        let refusal = with(&format!("monitoring.{value}.enabled=true")).unwrap_err();
        assert!(refusal.contains(kind), "{refusal}");
    }
    assert!(!get(&server, DEPLOYMENT).is_null());
}
