//! From a text to a configuration that an origin can run.

use serde::Deserialize;

use crate::budget::Budget;
use crate::config::{Cold, OriginConfig};
use crate::document::{self, Metadata};
use crate::names;
use crate::policy::{MediaStore, Policies, ReadAccess};
use crate::problem::{self, Problem};
use crate::units::Bytes;
use crate::v1alpha1::{MediaStoreSpec, ReadAccessSpec};
use crate::validate::{cors, tier, validate};

/// A configuration that an origin can run: parsed, validated, compiled.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Whose configuration it is, and which generation.
    pub metadata: Metadata,
    /// Settings that a pod starts with.
    pub cold: Cold,
    /// The memory budget that follows from them and from the memory that is configured.
    pub budget: Budget,
    /// The memory that is configured; a process may have less.
    pub memory_limit: Bytes,
    /// The other hot settings, compiled.
    pub policies: Policies,
}

/// The cold settings that a pod template carries in [`names::ENV_COLD`].
pub fn parse_cold(json: &str) -> Result<Cold, Vec<Problem>> {
    serde_json::from_str(json).map_err(|error| vec![Problem::new(names::ENV_COLD, error.to_string())])
}

impl OriginConfig {
    /// Compiles the settings, or names every problem. What a rule promises depends on the tiers of the cold settings: for a
    /// process that runs with others than these, put its own in first.
    pub fn resolve(self) -> Result<Resolved, Vec<Problem>> {
        let mut problems = Vec::new();
        let tiers = self.cold.tiers();
        let rules = tier::compile("hot.tierPolicies", &self.hot.tier_policies, tiers, &mut problems);
        let cors = cors::compile("hot.cors", &self.hot.cors, &mut problems);
        let budget = self.cold.budget_within(Bytes(self.hot.memory_limit_bytes));
        if let Err(error) = &budget {
            problems.push(Problem::new("hot.memoryLimitBytes", error.to_string()));
        }
        match budget {
            Ok(budget) if problems.is_empty() => Ok(Resolved {
                metadata: self.metadata,
                cold: self.cold,
                memory_limit: budget.limit,
                budget,
                policies: Policies::new(
                    rules,
                    tiers,
                    cors,
                    self.hot.limits(),
                    tier::cdn_profile(self.hot.cdn_profile),
                )
                .with(read_access(self.hot.read_access), media_store(self.hot.media_store)),
            }),
            _ => Err(problems),
        }
    }
}

fn read_access(spec: ReadAccessSpec) -> ReadAccess {
    match spec {
        ReadAccessSpec::Public => ReadAccess::Public,
        ReadAccessSpec::Authenticated => ReadAccess::Authenticated,
        ReadAccessSpec::SignedUrls => ReadAccess::SignedUrls,
    }
}

fn media_store(spec: MediaStoreSpec) -> MediaStore {
    match spec {
        MediaStoreSpec::Relaxed => MediaStore::Relaxed,
        MediaStoreSpec::Strict => MediaStore::Strict,
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

/// Reads a file that holds one `OriginConfig` or one `MediaOrigin`, and compiles it.
pub fn parse(text: &str) -> Result<Resolved, Vec<Problem>> {
    read(text)?.resolve()
}

/// Reads a file that holds one `OriginConfig` or one `MediaOrigin`. The latter is for a process outside a cluster: no Secret is
/// mounted there, so the credentials of an object store come from the environment unless something else is said, and for NATS there are
/// none.
pub fn read(text: &str) -> Result<OriginConfig, Vec<Problem>> {
    let broken = |error: serde_yaml::Error| vec![Problem::new("", error.to_string())];
    if is_origin_config(text) {
        return read_config(serde_yaml::from_str(text).map_err(broken)?);
    }
    let (mut documents, mut problems) = document::parse(text);
    if documents.len() > 1 {
        let count = documents.len();
        problems.push(Problem::new("", format!("the file holds {count} MediaOrigins, an origin serves one")));
    }
    let Some(document) = documents.pop() else { return Err(problems) };
    let Metadata { name, namespace, .. } = &document.metadata;
    match validate(namespace.as_deref(), name, &document.spec) {
        Ok(accepted) if problems.is_empty() => {
            let mut config = accepted.config(document.metadata);
            if let Some(store) = &mut config.cold.object_store {
                store.credentials_dir = None;
            }
            if let Some(coordination) = &mut config.cold.coordination {
                coordination.credentials_dir = None;
            }
            Ok(config)
        }
        Ok(_) => Err(problems),
        Err(more) => Err(problems.into_iter().chain(more).collect()),
    }
}

fn read_config(value: serde_yaml::Value) -> Result<OriginConfig, Vec<Problem>> {
    let mut unknown = Vec::new();
    let config: OriginConfig =
        problem::read(value, &mut |path| unknown.push(Problem::new(path, "unknown field")))
            .map_err(|problem| vec![problem])?;
    if config.api_version != names::API_VERSION {
        let message =
            format!("\"{}\" is not supported, this origin reads {}", config.api_version, names::API_VERSION);
        unknown.push(Problem::new("apiVersion", message));
    }
    if unknown.is_empty() { Ok(config) } else { Err(unknown) }
}

/// What is good about a text with `MediaOrigins` or one `OriginConfig`, or everything that is wrong with it, one line each.
pub fn check(text: &str) -> Result<Vec<String>, Vec<String>> {
    let lines = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    if is_origin_config(text) {
        let resolved = parse(text).map_err(lines)?;
        let (name, objects) = (&resolved.metadata.name, resolved.budget.objects);
        return Ok(vec![format!("OK: {} {name} holds {objects} of objects", names::CONFIG_KIND)]);
    }
    let mut good = Vec::new();
    let (documents, problems) = document::parse(text);
    let mut bad = lines(problems);
    for document in documents {
        let Metadata { name, namespace, .. } = &document.metadata;
        match validate(namespace.as_deref(), name, &document.spec) {
            Ok(accepted) => {
                good.push(format!("OK: {} {name} holds {} of objects", names::KIND, accepted.budget.objects));
            }
            Err(problems) => bad.extend(lines(problems)),
        }
    }
    if bad.is_empty() { Ok(good) } else { Err(bad) }
}

/// The settings of an origin that was given no file.
pub fn built_in() -> Result<Resolved, Vec<Problem>> {
    let document =
        format!("apiVersion: {}\nkind: {}\nmetadata: {{name: default}}\n", names::API_VERSION, names::KIND);
    parse(&document)
}
