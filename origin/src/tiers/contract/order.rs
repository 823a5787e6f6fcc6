//! Of the versions of a path the newest stays, whatever comes late or at once; what is deleted stays gone.

use std::sync::Arc;

use ::bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{FutureExt, TryStreamExt};

use super::{assert_gone, assert_holds, assert_nothing, body, pieces, read, read_whole, record, store};
use crate::tiers::{Put, Record, Removed, Tier};

pub(crate) async fn a_newer_version_replaces_an_older_one(tier: &Arc<dyn Tier>) {
    store(tier, "live/index.m3u8", 1, b"one").await;
    let newer = store(tier, "live/index.m3u8", 2, b"two, longer").await;
    assert_holds(tier, &newer, b"two, longer").await;
    let newest = store(tier, "live/index.m3u8", 900, b"").await;
    assert_holds(tier, &newest, b"").await;
}

pub(crate) async fn an_older_version_never_replaces_a_newer_one(tier: &Arc<dyn Tier>) {
    let newer = store(tier, "live/index.m3u8", 10, b"new").await;
    for sequence in [0, 1, 9] {
        let older = record("live/index.m3u8", sequence, 3);
        let put = tier.put(&older, &[Bytes::from_static(b"old")]).await.unwrap();
        assert_eq!(put, Put::Superseded);
        assert_holds(tier, &newer, b"new").await;
        let error = read_whole(tier, &older).await.unwrap_err();
        assert_gone(tier, "live/index.m3u8", &error);
    }
}

pub(crate) async fn the_same_version_may_be_put_twice(tier: &Arc<dyn Tier>) {
    let data = body(5, 70_000);
    for _ in 0..3 {
        let same = store(tier, "twice.ts", 5, &data).await;
        assert_holds(tier, &same, &data).await;
    }
    let same = record("twice.ts", 5, data.len());
    let pieces = pieces(&data, 9_000);
    let puts = join_all((0..4).map(|_| tier.put(&same, &pieces))).await;
    assert!(puts.into_iter().all(|put| put.unwrap() == Put::Stored));
    assert_holds(tier, &same, &data).await;
}

pub(crate) async fn the_same_bytes_may_come_again_as_a_newer_version(tier: &Arc<dyn Tier>) {
    let first = store(tier, "again.ts", 5, b"same").await;
    let mut again = Record::clone(&first);
    again.sequence = 8;
    let again = Arc::new(again);
    assert_eq!(tier.put(&again, &[Bytes::from_static(b"same")]).await.unwrap(), Put::Stored);
    assert_holds(tier, &again, b"same").await;
    assert_eq!(tier.put(&first, &[Bytes::from_static(b"same")]).await.unwrap(), Put::Superseded);
    assert_holds(tier, &again, b"same").await;
}

pub(crate) async fn a_delete_takes_what_is_there(tier: &Arc<dyn Tier>) {
    let kept = store(tier, "live/a/b", 3, b"kept").await;
    for (sequence, through) in [(4, 4), (5, 100)] {
        let record = store(tier, "live/a", sequence, b"bytes").await;
        assert_eq!(tier.delete("live/a", through).await.unwrap(), Removed::Gone);
        assert_nothing(tier, "live/a").await;
        let error = read_whole(tier, &record).await.unwrap_err();
        assert_gone(tier, "live/a", &error);
        if through == 4 {
            assert_eq!(tier.delete("live/a", through).await.unwrap(), Removed::Nothing);
        }
    }
    assert_holds(tier, &kept, b"kept").await;
}

pub(crate) async fn a_delete_leaves_what_is_newer(tier: &Arc<dyn Tier>) {
    let newer = store(tier, "live/a", 10, b"newer").await;
    assert_eq!(tier.delete("live/a", 9).await.unwrap(), Removed::Newer);
    assert_holds(tier, &newer, b"newer").await;
    assert_eq!(tier.delete("live/a", 10).await.unwrap(), Removed::Gone);
    assert_nothing(tier, "live/a").await;
}

pub(crate) async fn a_delete_of_nothing_says_so(tier: &Arc<dyn Tier>) {
    store(tier, "live/a/b", 1, b"x").await;
    for path in ["live", "live/a", "live/a/", "live/a/b/c", "other"] {
        assert_eq!(tier.delete(path, u64::MAX).await.unwrap(), Removed::Nothing, "{path}");
    }
    assert_holds(tier, &record("live/a/b", 1, 1), b"x").await;
}

pub(crate) async fn a_put_that_comes_after_its_delete_is_too_late(tier: &Arc<dyn Tier>) {
    store(tier, "live/a", 5, b"five").await;
    assert_eq!(tier.delete("live/a", 7).await.unwrap(), Removed::Gone);
    assert_eq!(tier.delete("live/never", 7).await.unwrap(), Removed::Nothing);
    for path in ["live/a", "live/never"] {
        for sequence in [4, 5, 6, 7] {
            let late = record(path, sequence, 4);
            assert_eq!(tier.put(&late, &[Bytes::from_static(b"late")]).await.unwrap(), Put::Superseded);
            assert_nothing(tier, path).await;
        }
    }
}

pub(crate) async fn a_newer_version_may_come_after_a_delete(tier: &Arc<dyn Tier>) {
    store(tier, "live/a", 5, b"five").await;
    assert_eq!(tier.delete("live/a", 7).await.unwrap(), Removed::Gone);
    let newer = store(tier, "live/a", 8, b"eight").await;
    assert_holds(tier, &newer, b"eight").await;
}

