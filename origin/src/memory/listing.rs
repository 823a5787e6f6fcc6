//! The names of complete objects in order, folder by folder.

use std::ops::Bound;
use std::sync::Arc;

use super::Memory;
use super::object::Object;
use super::order::Order;
use crate::clock::Now;
use crate::tiers::Listed;

/// The character behind `/`: where a folder's contents are over.
const BEHIND_SLASH: char = '0';

enum Name {
    Object(Arc<Object>),
    Folder(String),
}

impl Memory {
    /// Up to `limit` names directly in `folder` (empty, or ending in `/`) that follow `after` in the order of bytes;
    /// complete objects whose time is not over, and folders that hold one. A folder counts by its name with the `/`.
    pub fn list(&self, folder: &str, after: &str, limit: usize, now: Now) -> Vec<Listed> {
        let names = names(&self.order(), folder, after, limit, now);
        // Records are made outside the lock.
        names.into_iter().filter_map(|name| listed(name, now)).collect()
    }
}

fn listed(name: Name, now: Now) -> Option<Listed> {
    match name {
        Name::Folder(name) => Some(Listed::Folder(name)),
        Name::Object(object) => {
            let left = object.expires_at.map(|at| at.saturating_sub(now.elapsed));
            let expires_at = left.and_then(|left| now.wall.checked_add(left));
            let size = object.version.blob.length()?;
            object
                .version
                .record(size, object.sequence, expires_at)
                .map(|record| Listed::Object(Arc::new(record)))
        }
    }
}

fn names(order: &Order, folder: &str, after: &str, limit: usize, now: Now) -> Vec<Name> {
    let mut names = Vec::new();
    let mut from = match after {
        after if after <= folder => Bound::Included(folder.to_owned()),
        after if after.ends_with('/') => Bound::Included(behind(after)),
        after => Bound::Excluded(after.to_owned()),
    };
    while names.len() < limit {
        let range = (from.as_ref().map(String::as_str), Bound::Unbounded);
        let Some((path, object)) = order.names().range::<str, _>(range).next() else { break };
        let Some(rest) = path.strip_prefix(folder) else { break };
        from = match rest.split_once('/') {
            Some((child, _)) if !object.is_expired(now.elapsed) => {
                let name = format!("{folder}{child}/");
                let next = behind(&name);
                names.push(Name::Folder(name));
                Bound::Included(next)
            }
            None if !object.is_expired(now.elapsed) => {
                names.push(Name::Object(Arc::clone(object)));
                Bound::Excluded(path.to_string())
            }
            _ => Bound::Excluded(path.to_string()),
        };
    }
    names
}

/// The first name behind `name`, and behind everything in it where it is a folder.
fn behind(name: &str) -> String {
    name.strip_suffix('/').map_or_else(|| name.to_owned(), |folder| format!("{folder}{BEHIND_SLASH}"))
}
