//! A real API server with its etcd as processes of the test: certificate, token and ports of its own, ready in a few seconds.
//!
//! The programs are those that the cluster harness builds (`tests/cluster/cluster tool kube-apiserver`). There is no scheduler and
//! no kubelet: nothing runs, and a test writes the status of pods itself.

mod client;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};

pub use client::{Answer, Client, MEDIA_ORIGINS, origin};

use crate::folder::Folder;
use crate::process::Process;
use crate::program::free;

/// A start takes three seconds on an idle machine.
const PATIENCE: Duration = Duration::from_mins(2);
/// Everything is written down but for what the API server does with itself; a request is written once, when it is answered.
const AUDIT_POLICY: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "None", "users": ["system:apiserver"]}, {"level": "Metadata"}]}"#;

/// Controllers of the controller manager that tests of this project need.
const CONTROLLERS: &str = "deployment-controller,replicaset-controller,disruption-controller,serviceaccount-controller,\
                           serviceaccount-token-controller,garbage-collector-controller,namespace-controller";

/// An API server; it ends with this value, and so does what it stores.
pub struct ApiServer {
    // In the order in which they end.
    controllers: Option<Process>,
    server: Option<Process>,
    _etcd: Process,
    client: Client,
    address: SocketAddr,
    etcd_url: String,
    folder: Folder,
}

impl ApiServer {
    /// Starts one with nothing in it.
    pub fn start() -> Result<Self> {
        let folder = Folder::new("apiserver")?;
        let (etcd, etcd_url) = start_etcd(folder.path())?;
        let address = free()?;
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        folder.write("tls.crt", &cert.pem())?;
        folder.write("tls.key", &signing_key.serialize_pem())?;
        let token = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        folder.write("tokens.csv", &format!("{token},admin,admin,system:masters\n"))?;
        folder.write("audit.yaml", AUDIT_POLICY)?;
        let kubeconfig = kubeconfig(address, folder.path(), &token);
        folder.write("kubeconfig", &kubeconfig.to_string())?;
        let client = Client::new(&folder.path().join("kubeconfig"))?;
        let mut server =
            Self { controllers: None, server: None, _etcd: etcd, client, address, etcd_url, folder };
        server.resume()?;
        Ok(server)
    }

    /// Starts one that knows `MediaOrigin`.
    pub fn with_definition() -> Result<Self> {
        let server = Self::start()?;
        server.define(&mediaorigin_crds::crd::definition()?)?;
        Ok(server)
    }

    /// Stores a definition and waits until its kind is served.
    pub fn define(&self, definition: &Value) -> Result<()> {
        let name = definition["metadata"]["name"].as_str().context("a definition has a name")?;
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
        self.client.apply(&path, "definition", definition)?.success()?;
        let group = definition["spec"]["group"].as_str().context("group")?;
        let plural = definition["spec"]["names"]["plural"].as_str().context("plural")?;
        let version = definition["spec"]["versions"][0]["name"].as_str().context("version")?;
        let served = format!("/apis/{group}/{version}/{plural}");
        self.client.wait_until(|client| Ok(client.get(&served)?.code == 200))
    }

    /// Ends the API server; etcd keeps what it stored.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Starts the API server on the same address and store.
    pub fn resume(&mut self) -> Result<()> {
        let mut server = Process::start(
            "kube-apiserver",
            &tool("kube-apiserver")?,
            &self.arguments(),
            self.folder.path(),
        )?;
        server.wait_until(PATIENCE, || self.client.get("/readyz").is_ok_and(|answer| answer.code == 200))?;
        self.server = Some(server);
        Ok(())
    }

    /// Starts the controllers that make pods of Deployments and remove what has lost its owner.
    pub fn start_controllers(&mut self) -> Result<()> {
        let arguments = [
            format!("--kubeconfig={}", self.kubeconfig().display()),
            format!("--controllers={CONTROLLERS}"),
            format!("--service-account-private-key-file={}", self.file("tls.key")),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
        ];
        let program = tool("kube-controller-manager")?;
        self.controllers =
            Some(Process::start("kube-controller-manager", &program, &arguments, self.folder.path())?);
        let account = "/api/v1/namespaces/default/serviceaccounts/default";
        self.client.wait_until(|client| Ok(client.get(account)?.code == 200))
    }

