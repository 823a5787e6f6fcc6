//! A mounted Secret as a folder: one file per key. What is in it is read as a whole or not at all.

use std::path::{Path, PathBuf};
use std::{fs, io};

use mediaorigin_crds::publishers::{self, Credential};

use super::keyring::{Keyring, Party, Role};
use super::token::{KEY_BYTES_MIN, Keys};

/// Bytes of a file with one value at most.
const VALUE_BYTES_MAX: usize = 4 * 1024;
/// Bytes of `publishers.yaml` at most.
const PUBLISHERS_BYTES_MAX: usize = 512 * 1024;
/// Problems of one folder that are told at most.
const PROBLEMS_MAX: usize = 16;
/// The kinds of credentials that have files of their own.
const KINDS: [&[&str]; 3] = [&["username", "password"], &["token"], &["accessKeyId", "secretAccessKey"]];
/// Name of whoever has them.
const PUBLISHER: &str = "publisher";

/// Reads a folder, or says everything that is wrong with it, without a word of what is in it.
pub fn read(folder: &Path) -> Result<Keyring, Vec<String>> {
    let folder = Folder::open(folder);
    let mut problems = Vec::new();
    let mut parties = Vec::new();
    let mut credentials = Vec::new();
    for kind in KINDS {
        match folder.credential(kind) {
            Ok(credential) => credentials.extend(credential),
            Err(problem) => problems.push(problem),
        }
    }
    let party = publishers::Party { name: PUBLISHER.to_owned(), paths: None, credentials };
    if !party.credentials.is_empty() {
        parties.push(Party::new(Role::Publisher, party));
    }
    match folder.publishers() {
        Ok(more) => parties.extend(more),
        Err(more) => problems.extend(more),
    }
    let keys = folder.keys().unwrap_or_else(|problem| {
        problems.push(problem);
        Keys::default()
    });
    if problems.is_empty() && !parties.iter().any(|party| party.role == Role::Publisher) {
        let names = KINDS.map(|kind| kind.join(" and ")).join("; ");
        let folder = folder.given.display();
        problems.push(format!("{folder} has no credentials: {names}; or publishers.yaml"));
    }
    problems.truncate(PROBLEMS_MAX);
    if problems.is_empty() { Ok(Keyring::new(parties, keys)) } else { Err(problems) }
}

/// The key in a file of its own, to sign URLs with.
pub fn signing_key(file: &Path) -> Result<Vec<u8>, String> {
    let name = file.display().to_string();
    let key = value(file, &name)?.ok_or_else(|| format!("{name} is not there"))?;
    long_enough(&name, key)
}

struct Folder {
    given: PathBuf,
    /// Where the files are now: the kubelet swaps the link `..data` when a Secret changes, and files of two versions must not mix.
    current: PathBuf,
}

impl Folder {
    fn open(folder: &Path) -> Self {
        let given = folder.to_owned();
        let current = folder.join("..data").canonicalize().unwrap_or_else(|_| given.clone());
        Self { given, current }
    }

    /// The credential in the files of one kind, if there is any of them.
    fn credential(&self, kind: &[&str]) -> Result<Option<Credential>, String> {
        let values: Vec<Option<String>> =
            kind.iter().map(|name| self.value(name)).collect::<Result<_, String>>()?;
        if values.iter().all(Option::is_none) {
            return Ok(None);
        }
        let there: Vec<String> = values.into_iter().flatten().collect();
        if there.len() < kind.len() {
            return Err(format!("{} belong together, one is missing", kind.join(" and ")));
        }
        Credential::new(kind, &there).map(Some)
    }

    fn publishers(&self) -> Result<Vec<Party>, Vec<String>> {
        let name = "publishers.yaml";
        let Some(text) = self.text(name, PUBLISHERS_BYTES_MAX).map_err(|problem| vec![problem])? else {
            return Ok(Vec::new());
        };
        let file = publishers::parse(&text).map_err(|problems| {
            problems.iter().map(|problem| format!("{name}: {problem}")).collect::<Vec<_>>()
        })?;
        let publishers = file.publishers.into_iter().map(|party| Party::new(Role::Publisher, party));
        let readers = file.readers.into_iter().map(|party| Party::new(Role::Reader, party));
        Ok(publishers.chain(readers).collect())
    }

    fn keys(&self) -> Result<Keys, String> {
        let mut keys = Vec::new();
        for name in ["urlSigningKey", "urlSigningKeyPrevious"] {
            let Some(key) = self.value(name)? else { continue };
            keys.push(long_enough(name, key)?);
        }
        Ok(Keys::new(keys))
    }

    fn value(&self, name: &str) -> Result<Option<String>, String> {
        value(&self.current.join(name), name)
    }

    fn text(&self, name: &str, bytes_max: usize) -> Result<Option<String>, String> {
        text(&self.current.join(name), name, bytes_max)
    }
}

fn long_enough(name: &str, key: String) -> Result<Vec<u8>, String> {
    if key.len() < KEY_BYTES_MIN {
        return Err(format!("{name} has {} bytes, at least {KEY_BYTES_MIN} are needed", key.len()));
    }
    Ok(key.into_bytes())
}

/// A file with one value. One written by hand ends in a line feed that nobody means.
fn value(file: &Path, name: &str) -> Result<Option<String>, String> {
    let Some(text) = text(file, name, VALUE_BYTES_MAX)? else { return Ok(None) };
    let value = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if value.is_empty() { Err(format!("{name} is empty")) } else { Ok(Some(value.to_owned())) }
}

fn text(file: &Path, name: &str, bytes_max: usize) -> Result<Option<String>, String> {
    let bytes = match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Ok(found) if found.len() > bytes_max as u64 => {
            return Err(format!("{name} has more than {bytes_max} bytes"));
        }
        _ => fs::read(file),
    };
    let bytes = bytes.map_err(|error| format!("{name} cannot be read: {error}"))?;
    String::from_utf8(bytes).map(Some).map_err(|_| format!("{name} is not UTF-8"))
}
