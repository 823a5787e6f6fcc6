//! Nodes that do not exist: kwok plays their kubelets, and the real scheduler puts pods on them. Every pod runs at once and answers nobody.

use anyhow::Result;
use serde_json::json;

use crate::apiserver::{ApiServer, tool};
use crate::process::Process;
use crate::program::go_program;

/// Nodes of an API server; they stand still with this value.
pub struct Nodes {
    _scheduler: Process,
    _kubelets: Process,
}

impl Nodes {
    /// Starts `count` of them, with room for a thousand pods each.
    pub fn start(server: &ApiServer, count: usize) -> Result<Self> {
        let kubeconfig = format!("--kubeconfig={}", server.kubeconfig().display());
        let stages = concat!("--config=", env!("CARGO_MANIFEST_DIR"), "/kwok/stages.yaml").to_owned();
        let arguments = [kubeconfig.clone(), stages, "--manage-all-nodes=true".to_owned()];
        let kubelets = Process::start("kwok", &go_program("kwok", "kwok")?, &arguments, server.folder())?;
        let arguments = [kubeconfig, "--leader-elect=false".to_owned(), "--secure-port=0".to_owned()];
        let scheduler =
            Process::start("kube-scheduler", &tool("kube-scheduler")?, &arguments, server.folder())?;
        let client = server.client();
        for number in 0..count {
            let name = format!("pretended-{number}");
            let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name } });
            client.create("/api/v1/nodes", &node)?.success()?;
            // A new node is tainted until a controller, which is not here, has seen that it is ready.
            let path = format!("/api/v1/nodes/{name}");
            client.merge(&path, &json!({ "spec": { "taints": null } }))?.success()?;
            client.wait_until(|client| {
                let node = client.get(&path)?.success()?;
                Ok(node["status"]["conditions"][0]["status"] == "True")
            })?;
        }
        Ok(Self { _scheduler: scheduler, _kubelets: kubelets })
    }
}
