//! What an answer says of the version that it is about, as lines that go on the wire as they are: made once for each
//! version, coding and configuration, and kept with the version.

use std::sync::{Arc, Weak};
use std::time::SystemTime;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use bytes::Bytes;
use mediaorigin_crds::policy::{Class, Treatment};

use super::caching::{self, Facts};
use super::coding::{ColdRepresentation, Representation};
use super::tags;
use crate::clock::Now;
use crate::config::Hot;
use crate::memory::Memory;
use crate::memory::budget::Permit;
use crate::memory::object::Meta;
use crate::outcome::Outcome;

const PRIORITY: HeaderName = HeaderName::from_static("priority");
/// What the lines of one version cost beside their bytes.
const COST: u64 = 256;

/// The lines.
#[derive(Clone, Debug)]
pub struct Described {
    /// Lines with their ends: first those that a 304 has, too (RFC 9110 §15.4.5).
    text: Bytes,
    /// Length of those.
    validators: usize,
    /// Until when the object is there, by the rule in force.
    pub expires_at: Option<SystemTime>,
}

/// The lines of a version under a configuration.
#[derive(Debug)]
pub struct Kept {
    /// Not owned, and so never the address of another one.
    under: Weak<Hot>,
    described: Described,
}

/// Drops its bytes first and then its permit.
struct Paid {
    text: Vec<u8>,
    _permit: Permit,
}

impl AsRef<[u8]> for Paid {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

/// The version.
struct Subject<'a> {
    path: &'a str,
    meta: &'a Meta,
    etag: String,
    modified: Option<SystemTime>,
    facts: Facts,
    served: Outcome,
    coding: Option<&'a str>,
    has_ranges: bool,
    varies: bool,
}

impl Described {
    /// Of a version in memory that lies under its path: the lines that are kept with it, else new ones. They are kept where
    /// there is memory for them.
    pub fn complete(memory: &Memory, hot: &Arc<Hot>, chosen: &Representation<'_>, now: Now) -> Self {
        let place = chosen.version.derived.described(chosen.variant.is_some());
        let kept = place.load();
        if let Some(kept) = kept.as_ref().filter(|kept| std::ptr::eq(kept.under.as_ptr(), Arc::as_ptr(hot))) {
            return kept.described.clone();
        }
        let treatment = hot.policies.treat(&chosen.version.path);
        let described = Self::new(chosen, Outcome::Hit, &treatment);
        let Some(permit) = memory.try_reserve(COST + described.text.len() as u64, now) else {
            return described;
        };
        let text = Bytes::from_owner(Paid { text: described.text.into(), _permit: permit });
        let described = Self { text, ..described };
        place.store(Some(Arc::new(Kept { under: Arc::downgrade(hot), described: described.clone() })));
        described
    }

    /// Of a version in memory.
    pub fn new(chosen: &Representation<'_>, served: Outcome, treatment: &Treatment<'_>) -> Self {
        let version = chosen.version;
        let modified = version.started().map(|started| started.modified);
        let expires_at = modified.and_then(|at| at.checked_add(treatment.policy.expire()?));
        let subject = Subject {
            path: &version.path,
            meta: &version.meta,
            etag: chosen.etag(),
            modified,
            facts: Facts { pace: version.pace(), overwrote: version.derived.overwrote() },
            served,
            coding: chosen.content_encoding(),
            has_ranges: chosen.variant.is_none(),
            varies: chosen.varies(),
        };
        subject.describe(treatment, expires_at)
    }

    /// Of a version below memory.
    pub fn cold(chosen: &ColdRepresentation<'_>, served: Outcome, treatment: &Treatment<'_>) -> Self {
        let record = chosen.record;
        let subject = Subject {
            path: &record.path,
            meta: &record.meta,
            etag: chosen.etag(),
            modified: Some(record.modified),
            facts: Facts::default(),
            served,
            coding: chosen.content_encoding(),
            has_ranges: chosen.variant.is_none(),
            varies: chosen.varies(),
        };
        subject.describe(treatment, record.expires_at)
    }

    /// The lines of an answer with this status.
    pub fn lines(&self, status: StatusCode) -> Bytes {
        if status == StatusCode::NOT_MODIFIED {
            self.text.slice(..self.validators)
        } else {
            self.text.clone()
        }
    }
}

impl Subject<'_> {
    fn describe(&self, treatment: &Treatment<'_>, expires_at: Option<SystemTime>) -> Described {
        let mut text = Vec::with_capacity(512);
        write(&mut text, &header::ETAG, &self.etag);
        if let Some(modified) = self.modified {
            write(&mut text, &header::LAST_MODIFIED, &httpdate::fmt_http_date(modified));
        }
        let stored = self.meta.cache_control.as_deref();
        let caching = caching::object(treatment, self.path, stored, self.facts);
        for (name, value) in caching.into_iter().chain(tags::headers(self.path, treatment.cdn)) {
            write_bytes(&mut text, &name, value.as_bytes());
        }
        if self.varies {
            write(&mut text, &header::VARY, "Accept-Encoding");
        }
        let validators = text.len();
        if let Some(value) = priority(self.meta.class, self.served) {
            write(&mut text, &PRIORITY, value);
        }
        write(&mut text, &header::CONTENT_TYPE, &self.meta.content_type);
        if let Some(coding) = self.coding {
            write(&mut text, &header::CONTENT_ENCODING, coding);
        }
        if self.has_ranges {
            write(&mut text, &header::ACCEPT_RANGES, "bytes");
        }
        Described { text: Bytes::from(text), validators, expires_at }
    }
}

/// How urgent an answer is (RFC 9218): a player without a manifest does nothing, what is being written comes in pieces.
fn priority(class: Class, served: Outcome) -> Option<&'static str> {
    Some(match (class, served) {
        (Class::Manifest, _) => "u=1",
        (Class::Init | Class::Part, Outcome::Growing) => "u=2, i",
        (Class::Init | Class::Part, _) => "u=2",
        (Class::Segment, Outcome::Growing) => "u=3, i",
        (Class::Segment, _) => "u=3",
        (Class::Other, _) => return None,
    })
}

/// Adds a line whose value may come from outside; what no header may hold is left out.
fn write(text: &mut Vec<u8>, name: &HeaderName, value: &str) {
    if HeaderValue::from_str(value).is_ok() {
        write_bytes(text, name, value.as_bytes());
    }
}

fn write_bytes(text: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
        text.extend_from_slice(part);
    }
}
