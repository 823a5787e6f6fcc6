//! The certificate of the media port: read from a mounted folder, read again when it changes.
//!
//! `tls.crt` has the chain, `tls.key` the private key, and `ca.crt` the authorities of client certificates, where these are
//! asked for. A folder that is not good is refused whole and the last good one is served; connections that are open keep
//! what they were accepted with.

#[cfg(test)]
pub(crate) mod tests;
mod validity;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use std::{fs, io};

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::connection::TlsConfig;

/// Bytes of one of the files at most: what a Secret can hold.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The protocols that are offered (ALPN), the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// No.
    #[default]
    Ignored,
    /// Yes, and uploads and deletions need one that `ca.crt` vouches for. Reads do not.
    NeededToWrite,
}

impl ClientCertificates {
    /// Asked for where they are `needed`.
    pub const fn needed(needed: bool) -> Self {
        if needed { Self::NeededToWrite } else { Self::Ignored }
    }
}

/// Why a folder is not good. Names files, never what is in them.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A file is not PEM, or holds nothing of the kind.
    #[error("{path} has no {what} in PEM form")]
    Pem {
        /// The file.
        path: String,
        /// What it should have.
        what: &'static str,
    },
    /// Key and certificate do not fit, or cannot be used.
    #[error("tls.crt and tls.key cannot be used: {0}")]
    Pair(rustls::Error),
    /// The authorities cannot be used.
    #[error("ca.crt cannot be used: {0}")]
    Authorities(String),
}

/// The contents of the files.
#[derive(PartialEq, Eq)]
struct Files {
    chain: Vec<u8>,
    key: Vec<u8>,
    authorities: Option<Vec<u8>>,
}

/// What became of a look at the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing is new.
    Same,
    /// A new certificate is served.
    Renewed,
    /// The folder is not good, for this reason; the last good certificate is served.
    Refused(String),
}

/// The certificate in force.
pub struct Tls {
    dir: PathBuf,
    clients: ClientCertificates,
    served: TlsConfig,
    seen: Mutex<Seen>,
}

/// The last folder that was looked at.
struct Seen {
    files: Option<Files>,
    /// When the first certificate of the served chain ends.
    expires: Option<SystemTime>,
    problem: Option<String>,
}

impl Tls {
    /// Reads the folder.
    pub fn load(dir: &Path, clients: ClientCertificates) -> Result<Self, TlsError> {
        let files = read(dir, clients)?;
        let served = Arc::new(ArcSwap::from(config(&files)?));
        let expires = expires(&files);
        let seen = Mutex::new(Seen { files: Some(files), expires, problem: None });
        Ok(Self { dir: dir.to_owned(), clients, served, seen })
    }

    /// What connections are accepted with.
    pub fn served(&self) -> &TlsConfig {
        &self.served
    }

    /// Whether who writes must show a certificate.
    pub fn clients(&self) -> ClientCertificates {
        self.clients
    }

    /// Why the folder is not what is served, if it is not.
    pub fn problem(&self) -> Option<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).problem.clone()
    }

    /// When the served certificate ends, or the first one of its chain that does; clients refuse it from then on.
    pub fn expires(&self) -> Option<SystemTime> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).expires
    }

    /// Reads the folder again. A refusal is told once for each state of the folder.
    pub fn look(&self) -> Look {
        let files = read(&self.dir, self.clients);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let result = match files {
            Ok(files) if seen.files.as_ref() == Some(&files) => return Look::Same,
            Ok(files) => {
                let config = config(&files);
                // The files may be swapped between two reads: what is not good must be so twice.
                if config.is_err() && read(&self.dir, self.clients).ok().as_ref() != Some(&files) {
                    return Look::Same;
                }
                if config.is_ok() {
                    seen.expires = expires(&files);
                }
                seen.files = Some(files);
                config
            }
            Err(error) => {
                seen.files = None;
                Err(error)
            }
        };
        match result {
            Ok(config) => {
                self.served.store(config);
                seen.problem = None;
                Look::Renewed
            }
            Err(error) => {
                let problem = Some(error.to_string());
                let is_known = std::mem::replace(&mut seen.problem, problem.clone()) == problem;
                if is_known { Look::Same } else { Look::Refused(error.to_string()) }
            }
        }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Tls")
            .field("dir", &self.dir)
            .field("clients", &self.clients)
            .finish_non_exhaustive()
    }
}

fn read(dir: &Path, clients: ClientCertificates) -> Result<Files, TlsError> {
    let authorities = match clients {
        ClientCertificates::Ignored => None,
        ClientCertificates::NeededToWrite => Some(read_file(&dir.join("ca.crt"))?),
    };
    Ok(Files { chain: read_file(&dir.join("tls.crt"))?, key: read_file(&dir.join("tls.key"))?, authorities })
}

fn read_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { path: path.display().to_string(), source };
    if fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    fs::read(path).map_err(failed)
}

fn config(files: &Files) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?;
    let builder = match &files.authorities {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let failed = |error: &dyn ToString| TlsError::Authorities(error.to_string());
            let mut roots = RootCertStore::empty();
            for authority in certificates("ca.crt", authorities)? {
                roots.add(authority).map_err(|error| failed(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| failed(&error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::from_pem_slice(&files.key)
        .map_err(|_| TlsError::Pem { path: "tls.key".to_owned(), what: "private key" })?;
    let mut config =
        builder.with_single_cert(certificates("tls.crt", &files.chain)?, key).map_err(TlsError::Pair)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    // Sessions are resumed by tickets, which cost no memory; a new certificate has new keys for them.
    config.ticketer = ring::Ticketer::new().map_err(TlsError::Pair)?;
    Ok(Arc::new(config))
}

fn expires(files: &Files) -> Option<SystemTime> {
    let chain = certificates("tls.crt", &files.chain).unwrap_or_default();
    chain.iter().filter_map(|certificate| validity::not_after(certificate)).min()
}

fn certificates(path: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = || TlsError::Pem { path: path.to_owned(), what: "certificate" };
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|_| failed())?;
    if chain.is_empty() { Err(failed()) } else { Ok(chain) }
}
