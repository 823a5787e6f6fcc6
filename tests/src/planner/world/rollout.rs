//! The Deployment's controller, as far as a planner can notice it.

use anyhow::Result;
use serde_json::{Value, json};

use super::{TEMPLATE, World};

impl World {
    /// What the Deployment's controller does until pods have to start or stop: one more than are wanted may be there, and an old one goes
    /// when a new one serves.
    pub(super) fn rollout(&mut self, forbidden: Option<&str>) -> Result<()> {
        let deployment = self.child("Deployment")?.clone();
        let template = deployment["spec"]["template"].to_string();
        let wanted = usize::try_from(deployment["spec"]["replicas"].as_u64().unwrap_or_default())?;
        let current = |pod: &Value| pod["metadata"]["annotations"][TEMPLATE] == template.as_str();
        let recreates = deployment["spec"]["strategy"]["type"] == "Recreate";
        if wanted == 0 || (recreates && !self.pods.iter().all(current)) {
            self.pods.clear();
        }
        let has_old = !self.pods.iter().all(current);
        let count = |pods: &[Value]| pods.iter().filter(|pod| current(pod)).count();
        while forbidden.is_none()
            && count(&self.pods) < wanted
            && self.pods.len() < wanted + usize::from(has_old)
        {
            self.pods_made += 1;
            let name = format!("live-{}", self.pods_made);
            let created = format!("2026-01-01T00:{:02}:00Z", self.pods_made % 60);
            self.pods.push(json!({
                "metadata": { "name": name, "creationTimestamp": created, "annotations": { TEMPLATE: template } },
                "spec": { "containers": [{
                    "name": "origin",
                    "resources": deployment["spec"]["template"]["spec"]["containers"][0]["resources"],
                }] },
                "status": {},
            }));
        }
        let serving = self.pods.iter().filter(|pod| current(pod) && serves(pod)).count();
        if serving > 0 {
            // The oldest first.
            let mut leaving =
                (self.pods.len() - count(&self.pods)).saturating_sub(wanted.saturating_sub(serving));
            self.pods.retain(|pod| {
                let goes = leaving > 0 && !current(pod);
                leaving -= usize::from(goes);
                !goes
            });
        }
        // Too many of them: first those that do not serve, then the newest.
        while count(&self.pods) > wanted {
            let idle = self.pods.iter().rposition(|pod| !serves(pod));
            self.pods.remove(idle.unwrap_or(self.pods.len() - 1));
        }
        let updated = count(&self.pods);
        let available = self.pods.iter().filter(|pod| serves(pod)).count();
        let mut status = json!({
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": self.pods.len(),
            "updatedReplicas": updated,
            "availableReplicas": available,
        });
        if let Some(message) = forbidden {
            let condition = json!({ "type": "ReplicaFailure", "status": "True", "message": message });
            status["conditions"] = json!([condition]);
        }
        self.child("Deployment")?["status"] = status;
        Ok(())
    }
}

fn serves(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.is_some_and(|all| {
        all.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    })
}
