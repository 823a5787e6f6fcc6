//! Where things lie in a bucket: the key of a path, and the names that are kept for ourselves.
//!
//! A key is the prefix and the path as they are, so that every other tool can read the bucket. That is possible because
//! the paths of this origin have no empty, `.` or `..` segments and no control characters; the only names that cannot be
//! used are those of [`RESERVED`].

use object_store::path::Path;

/// The folder below the prefix that holds what is not an object of ours: probes, and the headers of local files.
pub(super) const RESERVED: &str = ".mo";
/// The longest key that S3 takes (docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html).
const KEY_BYTES_MAX: usize = 1_024;

/// The scheme of a bucket's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    S3,
    Google,
    Azure,
    File,
    Memory,
}

/// A bucket and the folder in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) scheme: Scheme,
    /// The bucket or container; the folder of a local one; empty in memory.
    pub(super) bucket: String,
    /// What every key begins with: empty, or ending in a slash.
    pub(super) prefix: String,
}

impl Place {
    /// Reads a URL; the error says what is wrong with it.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| format!("{url} has no scheme"))?;
        let scheme = match scheme {
            "s3" => Scheme::S3,
            "gs" => Scheme::Google,
            "az" => Scheme::Azure,
            "file" => Scheme::File,
            "memory" => Scheme::Memory,
            other => return Err(format!("{other}:// is none of s3, gs, az, file and memory")),
        };
        if scheme == Scheme::File {
            let folder = rest.trim_end_matches('/');
            return if folder.starts_with('/') {
                Ok(Self { scheme, bucket: folder.to_owned(), prefix: String::new() })
            } else {
                Err(format!("{url} is not an absolute folder: file:///folder"))
            };
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() != (scheme == Scheme::Memory) {
            return Err(format!("{url} names no bucket"));
        }
        let prefix = prefix.trim_matches('/');
        Path::parse(prefix).map_err(|error| format!("{url}: {error}"))?;
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self { scheme, bucket: bucket.to_owned(), prefix })
    }

    /// The key of an object; none when it can have none.
    pub(super) fn key(&self, path: &str) -> Option<Path> {
        let is_reserved = path.split('/').next() == Some(RESERVED);
        let key = format!("{}{path}", self.prefix);
        // `parse` forgives a slash at either end, which would give two paths one key.
        let is_plain = !path.is_empty() && !path.ends_with('/') && !path.starts_with('/');
        if is_reserved || !is_plain || key.len() > KEY_BYTES_MAX {
            return None;
        }
        Path::parse(key).ok()
    }

    /// The key of something of our own.
    pub(super) fn own(&self, name: &str) -> Path {
        let key = format!("{}{RESERVED}/{name}", self.prefix);
        Path::parse(&key).unwrap_or_else(|_| Path::from(key))
    }

    /// The path of a key, for objects and (with the slash at its end) folders; none when an object of that path could
    /// not be asked for.
    pub(super) fn path<'a>(&self, key: &'a str) -> Option<&'a str> {
        let path = key.strip_prefix(&self.prefix)?;
        let name = path.strip_suffix('/').unwrap_or(path);
        let is_fit = !name.contains('\\') && !name.chars().any(char::is_control);
        (is_fit && self.key(name).is_some()).then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Scheme};

    #[test]
    fn urls_are_read_or_refused() {
        let cases = [
            ("s3://bucket", Some((Scheme::S3, "bucket", ""))),
            ("s3://bucket/", Some((Scheme::S3, "bucket", ""))),
            ("s3://bucket/live/a/", Some((Scheme::S3, "bucket", "live/a/"))),
            ("gs://b/p", Some((Scheme::Google, "b", "p/"))),
            ("az://c", Some((Scheme::Azure, "c", ""))),
            ("file:///var/media/", Some((Scheme::File, "/var/media", ""))),
            ("memory:///p", Some((Scheme::Memory, "", "p/"))),
            ("s3:///prefix", None),
            ("s3://bucket/a//b", None),
            ("file://relative", None),
            ("ftp://bucket", None),
            ("bucket", None),
        ];
        for (url, expected) in cases {
            let place = Place::parse(url).ok();
            let found = place.as_ref().map(|p| (p.scheme, p.bucket.as_str(), p.prefix.as_str()));
            assert_eq!(found, expected, "{url}");
        }
    }

    #[test]
    fn a_path_has_one_key_and_a_key_one_path() {
        let place = Place::parse("s3://b/p").unwrap();
        for path in ["a", "a/b.ts", "100%/%41/%2F", "Ä/日本 🎬.m3u8", "what?now#here", ".hidden/..x", "a b "]
        {
            let key = place.key(path).unwrap();
            assert_eq!(key.as_ref(), format!("p/{path}"));
            assert_eq!(place.path(key.as_ref()), Some(path));
        }
        for path in ["", "a/", "/a", "a//b", "a/../b", ".mo/x", ".mo", "a\n", &"x".repeat(1_023)] {
            assert_eq!(place.key(path), None, "{path:?}");
        }
        for key in ["p/.mo/probe", "other", "p/a\\b", "p/a\u{85}", "p/a//b"] {
            assert_eq!(place.path(key), None, "{key:?}");
        }
        assert_eq!(place.path("p/a/b/"), Some("a/b/"));
    }
}
