//! Digests that come with an upload (RFC 1864, RFC 9530): what they do not match is not stored.

use actix_web::http::header::HeaderName;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

use super::view::RequestView;

/// Digests of one upload at most; further ones are not looked at.
const DIGESTS_MAX: usize = 8;
/// The headers, each with how its value is read.
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
const FIELDS: [HeaderName; 2] =
    [HeaderName::from_static("content-digest"), HeaderName::from_static("repr-digest")];

/// Digests that a body must have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digests(Vec<Expected>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    header: HeaderName,
    algorithm: Algorithm,
    digest: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
    Sha512,
}

/// A digest that is being computed, with the one that it must become.
#[derive(Clone, Debug)]
pub struct Check(Vec<(Expected, Running)>);

#[derive(Clone, Debug)]
enum Running {
    Md5(Md5),
    Sha256(Sha256),
    Sha512(Sha512),
}

/// The body is not what a header says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body does not match its {0}")]
pub struct Mismatch(pub String);

impl Digests {
    /// Reads the headers of a request; the error is what is wrong with one.
    pub fn read(head: &impl RequestView) -> Result<Self, String> {
        let mut digests = Vec::new();
        if let Some(text) = head.text(&CONTENT_MD5) {
            digests.push(expected(CONTENT_MD5, Algorithm::Md5, text.trim())?);
        }
        for header in FIELDS {
            let text = head.text(&header).unwrap_or_default();
            for member in text.split(',').map(str::trim).filter(|member| !member.is_empty()) {
                let malformed = || format!("{header}: {member} is not a digest such as sha-256=:…:");
                let (name, value) = member.split_once('=').ok_or_else(malformed)?;
                // Of algorithms that we do not know nothing can be said (RFC 9530 §2).
                let algorithm = match name {
                    "sha-256" => Algorithm::Sha256,
                    "sha-512" => Algorithm::Sha512,
                    "md5" => Algorithm::Md5,
                    _ => continue,
                };
                let value = value.strip_prefix(':').and_then(|rest| rest.strip_suffix(':'));
                digests.push(expected(header.clone(), algorithm, value.ok_or_else(malformed)?)?);
            }
        }
        digests.truncate(DIGESTS_MAX);
        Ok(Self(digests))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Begins to check a body.
    pub fn check(&self) -> Check {
        let running = |expected: &Expected| match expected.algorithm {
            Algorithm::Md5 => Running::Md5(Md5::new()),
            Algorithm::Sha256 => Running::Sha256(Sha256::new()),
            Algorithm::Sha512 => Running::Sha512(Sha512::new()),
        };
        Check(self.0.iter().map(|expected| (expected.clone(), running(expected))).collect())
    }
}

impl Check {
    /// Further bytes of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        for (_, running) in &mut self.0 {
            match running {
                Running::Md5(digest) => digest.update(bytes),
                Running::Sha256(digest) => digest.update(bytes),
                Running::Sha512(digest) => digest.update(bytes),
            }
        }
    }

    /// The body is over: whether it is what the headers say.
    pub fn finish(self) -> Result<(), Mismatch> {
        for (expected, running) in self.0 {
            let is_same: bool = match running {
                Running::Md5(digest) => digest.finalize().as_slice().ct_eq(&expected.digest).into(),
                Running::Sha256(digest) => digest.finalize().as_slice().ct_eq(&expected.digest).into(),
                Running::Sha512(digest) => digest.finalize().as_slice().ct_eq(&expected.digest).into(),
            };
            if !is_same {
                return Err(Mismatch(expected.header.to_string()));
            }
        }
        Ok(())
    }
}

fn expected(header: HeaderName, algorithm: Algorithm, text: &str) -> Result<Expected, String> {
    let length = match algorithm {
        Algorithm::Md5 => 16,
        Algorithm::Sha256 => 32,
        Algorithm::Sha512 => 64,
    };
    match STANDARD.decode(text) {
        Ok(digest) if digest.len() == length => Ok(Expected { header, algorithm, digest }),
        _ => Err(format!("{header}: {text} is not the Base64 of {length} bytes")),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn check(headers: &[(&'static str, &'static str)], body: &[u8]) -> Result<(), String> {
        let request =
            headers.iter().fold(TestRequest::default(), |request, header| request.append_header(*header));
        let mut check = Digests::read(&request.to_http_request())?.check();
        for byte in body {
            check.update(&[*byte]);
        }
        check.finish().map_err(|mismatch| mismatch.to_string())
    }

    /// The digests of `hello`, as other programs compute them.
    const MD5: &str = "XUFAKrxLKna5cZ2REBfFkg==";
    const SHA_256: &str = "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:";
    const SHA_512: &str =
        "sha-512=:m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==:";

    #[test]
    fn a_body_must_be_what_its_headers_say() {
        for (name, value) in [("content-md5", MD5), ("content-digest", SHA_256), ("repr-digest", SHA_512)] {
            assert_eq!(check(&[(name, value)], b"hello"), Ok(()));
            let mismatch = format!("the body does not match its {name}");
            assert_eq!(check(&[(name, value)], b"hellp"), Err(mismatch.clone()));
            assert_eq!(check(&[(name, value)], b""), Err(mismatch));
        }
        assert_eq!(check(&[], b"hello"), Ok(()));
        assert_eq!(check(&[("repr-digest", "unixsum=:AAAA:, id-sha-256=:AAAA:")], b"hello"), Ok(()));
        assert!(check(&[("repr-digest", SHA_256), ("repr-digest", SHA_512)], b"hellp").is_err());
        assert_eq!(check(&[("repr-digest", SHA_256), ("repr-digest", SHA_512)], b"hello"), Ok(()));
    }

    #[test]
    fn what_is_no_digest_is_refused_by_its_name() {
        for (name, value) in [
            ("content-md5", "hello"),
            ("content-md5", "AAAA"),
            ("content-digest", "sha-256"),
            ("content-digest", "sha-256=AAAA"),
            ("content-digest", "sha-256=:AAAA:"),
            ("repr-digest", "sha-512=:****:"),
        ] {
            let error = check(&[(name, value)], b"hello").unwrap_err();
            assert!(error.starts_with(&format!("{name}: ")), "{error}");
        }
    }
}
