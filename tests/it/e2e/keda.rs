//! KEDA scales a `MediaOrigin` in mode External, through `/scale`. Its operator runs beside the cluster, as a process of this machine.

use std::process::{Child, Command, Stdio};

use mediaorigin_tests::program::go_program;
use serde_json::Value;

use super::cluster::Cluster;
use super::{FLEET_PORT, condition, eventually, nats, shape, turn};

const NAMESPACE: &str = "e2e-keda";
const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/keda/keda");
const PAGE: &str = include_str!("../../../docs/autoscaling.md");

/// As a user of KEDA writes it, of the page on autoscaling: by CPU, because only that needs no second server of KEDA's.
fn scaled_object() -> &'static str {
    let (_, text) = PAGE.split_once("```yaml\n# keda\n").unwrap();
    text.split_once("```").unwrap().0
}

/// KEDA's definitions on the cluster, and its operator.
struct Keda {
    definitions: String,
    operator: Child,
}

impl Keda {
    fn start() -> Self {
        let definitions = format!("{}/config/crd/bases", folder());
        let cluster = Cluster::get();
        // One of them is too large for the annotation of a client-side apply.
        cluster.kubectl(&format!("apply --server-side -f {definitions}"));
        // `kubectl wait` fails where a definition has no conditions yet.
        eventually("the definition is served", 60, || {
            condition(&cluster.json("get crd/scaledobjects.keda.sh"), "Established")["status"] == "True"
        });
        let certificates = certificates();
        let arguments = [
            "--zap-log-level=error",
            "--metrics-bind-address=0",
            "--health-probe-bind-address=0",
            "--metrics-service-bind-address=127.0.0.1:0",
            &format!("--cert-dir={}", certificates.display()),
        ];
        let operator = Command::new(go_program("keda", "keda").unwrap())
            .args(arguments)
            .env("KUBECONFIG", cluster.kubeconfig())
            .env("WATCH_NAMESPACE", NAMESPACE)
            .env("KEDA_CLUSTER_OBJECT_NAMESPACE", NAMESPACE)
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Self { definitions, operator }
    }
}

impl Drop for Keda {
    fn drop(&mut self) {
        let _ = (self.operator.kill(), self.operator.wait());
        let gone = Cluster::get().kubectl_tried(&format!("delete --wait=false -f {}", self.definitions));
        if let Err(errors) = gone {
            eprintln!("{errors}");
        }
    }
}

/// Where Go keeps KEDA's source.
fn folder() -> String {
    let list = ["list", "-m", "-f", "{{.Dir}}", "github.com/kedacore/keda/v2"];
    output(Command::new("go").args(list).current_dir(MODULE).env("GOFLAGS", "-mod=mod"))
}

fn output(command: &mut Command) -> String {
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A certificate for its port of metrics, of which it wants to know even where nobody asks.
fn certificates() -> std::path::PathBuf {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = std::env::temp_dir().join(format!("mediaorigin-keda-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("tls.crt"), own.cert.pem()).unwrap();
    std::fs::write(folder.join("ca.crt"), own.cert.pem()).unwrap();
    std::fs::write(folder.join("tls.key"), own.signing_key.serialize_pem()).unwrap();
    folder
}

fn origin() -> Value {
    Cluster::get().json(&format!("get -n {NAMESPACE} mediaorigin/live"))
}

fn serving(count: u64) {
    eventually(&format!("KEDA wants {count} pods, they serve, and no other is left"), 180, || {
        origin()["spec"]["replicas"] == count && shape::serves(NAMESPACE, count)
    });
}

/// KEDA makes a `HorizontalPodAutoscaler` of the `MediaOrigin`, which writes `spec.replicas`; paused at a number, KEDA writes it itself. Neither
/// is taken for somebody who scales behind the operator's back.
#[test]
#[ignore = "KEDA's operator has three thousand packages to compile"]
fn keda_writes_how_many_pods_there_are() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let _nats = nats::install(&[NAMESPACE]);
    let spec = format!("  autoscaling: {{mode: External}}\n{}", shape::coordinated(1));
    shape::start(NAMESPACE, FLEET_PORT, &spec);
    let keda = Keda::start();
    cluster.apply(NAMESPACE, scaled_object());
    serving(2);
    let target =
        cluster.json(&format!("get -n {NAMESPACE} hpa/keda-hpa-live"))["spec"]["scaleTargetRef"].clone();
    assert_eq!(target["kind"], "MediaOrigin", "{target}");
    cluster
        .kubectl(&format!("annotate -n {NAMESPACE} scaledobject/live autoscaling.keda.sh/paused-replicas=3"));
    serving(3);
    let now = origin();
    assert_eq!(condition(&now, "ScalingActive")["reason"], "External", "{now}");
    assert_eq!(condition(&now, "Stalled")["status"], "False", "{now}");
    cluster.kubectl(&format!("delete -n {NAMESPACE} scaledobject/live --timeout=60s"));
    drop(keda);
}
