//! What the claim of a disk says about its volume.

use mediaorigin_crds::units::Bytes;
use serde_json::Value;

/// The claim of an origin's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its name.
    pub name: String,
    /// Its `StorageClass`.
    pub class: String,
    /// Whether it has a volume.
    pub phase: Phase,
    /// What was asked for.
    pub requested: Bytes,
    /// What the volume has; nothing before there is one.
    pub capacity: Option<Bytes>,
    /// Why it does not grow, in the driver's words.
    pub resize_error: Option<String>,
}

/// Whether a claim has a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not yet.
    Pending,
    /// Yes.
    Bound,
    /// Not any more: the volume is gone, with everything on it.
    Lost,
}

impl Claim {
    /// Reads a claim as the API server answers it.
    pub fn read(live: &Value) -> Self {
        let text = |path: &str| live.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let bytes = |path: &str| live.pointer(path).and_then(Value::as_str).map(Bytes::parse)?.ok();
        let conditions = live["status"]["conditions"].as_array().into_iter().flatten();
        let mut errors = conditions.filter(|condition| {
            condition["status"] == "True"
                && condition["type"].as_str().is_some_and(|kind| kind.ends_with("ResizeError"))
        });
        Self {
            name: text("/metadata/name"),
            class: text("/spec/storageClassName"),
            phase: match live["status"]["phase"].as_str() {
                Some("Bound") => Phase::Bound,
                Some("Lost") => Phase::Lost,
                _ => Phase::Pending,
            },
            requested: bytes("/spec/resources/requests/storage").unwrap_or_default(),
            capacity: bytes("/status/capacity/storage"),
            resize_error: errors.next().and_then(|error| error["message"].as_str()).map(str::to_owned),
        }
    }

    /// What it waits for while its volume is smaller than what was asked for.
    pub fn growth(&self) -> Option<String> {
        let capacity = self.capacity.filter(|capacity| *capacity < self.requested)?;
        let error = self.resize_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        Some(format!("waits for the volume to grow from {capacity} to {}{error}", self.requested))
    }
}
