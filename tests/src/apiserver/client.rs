//! Requests to an API server as they go over the wire, with every answer: a refusal is one.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use http_types::Request;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client as Connection, Config};
use mediaorigin_crds::names;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// The `MediaOrigins` of the namespace that tests use.
pub const MEDIA_ORIGINS: &str = "/apis/mediaorigin.io/v1alpha1/namespaces/default/mediaorigins";
/// What a client waits for happens within this time, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A `MediaOrigin` of the namespace that tests use.
pub fn origin(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": names::API_VERSION, "kind": names::KIND,
        "metadata": { "name": name, "namespace": "default" }, "spec": spec,
    })
}

/// A client that may do everything.
pub struct Client {
    runtime: Runtime,
    connection: Connection,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The code of HTTP.
    pub code: u16,
    /// The object, or a `Status`.
    pub body: Value,
    /// The texts of `Warning` headers.
    pub warnings: Vec<String>,
}

impl Answer {
    /// The object, if it is one.
    pub fn success(self) -> Result<Value> {
        ensure!(self.code < 300, "{}: {}", self.code, self.message());
        Ok(self.body)
    }

    /// What is wrong in words, for a refusal.
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    /// Path and words of everything that is wrong, for a refusal of an object.
    pub fn causes(&self) -> Vec<(String, String)> {
        let causes = self.body["details"]["causes"].as_array().into_iter().flatten();
        let text = |cause: &Value, key: &str| cause[key].as_str().unwrap_or_default().to_owned();
        causes.map(|cause| (text(cause, "field"), text(cause, "message"))).collect()
    }
}

impl Client {
    /// One as a kubeconfig says.
    pub fn new(kubeconfig: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let connection = runtime.block_on(async {
            let file = Kubeconfig::read_from(kubeconfig)?;
            let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
            anyhow::Ok(Connection::try_from(config)?)
        })?;
        Ok(Self { runtime, connection })
    }

    /// Reads.
    pub fn get(&self, path: &str) -> Result<Answer> {
        self.send("GET", path, "application/json", None)
    }

    /// Creates `body` in the collection `path`.
    pub fn create(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send("POST", path, "application/json", Some(body))
    }

    /// What would come of a creation: with defaults, checked as strictly as `kubectl` does.
    pub fn dry_run(&self, path: &str, body: &Value) -> Result<Answer> {
        self.create(&format!("{path}?dryRun=All&fieldValidation=Strict"), body)
    }

    /// Replaces.
    pub fn replace(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send("PUT", path, "application/json", Some(body))
    }

    /// Changes what `body` has (RFC 7396).
    pub fn merge(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send("PATCH", path, "application/merge-patch+json", Some(body))
    }

    /// Server-side apply as `manager`, who wins.
    pub fn apply(&self, path: &str, manager: &str, body: &Value) -> Result<Answer> {
        let path = format!("{path}?fieldManager={manager}&force=true");
        self.send("PATCH", &path, "application/apply-patch+yaml", Some(body))
    }

    /// Deletes.
    pub fn delete(&self, path: &str) -> Result<Answer> {
        self.send("DELETE", path, "application/json", None)
    }

    /// Asks until the answer is yes; what a server does later has no barrier that a client could wait at.
    pub fn wait_until(&self, mut condition: impl FnMut(&Self) -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self)? {
            if Instant::now() > deadline {
                bail!("waited {} s in vain", PATIENCE.as_secs());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn send(&self, method: &str, path: &str, content_type: &str, body: Option<&Value>) -> Result<Answer> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder().method(method).uri(path).header("content-type", content_type);
        let request = request.body(Body::from(body.into_bytes())).context("request")?;
        self.runtime.block_on(async {
            let answer = self.connection.send(request).await?;
            let code = answer.status().as_u16();
            let warnings = answer.headers().get_all("warning").iter();
            let warnings = warnings.filter_map(|text| text.to_str().ok()).map(str::to_owned).collect();
            let bytes = answer.into_body().collect_bytes().await?;
            // Probes answer in plain text.
            let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
            let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| text());
            Ok(Answer { code, body, warnings })
        })
    }
}
