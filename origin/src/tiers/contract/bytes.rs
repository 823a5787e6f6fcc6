//! What was put comes back: every field, every byte, every range.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::bytes::Bytes;
use mediaorigin_crds::policy::Class;

use super::{assert_holds, assert_nothing, body, pieces, read, read_whole, record, store};
use crate::memory::blob::Uid;
use crate::memory::object::Meta;
use crate::tiers::{Put, Record, Tier};

pub(crate) async fn what_was_put_is_found_with_every_field(tier: &Arc<dyn Tier>) {
    let data = body(1, 10_000);
    let mut records = Vec::new();
    for (index, class) in Class::ALL.into_iter().enumerate() {
        let meta = Meta {
            content_type: format!("application/x-{index}; charset=\"utf-8\""),
            content_encoding: (index % 2 == 0).then(|| "gzip".to_owned()),
            cache_control: (index % 3 == 0).then(|| "max-age=5, s-maxage=\"7\"".to_owned()),
            class,
        };
        records.push(Arc::new(Record {
            path: Arc::from(format!("fields/{index}.bin")),
            uid: Uid(u128::MAX - index as u128),
            meta,
            size: data.len() as u64,
            sequence: u64::MAX - index as u64,
            modified: SystemTime::UNIX_EPOCH + Duration::new(1_765_432_100, 999_999_999),
            expires_at: (index != 1)
                .then(|| SystemTime::UNIX_EPOCH + Duration::new(4_000_000_000 + index as u64, 1)),
        }));
    }
    for record in &records {
        assert_eq!(tier.put(record, &pieces(&data, 4_096)).await.unwrap(), Put::Stored);
    }
    for record in &records {
        assert_holds(tier, record, &data).await;
    }
}

pub(crate) async fn odd_paths_are_paths_like_others(tier: &Arc<dyn Tier>) {
    let long =
        ["x".repeat(179), "y".repeat(179), "z".repeat(179), "w".repeat(179), "v".repeat(180)].join("/");
    assert_eq!(long.len(), 900);
    let odd = [
        "a",
        "a/b",
        "a/b/c",
        "a-b",
        "A",
        "live/Ä/日本語 🎬.m3u8",
        "live/A\u{308}",
        "100%/%41/%2F/a%20b.ts",
        "with space/ lead and trail ",
        "k=v:w;x@y,z+q!$'()*~.ts",
        "what?now#here&there[0]{1}^`|\"<>.ts",
        ".hidden/..x/x..",
        "tmp",
        "lock",
        "quarantine/x",
        &long,
    ];
    for (index, path) in odd.iter().enumerate() {
        store(tier, path, 7, &body(index as u64, 100 + index)).await;
    }
    for (index, path) in odd.iter().enumerate() {
        assert_holds(tier, &record(path, 7, 100 + index), &body(index as u64, 100 + index)).await;
    }
    for absent in ["a/", "b", "live", "live/Ä", "a/b/c/d", "100%/A", "100%/%41/%2F/a b.ts"] {
        assert_nothing(tier, absent).await;
    }
}

pub(crate) async fn an_empty_body_is_a_body(tier: &Arc<dyn Tier>) {
    let without_pieces = record("empty/none", 1, 0);
    assert_eq!(tier.put(&without_pieces, &[]).await.unwrap(), Put::Stored);
    let with_empty_pieces = record("empty/some", 2, 0);
    assert_eq!(tier.put(&with_empty_pieces, &[Bytes::new(), Bytes::new()]).await.unwrap(), Put::Stored);
    assert_holds(tier, &without_pieces, b"").await;
    assert_holds(tier, &with_empty_pieces, b"").await;
}

pub(crate) async fn many_pieces_come_back_as_one_body(tier: &Arc<dyn Tier>) {
    let data = body(3, 6 * 1_024 * 1_024 + 17);
    let large = record("many/pieces.mp4", 3, data.len());
    let mut body = pieces(&data, 7_919);
    body.insert(5, Bytes::new());
    assert!(body.len() > 700);
    assert_eq!(tier.put(&large, &body).await.unwrap(), Put::Stored);
    assert_holds(tier, &large, &data).await;
}

pub(crate) async fn ranges_are_exact_across_all_borders(tier: &Arc<dyn Tier>) {
    let data = body(4, 1_000_003);
    let large = store(tier, "ranges/large.bin", 4, &data).await;
    let end = data.len() as u64;
    let mut ranges = vec![0..1, end - 1..end, 0..0, end..end, 5..5, 0..end, 1..end - 1];
    for border in [1_000, 65_536, 131_072, 262_144, 524_288] {
        ranges.extend([
            border - 1..border,
            border..border + 1,
            border - 1..border + 1,
            border - 3..end - 5,
            3..border,
        ]);
    }
    for range in ranges {
        let wanted = &data[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        let got = read(tier, &large, range.clone()).await.unwrap();
        assert!(got == wanted, "{range:?}: {} bytes or others", got.len());
    }
    let one = store(tier, "ranges/one", 5, b"1").await;
    assert_eq!(read_whole(tier, &one).await.unwrap(), b"1");
}

pub(crate) async fn nothing_is_found_where_nothing_was_put(tier: &Arc<dyn Tier>) {
    store(tier, "some/where.ts", 1, b"x").await;
    for path in ["", "some", "some/", "some/where", "some/where.ts/", "some/where.ts/x", "x"] {
        assert_nothing(tier, path).await;
    }
}

pub(crate) async fn an_expired_version_is_still_found(tier: &Arc<dyn Tier>) {
    let mut expired = Record::clone(&record("expired.ts", 1, 3));
    expired.expires_at = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1));
    let expired = Arc::new(expired);
    assert_eq!(tier.put(&expired, &[Bytes::from_static(b"old")]).await.unwrap(), Put::Stored);
    assert_holds(tier, &expired, b"old").await;
}
