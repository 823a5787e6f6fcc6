//! The one document that the operator writes and an origin reads.
//!
//! **Cold** settings are part of the pod template: changing one replaces the pods. **Hot** settings are swapped in a
//! running origin and never change a pod template.

use serde::{Deserialize, Serialize};

use crate::budget::{Budget, TooSmall};
use crate::document::{self, Metadata};
use crate::names;
use crate::policy::{Limits, Policies};
use crate::units::Bytes;
use crate::v1alpha1::{CorsRuleSpec, TierPolicySpec};
use crate::validate::{self, Problem, validate};

/// What the operator writes into the `ConfigMap`. Unknown keys are refused when it is read: an origin must not ignore
/// silently what an operator asked of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OriginConfig {
    /// Always [`names::API_VERSION`].
    pub api_version: String,
    /// Always [`names::CONFIG_KIND`].
    pub kind: String,
    /// Whose configuration it is, and which generation.
    pub metadata: Metadata,
    /// Settings that a pod starts with.
    pub cold: Cold,
    /// Settings that change in a running pod.
    pub hot: Hot,
}

/// Settings that a pod starts with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cold {
    /// Memory limit of the container in bytes.
    pub memory_limit_bytes: u64,
    /// Connections at most.
    pub connections_max: u32,
    /// Port for media.
    pub media_port: u16,
    /// Port for probes, metrics and status.
    pub admin_port: u16,
    /// Folder with the files `username` and `password`; absent where everyone may write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher_dir: Option<String>,
}

/// Settings that change in a running pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hot {
    /// Rules, first match wins.
    #[serde(default)]
    pub tier_policies: Vec<TierPolicySpec>,
    /// Cross-origin rules, first match wins.
    #[serde(default)]
    pub cors: Vec<CorsRuleSpec>,
    /// Largest object in bytes.
    pub object_bytes_max: u64,
    /// Longest silence within an upload in seconds.
    pub upload_idle_seconds: u32,
}

/// A configuration that an origin can run: parsed, validated, compiled.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Whose configuration it is, and which generation.
    pub metadata: Metadata,
    /// Settings that a pod starts with.
    pub cold: Cold,
    /// The memory budget that follows from them.
    pub budget: Budget,
    /// The hot settings, compiled.
    pub policies: Policies,
}

impl OriginConfig {
    /// Compiles the settings, or names every problem.
    pub fn resolve(self) -> Result<Resolved, Vec<Problem>> {
        let mut problems = Vec::new();
        let rules = validate::tier_policies("hot.tierPolicies", &self.hot.tier_policies, &mut problems);
        let cors = validate::cors_rules("hot.cors", &self.hot.cors, &mut problems);
        let budget = self.cold.budget();
        if let Err(error) = &budget {
            problems.push(Problem::new("cold.memoryLimitBytes", error.to_string()));
        }
        match budget {
            Ok(budget) if problems.is_empty() => Ok(Resolved {
                metadata: self.metadata,
                cold: self.cold,
                budget,
                policies: Policies::new(rules, cors, self.hot.limits()),
            }),
            _ => Err(problems),
        }
    }
}

impl Cold {
    /// The memory budget of a pod.
    pub fn budget(&self) -> Result<Budget, TooSmall> {
        Budget::derive(Bytes(self.memory_limit_bytes), self.connections_max)
    }
}

impl Hot {
    fn limits(&self) -> Limits {
        Limits {
            object_bytes_max: self.object_bytes_max,
            upload_idle: std::time::Duration::from_secs(u64::from(self.upload_idle_seconds)),
        }
    }
}

/// Whether a file is what an operator writes for a pod, and not what a user writes.
pub fn is_origin_config(text: &str) -> bool {
    serde_yaml::Deserializer::from_str(text)
        .next()
        .and_then(|document| serde_yaml::Value::deserialize(document).ok())
        .is_some_and(|value| {
            value.get("kind").and_then(serde_yaml::Value::as_str) == Some(names::CONFIG_KIND)
        })
}

/// Reads a file that holds one `OriginConfig` or one `MediaOrigin`.
pub fn parse(text: &str) -> Result<Resolved, Vec<Problem>> {
    let broken = |error: serde_yaml::Error| vec![Problem::new("", error.to_string())];
    if is_origin_config(text) {
        return parse_config(serde_yaml::from_str(text).map_err(broken)?);
    }
    let (mut documents, mut problems) = document::parse(text);
    if documents.len() > 1 {
        let count = documents.len();
        problems.push(Problem::new("", format!("the file holds {count} MediaOrigins, an origin serves one")));
    }
    let Some(document) = documents.pop() else { return Err(problems) };
    match validate(&document.metadata.name, &document.spec) {
        Ok(accepted) if problems.is_empty() => accepted.config(document.metadata).resolve(),
        Ok(_) => Err(problems),
        Err(more) => Err(problems.into_iter().chain(more).collect()),
    }
}

fn parse_config(value: serde_yaml::Value) -> Result<Resolved, Vec<Problem>> {
    let mut unknown = Vec::new();
    let config: OriginConfig =
        validate::read(value, &mut |path| unknown.push(Problem::new(path, "unknown field")))
            .map_err(|problem| vec![problem])?;
    if config.api_version != names::API_VERSION {
        let message =
            format!("\"{}\" is not supported, this origin reads {}", config.api_version, names::API_VERSION);
        unknown.push(Problem::new("apiVersion", message));
    }
    if unknown.is_empty() { config.resolve() } else { Err(unknown) }
}

/// The settings of an origin that was given no file.
pub fn built_in() -> Result<Resolved, Vec<Problem>> {
    let document =
        format!("apiVersion: {}\nkind: {}\nmetadata: {{name: default}}\n", names::API_VERSION, names::KIND);
    parse(&document)
}