    /// Its process, while it runs.
    pub fn process(&self) -> Option<u32> {
        self.server.as_ref().map(Process::id)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A file with which kubectl and the operator find it, as a user who may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// A kubeconfig beside the first one for the same server, by another address or with another token.
    pub fn kubeconfig_of(&self, name: &str, address: SocketAddr, token: Option<&str>) -> Result<PathBuf> {
        let mut config: Value = serde_json::from_str(&std::fs::read_to_string(self.kubeconfig())?)?;
        config["clusters"][0]["cluster"]["server"] = json!(format!("https://{address}"));
        if let Some(token) = token {
            config["users"][0]["user"]["token"] = json!(token);
        }
        Ok(self.folder.write(name, &config.to_string())?.into())
    }

    /// A folder for logs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Requests to it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// kubectl; its output.
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> Result<Output> {
        use std::io::Write as _;
        let mut child = Command::new(tool("kubectl")?)
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .args(arguments)
            // Its caches of what the server knows would be those of another server on the same port.
            .env("KUBECACHEDIR", self.folder.path().join("kubectl"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().context("stdin")?.write_all(input.as_bytes())?;
        Ok(child.wait_with_output()?)
    }

    /// kubectl that must succeed; what it prints.
    pub fn kubectl_ok(&self, arguments: &[&str], input: &str) -> Result<String> {
        let output = self.kubectl(arguments, input)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl {}: {errors}", arguments.join(" "));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// What it was asked so far, in order, one event each (audit.k8s.io/v1).
    pub fn audit(&self) -> Result<Vec<Value>> {
        let text = std::fs::read_to_string(self.folder.path().join("audit.log"))?;
        // The last line may still be on its way.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).context("audit")).collect()
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn arguments(&self) -> Vec<String> {
        let key = self.file("tls.key");
        [
            ("etcd-servers", self.etcd_url.clone()),
            ("bind-address", "127.0.0.1".to_owned()),
            ("advertise-address", "127.0.0.1".to_owned()),
            ("endpoint-reconciler-type", "none".to_owned()),
            ("secure-port", self.address.port().to_string()),
            ("tls-cert-file", self.file("tls.crt")),
            ("tls-private-key-file", key.clone()),
            ("token-auth-file", self.file("tokens.csv")),
            ("authorization-mode", "RBAC".to_owned()),
            ("service-account-issuer", "https://kubernetes.default.svc".to_owned()),
            ("service-account-key-file", self.file("tls.crt")),
            ("service-account-signing-key-file", key),
            ("service-cluster-ip-range", "10.96.0.0/20".to_owned()),
            ("audit-policy-file", self.file("audit.yaml")),
            ("audit-log-path", self.file("audit.log")),
            ("audit-log-mode", "blocking".to_owned()),
            // In MB: it is read as one file.
            ("audit-log-maxsize", "2000".to_owned()),
            ("profiling", "false".to_owned()),
        ]
        .map(|(name, value)| format!("--{name}={value}"))
        .to_vec()
    }
}

fn start_etcd(folder: &Path) -> Result<(Process, String)> {
    let (address, peers) = (free()?, free()?);
    let (url, peer_url) = (format!("http://{address}"), format!("http://{peers}"));
    let arguments = [
        ("data-dir", folder.join("etcd").display().to_string()),
        ("listen-client-urls", url.clone()),
        ("advertise-client-urls", url.clone()),
        ("listen-peer-urls", peer_url.clone()),
        ("initial-advertise-peer-urls", peer_url.clone()),
        ("initial-cluster", format!("default={peer_url}")),
        ("log-level", "warn".to_owned()),
        // What it stores is gone with the test.
        ("unsafe-no-fsync", "true".to_owned()),
    ]
    .map(|(name, value)| format!("--{name}={value}"));
    let mut etcd = Process::start("etcd", &tool("etcd")?, &arguments, folder)?;
    etcd.wait_until(PATIENCE, || std::net::TcpStream::connect(address).is_ok())?;
    Ok((etcd, url))
}

fn kubeconfig(address: SocketAddr, folder: &Path, token: &str) -> Value {
    let (server, certificate) = (format!("https://{address}"), folder.join("tls.crt"));
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{ "name": "test", "cluster": { "server": server, "certificate-authority": certificate } }],
        "users": [{ "name": "test", "user": { "token": token } }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test", "namespace": "default" } }],
    })
}

/// A program of the cluster harness, built first if need be.
pub fn tool(name: &'static str) -> Result<PathBuf> {
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    static TOOLS: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut tools = TOOLS.lock().ok().context("an earlier look for a tool has failed")?;
    if let Some(path) = tools.get(name) {
        return Ok(path.clone());
    }
    let harness = concat!(env!("CARGO_MANIFEST_DIR"), "/cluster/cluster");
    let output = Command::new(harness).args(["tool", name]).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{harness} tool {name}: {}", output.status);
    let path = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    tools.insert(name, path.clone());
    Ok(path)
}
