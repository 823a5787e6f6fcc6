//! Secrets that the operator makes: their values, how they are renewed, and how they are looked at without being seen.
//!
//! Values are made here, at the rim, and never enter a plan, a log line, an event or a status.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use mediaorigin_crds::names;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Map, Value, json};

use crate::part::Part;
use crate::plan::credentials::Issue;

/// The key that lists further parties; the credentials before are one of them.
const PUBLISHERS_FILE: &str = "publishers.yaml";
/// Name of whoever still has those.
const PREVIOUS: &str = "previous";
/// Keys that URLs are signed with: this one, and the one before.
const SIGNING_KEYS: [&str; 2] = ["urlSigningKey", "urlSigningKeyPrevious"];
/// For what people read aloud and paste: 5 bits a letter.
const PLAIN: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// For what only programs handle: 6 bits a letter.
const DENSE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// One value of a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its key.
    pub key: &'static str,
    /// As many letters as it has.
    length: usize,
    /// Which letters; a power of two of them, so that each has the same chance.
    letters: &'static [u8],
}

const fn name(key: &'static str) -> Field {
    Field { key, length: 16, letters: PLAIN }
}

/// 258 bits of chance.
const fn secret(key: &'static str) -> Field {
    Field { key, length: 43, letters: DENSE }
}

/// What encoders may show, of every kind, and a key to sign URLs with.
const PUBLISHER: [Field; 6] = [
    name("username"),
    secret("password"),
    secret("token"),
    name("accessKeyId"),
    secret("secretAccessKey"),
    secret(SIGNING_KEYS[0]),
];
const ADMIN: [Field; 1] = [secret(names::ADMIN_TOKEN)];
/// What NATS asks of its clients.
const CLIENT: [Field; 2] = [name("username"), secret("password")];
/// What the chart's asks of its servers among themselves, too.
const COORDINATION: [Field; 3] = [CLIENT[0], CLIENT[1], secret("routePassword")];

/// The values of a Secret of ours.
pub fn fields(part: Part) -> &'static [Field] {
    match part {
        Part::PublisherSecret => &PUBLISHER,
        Part::AdminSecret => &ADMIN,
        Part::NatsSecret => &CLIENT,
        _ => &[],
    }
}

/// The values of a Secret could not be had.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum Unmade {
    /// Which a machine never says in earnest.
    #[error("the system gives no random numbers")]
    NoChance,
    /// The Secret that is to be copied has no such key.
    #[error("it has no {0}")]
    Incomplete(&'static str),
}

/// Leaves out the values, here and where clients keep copies of what they applied; how long each is stays.
pub fn redact(secret: &mut Value) {
    if let Some(Value::Object(data)) = secret.get_mut("data") {
        for value in data.values_mut() {
            *value = json!(value.as_str().map_or(0, str::len));
        }
    }
    if let Some(metadata) = secret.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
}

/// The Secret after `issue`: `before` with new values, and with `annotations`.
pub fn issued(
    part: Part,
    mut secret: Secret,
    issue: &Issue,
    annotations: &BTreeMap<String, String>,
) -> Result<Secret, Unmade> {
    let mut data = secret.data.take().unwrap_or_default();
    match issue {
        Issue::Create | Issue::Complete(_) => {
            let missing: Vec<&Field> =
                fields(part).iter().filter(|field| !data.contains_key(field.key)).collect();
            for field in missing {
                data.insert(field.key.to_owned(), made(field)?);
            }
        }
        Issue::Renew => {
            retire(&mut data);
            keep_previous(&mut data);
            for field in fields(part) {
                data.insert(field.key.to_owned(), made(field)?);
            }
        }
        Issue::Retire => retire(&mut data),
        // Somebody else's values are not made.
        Issue::Copy { .. } => {}
    }
    secret.data = Some(data);
    let kept = secret.metadata.annotations.get_or_insert_default();
    kept.remove(names::ANNOTATION_PREVIOUS_UNTIL);
    kept.extend(annotations.clone());
    Ok(secret)
}

