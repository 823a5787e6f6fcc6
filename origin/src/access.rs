//! Who may write: HTTP Basic credentials from a folder with the files `username` and `password` (a mounted Secret).

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

/// Bytes of a credentials file at most.
const FILE_BYTES_MAX: usize = 4 * 1024;

/// Who may write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everyone.
    Open,
    /// Whoever has these.
    Basic(Credentials),
    /// Nobody: the credentials cannot be read, for this reason.
    Unreadable(String),
}

/// A user name and a password. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    username: String,
    password: String,
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Go on.
    Granted,
    /// Say who you are.
    Challenge,
    /// You may not.
    Denied,
    /// The credentials cannot be read, for this reason.
    Unavailable(String),
}

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is empty")]
    Empty { path: PathBuf },
    #[error("{path} has more than {FILE_BYTES_MAX} bytes")]
    Long { path: PathBuf },
}

impl Credentials {
    /// A user name and a password.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { username: username.into(), password: password.into() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Credentials(…)")
    }
}

impl Access {
    /// Reads the credentials in `dir`; without one everyone may write.
    pub fn load(dir: Option<&Path>) -> Self {
        let Some(dir) = dir else { return Self::Open };
        match (read(&dir.join("username")), read(&dir.join("password"))) {
            (Ok(username), Ok(password)) => Self::Basic(Credentials { username, password }),
            (Err(error), _) | (_, Err(error)) => Self::Unreadable(error.to_string()),
        }
    }

    /// Whose credentials are asked for.
    pub fn publisher(&self) -> Option<&str> {
        match self {
            Self::Basic(credentials) => Some(&credentials.username),
            Self::Open | Self::Unreadable(_) => None,
        }
    }

    /// What a client with this `Authorization` header may do.
    pub fn check(&self, authorization: Option<&str>) -> Grant {
        match (self, authorization) {
            (Self::Open, _) => Grant::Granted,
            (Self::Unreadable(reason), _) => Grant::Unavailable(reason.clone()),
            (Self::Basic(_), None) => Grant::Challenge,
            (Self::Basic(credentials), Some(header)) if credentials.are_in(header) => Grant::Granted,
            (Self::Basic(_), Some(_)) => Grant::Denied,
        }
    }
}

impl Credentials {
    fn are_in(&self, authorization: &str) -> bool {
        let Some((scheme, encoded)) = authorization.trim().split_once(' ') else { return false };
        if !scheme.eq_ignore_ascii_case("basic") {
            return false;
        }
        let Ok(given) = STANDARD.decode(encoded.trim()) else { return false };
        let expected = format!("{}:{}", self.username, self.password);
        given.ct_eq(expected.as_bytes()).into()
    }
}

fn read(path: &Path) -> Result<String, ReadError> {
    let path = path.to_owned();
    let text = fs::read_to_string(&path).map_err(|source| ReadError::Read { path: path.clone(), source })?;
    if text.len() > FILE_BYTES_MAX {
        return Err(ReadError::Long { path });
    }
    // A file written by hand ends in a line feed that nobody means.
    let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if text.is_empty() { Err(ReadError::Empty { path }) } else { Ok(text.to_owned()) }
}
