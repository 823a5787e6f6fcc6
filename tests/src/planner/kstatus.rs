//! How kstatus reads an object (its generic rules): what `kubectl`-like tools, Flux and kpt wait for.

use serde_json::Value;

/// What kstatus makes of `object`.
pub(super) fn kstatus(object: &Value) -> &'static str {
    let (metadata, status) = (&object["metadata"], &object["status"]);
    if !metadata["deletionTimestamp"].is_null() {
        return "Terminating";
    }
    let observed = status["observedGeneration"].as_i64();
    if observed.is_some() && observed != metadata["generation"].as_i64() {
        return "InProgress";
    }
    let condition = |kind: &str| {
        let conditions = status["conditions"].as_array()?;
        conditions.iter().find(|condition| condition["type"] == kind)?["status"].as_str()
    };
    match (condition("Reconciling"), condition("Stalled"), condition("Ready")) {
        (Some("True"), _, _) => "InProgress",
        (_, Some("True"), _) => "Failed",
        (_, _, Some("False" | "Unknown")) => "InProgress",
        // An object that says nothing of itself counts as current.
        _ => "Current",
    }
}
