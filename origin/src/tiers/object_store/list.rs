//! Listings: pages of the store, without what is ours, and with the headers that a listing does not have.
//!
//! A store lists names, sizes and `ETag`s; the other fields cost one request per object that is not remembered.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{ListResult, ObjectStore};

use super::bucket::Bucket;
use super::client::Client;
use super::counters::Request;
use super::decide::There;
use super::failure::Failure;
use super::fields::Content;
use super::{Remembered, Shared};
use crate::tiers::{Listed, Record};

/// Names of a page of S3 at most.
const PAGE_MAX: usize = 1_000;
/// Headers that are asked for at once.
const HEADS_AT_ONCE: usize = 16;

/// A name of a page.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    /// The key, for a folder with its slash.
    key: String,
    /// None for a folder.
    etag: Option<String>,
}

/// Names in the order of bytes.
#[derive(Debug, Default)]
struct Page {
    names: Vec<Name>,
    /// Where the next one begins, if there may be one.
    next: Option<String>,
}

impl Shared {
    /// In a box, because the folders of a page may have to be listed too.
    pub(super) fn list<'a>(
        &'a self,
        folder: &'a str,
        after: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Listed>, Failure>> {
        Box::pin(async move {
            let place = &self.requests.place;
            let prefix = format!("{}{folder}", place.prefix);
            let mut listed = Vec::new();
            let mut cursor = Some(format!("{}{after}", place.prefix));
            while let (Some(after), true) = (&cursor, listed.len() < limit) {
                let page = self.page(&prefix, after, (limit - listed.len()).min(PAGE_MAX)).await?;
                let names = page.names.into_iter().filter(|name| name.key > *after);
                let names = names.filter_map(|name| Some((place.path(&name.key)?.to_owned(), name.etag)));
                let names: Vec<_> = names.collect();
                let mut found =
                    stream::iter(names).map(|(path, etag)| self.listed(path, etag)).buffered(HEADS_AT_ONCE);
                while let (Some(found), true) = (found.try_next().await?, listed.len() < limit) {
                    listed.extend(found);
                }
                cursor = page.next;
            }
            Ok(listed)
        })
    }

    async fn listed(&self, path: String, etag: Option<String>) -> Result<Option<Listed>, Failure> {
        let Some(etag) = etag else {
            // One with nothing but markers in it is none.
            let is_empty = self.has_marker_in(&path) && self.list(&path, "", 1).await?.is_empty();
            return Ok((!is_empty).then_some(Listed::Folder(path)));
        };
        if let Some(record) = self.recall(&path, &etag) {
            return Ok(Some(Listed::Object(record)));
        }
        let Some(key) = self.requests.place.key(&path) else { return Ok(None) };
        Ok(match self.look(&path, &key).await? {
            Some(There { content: Content::Version { record, .. }, .. }) => Some(Listed::Object(record)),
            _ => None,
        })
    }

    fn recall(&self, path: &str, etag: &str) -> Option<Arc<Record>> {
        let Remembered { state, record, .. } = self.remembered.get(path)?;
        (*state.etag == *etag && !etag.is_empty()).then_some(record)
    }

    async fn page(&self, prefix: &str, after: &str, names: usize) -> Result<Page, Failure> {
        let (prefix, after) = (prefix.to_owned(), after.to_owned());
        let list = move |bucket: Arc<Bucket>| {
            let (prefix, after) = (prefix.clone(), after.clone());
            async move { page(&bucket, &prefix, &after, names).await }.boxed()
        };
        Ok(self.requests.read(Request::List, list).await?.0)
    }
}

/// Up to `names` names behind `after`.
async fn page(bucket: &Bucket, prefix: &str, after: &str, names: usize) -> Result<Page, Failure> {
    let whole = async |objects: &dyn ObjectStore| -> Result<Page, Failure> {
        // A folder of which one segment is missing is none.
        let Ok(folder) = Path::parse(prefix) else { return Ok(Page::default()) };
        let found = objects.list_with_delimiter(Some(&folder)).await?;
        let mut names = in_order(prefix, found);
        names.retain(|name| name.key.as_str() > after);
        Ok(Page { names, next: None })
    };
    match bucket.client() {
        Client::Folder(folder) => whole(folder.files()).await,
        Client::Cloud { objects, pages: None } => whole(&**objects).await,
        Client::Cloud { pages: Some(pages), .. } => around_odd_names(&*pages.0, prefix, after, names).await,
    }
}

/// Other writers may have put keys there that the client takes for an error (`a//b`): the page ends before such a one, or
/// begins behind it.
async fn around_odd_names(
    store: &dyn PaginatedListStore,
    prefix: &str,
    after: &str,
    names: usize,
) -> Result<Page, Failure> {
    let (mut offset, mut names, mut token) = (offset(prefix, after), names, None);
    loop {
        let options = PaginatedListOptions {
            offset: offset.clone(),
            delimiter: Some("/".into()),
            max_keys: Some(names),
            page_token: token.take(),
            ..PaginatedListOptions::default()
        };
        match store.list_paginated((!prefix.is_empty()).then_some(prefix), options).await {
            Ok(page) => {
                let names = in_order(prefix, page.result);
                if names.is_empty() && page.page_token.is_some() {
                    token = page.page_token;
                    continue;
                }
                let next = names.last().map(|name| name.key.clone()).filter(|_| page.page_token.is_some());
                return Ok(Page { names, next });
            }
            Err(object_store::Error::InvalidPath { .. }) if names > 1 => names = names.div_ceil(2),
            Err(object_store::Error::InvalidPath { source }) => {
                let Some(odd) = odd_name(&source) else {
                    return Err(object_store::Error::from(source).into());
                };
                offset = self::offset(prefix, &odd);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Behind `after`: a folder is one name for every key in it, so behind it is behind the last of these.
fn offset(prefix: &str, after: &str) -> Option<String> {
    match after {
        _ if after < prefix || after.is_empty() => None,
        _ if after != prefix && after.ends_with('/') => Some(format!("{after}\u{10FFFF}")),
        _ => Some(after.to_owned()),
    }
}

fn odd_name(error: &object_store::path::Error) -> Option<String> {
    use object_store::path::Error;
    match error {
        Error::EmptySegment { path } | Error::BadSegment { path, .. } => Some(path.clone()),
        _ => None,
    }
}

fn in_order(prefix: &str, found: ListResult) -> Vec<Name> {
    let folders =
        found.common_prefixes.into_iter().map(|folder| Name { key: format!("{folder}/"), etag: None });
    let objects = found.objects.into_iter().map(|object| Name {
        key: object.location.to_string(),
        etag: Some(object.e_tag.unwrap_or_default()),
    });
    // The object `folder/`, which some tools make, has lost its slash and is not in the folder any more.
    let mut names: Vec<Name> = folders.chain(objects).filter(|name| name.key.starts_with(prefix)).collect();
    names.sort();
    names
}