pub(crate) async fn a_replaced_version_is_its_own_bytes_or_gone(tier: &Arc<dyn Tier>) {
    let (old, new) = (body(1, 900_000), body(2, 900_000));
    let first = store(tier, "live/a.ts", 1, &old).await;
    let mut stream = tier.read(&first, 0..first.size).await.unwrap();
    let mut data = stream.try_next().await.unwrap().unwrap().to_vec();
    let second = store(tier, "live/a.ts", 2, &new).await;
    let error = loop {
        match stream.try_next().await {
            Ok(Some(piece)) => data.extend_from_slice(&piece),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    match error {
        None => assert!(data == old, "a mix"),
        Some(error) => {
            assert_gone(tier, "live/a.ts", &error);
            assert!(old.starts_with(&data), "a mix before the error");
        }
    }
    match read(tier, &first, 899_000..900_000).await {
        Ok(data) => assert!(data == old[899_000..], "a mix"),
        Err(error) => assert_gone(tier, "live/a.ts", &error),
    }
    assert_holds(tier, &second, &new).await;
}

pub(crate) async fn a_version_that_never_was_is_gone(tier: &Arc<dyn Tier>) {
    let error = read_whole(tier, &record("never.ts", 1, 5)).await.unwrap_err();
    assert_gone(tier, "never.ts", &error);
    store(tier, "other.ts", 5, b"12345").await;
    let error = read_whole(tier, &record("other.ts", 6, 5)).await.unwrap_err();
    assert_gone(tier, "other.ts", &error);
}

const AT_ONCE: u64 = 24;

pub(crate) async fn of_many_puts_at_once_the_newest_stays_whole(tier: &Arc<dyn Tier>) {
    let size = |sequence: u64| 150_000 + usize::try_from(sequence).unwrap();
    // Neither in their order nor against it.
    let sequences = (0..AT_ONCE).map(|index| 1 + (index * 7) % AT_ONCE);
    let puts = sequences.map(|sequence| async move {
        let record = record("race.ts", sequence, size(sequence));
        let put = tier.put(&record, &pieces(&body(sequence, size(sequence)), 40_000)).await.unwrap();
        (sequence, put)
    });
    let reads = (0..AT_ONCE).map(|_| async move {
        let Some(found) = tier.find("race.ts").await.unwrap() else { return };
        match read_whole(tier, &found).await {
            Ok(data) => assert!(data == body(found.sequence, size(found.sequence)), "{found:?} is a mix"),
            Err(error) => assert_gone(tier, "race.ts", &error),
        }
    });
    let (puts, _) = tokio::join!(join_all(puts), join_all(reads));
    assert!(puts.contains(&(AT_ONCE, Put::Stored)), "{puts:?}");
    let newest = record("race.ts", AT_ONCE, size(AT_ONCE));
    assert_holds(tier, &newest, &body(AT_ONCE, size(AT_ONCE))).await;
}

pub(crate) async fn puts_and_deletes_at_once_end_as_their_order_says(tier: &Arc<dyn Tier>) {
    for (round, survivor) in [(0, Some(12)), (1, None)] {
        let path = format!("both/{round}.ts");
        let path = path.as_str();
        let puts = (1..=12).map(|sequence| async move {
            let put = tier.put(&record(path, sequence, 5_000), &pieces(&body(sequence, 5_000), 900)).await;
            put.unwrap();
        });
        let through = if survivor.is_some() { 11 } else { 12 };
        let deletes = (1..=through).map(|through| async move {
            tier.delete(path, through).await.unwrap();
        });
        tokio::join!(join_all(puts), join_all(deletes));
        match survivor {
            Some(sequence) => {
                assert_holds(tier, &record(path, sequence, 5_000), &body(sequence, 5_000)).await;
            }
            None => assert_nothing(tier, path).await,
        }
    }
}

pub(crate) async fn many_paths_at_once_do_not_touch_each_other(tier: &Arc<dyn Tier>) {
    let path = |index: u64| format!("many/{}/{index}.ts", index % 3);
    join_all((0..40).map(|index| async move {
        store(tier, &path(index), index + 1, &body(index, 2_000)).await;
        if index % 4 == 0 {
            assert_eq!(tier.delete(&path(index), u64::MAX).await.unwrap(), Removed::Gone);
        }
    }))
    .await;
    for index in 0..40 {
        if index % 4 == 0 {
            assert_nothing(tier, &path(index)).await;
        } else {
            assert_holds(tier, &record(&path(index), index + 1, 2_000), &body(index, 2_000)).await;
        }
    }
}

pub(crate) async fn a_dropped_put_is_done_or_not_done(tier: &Arc<dyn Tier>) {
    let data = body(9, 300_000);
    let before = store(tier, "dropped.ts", 1, b"before").await;
    let dropped = record("dropped.ts", 2, data.len());
    for polls in 0..4 {
        let body = pieces(&data, 10_000);
        let mut put = tier.put(&dropped, &body);
        for _ in 0..polls {
            if (&mut put).now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(put);
        let found = tier.find("dropped.ts").await.unwrap().unwrap();
        if found.sequence == 1 {
            match read_whole(tier, &before).await {
                Ok(bytes) => assert_eq!(bytes, b"before"),
                Err(error) => assert_gone(tier, "dropped.ts", &error),
            }
        } else {
            assert_holds(tier, &dropped, &data).await;
        }
    }
    // Whatever went on behind the dropped calls, what comes now is what stays.
    let last = store(tier, "dropped.ts", 3, b"last").await;
    assert_holds(tier, &last, b"last").await;
}
