//! Names on the wire: the key of a path, and the subjects and the stream of one partition.
//!
//! A path may hold every character and be longer than a server takes a subject (dots, spaces, wildcards, 3,600 bytes), so a
//! subject carries a digest of it: 192 bits of SHA-256 in the URL alphabet of base64, which are 32 characters that are safe
//! in a token. The path itself stands in the entry and is compared with the digest when it is read.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Bytes of a key.
const KEY_BYTES: usize = 24;
/// Longest name of an origin in subjects.
pub const SCOPE_BYTES_MAX: usize = 64;
/// Subjects that the barriers of one pod go around: a barrier is overwritten only after that many others.
pub const BARRIER_SUBJECTS: u64 = 64;

/// What stands for a path in a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u8; KEY_BYTES]);

impl Key {
    /// The key of a path.
    pub fn of(path: &str) -> Self {
        let digest = Sha256::digest(path.as_bytes());
        let mut key = [0; KEY_BYTES];
        key.copy_from_slice(&digest[..KEY_BYTES]);
        Self(key)
    }

    fn parse(token: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// The name of an origin among others on the same servers: letters, digits and `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope(String);

/// A name that cannot be part of a subject and of the name of a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an index cannot be named \"{0}\": one to {SCOPE_BYTES_MAX} letters, digits and hyphens")]
pub struct BadScope(pub String);

impl Scope {
    /// Checks a name.
    pub fn new(name: &str) -> Result<Self, BadScope> {
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if name.is_empty() || name.len() > SCOPE_BYTES_MAX || !name.bytes().all(is_safe) {
            return Err(BadScope(name.to_owned()));
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The subjects of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    scope: Scope,
    partition: u16,
}

/// What notices are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Uploads that are open.
    Open,
    /// Versions that another pod is asked to hold while the log does not commit.
    Hold,
}

/// What a subject of a partition is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The entry of a path.
    Entry(Key),
    /// A barrier of some pod.
    Barrier,
    /// Nothing that this version knows.
    Other,
}

impl Layout {
    /// The subjects of partition `partition` of the index named `scope`.
    pub fn new(scope: Scope, partition: u16) -> Self {
        Self { scope, partition }
    }

    /// The name of its stream.
    pub fn stream(&self) -> String {
        format!("MO_IDX_{}_{}", self.scope.0, self.partition)
    }

    fn prefix(&self) -> String {
        format!("mo.idx.{}.{}.", self.scope.0, self.partition)
    }

    /// Where the pods leave notices of one kind for each other.
    pub fn notices(&self, kind: Kind) -> String {
        match kind {
            Kind::Open => format!("mo.open.{}", self.scope.0),
            Kind::Hold => format!("mo.hold.{}", self.scope.0),
        }
    }

    /// All that the stream takes.
    pub fn all(&self) -> String {
        self.prefix() + ">"
    }

    /// Where the servers publish again what the stream has taken.
    pub fn republished(&self) -> String {
        format!("mo.idxr.{}.{}.>", self.scope.0, self.partition)
    }

    /// The subject of an entry.
    pub fn entry(&self, key: Key) -> String {
        format!("{}e.{key}", self.prefix())
    }

    /// The subject of a barrier. Pods share 256 groups of subjects: what pods that are gone for good have left in the stream
    /// is bounded. Two pods of one group do not mix up their barriers, which carry a nonce; they only overwrite them sooner.
    pub fn barrier(&self, nonce: u64, counter: u64) -> String {
        format!("{}b.{}.{}", self.prefix(), nonce % 256, counter % BARRIER_SUBJECTS)
    }

    /// What a subject of this partition is for.
    pub fn subject(&self, subject: &str) -> Subject {
        let Some(rest) = subject.strip_prefix(&self.prefix()) else { return Subject::Other };
        match rest.split_once('.') {
            Some(("e", token)) => Key::parse(token).map_or(Subject::Other, Subject::Entry),
            Some(("b", _)) => Subject::Barrier,
            _ => Subject::Other,
        }
    }
}

/// The partition of a path among `partitions`: decided by the folders of its channel, the first `depth` ones, so that a
/// playlist and the segments that it names are in one order.
pub fn partition(path: &str, depth: usize, partitions: u16) -> u16 {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    let channel: Vec<&str> = folders.split('/').take(depth).collect();
    let digest = Sha256::digest(channel.join("/").as_bytes());
    u16::from_be_bytes([digest[0], digest[1]]) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn layout() -> Layout {
        Layout::new(Scope::new("live").unwrap(), 3)
    }

    #[test]
    fn every_path_makes_a_subject_of_safe_tokens() {
        let long = "a/".repeat(1_800);
        for path in ["", "live/a.m3u8", "a.b.>", "*", "with space\r\n", "ünï/✓", "a..b", "$JS.API", &long]
        {
            let subject = layout().entry(Key::of(path));
            assert_eq!(subject.len(), "mo.idx.live.3.e.".len() + 32, "{path}");
            let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            assert!(subject.bytes().all(is_safe) && !subject.contains(".."), "{path}: {subject}");
            assert_eq!(layout().subject(&subject), Subject::Entry(Key::of(path)), "{path}");
        }
        assert_ne!(Key::of("a/b"), Key::of("a.b"));
    }

    #[test]
    fn a_subject_that_is_not_ours_is_nothing() {
        let other = Layout::new(Scope::new("live").unwrap(), 33).entry(Key::of("a"));
        for subject in ["", "mo.idx.live.3", "mo.idx.live.3.e.short", "mo.idx.live.3.x.y", &other] {
            assert_eq!(layout().subject(subject), Subject::Other, "{subject}");
        }
        assert_eq!(layout().subject(&layout().barrier(7, 64)), Subject::Barrier);
    }

    #[test]
    fn barriers_go_around_their_subjects() {
        assert_eq!(layout().barrier(258, 0), "mo.idx.live.3.b.2.0");
        assert_eq!(layout().barrier(258, 65), "mo.idx.live.3.b.2.1");
    }

    #[test]
    fn a_scope_cannot_break_a_subject_or_a_stream() {
        assert!(Scope::new("media-live-0a1B").is_ok() && Scope::new(&"x".repeat(64)).is_ok());
        for name in ["", "a.b", "a b", "*", ">", "a/b", "ü", &"x".repeat(65)] {
            assert_eq!(Scope::new(name), Err(BadScope(name.to_owned())));
        }
    }

    #[test]
    fn a_channel_is_in_one_partition() {
        let of = |path: &str| partition(path, 2, 8);
        assert_eq!(of("live/a/index.m3u8"), of("live/a/720p/seg1.ts"));
        let channels: HashSet<u16> = (0..64).map(|number| of(&format!("live/{number}/x"))).collect();
        assert!(channels.len() > 4, "{channels:?}");
        assert_eq!(partition("anything", 2, 1), 0);
    }
}
