//! Several pods that may hold a version, and the tier below them.

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::future::join_all;

use super::*;
use crate::fleet::peers::tier::Holders;
use crate::memory::fill::PIECE_BYTES;
use crate::tiers::pieces::ReadError;
use crate::tiers::twin::{Operation, Twin};
use crate::tiers::walker::{Cold, Tiers};
use crate::tiers::{ErrorKind, Record, Source, Tier, TierError, TierName};

pub(super) const PATH: &str = "live/a.ts";

pub(super) fn record(version: &Version) -> Arc<Record> {
    let size = version.blob.length().unwrap();
    Arc::new(version.record(size, version.started().unwrap().sequence, None).unwrap())
}

fn holders(asker: &Pod, addresses: &[Address], fallback: Option<&Arc<Twin>>) -> Holders {
    let fallback = fallback.map(|twin| Arc::clone(twin) as Arc<dyn Source>);
    Holders::new(Arc::clone(&asker.peers), addresses.to_vec(), fallback)
}

pub(super) async fn read(
    holders: &Holders,
    record: &Arc<Record>,
    range: std::ops::Range<u64>,
) -> Result<Vec<u8>, TierError> {
    let bytes: Vec<Bytes> = soon(holders.read(record, range)).await?.try_collect().await?;
    Ok(bytes.concat())
}

pub(super) async fn store_with(record: &Arc<Record>, data: &[u8]) -> Arc<Twin> {
    let twin = Arc::new(Twin::new(TierName::ObjectStore));
    twin.put(record, &[Bytes::copy_from_slice(data)]).await.unwrap();
    twin
}

#[tokio::test]
async fn the_next_one_is_asked_and_at_last_the_tier_below() {
    let (mut first, second, other, asker) = (Pod::start(), Pod::start(), Pod::start(), Pod::start());
    let data = pattern(300_000, 1);
    let version = first.put(PATH, &data).await;
    let record = record(&version);
    let store = store_with(&record, &data).await;
    // The second one has it from the first, under its name.
    let follow = second.follows.attach(first.address, &PATH.into(), version.uid).await.unwrap();
    let word = growing::Word::Committed { sequence: record.sequence, terms: KEEP };
    assert!(second.follows.finish(version.uid, word));
    assert_eq!(read_all(follow).await.unwrap(), data);

    let (_silent, silent) = nobody();
    let order = [silent, other.address, first.address, second.address];
    let holders = holders(&asker, &order, Some(&store));
    assert_eq!(holders.name(), TierName::Peer);
    assert_eq!(read(&holders, &record, 0..300_000).await.unwrap(), data);
    assert_eq!(read(&holders, &record, 70_000..70_001).await.unwrap(), data[70_000..70_001]);
    assert!(read(&holders, &record, 5..5).await.unwrap().is_empty());
    assert_eq!((first.counts().answers, second.counts().answers), (3, 0));
    first.stop();
    assert_eq!(read(&holders, &record, 0..300_000).await.unwrap(), data);
    assert_eq!((second.counts().answers, store.calls(Operation::Read)), (1, 0));
    second.memory.delete(PATH, second.clock.now(), |_| true);
    assert_eq!(read(&holders, &record, 9..300_000).await.unwrap(), data[9..]);
    assert_eq!(store.calls(Operation::Read), 1);
}

/// A uid names the same bytes everywhere, so whoever has them goes on where the first one ended.
#[tokio::test]
async fn a_holder_that_goes_in_the_middle_is_followed_by_the_next() {
    let (mut holder, asker) = (Pod::start(), Pod::start());
    let data = pattern(64 << 20, 2);
    let version = holder.put(PATH, &data).await;
    let record = record(&version);
    let store = store_with(&record, &data).await;
    let holders = holders(&asker, &[holder.address], Some(&store));
    let mut bytes = soon(holders.read(&record, 0..record.size)).await.unwrap();
    let mut came = soon(bytes.try_next()).await.unwrap().unwrap().to_vec();
    assert_eq!(store.calls(Operation::Read), 0);
    holder.stop();
    while let Some(more) = soon(bytes.try_next()).await.unwrap() {
        came.extend_from_slice(&more);
    }
    assert!(came == data, "other bytes");
    assert_eq!((store.calls(Operation::Read), asker.counts().broken), (1, 1));
    assert!(asker.counts().received < record.size, "the rest came from below");
}

