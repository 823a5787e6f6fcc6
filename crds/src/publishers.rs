//! `publishers.yaml`: the key of a publishers' Secret that names several publishers and readers, each with credentials and paths.
//!
//! It is read by hand and not by a derive: the messages of a deserialiser quote values, and these are secrets.

use std::collections::BTreeSet;
use std::fmt;

use serde_yaml::{Mapping, Value};

use crate::policy::PathGlobs;
use crate::problem::Problem;
use crate::validate::{is_label, tier};

/// Publishers, and readers, of one file at most.
pub const PARTIES_MAX: usize = 256;
/// Credentials of one publisher at most: the old and the new ones while they are exchanged, of every kind.
pub const CREDENTIALS_MAX: usize = 8;
/// Bytes of a user name, a password, a token or a key at most.
pub const VALUE_BYTES_MAX: usize = 1024;

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Publishers {
    /// Who may write, list and read.
    pub publishers: Vec<Party>,
    /// Who may list and read.
    pub readers: Vec<Party>,
}

/// Somebody with credentials.
#[derive(Clone, Debug, PartialEq)]
pub struct Party {
    /// Unique name, for logs.
    pub name: String,
    /// Which objects; `None` for all.
    pub paths: Option<PathGlobs>,
    /// Any of them is enough; never empty.
    pub credentials: Vec<Credential>,
}

/// What somebody shows. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// HTTP Basic.
    Basic {
        /// User name, without a colon.
        username: String,
        /// Password.
        password: String,
    },
    /// `Authorization: Bearer`.
    Bearer {
        /// The token.
        token: String,
    },
    /// AWS Signature Version 4.
    Signature {
        /// Name of the key.
        access_key_id: String,
        /// The key.
        secret_access_key: String,
    },
    /// A header with a fixed value, as CDNs add to requests to their origin.
    Header {
        /// Its name, in lower case.
        name: String,
        /// Its value.
        value: String,
    },
}

impl fmt::Debug for Credential {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Basic { .. } => "Basic(…)",
            Self::Bearer { .. } => "Bearer(…)",
            Self::Signature { .. } => "Signature(…)",
            Self::Header { .. } => "Header(…)",
        })
    }
}

/// The kinds of credentials: their keys, in the order of [`Credential`]'s fields.
const KINDS: [&[&str]; 4] =
    [&["username", "password"], &["token"], &["accessKeyId", "secretAccessKey"], &["header", "value"]];

impl Credential {
    /// The credential of the values of one kind, by the same keys as in the file; the rest of `None` is why not.
    pub fn new(kind: &[&str], values: &[String]) -> Result<Self, String> {
        for (key, value) in kind.iter().zip(values) {
            check_value(key, value)?;
        }
        match (kind, values) {
            (["username", "password"], [username, _]) if username.contains(':') => {
                Err("username has a colon, which HTTP Basic cannot carry".to_owned())
            }
            (["username", "password"], [username, password]) => {
                Ok(Self::Basic { username: username.clone(), password: password.clone() })
            }
            (["token"], [token]) => Ok(Self::Bearer { token: token.clone() }),
            (["accessKeyId", "secretAccessKey"], [id, key]) => {
                Ok(Self::Signature { access_key_id: id.clone(), secret_access_key: key.clone() })
            }
            (["header", "value"], [name, value]) => header(name, value),
            _ => Err("not a kind of credentials".to_owned()),
        }
    }
}

fn check_value(key: &str, value: &str) -> Result<(), String> {
    if value.is_empty() || value.len() > VALUE_BYTES_MAX {
        return Err(format!("{key} has {} bytes, 1 to {VALUE_BYTES_MAX} are possible", value.len()));
    }
    if value.chars().any(char::is_control) {
        return Err(format!("{key} has a control character, such as a line feed"));
    }
    // A space around a value is nearly always an accident, and no header could carry it.
    if value.trim() != value && key != "password" {
        return Err(format!("{key} begins or ends with a space"));
    }
    Ok(())
}

fn header(name: &str, value: &str) -> Result<Credential, String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.bytes().all(is_token) || name.eq_ignore_ascii_case("authorization") {
        return Err("header is not a header's name, or is Authorization".to_owned());
    }
    if !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err("value is not printable ASCII".to_owned());
    }
    Ok(Credential::Header { name: name.to_ascii_lowercase(), value: value.to_owned() })
}

