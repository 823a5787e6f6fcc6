//! `ListItems`: the names directly in a folder, in the order of their bytes, page by page.
//!
//! A page begins behind the last name of the one before, and not at a count: whatever is written or deleted meanwhile, every name
//! that is there all the time comes exactly once. Only complete objects are listed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mediaorigin_crds::policy::{MediaStore, Policies};
use serde::Serialize;

use super::{Dialect, answer, sigv4, strict};
use crate::clock::Now;
use crate::cold;
use crate::http::body::Content;
use crate::http::path::LENGTH_MAX;
use crate::http::request::Reject;
use crate::http::response::Answer;
use crate::http::view::RequestView;
use crate::origin::Origin;
use crate::outcome::Outcome;
use crate::tiers::{Listed, Record, TierError};

/// Items of a page at most, and where the request does not say.
const ITEMS_MAX: usize = 1000;
/// How long a page's token is good.
const TOKEN_LIFE: Duration = Duration::from_mins(15);
/// Times that a page is filled up where names are left out, before it goes out shorter.
const ROUNDS_MAX: usize = 16;
const VERSION: &str = "1";

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRequest {
    /// The folder: empty, or ending in a slash.
    pub folder: String,
    items_max: usize,
    cursor: Option<Cursor>,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cursor {
    after: String,
    expires: SystemTime,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    items: Vec<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    name: String,
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(flatten)]
    object: Option<Object>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Object {
    /// As the `ETag` header has it.
    #[serde(rename = "ETag")]
    etag: String,
    /// Seconds since 1970.
    last_modified: f64,
    content_type: String,
    content_length: u64,
}

/// Whether a request for `key` asks for a listing: the root, by a client of MediaStore or with one of the parameters.
pub fn is_list(request: &impl RequestView, key: &str, dialect: Dialect) -> bool {
    let named = || {
        let parameters = sigv4::parameters(request.query().unwrap_or_default());
        parameters.iter().any(|(name, _)| [&b"Path"[..], b"MaxResults", b"NextToken"].contains(&&**name))
    };
    request.method() == "GET" && key == "/" && (dialect != Dialect::Plain || named())
}

impl ListRequest {
    /// Reads the parameters of a request.
    pub fn parse(request: &impl RequestView) -> Result<Self, Reject> {
        let parameters = sigv4::parameters(request.query().unwrap_or_default());
        let parameter = |name: &str| {
            let found = parameters.iter().find(|(key, _)| key == name.as_bytes());
            let text = found.map(|(_, value)| String::from_utf8(value.clone()));
            text.transpose().map_err(|_| Reject::malformed(format!("{name} is not UTF-8")))
        };
        let folder = folder(&parameter("Path")?.unwrap_or_default())?;
        let items_max = match parameter("MaxResults")? {
            None => ITEMS_MAX,
            Some(text) => {
                text.parse().ok().filter(|count| (1..=ITEMS_MAX).contains(count)).ok_or_else(|| {
                    Reject::malformed(format!("MaxResults is not between 1 and {ITEMS_MAX}"))
                })?
            }
        };
        let cursor = match parameter("NextToken")?.filter(|token| !token.is_empty()) {
            None => None,
            Some(token) => {
                let cursor = Cursor::parse(&token).filter(|cursor| cursor.after.starts_with(&folder));
                let refused = || Reject::malformed("NextToken is none of this listing");
                Some(cursor.ok_or_else(refused)?)
            }
        };
        Ok(Self { folder, items_max, cursor })
    }

    /// The page, as it is now.
    pub async fn answer(&self, origin: &Origin, policies: &Policies) -> Answer {
        let now = origin.clock.now();
        if self.cursor.as_ref().is_some_and(|cursor| cursor.expires <= now.wall) {
            return Answer::reject(&Reject::malformed("NextToken has expired: begin again"));
        }
        let (listed, last) = match self.page(origin, policies, now).await {
            Ok(page) => page,
            Err(error) => return cold::unavailable(&error),
        };
        let next_token =
            last.map(|after| Cursor { after, expires: now.wall + TOKEN_LIFE }).map(|cursor| cursor.text());
        let items = listed.iter().map(|listed| Item::of(listed, &self.folder)).collect();
        let mut answer = Answer::empty(StatusCode::OK, Outcome::Listed);
        answer.content = Content::Text(answer::json(&Page { items, next_token }));
        answer.push(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer.push(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }

    /// The names of the page, and the one behind which the next page begins, if there is more.
    async fn page(
        &self,
        origin: &Origin,
        policies: &Policies,
        now: Now,
    ) -> Result<(Vec<Listed>, Option<String>), Arc<TierError>> {
        let mut after = self.cursor.as_ref().map(|cursor| cursor.after.clone()).unwrap_or_default();
        let mut page = Vec::new();
        for _ in 0..ROUNDS_MAX {
            // One more than is shown tells whether there is more.
            let wanted = self.items_max - page.len() + 1;
            let found = match origin.tiers() {
                Some(tiers) => tiers.list(&self.folder, &after, wanted).await?,
                None => origin.memory.list(&self.folder, &after, wanted, now),
            };
            let is_all = found.len() < wanted;
            for listed in found {
                if page.len() == self.items_max {
                    return Ok((page, Some(after)));
                }
                listed.name().clone_into(&mut after);
                if !is_hidden(&listed, policies) {
                    page.push(listed);
                }
            }
            if is_all {
                return Ok((page, None));
            }
        }
        Ok((page, Some(after)))
    }
}

/// The folder of the parameter `Path`, with or without slashes around it.
fn folder(path: &str) -> Result<String, Reject> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.chars().count() > LENGTH_MAX {
        return Err(Reject::malformed(format!("Path is longer than {LENGTH_MAX} characters")));
    }
    Ok(if path.is_empty() { String::new() } else { format!("{path}/") })
}

/// MediaStore does not list objects of a transient rule; one that was there before the rule has no end and is listed.
fn is_hidden(listed: &Listed, policies: &Policies) -> bool {
    let Listed::Object(record) = listed else { return false };
    policies.media_store() == MediaStore::Strict
        && record.expires_at.is_some()
        && policies.treat(&record.path).policy.expire().is_some_and(|life| life <= strict::TRANSIENT_MAX)
}

impl Item {
    fn of(listed: &Listed, folder: &str) -> Self {
        let name = listed.name();
        let name = name.strip_prefix(folder).unwrap_or(name).trim_end_matches('/').to_owned();
        match listed {
            Listed::Folder(_) => Self { name, kind: "FOLDER", object: None },
            Listed::Object(record) => Self { name, kind: "OBJECT", object: Some(Object::of(record)) },
        }
    }
}

impl Object {
    fn of(record: &Record) -> Self {
        let modified = record.modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            etag: format!("\"{}\"", record.uid),
            last_modified: modified.as_secs_f64(),
            content_type: record.meta.content_type.clone(),
            content_length: record.size,
        }
    }
}

/// A token holds nothing that its owner could not say anyway, so it is not signed; it survives restarts and serves every pod.
impl Cursor {
    fn text(&self) -> String {
        let expires = self.expires.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        URL_SAFE_NO_PAD.encode(format!("{VERSION}:{expires}:{}", self.after))
    }

    fn parse(text: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut parts = text.splitn(3, ':');
        let (version, expires, after) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
        let expires = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(expires))?;
        (version == VERSION && after.len() <= LENGTH_MAX * 4)
            .then(|| Self { after: after.to_owned(), expires })
    }
}