#[tokio::test]
async fn an_error_says_whether_it_may_be_somewhere_yet() {
    let busy = Pod::start_with(patient(), growing::Limits::default(), |settings| settings.answers_max = 0);
    let (other, asker) = (Pod::start(), Pod::start());
    let version = busy.put(PATH, b"abc").await;
    let record = record(&version);
    let empty = Arc::new(Twin::new(TierName::ObjectStore));
    let kind = async |addresses: &[Address], fallback: Option<&Arc<Twin>>| {
        let error = read(&holders(&asker, addresses, fallback), &record, 0..3).await.unwrap_err();
        (error.tier, error.kind)
    };
    let (peer, store) = (TierName::Peer, TierName::ObjectStore);
    let (_silent, silent) = nobody();
    assert_eq!(kind(&[], None).await, (peer, ErrorKind::Gone));
    assert_eq!(kind(&[other.address], None).await, (peer, ErrorKind::Gone));
    assert_eq!(kind(&[silent], None).await, (peer, ErrorKind::Unavailable));
    assert_eq!(kind(&[busy.address, other.address], None).await, (peer, ErrorKind::Unavailable));
    assert_eq!(kind(&[other.address], Some(&empty)).await, (store, ErrorKind::Gone));
    assert_eq!(kind(&[busy.address, other.address], Some(&empty)).await, (peer, ErrorKind::Unavailable));
    empty.fail_next(Operation::Read, ErrorKind::Denied);
    assert_eq!(kind(&[busy.address], Some(&empty)).await, (store, ErrorKind::Denied));
}

/// A new segment asked from ten pods at once leaves its holder once per pod, however many readers each has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_pods_at_once_fetch_each_piece_once() {
    const SIZE: u64 = PIECE_BYTES + 500_000;
    let holder = Pod::start();
    let data = Arc::new(pattern(usize::try_from(SIZE).unwrap(), 5));
    let version = holder.put(PATH, &data).await;
    let record = record(&version);
    let pods: Vec<Pod> = (0..10).map(|_| Pod::start()).collect();
    let barrier = Arc::new(tokio::sync::Barrier::new(pods.len() * 10));
    let mut readers = Vec::new();
    for pod in &pods {
        let runtime = tokio::runtime::Handle::current();
        let tiers = Tiers::new(Arc::clone(&pod.memory), pod.clock.clone(), None, None, (runtime, None));
        let tier = Arc::new(holders(pod, &[holder.address], None));
        for _ in 0..10 {
            let (tiers, barrier, data) = (Arc::clone(&tiers), Arc::clone(&barrier), Arc::clone(&data));
            let cold = Cold { record: Arc::clone(&record), tier: Arc::clone(&tier) as Arc<dyn Source> };
            readers.push(tokio::spawn(async move {
                barrier.wait().await;
                assert!(read_cold(&tiers, &cold).await.unwrap() == *data, "other bytes");
            }));
        }
    }
    for reader in join_all(readers).await {
        reader.unwrap();
    }
    for pod in &pods {
        assert_eq!((pod.counts().fetches, pod.counts().received), (2, SIZE), "one for each piece");
    }
    assert_eq!((holder.counts().answers, holder.counts().refused), (20, 0));
}

/// A pod that has read a version has pieces of it; others may have those when its holder is gone.
#[tokio::test]
async fn pieces_are_given_on() {
    const SIZE: u64 = PIECE_BYTES + 1_000;
    let (mut holder, reader, asker) = (Pod::start(), Pod::start(), Pod::start());
    let data = pattern(usize::try_from(SIZE).unwrap(), 6);
    let version = holder.put(PATH, &data).await;
    let record = record(&version);
    let runtime = tokio::runtime::Handle::current();
    let tiers = Tiers::new(Arc::clone(&reader.memory), reader.clock.clone(), None, None, (runtime, None));
    let tier = Arc::new(holders(&reader, &[holder.address], None));
    let cold = Cold { record: Arc::clone(&record), tier };
    assert!(read_cold(&tiers, &cold).await.unwrap() == data, "other bytes");
    holder.stop();

    let order = [holder.address, reader.address];
    let holders = holders(&asker, &order, None);
    for range in [0..PIECE_BYTES, PIECE_BYTES..SIZE, 5..6, PIECE_BYTES - 1..PIECE_BYTES, SIZE - 3..SIZE] {
        let (start, end) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
        assert!(read(&holders, &record, range.clone()).await.unwrap() == data[start..end], "{range:?}");
    }
    // Neither across a border nor behind the end, nor without saying how far.
    let ask = async |range| asker.peers.fetch(reader.address, PATH, record.uid, range).await.map(|_| ());
    for range in [Some(PIECE_BYTES - 1..PIECE_BYTES + 1), Some(SIZE - 1..SIZE + 1), Some(5..u64::MAX), None] {
        assert_eq!(ask(range.clone()).await, Err(PeerError::Gone), "{range:?}");
    }
    let follow = asker.follows.attach(reader.address, &PATH.into(), record.uid).await;
    assert!(follow.is_err(), "a piece says nothing of its version");
    reader.memory.evict_all(reader.clock.now());
    assert_eq!(ask(Some(0..9)).await, Err(PeerError::Gone));
}

pub(super) async fn read_cold(tiers: &Arc<Tiers>, cold: &Cold) -> Result<Vec<u8>, ReadError> {
    let mut reader = soon(tiers.open(cold, 0, cold.record.size)).await?;
    let mut data = Vec::new();
    loop {
        match soon(poll_fn(|cx| reader.poll_next(cx))).await {
            Read::Bytes(bytes) => data.extend_from_slice(&bytes),
            Read::End => return Ok(data),
            Read::Aborted => return Err(ReadError::Busy),
        }
    }
}