/// Reads a file, or names everything that is wrong with it, without a value of it.
pub fn parse(text: &str) -> Result<Publishers, Vec<Problem>> {
    let value: Value = serde_yaml::from_str(text).map_err(|error| {
        let at = error.location().map_or(String::new(), |at| format!(" at line {}", at.line()));
        vec![Problem::new("", format!("is not YAML{at}"))]
    })?;
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    let file = mapping("", &value, &["publishers", "readers"], &mut problems);
    let mut list = |key: &str| match file.and_then(|file| file.get(key)) {
        None => Vec::new(),
        Some(list) => parties(key, list, &mut names, &mut problems),
    };
    let publishers = Publishers { publishers: list("publishers"), readers: list("readers") };
    if problems.is_empty() { Ok(publishers) } else { Err(problems) }
}

/// `value` as a mapping with keys of `known` only.
fn mapping<'a>(
    at: &str,
    value: &'a Value,
    known: &[&str],
    problems: &mut Vec<Problem>,
) -> Option<&'a Mapping> {
    let Some(mapping) = value.as_mapping() else {
        problems.push(Problem::new(at, format!("is not a mapping with {}", known.join(", "))));
        return None;
    };
    // The key itself is not named: in a file that was written wrongly it may be a secret.
    if mapping.keys().any(|key| !key.as_str().is_some_and(|key| known.contains(&key))) {
        problems.push(Problem::new(at, format!("has an unknown key; known are {}", known.join(", "))));
    }
    Some(mapping)
}

fn parties(at: &str, value: &Value, names: &mut BTreeSet<String>, problems: &mut Vec<Problem>) -> Vec<Party> {
    let Some(list) = value.as_sequence().filter(|list| list.len() <= PARTIES_MAX) else {
        problems.push(Problem::new(at, format!("is not a list of at most {PARTIES_MAX}")));
        return Vec::new();
    };
    let entries = list.iter().enumerate();
    entries.filter_map(|(index, entry)| party(&format!("{at}[{index}]"), entry, names, problems)).collect()
}

fn party(
    at: &str,
    value: &Value,
    names: &mut BTreeSet<String>,
    problems: &mut Vec<Problem>,
) -> Option<Party> {
    let entry = mapping(at, value, &["name", "paths", "credentials"], problems)?;
    let name = entry.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !is_label(&name) || name.len() > 63 {
        let message = "is not a name: up to 63 lower-case letters, digits and -";
        problems.push(Problem::new(format!("{at}.name"), message));
    } else if !names.insert(name.clone()) {
        problems.push(Problem::new(format!("{at}.name"), "is the name of an earlier one; names are unique"));
    }
    let paths = entry.get("paths").map(|paths| globs(&format!("{at}.paths"), paths, problems));
    let credentials = credentials(&format!("{at}.credentials"), entry.get("credentials"), problems);
    Some(Party { name, paths, credentials })
}

fn globs(at: &str, value: &Value, problems: &mut Vec<Problem>) -> PathGlobs {
    let texts: Option<Vec<String>> = value
        .as_sequence()
        .and_then(|list| list.iter().map(|text| text.as_str().map(str::to_owned)).collect());
    let Some(texts) = texts else {
        problems.push(Problem::new(at, "is not a list of globs, e.g. [\"live/a/**\"]"));
        return PathGlobs::new(Vec::new());
    };
    PathGlobs::new(tier::globs(at, &texts, problems))
}

fn credentials(at: &str, value: Option<&Value>, problems: &mut Vec<Problem>) -> Vec<Credential> {
    let list = value.and_then(Value::as_sequence);
    let Some(list) = list.filter(|list| (1..=CREDENTIALS_MAX).contains(&list.len())) else {
        problems.push(Problem::new(at, format!("is not a list of 1 to {CREDENTIALS_MAX}")));
        return Vec::new();
    };
    let mut credentials = Vec::new();
    for (index, entry) in list.iter().enumerate() {
        match credential(entry) {
            Ok(credential) => credentials.push(credential),
            Err(message) => problems.push(Problem::new(format!("{at}[{index}]"), message)),
        }
    }
    credentials
}

fn credential(value: &Value) -> Result<Credential, String> {
    let kinds = || KINDS.map(|kind| kind.join(" and ")).join("; or ");
    let entry = value.as_mapping().ok_or_else(|| format!("is not a mapping with {}", kinds()))?;
    let kind = KINDS.iter().find(|kind| {
        let known = |key: &Value| key.as_str().is_some_and(|key| kind.contains(&key));
        entry.len() == kind.len() && entry.keys().all(known)
    });
    let kind = kind.ok_or_else(|| format!("has other keys than {}", kinds()))?;
    let values: Option<Vec<String>> =
        kind.iter().map(|key| entry.get(*key).and_then(Value::as_str).map(str::to_owned)).collect();
    let values = values.ok_or("has a value that is not a text: put it in quotation marks")?;
    Credential::new(kind, &values)
}

#[cfg(test)]
mod tests;
