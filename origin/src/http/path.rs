//! The path of a request as the key of an object: decoded once, refused where two spellings could mean one file.

use std::fmt::{self, Write};

/// Characters of a path at most.
pub const LENGTH_MAX: usize = 900;
/// Folders of a path at most.
pub const FOLDERS_MAX: usize = 32;

/// A path that can hold an object: decoded UTF-8, without a leading slash, no empty, `.` or `..` segments, no control
/// characters or backslashes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectPath(String);

/// Why a path cannot hold an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It ends in a slash, or is only one.
    #[error("the path names a folder, an object has a name behind the last slash")]
    Folder,
    /// It does not begin with a slash.
    #[error("the path does not begin with a slash")]
    Relative,
    /// A percent sign without two hexadecimal digits.
    #[error("the path has a percent sign without two hexadecimal digits behind it")]
    Percent,
    /// Not UTF-8 when decoded.
    #[error("the path is not UTF-8")]
    Encoding,
    /// An encoded slash, or a backslash in any spelling.
    #[error("the path has an encoded slash or a backslash")]
    Slash,
    /// A control character.
    #[error("the path has a control character")]
    Control,
    /// `//`.
    #[error("the path has an empty folder name (//)")]
    Empty,
    /// A segment `.` or `..`.
    #[error("the path has a segment . or ..")]
    Dots,
    /// Too long.
    #[error("the path is longer than {LENGTH_MAX} characters")]
    Long,
    /// Too deep.
    #[error("the path has more than {FOLDERS_MAX} folders")]
    Deep,
}

impl ObjectPath {
    /// Reads the path of a request target, still percent-encoded and without its query.
    pub fn parse(raw: &str) -> Result<Self, PathError> {
        let encoded = raw.strip_prefix('/').ok_or(PathError::Relative)?;
        // Three bytes encode one, four of those are a character: anything longer cannot be short enough.
        if encoded.len() > LENGTH_MAX * 12 {
            return Err(PathError::Long);
        }
        let path = decode(encoded)?;
        if path.len() > LENGTH_MAX && path.chars().count() > LENGTH_MAX {
            return Err(PathError::Long);
        }
        if path.bytes().any(|byte| byte == b'\\') {
            return Err(PathError::Slash);
        }
        let is_plain = path.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if !is_plain && path.chars().any(char::is_control) {
            return Err(PathError::Control);
        }
        check_segments(&path)?;
        Ok(Self(path))
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Everything but unreserved characters (RFC 3986 §2.3) and those of `kept` as `%XX`.
pub fn encode(bytes: &[u8], kept: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || kept.contains(byte) {
            text.push(char::from(*byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn decode(encoded: &str) -> Result<String, PathError> {
    if !encoded.bytes().any(|byte| byte == b'%') {
        return Ok(encoded.to_owned());
    }
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit =
            || bytes.next().and_then(|byte| char::from(byte).to_digit(16)).ok_or(PathError::Percent);
        let byte = u8::try_from(digit()? * 16 + digit()?).map_err(|_| PathError::Percent)?;
        if byte == b'/' {
            return Err(PathError::Slash);
        }
        decoded.push(byte);
    }
    String::from_utf8(decoded).map_err(|_| PathError::Encoding)
}

fn check_segments(path: &str) -> Result<(), PathError> {
    // By bytes: a slash is never part of another character, and names are too short for a search that has to be set up.
    let mut segments = path.as_bytes().rsplit(|byte| *byte == b'/');
    let name = segments.next().unwrap_or_default();
    let is_dots = |segment: &[u8]| segment == b"." || segment == b"..";
    let mut folders = 0;
    for folder in segments {
        folders += 1;
        if folder.is_empty() {
            return Err(PathError::Empty);
        }
        if is_dots(folder) {
            return Err(PathError::Dots);
        }
    }
    match () {
        () if is_dots(name) => Err(PathError::Dots),
        () if folders > FOLDERS_MAX => Err(PathError::Deep),
        () if name.is_empty() => Err(PathError::Folder),
        () => Ok(()),
    }
}
