//! Between what tiers keep of a version and what the index of a fleet says of it.

use std::sync::Arc;

use bytes::Bytes;
use mediaorigin_crds::policy::Class;
use mediaorigin_index::entry::{self as index, Entry, Place, State, Version};

use crate::clock::Now;
use crate::memory::blob::Uid;
use crate::memory::object::Meta;
use crate::tiers::Record;
use crate::tiers::walker::Current;
use crate::times::{micros, of_micros};

const CONTENT_TYPE: &str = "content-type";
const CONTENT_ENCODING: &str = "content-encoding";
const CACHE_CONTROL: &str = "cache-control";
const CLASS: &str = "mo-class";
const MODIFIED: &str = "mo-modified";

/// What the index says of `record`, whose bytes are at `places`, or in `body`.
pub(super) fn of_record(record: &Record, places: Vec<Place>, body: Option<Bytes>) -> Entry {
    let Meta { content_type, content_encoding, cache_control, class } = &record.meta;
    let mut headers = vec![
        (CONTENT_TYPE.to_owned(), content_type.clone()),
        (CLASS.to_owned(), class.as_str().to_owned()),
        (MODIFIED.to_owned(), micros(record.modified).to_string()),
    ];
    let optional = [(CONTENT_ENCODING, content_encoding), (CACHE_CONTROL, cache_control)];
    headers.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))));
    let version =
        Version { size: record.size, headers, expires_at: record.expires_at.map(micros), places, body };
    Entry {
        path: Arc::clone(&record.path),
        uid: index::Uid(record.uid.0),
        stamp: record.sequence,
        state: State::Live(version),
    }
}

/// That there is nothing under `path` any more.
pub(super) fn tombstone(path: &Arc<str>, uid: Uid, stamp: u64) -> Entry {
    Entry { path: Arc::clone(path), uid: index::Uid(uid.0), stamp, state: State::Tombstone }
}

/// What kind of object the version of `entry` is.
pub(crate) fn class(entry: &Entry) -> Class {
    let word = entry.version().and_then(|version| header(version, CLASS));
    word.and_then(|word| Class::named(word)).unwrap_or_else(|| Class::of(&entry.path))
}

fn header<'a>(version: &'a Version, name: &str) -> Option<&'a String> {
    version.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// What tiers keep of the version of `entry`; `None` for a tombstone.
pub(super) fn record(entry: &Entry) -> Option<Record> {
    let version = entry.version()?;
    let header = |name: &str| header(version, name);
    let meta = Meta {
        content_type: header(CONTENT_TYPE).cloned().unwrap_or_default(),
        content_encoding: header(CONTENT_ENCODING).cloned(),
        cache_control: header(CACHE_CONTROL).cloned(),
        class: class(entry),
    };
    let modified = header(MODIFIED).and_then(|text| text.parse().ok()).unwrap_or(entry.stamp);
    Some(Record {
        path: Arc::clone(&entry.path),
        uid: Uid(entry.uid.0),
        meta,
        size: version.size,
        sequence: entry.stamp,
        modified: of_micros(modified),
        expires_at: version.expires_at.map(of_micros),
    })
}

/// What a condition is about, if the entry is one of a version whose time is not over.
pub(super) fn current(entry: Option<&Entry>, now: Now) -> Option<Current> {
    let record = entry.and_then(record).filter(|record| !record.is_expired(now))?;
    Some(Current { etag: record.etag(), modified: record.modified })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn a_record_comes_back_from_its_entry() {
        let record_of = |class, content_encoding: Option<&str>| Record {
            path: "live/ä.m3u8".into(),
            uid: Uid(u128::MAX - 1),
            meta: Meta {
                content_type: "application/vnd.apple.mpegurl".to_owned(),
                content_encoding: content_encoding.map(str::to_owned),
                cache_control: Some("max-age=1".to_owned()),
                class,
            },
            size: 3,
            sequence: 1_790_000_000_000_001,
            modified: SystemTime::UNIX_EPOCH + Duration::from_micros(1_790_000_000_123_456),
            expires_at: Some(SystemTime::UNIX_EPOCH + Duration::from_micros(1_800_000_000_654_321)),
        };
        for class in Class::ALL {
            for encoding in [None, Some("gzip")] {
                let there = record_of(class, encoding);
                let entry = of_record(&there, vec![Place::Pod("10.0.0.1:8082".to_owned())], None);
                let entry = Entry::decode(&entry.encode().unwrap().into()).unwrap();
                assert_eq!(record(&entry), Some(there));
            }
        }
        assert_eq!(record(&tombstone(&Arc::from("a"), Uid(1), 2)), None);
    }
}
