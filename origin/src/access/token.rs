//! Signed URLs: whoever has one may read the paths that it names until its time is over.
//!
//! ```text
//! token   = base64url(payload) "." base64url(HMAC-SHA256(key, payload))      both without padding
//! payload = "1:" EXPIRY ":" GLOB        EXPIRY in seconds since 1970, GLOB with * (within a folder), ** (across) and ?
//! ```
//!
//! It is either the parameter `token` of the query, or, so that the relative addresses in a playlist keep it, the first folder
//! of the path: `/-t-TOKEN/live/a/index.m3u8`.

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::digest::Digest;

/// What the first folder of a path begins with when it is a token.
pub const PREFIX: &str = "-t-";
/// Bytes of a key at least.
pub const KEY_BYTES_MIN: usize = 16;
/// Characters of a glob at most.
pub const GLOB_LENGTH_MAX: usize = 256;
/// Characters of a token at most.
const TOKEN_LENGTH_MAX: usize = 512;
const VERSION: &str = "1";

/// The keys that tokens may be signed with: one, and while they are exchanged the one before. Never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Keys(Vec<Vec<u8>>);

/// What a token allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    expires: SystemTime,
    glob: String,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is none, or none of ours.
    #[error("the token of the URL is not valid")]
    Invalid,
    /// Its time is over.
    #[error("the token of the URL has expired")]
    Expired,
}

impl fmt::Debug for Keys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} keys", self.0.len())
    }
}

impl Keys {
    /// These keys; all of them open, none of them shorter than [`KEY_BYTES_MIN`].
    pub fn new(keys: Vec<Vec<u8>>) -> Self {
        Self(keys)
    }

    /// What a token allows at `now`.
    pub fn open(&self, text: &str, now: SystemTime) -> Result<Token, Refusal> {
        let (payload, signature) = split_token(text).ok_or(Refusal::Invalid)?;
        let is_ours = self.0.iter().filter(|key| Digest::keyed(key, &payload) == signature).count() > 0;
        let token = if is_ours { Token::parse(&payload) } else { None };
        let token = token.ok_or(Refusal::Invalid)?;
        if token.expires <= now { Err(Refusal::Expired) } else { Ok(token) }
    }
}

fn split_token(text: &str) -> Option<(Vec<u8>, Digest)> {
    if text.len() > TOKEN_LENGTH_MAX {
        return None;
    }
    let (payload, signature) = text.split_once('.')?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    Some((decode(payload)?, Digest::from_bytes(&decode(signature)?)?))
}

impl Token {
    /// A token for the paths of `glob`, until `expires`.
    pub fn new(glob: &str, expires: SystemTime) -> Option<Self> {
        let fits = !glob.is_empty() && glob.len() <= GLOB_LENGTH_MAX && !glob.starts_with('/');
        fits.then(|| Self { expires, glob: glob.to_owned() })
    }

    fn parse(payload: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(payload).ok()?.splitn(3, ':');
        let (version, expires, glob) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
        let expires = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(expires))?;
        if version == VERSION { Self::new(glob, expires) } else { None }
    }

    /// Its text, signed with `key`.
    pub fn sign(&self, key: &[u8]) -> String {
        let expires = self.expires.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let payload = format!("{VERSION}:{expires}:{}", self.glob);
        let signature = Digest::keyed(key, payload.as_bytes());
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        format!("{}.{}", encode(payload.as_bytes()), encode(signature.bytes()))
    }

    /// Whether it is good for `path` (decoded, without a leading slash).
    pub fn covers(&self, path: &str) -> bool {
        let (glob, path): (Vec<&str>, Vec<&str>) =
            (self.glob.split('/').collect(), path.split('/').collect());
        matches(&glob, &path, &"**", |glob, name| {
            let (glob, name): (Vec<char>, Vec<char>) = (glob.chars().collect(), name.chars().collect());
            matches(&glob, &name, &'*', |glob, char| *glob == '?' || glob == char)
        })
    }
}

/// Whether `pattern` matches all of `items`, where `many` stands for any number of them. Goes back to the last `many`
/// only, so that no pattern takes longer than the product of both lengths.
fn matches<T: PartialEq>(pattern: &[T], items: &[T], many: &T, one: impl Fn(&T, &T) -> bool) -> bool {
    let (mut at, mut item) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while item < items.len() {
        match (pattern.get(at), back) {
            (Some(glob), _) if glob == many => {
                back = Some((at + 1, item));
                at += 1;
            }
            (Some(glob), _) if one(glob, &items[item]) => (at, item) = (at + 1, item + 1),
            (_, Some((start, skipped))) => {
                back = Some((start, skipped + 1));
                (at, item) = (start, skipped + 1);
            }
            (_, None) => return false,
        }
    }
    pattern[at..].iter().all(|glob| glob == many)
}

/// The token of a target, if it has one.
pub fn of<'a>(path: &'a str, query: &'a str) -> Option<&'a str> {
    split(path).0.or_else(|| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(name, _)| *name == "token").map(|(_, value)| value).next()
    })
}

/// The token in a path, if there is one, and the path without it.
pub fn split(path: &str) -> (Option<&str>, &str) {
    let Some(rest) = path.strip_prefix('/').and_then(|path| path.strip_prefix(PREFIX)) else {
        return (None, path);
    };
    let end = rest.find('/').unwrap_or(rest.len());
    (Some(&rest[..end]), &rest[end..])
}
