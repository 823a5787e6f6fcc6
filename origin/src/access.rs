//! Who may write, list and read: the credentials of one Secret folder, and what a request shows of them.
//!
//! ```text
//! folder ─secret→ Keyring ─┐
//! request ─shown→ Shown ───┴─ admit ─→ Admission (who, which paths) or Denial
//! ```
//!
//! A Secret that makes no sense is never half in force: the one before stays, and everybody is told. Without a good one from the start
//! writes are refused with 503.

pub mod answer;
pub mod keyring;
pub mod secret;
pub mod shown;
pub mod sign;
#[cfg(test)]
mod tests;
pub mod token;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use mediaorigin_crds::policy::ReadAccess;

use crate::http::view::RequestView;
use crate::mediastore::sigv4;
use keyring::{Keyring, Party, Role};
use shown::Shown;

/// The credentials in force, and the folder that they come from.
#[derive(Debug)]
pub struct Access {
    folder: Option<PathBuf>,
    state: ArcSwap<State>,
}

/// What is known of the folder.
#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    /// The last one that made sense.
    keyring: Option<Arc<Keyring>>,
    /// What is wrong with the folder now; empty when nothing is.
    problems: Vec<String>,
}

/// What became of the folder since it was read the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing that matters.
    None,
    /// Its credentials are in force.
    Swapped,
    /// It makes no sense, for these reasons.
    Refused(Vec<String>),
}

/// What a request wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// GET or HEAD of an object.
    Read,
    /// The names in a folder.
    List,
    /// PUT, POST or DELETE.
    Write,
}

/// Who a request comes from, and so which paths it may speak of.
#[derive(Clone, Debug)]
pub enum Admission {
    /// Anybody: all paths.
    Anybody,
    /// Somebody with credentials.
    Party(Arc<Party>),
    /// Whoever has a signed URL for these paths.
    Url(token::Token),
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// It shows nothing.
    #[error("this needs credentials")]
    Missing,
    /// What it shows is not known.
    #[error("these credentials are not known")]
    Wrong,
    /// Its signature is not accepted.
    #[error("{0}")]
    Signature(sigv4::Refusal),
    /// Its signed URL is not accepted.
    #[error("{0}")]
    Token(token::Refusal),
    /// Its credentials do not reach so far.
    #[error("these credentials do not allow this")]
    Forbidden,
    /// There are no credentials to compare with.
    #[error("the credentials of this origin cannot be read")]
    Unavailable,
}

impl Access {
    /// Reads the credentials in `folder`; without one everybody may write.
    pub fn load(folder: Option<PathBuf>) -> Self {
        let access = Self { folder, state: ArcSwap::default() };
        access.reload();
        access
    }

    /// Reads the folder again.
    pub fn reload(&self) -> Change {
        let Some(folder) = &self.folder else { return Change::None };
        let before = self.state.load();
        let state = match secret::read(folder) {
            Ok(keyring) if before.keyring.as_deref() == Some(&keyring) => {
                State { keyring: before.keyring.clone(), problems: Vec::new() }
            }
            Ok(keyring) => State { keyring: Some(Arc::new(keyring)), problems: Vec::new() },
            Err(problems) => State { keyring: before.keyring.clone(), problems },
        };
        if state == **before {
            return Change::None;
        }
        let change =
            if state.problems.is_empty() { Change::Swapped } else { Change::Refused(state.problems.clone()) };
        self.state.store(Arc::new(state));
        change
    }

    /// Where the credentials come from; `None` where everybody may write.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// What is wrong with the folder; empty when nothing is.
    pub fn problems(&self) -> Vec<String> {
        self.state.load().problems.clone()
    }

    /// Publishers and readers that are known.
    pub fn parties(&self) -> usize {
        self.state.load().keyring.as_ref().map_or(0, |keyring| keyring.parties().len())
    }

    /// Why nobody can write, if nobody can.
    pub fn unready(&self) -> Option<String> {
        let state = self.state.load();
        let is_without = self.folder.is_some() && state.keyring.is_none();
        is_without.then(|| format!("credentials: {}", state.problems.join("; ")))
    }

    /// Whether a request for `action` may go on, where the configuration says `read` of readers. Which paths it may speak of is
    /// the admission's to say.
    pub fn admit(
        &self,
        request: &impl RequestView,
        action: Action,
        read: ReadAccess,
        now: SystemTime,
    ) -> Result<Admission, Denial> {
        match (action, read, &self.folder) {
            (Action::Read, ReadAccess::Public, _) | (Action::Write | Action::List, _, None) => {
                return Ok(Admission::Anybody);
            }
            // Closed while pods with the Secret are on their way.
            (Action::Read, _, None) => return Err(Denial::Unavailable),
            _ => {}
        }
        let state = self.state.load();
        let keyring = state.keyring.as_ref().ok_or(Denial::Unavailable)?;
        let with_urls = action == Action::Read && read == ReadAccess::SignedUrls;
        let mut denial = Denial::Missing;
        for shown in Shown::all(request, keyring.header_names()) {
            let admission = match shown {
                Shown::Url(_) if !with_urls => continue,
                Shown::Url(text) => keyring.open(text, now).map(Admission::Url).map_err(Denial::Token),
                Shown::Signature(claim) => keyring.signer(claim, request, now).map(Admission::Party),
                shown => keyring.holder(&shown).map(Admission::Party).ok_or(Denial::Wrong),
            };
            match admission.and_then(|admission| admission.may(action)) {
                Ok(admission) => return Ok(admission),
                Err(reason) => denial = reason,
            }
        }
        Err(denial)
    }
}

impl Admission {
    fn may(self, action: Action) -> Result<Self, Denial> {
        match (&self, action) {
            (Self::Party(party), Action::Write) if party.role != Role::Publisher => Err(Denial::Forbidden),
            _ => Ok(self),
        }
    }

    /// Whether it reaches the object under `path`.
    pub fn covers(&self, path: &str) -> bool {
        match self {
            Self::Anybody => true,
            Self::Party(party) => party.paths.as_ref().is_none_or(|paths| paths.matches(path)),
            Self::Url(token) => token.covers(path),
        }
    }

    /// Whether it reaches everything in `folder` (empty, or with a slash at its end).
    pub fn covers_folder(&self, folder: &str) -> bool {
        // A name that nobody has: a glob that matches it matches every name there.
        self.covers(&format!("{folder}\u{10fffd}"))
    }

    /// Whose credentials they are, for the log.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Party(party) => Some(&party.name),
            Self::Anybody | Self::Url(_) => None,
        }
    }
}
