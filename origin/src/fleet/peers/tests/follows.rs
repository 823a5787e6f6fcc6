//! What grows on one pod grows on others.

use futures_util::future::{FutureExt, join_all};

use super::*;
use crate::fleet::peers::growing::{FollowError, Word};
use crate::memory::blob::State;

const PATH: &str = "live/a.ts";

fn committed(version: &Version) -> Word {
    Word::Committed { sequence: version.started().unwrap().sequence, terms: KEEP }
}

/// Whether an upload is read here as what grows.
fn grows(pod: &Pod, uid: Uid) -> bool {
    matches!(pod.find(PATH), Found::Growing(version) if version.uid == uid)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_readers_cause_one_fetch_and_follow_step_by_step() {
    let (holder, pod) = (Pod::start(), Pod::start());
    // The clocks of pods differ: dates are those of the pod that took the upload.
    pod.clock.advance(Duration::from_secs(30));
    let mut upload = holder.open(PATH, None, true).await;
    upload.write(b"first", &holder.clock).await.unwrap();
    let (uid, original) = (upload.version().uid, Arc::clone(upload.version()));
    let barrier = Arc::new(tokio::sync::Barrier::new(100));
    let readers = (0..100).map(|_| {
        let (follows, barrier, address) = (Arc::clone(&pod.follows), Arc::clone(&barrier), holder.address);
        tokio::spawn(async move {
            barrier.wait().await;
            let version = follows.attach(address, &PATH.into(), uid).await.unwrap();
            read_all(version).await
        })
    });
    let readers: Vec<_> = readers.collect();
    let version = pod.follows.attach(holder.address, &PATH.into(), uid).await.unwrap();
    assert!(grows(&pod, uid));
    assert_eq!((version.uid, &version.meta, version.started()), (uid, &original.meta, original.started()));
    let mut written = b"first".to_vec();
    for step in 0..10 {
        let part = pattern(1 + step * 9_000, step);
        upload.write(&part, &holder.clock).await.unwrap();
        written.extend_from_slice(&part);
        let progress = soon(version.blob.reach(written.len() as u64)).await;
        assert_eq!((progress.length, progress.state), (written.len() as u64, State::Open));
    }
    assert_eq!((pod.memory.counts().uploads, pod.follows.count()), (0, 1), "it is nobody's upload here");
    upload.commit(holder.clock.now(), KEEP, |_| true);
    until("the whole came", || pod.counts().received == written.len() as u64).await;
    assert!(grows(&pod, uid), "not complete before the index says so");
    assert!(pod.follows.finish(uid, committed(&original)));
    for reader in join_all(readers).await {
        assert_eq!(reader.unwrap().unwrap(), written);
    }
    let Found::Complete(version) = pod.find(PATH) else { panic!("it is not committed") };
    assert_eq!((version.uid, version.started()), (uid, original.started()));
    assert_eq!((pod.counts().fetches, holder.counts().answers), (1, 1));
    until("it is not followed any more", || pod.follows.count() == 0).await;
    // Who comes now reads what is here.
    assert!(Arc::ptr_eq(&version, &pod.follows.attach(holder.address, &PATH.into(), uid).await.unwrap()));
    assert_eq!(pod.counts().fetches, 1);
}

#[tokio::test]
async fn the_end_is_seen_with_the_word_of_the_index_and_not_before() {
    let (holder, pod) = (Pod::start(), Pod::start());
    let data = pattern(100_000, 1);
    let version = holder.put(PATH, &data).await;
    let here = pod.follows.attach(holder.address, &PATH.into(), version.uid).await.unwrap();
    soon(here.blob.reach(100_000)).await;
    let mut reader = Box::pin(read_all(Arc::clone(&here)));
    until("all of it is here", || pod.counts().received == 100_000).await;
    assert_eq!((&mut reader).now_or_never(), None);
    assert!(pod.follows.finish(version.uid, committed(&version)));
    assert_eq!(soon(reader).await.unwrap(), data);
    assert!(matches!(pod.find(PATH), Found::Complete(_)));
    assert!(!pod.follows.finish(Uid(1), Word::Withdrawn), "nobody follows that");
}

#[tokio::test]
async fn a_word_that_comes_first_is_kept_until_the_last_byte() {
    let (holder, pod) = (Pod::start(), Pod::start());
    let mut upload = holder.open(PATH, None, true).await;
    upload.write(b"abc", &holder.clock).await.unwrap();
    let original = Arc::clone(upload.version());
    let here = pod.follows.attach(holder.address, &PATH.into(), original.uid).await.unwrap();
    let sequence = original.started().unwrap().sequence + 5;
    assert!(pod.follows.finish(original.uid, Word::Committed { sequence, terms: KEEP }));
    upload.write(b"def", &holder.clock).await.unwrap();
    soon(here.blob.reach(6)).await;
    assert!(grows(&pod, original.uid));
    upload.commit(holder.clock.now(), KEEP, |_| true);
    assert_eq!(read_all(here).await.unwrap(), b"abcdef");
    assert_eq!(
        pod.memory.committed_sequence(PATH, pod.clock.now()),
        Some(sequence),
        "its place is the index's"
    );
    assert!(pod.memory.next_sequence(pod.clock.now()) > sequence);
}

#[tokio::test]
async fn what_breaks_over_there_breaks_here() {
    let (mut holder, pod) = (Pod::start(), Pod::start());
    pod.put("live/other.ts", b"stays").await;
    for way in ["given up", "the pod is gone"] {
        let mut upload = holder.open(PATH, None, true).await;
        upload.write(b"abc", &holder.clock).await.unwrap();
        let uid = upload.version().uid;
        let here = pod.follows.attach(holder.address, &PATH.into(), uid).await.unwrap();
        let reader = tokio::spawn(read_all(here));
        match way {
            "given up" => drop(upload),
            _ => holder.stop(),
        }
        assert_eq!(soon(reader).await.unwrap(), Err(b"abc".to_vec()), "{way}");
        assert!(matches!(pod.find(PATH), Found::Nothing), "{way}");
        until("it is not followed any more", || pod.follows.count() == 0).await;
        let again = pod.follows.attach(holder.address, &PATH.into(), uid).await.map(|_| ());
        assert!(
            matches!(again, Err(FollowError::Peer(PeerError::Gone | PeerError::Unreachable(_)))),
            "{way}"
        );
    }
    assert_eq!(pod.memory.counts().sizes.named, 1);
}

#[tokio::test]
async fn what_the_index_never_speaks_of_is_given_up() {
    let limits = growing::Limits { word_wait: Duration::from_millis(50), ..Default::default() };
    let (holder, pod) = (Pod::start(), Pod::start_with(patient(), limits, |_| {}));
    let uid = holder.put(PATH, b"abc").await.uid;
    let here = pod.follows.attach(holder.address, &PATH.into(), uid).await.unwrap();
    assert_eq!(read_all(here).await, Err(b"abc".to_vec()));
    assert!(matches!(pod.find(PATH), Found::Nothing));
}

#[tokio::test]
async fn what_is_superseded_or_withdrawn_ends_as_it_does_at_home() {
    let (holder, pod) = (Pod::start(), Pod::start());
    for (word, end) in [(Word::Superseded, Ok(b"abc".to_vec())), (Word::Withdrawn, Err(b"abc".to_vec()))] {
        let uid = holder.put(PATH, b"abc").await.uid;
        let here = pod.follows.attach(holder.address, &PATH.into(), uid).await.unwrap();
        soon(here.blob.reach(3)).await;
        let reader = tokio::spawn(read_all(here));
        assert!(pod.follows.finish(uid, word));
        assert_eq!(soon(reader).await.unwrap(), end, "{word:?}");
        assert!(matches!(pod.find(PATH), Found::Nothing), "{word:?}");
        until("it is not followed any more", || pod.follows.count() == 0).await;
        holder.memory.delete(PATH, holder.clock.now(), |_| true);
    }
}

#[tokio::test]
async fn a_newer_version_that_is_here_is_not_replaced_by_an_older_one() {
    let (holder, pod) = (Pod::start(), Pod::start());
    let old = holder.put(PATH, b"old").await;
    let here = pod.follows.attach(holder.address, &PATH.into(), old.uid).await.unwrap();
    pod.clock.advance(Duration::from_secs(1));
    let new = pod.put(PATH, b"new").await;
    assert!(pod.follows.finish(old.uid, committed(&old)));
    assert_eq!(read_all(here).await.unwrap(), b"old");
    assert!(matches!(pod.find(PATH), Found::Complete(version) if version.uid == new.uid));
}

/// What is followed is itself a holder: pods may ask each other in a row.
#[tokio::test]
async fn who_follows_may_be_followed() {
    let pods = [Pod::start(), Pod::start(), Pod::start()];
    let mut upload = pods[0].open(PATH, None, true).await;
    upload.write(b"abc", &pods[0].clock).await.unwrap();
    let original = Arc::clone(upload.version());
    let mut readers = Vec::new();
    for pair in pods.windows(2) {
        let here = pair[1].follows.attach(pair[0].address, &PATH.into(), original.uid).await.unwrap();
        readers.push(tokio::spawn(read_all(here)));
    }
    upload.write(b"def", &pods[0].clock).await.unwrap();
    upload.commit(pods[0].clock.now(), KEEP, |_| true);
    for pod in &pods[1..] {
        assert!(pod.follows.finish(original.uid, committed(&original)));
    }
    for reader in readers {
        assert_eq!(soon(reader).await.unwrap().unwrap(), b"abcdef");
    }
    assert_eq!(pods[0].counts().answers, 1);
}

#[tokio::test]
async fn no_more_than_so_many_are_followed() {
    let limits = growing::Limits { follows_max: 1, word_wait: PATIENCE };
    let (holder, pod) = (Pod::start(), Pod::start_with(patient(), limits, |_| {}));
    let (one, two) = (holder.put("a.ts", b"abc").await, holder.put("b.ts", b"abc").await);
    let attach =
        async |version: &Version| pod.follows.attach(holder.address, &version.path, version.uid).await;
    assert!(attach(&one).await.is_ok());
    assert!(attach(&one).await.is_ok());
    assert_eq!(attach(&two).await.unwrap_err(), FollowError::Busy);
    assert!(pod.follows.finish(one.uid, committed(&one)));
    until("there is room again", || pod.follows.count() == 0).await;
    assert!(attach(&two).await.is_ok());
}

#[tokio::test]
async fn what_there_is_no_memory_for_is_not_followed() {
    let (holder, pod) = (Pod::start(), Pod::start());
    let kept = pattern(usize::try_from(MEMORY_BYTES).unwrap() - (1 << 21), 1);
    pod.put("kept.mp4", &kept).await;
    let version = holder.put(PATH, &pattern(4 << 20, 2)).await;
    let refused = pod.follows.attach(holder.address, &PATH.into(), version.uid).await.unwrap_err();
    assert!(matches!(refused, FollowError::Full(_)), "{refused}");
    until("nothing is followed", || pod.follows.count() == 0).await;
}
