//! What `kubectl mediaorigin` would print about the simulated cluster.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Event;
use mediaorigin_kubectl::asked::{Answer, Asked};
use mediaorigin_kubectl::explain::{Around, explain};
use mediaorigin_kubectl::installation::Installation;
use mediaorigin_kubectl::publisher::{self, Secret};
use mediaorigin_kubectl::status::{Summary, table};
use mediaorigin_operator::observed::Observed;
use mediaorigin_operator::part::Part;
use serde_json::{Value, json};

use super::world;

/// What the plugin sees besides the origin, its children and its pods.
pub(super) struct Plugin {
    installation: Installation,
    asked: Asked,
    unseen: BTreeMap<Part, String>,
    events: Vec<Event>,
    secret: Option<Secret>,
}

impl Default for Plugin {
    fn default() -> Self {
        let installation = Installation::Found {
            place: "mediaorigin-system/mediaorigin-operator".to_owned(),
            origin_image: Some("mediaorigin:test".to_owned()),
            nats: Some(world::chart_nats()),
            version: None,
            ready: 2,
            wanted: 2,
        };
        Self { installation, asked: Asked::new(), unseen: BTreeMap::new(), events: Vec::new(), secret: None }
    }
}

impl Plugin {
    /// Carries out one of the plugin's steps and returns what it prints.
    pub(super) fn step(&mut self, observed: &Observed, line: &str, block: &Value) -> Result<String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "explain" => {
                let around = Around {
                    installation: self.installation.clone(),
                    asked: self.asked.clone(),
                    unseen: self.unseen.clone(),
                    events: Ok(self.events.clone()),
                    origin_image: None,
                };
                return Ok(explain(observed, &around));
            }
            "status" => return Ok(Summary::of(observed, &self.asked).text()),
            "list" => return Ok(table(&[Summary::of(observed, &Asked::new())])),
            "publisher" => {
                return Ok(publisher::text(observed, self.secret.as_ref(), rest == "--show-secret"));
            }
            "operator" => self.operator(rest)?,
            "answers" => {
                let answer: Answer = serde_json::from_value(block.clone())?;
                self.asked.insert(rest.to_owned(), Ok(answer));
            }
            "silent" => {
                let (pod, error) = rest.split_once(' ').context("a pod and why it cannot be asked")?;
                self.asked.insert(pod.to_owned(), Err(error.to_owned()));
            }
            "unseen" => {
                let (kind, why) = rest.split_once(' ').context("a part and why it cannot be read")?;
                self.unseen.insert(world::part(kind)?, why.to_owned());
            }
            "event" => self.event(observed, rest)?,
            "secret" => self.secret = Some(secret(rest, block)?),
            _ => bail!("there is no such step"),
        }
        Ok(String::new())
    }

    /// `gone WORDS` or `down`.
    fn operator(&mut self, words: &str) -> Result<()> {
        match (words.split_once(' '), &mut self.installation) {
            (Some(("gone", why)), installation) => *installation = Installation::Unseen(why.to_owned()),
            (None, Installation::Found { ready, .. }) if words == "down" => *ready = 0,
            _ => bail!("an operator is down, or gone for a reason"),
        }
        Ok(())
    }

    /// `Warning Failed Pod live-1 WORDS`, now.
    fn event(&mut self, observed: &Observed, words: &str) -> Result<()> {
        let words: Vec<&str> = words.splitn(5, ' ').collect();
        let [kind, reason, object, name, message] = words[..] else { bail!("five words make an event") };
        self.events.push(serde_json::from_value(json!({
            "metadata": { "name": format!("event-{}", self.events.len()) },
            "involvedObject": { "kind": object, "name": name },
            "type": kind,
            "reason": reason,
            "message": message,
            "lastTimestamp": observed.now.to_string(),
        }))?);
        Ok(())
    }
}

/// Its keys, or `missing`, or `unseen WORDS`.
fn secret(words: &str, block: &Value) -> Result<Secret> {
    if words == "missing" {
        return Ok(Secret::Missing);
    }
    if let Some(("unseen", why)) = words.split_once(' ') {
        return Ok(Secret::Unseen(why.to_owned()));
    }
    let values: BTreeMap<String, String> = serde_json::from_value(block.clone())?;
    Ok(Secret::Known(values.into_iter().map(|(key, value)| (key, value.into_bytes())).collect()))
}
