//! The one contract suite that every tier below memory passes, and its twin too.
//!
//! A tier's tests say `contract::suite!(make)`, where `make` is an async function that returns a [`Fresh`] tier; each case
//! becomes a test of its own. Objects that somebody else put there are not in the suite.

mod bytes;
mod listing;
mod order;

use std::any::Any;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::bytes::Bytes;
use futures_util::TryStreamExt;
use mediaorigin_crds::policy::Class;

use super::{ErrorKind, Put, Record, Tier, TierError};
use crate::memory::blob::Uid;
use crate::memory::object::Meta;

pub(crate) use bytes::*;
pub(crate) use listing::*;
pub(crate) use order::*;

/// An empty tier, with what must live as long as it.
pub(crate) struct Fresh {
    pub(crate) tier: Arc<dyn Tier>,
    pub(crate) _keep: Box<dyn Any>,
}

/// Makes every case of the suite a test: `contract::suite!(make);`.
macro_rules! suite {
    ($make:path) => {
        crate::tiers::contract::suite! { $make:
            what_was_put_is_found_with_every_field,
            odd_paths_are_paths_like_others,
            an_empty_body_is_a_body,
            many_pieces_come_back_as_one_body,
            ranges_are_exact_across_all_borders,
            nothing_is_found_where_nothing_was_put,
            an_expired_version_is_still_found,
            a_newer_version_replaces_an_older_one,
            an_older_version_never_replaces_a_newer_one,
            the_same_version_may_be_put_twice,
            the_same_bytes_may_come_again_as_a_newer_version,
            a_delete_takes_what_is_there,
            a_delete_leaves_what_is_newer,
            a_delete_of_nothing_says_so,
            a_put_that_comes_after_its_delete_is_too_late,
            a_newer_version_may_come_after_a_delete,
            a_replaced_version_is_its_own_bytes_or_gone,
            a_version_that_never_was_is_gone,
            of_many_puts_at_once_the_newest_stays_whole,
            puts_and_deletes_at_once_end_as_their_order_says,
            many_paths_at_once_do_not_touch_each_other,
            a_dropped_put_is_done_or_not_done,
            a_folder_lists_its_objects_and_folders_in_the_order_of_bytes,
            pages_hold_every_name_exactly_once,
            a_page_may_begin_after_any_text,
            a_deleted_object_is_not_listed,
        }
    };
    ($make:path: $($case:ident,)+) => {
        $(
            #[tokio::test]
            async fn $case() {
                let fresh = $make().await;
                crate::tiers::contract::$case(&fresh.tier).await;
            }
        )+
    };
}
pub(crate) use suite;

/// The headers that most versions of the suite have.
pub(crate) fn meta() -> Meta {
    Meta {
        content_type: "video/mp2t".to_owned(),
        content_encoding: None,
        cache_control: None,
        class: Class::Segment,
    }
}

/// A version of `path`; its uid is made of both.
pub(crate) fn record(path: &str, sequence: u64, size: usize) -> Arc<Record> {
    let mut hasher = DefaultHasher::new();
    (path, sequence).hash(&mut hasher);
    Arc::new(Record {
        path: Arc::from(path),
        uid: Uid(u128::from(hasher.finish()) << 64 | u128::from(sequence)),
        meta: meta(),
        size: size as u64,
        sequence,
        modified: SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000 + sequence, 123_456_789),
        expires_at: None,
    })
}

/// `size` bytes that differ from those of every other `seed` at nearly every place.
pub(crate) fn body(seed: u64, size: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(size).collect()
}

/// `data` in pieces of `length` bytes.
pub(crate) fn pieces(data: &[u8], length: usize) -> Vec<Bytes> {
    data.chunks(length.max(1)).map(Bytes::copy_from_slice).collect()
}

/// Stores a version that must not be superseded.
pub(crate) async fn store(tier: &Arc<dyn Tier>, path: &str, sequence: u64, data: &[u8]) -> Arc<Record> {
    let record = record(path, sequence, data.len());
    assert_eq!(tier.put(&record, &pieces(data, 1_000)).await.unwrap(), Put::Stored, "{path} {sequence}");
    record
}

/// The bytes of a range, or the first error of the call or of its stream.
pub(crate) async fn read(
    tier: &Arc<dyn Tier>,
    record: &Arc<Record>,
    range: Range<u64>,
) -> Result<Vec<u8>, TierError> {
    let mut stream = tier.read(record, range).await?;
    let mut data = Vec::new();
    while let Some(piece) = stream.try_next().await? {
        assert!(!piece.is_empty(), "an empty piece");
        data.extend_from_slice(&piece);
    }
    Ok(data)
}

/// All bytes of a version.
pub(crate) async fn read_whole(tier: &Arc<dyn Tier>, record: &Arc<Record>) -> Result<Vec<u8>, TierError> {
    read(tier, record, 0..record.size).await
}

/// That `path` holds exactly this version.
pub(crate) async fn assert_holds(tier: &Arc<dyn Tier>, record: &Arc<Record>, data: &[u8]) {
    let found = tier.find(&record.path).await.unwrap();
    assert_eq!(found.as_ref(), Some(record));
    assert!(read_whole(tier, record).await.unwrap() == data, "{}: other bytes", record.path);
}

/// That `path` holds nothing.
pub(crate) async fn assert_nothing(tier: &Arc<dyn Tier>, path: &str) {
    assert_eq!(tier.find(path).await.unwrap(), None, "{path}");
}

/// That an attempt failed because the version is gone, with an error that names tier and path.
pub(crate) fn assert_gone(tier: &Arc<dyn Tier>, path: &str, error: &TierError) {
    assert_eq!(error.kind, ErrorKind::Gone, "{error}");
    assert_eq!(error.tier, tier.name(), "{error}");
    assert!(error.attempt.contains(path), "{error}");
}
