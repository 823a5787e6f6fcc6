//! kubectl and helm on the test cluster, and the one installation that all tests share.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// Where the operator runs.
pub(crate) const SYSTEM: &str = "mediaorigin-system";

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

    fn install(&self) {
        let images = Self::images();
        let mut arguments: Vec<String> = [
            "upgrade",
            "--install",
            "mediaorigin",
            "charts/mediaorigin-operator",
            "--namespace",
            SYSTEM,
            "--create-namespace",
        ]
        .map(str::to_owned)
        .to_vec();
        for (value, image) in ["originImage", "image"].into_iter().zip(images) {
            let (repository, tag) = image.split_once(':').unwrap();
            arguments
                .extend(["--set".to_owned(), format!("{value}.repository={repository},{value}.tag={tag}")]);
        }
        arguments.extend(["--wait", "--timeout", "3m"].map(str::to_owned));
        let output = self.run("helm", &arguments.iter().map(String::as_str).collect::<Vec<_>>(), None);
        assert!(
            output.status.success(),
            "helm: {}\n{}",
            String::from_utf8_lossy(&output.stderr),
            self.describe()
        );
    }

    /// Origin and operator, as `tests/images` loaded them.
    fn images() -> Vec<String> {
        let cache = std::env::var("XDG_CACHE_HOME")
            .unwrap_or_else(|_| format!("{}/.cache", std::env::var("HOME").unwrap()));
        let path = Path::new(&cache).join("mediaorigin/images.txt");
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}; run tests/images", path.display()));
        let images: Vec<String> = text.lines().map(str::to_owned).collect();
        assert_eq!(images.len(), 2, "{text}");
        images
    }

    /// A fresh namespace that enforces the *restricted* pod security profile.
    pub(crate) fn namespace(&self, name: &str) {
        self.kubectl(&["delete", "namespace", name, "--ignore-not-found", "--wait", "--timeout=120s"]);
        self.kubectl(&["create", "namespace", name]);
        self.kubectl(&["label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted"]);
    }

    /// kubectl that must succeed; its output.
    #[track_caller]
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        self.success(arguments, None)
    }

    /// `kubectl apply` of a text.
    #[track_caller]
    pub(crate) fn apply(&self, namespace: &str, manifest: &str) -> String {
        self.success(&["apply", "-n", namespace, "-f", "-"], Some(manifest))
    }

    /// kubectl that must fail; its error text.
    #[track_caller]
    pub(crate) fn refused(&self, arguments: &[&str], input: Option<&str>) -> String {
        let output = self.run("kubectl", arguments, input);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success(),
            "kubectl {arguments:?} succeeded: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        text
    }

    /// kubectl whose failure is an answer, too.
    pub(crate) fn try_kubectl(&self, arguments: &[&str]) -> Option<String> {
        let output = self.run("kubectl", arguments, None);
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// An object as JSON; null where it does not exist.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.extend(["-o", "json"]);
        self.try_kubectl(&all).map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
    }

    /// helm that must succeed.
    #[track_caller]
    pub(crate) fn helm(&self, arguments: &[&str]) -> String {
        let output = self.run("helm", arguments, None);
        assert!(output.status.success(), "helm {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What a person would look at when something hangs.
    pub(crate) fn describe(&self) -> String {
        let look = |arguments: &[&str]| {
            let output = self.run("kubectl", arguments, None);
            format!("$ kubectl {}\n{}", arguments.join(" "), String::from_utf8_lossy(&output.stdout))
        };
        [
            look(&["get", "mediaorigins", "-A", "-o", "wide"]),
            look(&["get", "pods", "-A", "-o", "wide"]),
            look(&["get", "events", "-A", "--sort-by=.lastTimestamp"])
                .lines()
                .rev()
                .take(20)
                .collect::<Vec<_>>()
                .join("\n"),
            look(&["logs", "-n", SYSTEM, "deployment/mediaorigin-operator", "--tail=30"]),
        ]
        .join("\n")
    }

    #[track_caller]
    fn success(&self, arguments: &[&str], input: Option<&str>) -> String {
        let output = self.run("kubectl", arguments, input);
        assert!(
            output.status.success(),
            "kubectl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn run(&self, program: &str, arguments: &[&str], input: Option<&str>) -> Output {
        let path = self.environment.get("PATH").cloned().unwrap_or_default();
        let program =
            path.split(':').map(|folder| Path::new(folder).join(program)).find(|path| path.exists()).unwrap();
        let mut child = Command::new(program)
            .args(arguments)
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
