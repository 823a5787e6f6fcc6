//! kubectl and helm on the test cluster, and the one installation that all tests share.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use super::{eventually, nats, shape};
use crate::plugin::plugin;

/// Where the operator runs.
pub(crate) const SYSTEM: &str = "mediaorigin-system";

/// The label of the namespaces of these tests.
const OURS: &str = "mediaorigin.io/end-to-end=true";

/// The cluster, with the chart of this checkout installed.
pub(crate) struct Cluster {
    environment: BTreeMap<String, String>,
    root: PathBuf,
}

impl Cluster {
    /// The cluster; the first call installs the chart.
    pub(crate) fn get() -> &'static Self {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        CLUSTER.get_or_init(|| {
            let cluster = Self::connect();
            // What tests that failed have left keeps ports, and logs that know objects which are gone.
            cluster.kubectl(&format!("delete namespace -l {OURS} --wait --timeout=180s"));
            if shape::is_fleet() {
                nats::wipe(&cluster).unwrap();
            }
            cluster.install();
            cluster
        })
    }

    fn connect() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
        let output = Command::new(root.join("tests/cluster/cluster")).arg("env").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "no cluster: {}", String::from_utf8_lossy(&output.stderr));
        let environment = text.lines().filter_map(parse_export).collect();
        Self { environment, root }
    }

    /// The file by which programs find it.
    pub(crate) fn kubeconfig(&self) -> &str {
        self.environment.get("KUBECONFIG").unwrap()
    }

    fn install(&self) {
        self.install_with(&if shape::is_fleet() { nats::values() } else { String::new() });
    }

    /// Installs the chart of this checkout with further arguments, or brings it to them. `--force-conflicts`: somebody may have applied
    /// the definition by hand to a cluster that is up for days.
    #[track_caller]
    pub(crate) fn install_with(&self, more: &str) {
        self.install_tried(more).unwrap_or_else(|errors| panic!("{errors}\n{}", self.describe()));
    }

    /// The same; what went wrong.
    pub(crate) fn install_tried(&self, more: &str) -> Result<(), String> {
        let ours = ["originImage", "image"].into_iter().zip(Self::images()).map(|(value, image)| {
            let (repository, tag) = image.split_once(':').unwrap_or((&image, ""));
            format!(" --set-string {value}.repository={repository},{value}.tag={tag}")
        });
        let ours: String = ours.collect();
        let line = format!(
            "upgrade --install mediaorigin charts/mediaorigin-operator --namespace {SYSTEM} --create-namespace --force-conflicts --wait --timeout 6m {more}{ours}"
        );
        outcome(&line, &self.run("helm", &line, None)).map(drop)
    }

    /// The image of a part that is not ours: `versitygw` or `nats-server`.
    pub(crate) fn image(name: &str) -> String {
        let images = Self::images();
        let found = images.iter().find(|image| image.split(':').next() == Some(name));
        found.unwrap_or_else(|| panic!("{name} is not in {images:?}")).clone()
    }

    /// Origin, operator and the servers around them, as `tests/images --with-s3 --with-nats` loaded them.
    fn images() -> Vec<String> {
        let cache = std::env::var("XDG_CACHE_HOME")
            .unwrap_or_else(|_| format!("{}/.cache", std::env::var("HOME").unwrap()));
        let path = Path::new(&cache).join("mediaorigin/images.txt");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}; run tests/images --with-s3 --with-nats", path.display())
        });
        let images: Vec<String> = text.lines().map(str::to_owned).collect();
        assert_eq!(images.len(), 4, "{text}; run tests/images --with-s3 --with-nats");
        images
    }

    /// A fresh namespace that enforces the *restricted* pod security profile.
    pub(crate) fn namespace(&self, name: &str) {
        self.kubectl(&format!("delete namespace {name} --ignore-not-found --wait --timeout=120s"));
        self.kubectl(&format!("create namespace {name}"));
        self.kubectl(&format!("label namespace {name} {OURS} pod-security.kubernetes.io/enforce=restricted"));
    }

    /// kubectl that must succeed; its output. Words are separated by spaces and hold none.
    #[track_caller]
    pub(crate) fn kubectl(&self, line: &str) -> String {
        success(line, &self.run("kubectl", line, None))
    }

    /// kubectl; its output, or what went wrong.
    pub(crate) fn kubectl_tried(&self, line: &str) -> Result<String, String> {
        outcome(line, &self.run("kubectl", line, None))
    }

    /// `kubectl apply` of a text.
    #[track_caller]
    pub(crate) fn apply(&self, namespace: &str, manifest: &str) -> String {
        let line = format!("apply -n {namespace} -f -");
        success(&line, &self.run("kubectl", &line, Some(manifest)))
    }

    /// kubectl that must fail; its error text.
    #[track_caller]
    pub(crate) fn refused(&self, line: &str, input: Option<&str>) -> String {
        let output = self.run("kubectl", line, input);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!output.status.success(), "kubectl {line} succeeded: {printed}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// kubectl that may fail; whether it did not.
    pub(crate) fn attempt(&self, line: &str) -> bool {
        self.run("kubectl", line, None).status.success()
    }

    /// `kubectl mediaorigin` with the plugin of this checkout: its exit status and all that it printed.
    pub(crate) fn plugin(&self, line: &str) -> (Option<i32>, String) {
        let folder = plugin().parent().unwrap().to_str().unwrap();
        let path = format!("{}:{folder}", self.environment.get("PATH").unwrap());
        let mut kubectl = Command::new("kubectl");
        kubectl.arg("mediaorigin").args(line.split_whitespace()).envs(&self.environment).env("PATH", path);
        let output = kubectl.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    }

    /// What a pod answers on one of its ports, through the API server; nothing where it is no 200.
    pub(crate) fn ask_pod(&self, namespace: &str, pod: &str, port: u16, path: &str) -> Option<Vec<u8>> {
        let line = format!("get --raw /api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}");
        let output = self.run("kubectl", &line, None);
        output.status.success().then_some(output.stdout)
    }

    /// Ends the first container of a pod by SIGKILL, without a word to Kubernetes, and waits until it runs again.
    pub(crate) fn kill(&self, namespace: &str, pod: &str) {
        let look = || self.json(&format!("get -n {namespace} pod/{pod}"));
        let of = look();
        let node = of["spec"]["nodeName"].as_str().unwrap();
        let container = of["status"]["containerStatuses"][0]["containerID"].as_str().unwrap();
        let container = container.strip_prefix("containerd://").unwrap();
        let kill = ["exec", node, "ctr", "-n", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", container];
        let output = Command::new("docker").args(kill).output().unwrap();
        success(&format!("kill of {pod}"), &output);
        eventually(&format!("{pod} was started again"), 60, || {
            let status = &look()["status"]["containerStatuses"][0];
            status["restartCount"].as_u64() > of["status"]["containerStatuses"][0]["restartCount"].as_u64()
                && status["ready"] == true
        });
    }

    /// An object as JSON; null where it does not exist.
    pub(crate) fn json(&self, line: &str) -> Value {
        let output = self.run("kubectl", &format!("{line} -o json"), None);
        if output.status.success() { serde_json::from_slice(&output.stdout).unwrap() } else { Value::Null }
    }

    /// The node on which a pod is.
    #[track_caller]
    pub(crate) fn node_of(&self, namespace: &str, pod: &str) -> String {
        let pod = self.json(&format!("get -n {namespace} pod/{pod}"));
        pod["spec"]["nodeName"].as_str().unwrap().to_owned()
    }

    /// A value of a Secret.
    #[track_caller]
    pub(crate) fn secret(&self, namespace: &str, name: &str, key: &str) -> String {
        let template = format!("go-template={{{{.data.{key}|base64decode}}}}");
        self.kubectl(&format!("get -n {namespace} secret/{name} -o {template}"))
    }

    /// Merges `patch`, JSON without a space, into a `MediaOrigin`.
    #[track_caller]
    pub(crate) fn patch(&self, namespace: &str, origin: &str, patch: &str) {
        self.kubectl(&format!("patch -n {namespace} mediaorigin/{origin} --type=merge -p {patch}"));
    }

    /// helm that must succeed.
    #[track_caller]
    pub(crate) fn helm(&self, line: &str) -> String {
        success(line, &self.run("helm", line, None))
    }

    /// What a person would look at when something hangs.
    pub(crate) fn describe(&self) -> String {
        let look = |line: &str| {
            let output = self.run("kubectl", line, None);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let last: Vec<&str> = text.lines().rev().take(30).collect();
            format!("$ kubectl {line}\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"))
        };
        [
            look("get mediaorigins -A -o wide"),
            look("get pods -A -o wide"),
            look("get events -A --sort-by=.lastTimestamp"),
            look(&format!("logs -n {SYSTEM} deployment/mediaorigin-operator --tail=30")),
        ]
        .join("\n")
    }

    fn run(&self, program: &str, line: &str, input: Option<&str>) -> Output {
        let path = self.environment.get("PATH").cloned().unwrap_or_default();
        let program =
            path.split(':').map(|folder| Path::new(folder).join(program)).find(|path| path.exists()).unwrap();
        let mut child = Command::new(program)
            .args(line.split_whitespace())
            .envs(&self.environment)
            .current_dir(&self.root)
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if let Some(input) = input {
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        }
        child.wait_with_output().unwrap()
    }
}

/// `export NAME="VALUE"`, with `$PATH` as it is here.
fn parse_export(line: &str) -> Option<(String, String)> {
    let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
    let value = value.trim_matches(['"', '\'', ';']);
    Some((name.to_owned(), value.replace("$PATH", &std::env::var("PATH").unwrap_or_default())))
}

#[track_caller]
fn success(line: &str, output: &Output) -> String {
    outcome(line, output).unwrap_or_else(|errors| panic!("{errors}"))
}

fn outcome(line: &str, output: &Output) -> Result<String, String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{line}: {}", String::from_utf8_lossy(&output.stderr)))
}
