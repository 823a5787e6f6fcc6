//! The credentials of an origin, ready to be compared with what requests show. Never printed; secrets that need not be kept are
//! digests, compared in constant time.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use actix_web::http::header::{AUTHORIZATION, HeaderName};
use mediaorigin_crds::policy::PathGlobs;
use mediaorigin_crds::publishers::{self, Credential};

use super::shown::Shown;
use super::{Denial, token};
use crate::digest::Digest;
use crate::http::view::RequestView;
use crate::mediastore::sigv4::{Claim, Refusal};

/// All credentials.
#[derive(Debug, Default, PartialEq)]
pub struct Keyring {
    parties: Vec<Arc<Party>>,
    urls: token::Keys,
    header_names: Vec<HeaderName>,
}

/// Somebody with credentials.
#[derive(Debug, PartialEq)]
pub struct Party {
    /// Who.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// On which objects; `None` for all.
    pub paths: Option<PathGlobs>,
    locks: Vec<Lock>,
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Write, list and read.
    Publisher,
    /// List and read.
    Reader,
}

/// What a shown credential is compared with.
#[derive(PartialEq, Eq)]
enum Lock {
    Basic(Digest),
    Bearer(Digest),
    Header(HeaderName, Digest),
    Signature { key_id: String, secret: String },
}

impl fmt::Debug for Lock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Lock(…)")
    }
}

impl Party {
    /// A party of the file.
    pub fn new(role: Role, party: publishers::Party) -> Self {
        let publishers::Party { name, paths, credentials } = party;
        Self { name, role, paths, locks: credentials.into_iter().map(Lock::new).collect() }
    }
}

impl Lock {
    fn new(credential: Credential) -> Self {
        match credential {
            Credential::Basic { username, password } => {
                Self::Basic(Digest::of(format!("{username}:{password}").as_bytes()))
            }
            Credential::Bearer { token } => Self::Bearer(Digest::of(token.as_bytes())),
            Credential::Header { name, value } => {
                // The contract lets nothing pass that is no name; one that were would never match.
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap_or(AUTHORIZATION);
                Self::Header(name, Digest::of(value.as_bytes()))
            }
            Credential::Signature { access_key_id, secret_access_key } => {
                Self::Signature { key_id: access_key_id, secret: secret_access_key }
            }
        }
    }

    fn opens(&self, shown: &Shown<'_>) -> bool {
        match (self, shown) {
            (Self::Basic(lock), Shown::Basic(key)) | (Self::Bearer(lock), Shown::Bearer(key)) => lock == key,
            (Self::Header(name, lock), Shown::Header(shown, key)) => name == *shown && lock == key,
            _ => false,
        }
    }
}

impl Keyring {
    /// The keyring of these parties and keys.
    pub fn new(parties: Vec<Party>, urls: token::Keys) -> Self {
        let locks = parties.iter().flat_map(|party| &party.locks);
        let mut header_names: Vec<HeaderName> = locks
            .filter_map(|lock| match lock {
                Lock::Header(name, _) => Some(name.clone()),
                _ => None,
            })
            .collect();
        header_names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        header_names.dedup();
        Self { parties: parties.into_iter().map(Arc::new).collect(), urls, header_names }
    }

    /// Everybody with credentials.
    pub fn parties(&self) -> &[Arc<Party>] {
        &self.parties
    }

    /// Headers that are credentials.
    pub fn header_names(&self) -> &[HeaderName] {
        &self.header_names
    }

    /// Who holds a credential that is compared as it is. Looks at all of them, so that the time does not tell whose it was.
    pub fn holder(&self, shown: &Shown<'_>) -> Option<Arc<Party>> {
        let mut found = None;
        for party in &self.parties {
            if party.locks.iter().filter(|lock| lock.opens(shown)).count() > 0 && found.is_none() {
                found = Some(Arc::clone(party));
            }
        }
        found
    }

    /// Who signed a request.
    pub fn signer(
        &self,
        claim: Result<Claim, Refusal>,
        request: &impl RequestView,
        now: SystemTime,
    ) -> Result<Arc<Party>, Denial> {
        let claim = claim.map_err(Denial::Signature)?;
        let mut refusal = Refusal::UnknownKey;
        // One name may have two keys for a while.
        for party in &self.parties {
            for lock in &party.locks {
                let Lock::Signature { key_id, secret } = lock else { continue };
                if *key_id != claim.key_id {
                    continue;
                }
                match claim.verify(request, secret, now) {
                    Ok(()) => return Ok(Arc::clone(party)),
                    Err(reason) => refusal = reason,
                }
            }
        }
        Err(Denial::Signature(refusal))
    }

    /// What a signed URL allows.
    pub fn open(&self, text: &str, now: SystemTime) -> Result<token::Token, token::Refusal> {
        self.urls.open(text, now)
    }
}