/// The Secret after a copy: `secret` with what `source` has of the values of `part`, with the authorities that another one names, if it
/// does, and with `annotations`.
pub fn copied(
    part: Part,
    mut secret: Secret,
    (source, authorities): (&Secret, &Secret),
    annotations: &BTreeMap<String, String>,
) -> Result<Secret, Unmade> {
    let value = |key: &'static str| {
        let value = source.data.as_ref().and_then(|data| data.get(key)).filter(|value| !value.0.is_empty());
        Ok((key.to_owned(), value.ok_or(Unmade::Incomplete(key))?.clone()))
    };
    let mut data: BTreeMap<_, _> =
        fields(part).iter().map(|field| value(field.key)).collect::<Result<_, _>>()?;
    let authorities = authorities.data.as_ref().and_then(|data| data.get(names::CA_FILE));
    data.extend(authorities.map(|authorities| (names::CA_FILE.to_owned(), authorities.clone())));
    secret.data = Some(data);
    secret.metadata.annotations.get_or_insert_default().extend(annotations.clone());
    Ok(secret)
}

/// Puts the credentials of `data` beside whom its file of publishers names already, and its key beside the next one.
fn keep_previous(data: &mut BTreeMap<String, ByteString>) {
    let text = |key: &str| Some(String::from_utf8_lossy(&data.get(key)?.0).into_owned());
    let kinds = [&["username", "password"][..], &["token"], &["accessKeyId", "secretAccessKey"]];
    let credentials: Vec<Value> = kinds
        .iter()
        .filter_map(|kind| {
            let values: Option<Map<String, Value>> =
                kind.iter().map(|key| Some(((*key).to_owned(), json!(text(key)?)))).collect();
            values.map(Value::Object)
        })
        .collect();
    let mut file = publishers(data);
    if let (false, Some(file)) = (credentials.is_empty(), file.as_object_mut()) {
        let list = file.entry("publishers").or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(json!({ "name": PREVIOUS, "credentials": credentials }));
        }
    }
    write_publishers(data, &file);
    if let Some(key) = data.get(SIGNING_KEYS[0]).cloned() {
        data.insert(SIGNING_KEYS[1].to_owned(), key);
    }
}

/// Takes the credentials before out again.
fn retire(data: &mut BTreeMap<String, ByteString>) {
    let mut file = publishers(data);
    if let Some(list) = file.get_mut("publishers").and_then(Value::as_array_mut) {
        list.retain(|party| party["name"] != PREVIOUS);
    }
    write_publishers(data, &file);
    data.remove(SIGNING_KEYS[1]);
}

/// The file of publishers; what cannot be read is left to whoever wrote it, and stays.
fn publishers(data: &BTreeMap<String, ByteString>) -> Value {
    let Some(file) = data.get(PUBLISHERS_FILE) else { return json!({}) };
    serde_yaml::from_slice(&file.0).unwrap_or_default()
}

fn write_publishers(data: &mut BTreeMap<String, ByteString>, file: &Value) {
    let Some(parties) = file.as_object() else { return };
    if parties.values().all(|list| list.as_array().is_some_and(Vec::is_empty)) {
        data.remove(PUBLISHERS_FILE);
    } else if let Ok(text) = serde_yaml::to_string(file) {
        data.insert(PUBLISHERS_FILE.to_owned(), ByteString(text.into_bytes()));
    }
}

/// New values for the chart's NATS.
pub fn coordination() -> Result<BTreeMap<String, ByteString>, Unmade> {
    COORDINATION.iter().map(|field| Ok((field.key.to_owned(), made(field)?))).collect()
}

fn made(field: &Field) -> Result<ByteString, Unmade> {
    let mut bytes = vec![0; field.length];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Unmade::NoChance)?;
    let mask = field.letters.len() - 1;
    Ok(ByteString(bytes.iter().map(|byte| field.letters[usize::from(*byte) & mask]).collect()))
}

#[cfg(test)]
mod tests;
