//! A pod that fetches from below for the others.

use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt, TryStreamExt};

use super::holders::{PATH, read, read_cold, record, store_with};
use super::*;
use crate::fleet::peers::server::Fill;
use crate::fleet::peers::tier::Holders;
use crate::memory::fill::PIECE_BYTES;
use crate::tiers::twin::{Operation, Twin};
use crate::tiers::walker::{Cold, Tiers};
use crate::tiers::{ErrorKind, Record, Source, TierName};

const SIZE: u64 = PIECE_BYTES + 500_000;

/// Fetches the one version that it knows, once it knows it.
#[derive(Default)]
struct One(OnceLock<(Arc<Tiers>, Cold)>);

impl Fill for One {
    fn fill(self: Arc<Self>, path: String, uid: Uid, index: u64) -> BoxFuture<'static, Option<Arc<Version>>> {
        async move {
            let (tiers, cold) = self.0.get()?;
            let is_it = *cold.record.path == path && cold.record.uid == uid;
            if is_it { Arc::clone(tiers).give(cold.clone(), index).await } else { None }
        }
        .boxed()
    }
}

fn tiers(pod: &Pod) -> Arc<Tiers> {
    let runtime = tokio::runtime::Handle::current();
    Tiers::new(Arc::clone(&pod.memory), pod.clock.clone(), None, None, (runtime, None))
}

/// A pod that fetches what only `store` has.
fn parent(store: &Arc<Twin>, record: &Arc<Record>) -> Pod {
    let one = Arc::new(One::default());
    let fills = Arc::clone(&one);
    let pod = Pod::start_with(patient(), growing::Limits::default(), |settings| settings.fills = Some(fills));
    let cold = Cold { record: Arc::clone(record), tier: Arc::clone(store) as Arc<dyn Source> };
    assert!(one.0.set((tiers(&pod), cold)).is_ok());
    pod
}

/// A version that no pod holds.
async fn stored(data: &[u8]) -> (Arc<Record>, Arc<Twin>) {
    let writer = Pod::start();
    let record = record(&*writer.put(PATH, data).await);
    let store = store_with(&record, data).await;
    (record, store)
}

fn through(asker: &Pod, parent: Address, below: &Arc<Twin>) -> Holders {
    Holders::through(Arc::clone(&asker.peers), vec![parent], Arc::clone(below) as Arc<dyn Source>)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_pods_and_their_parent_take_one_copy_from_below() {
    let data = Arc::new(pattern(usize::try_from(SIZE).unwrap(), 7));
    let (record, store) = stored(&data).await;
    let parent = parent(&store, &record);
    let pods: Vec<Pod> = (0..10).map(|_| Pod::start()).collect();
    let barrier = Arc::new(tokio::sync::Barrier::new(pods.len() * 3));
    let mut readers = Vec::new();
    for pod in &pods {
        let tier: Arc<dyn Source> = Arc::new(through(pod, parent.address, &store));
        assert_eq!(tier.name(), TierName::Peer);
        let tiers = tiers(pod);
        for _ in 0..3 {
            let (tiers, barrier, data) = (Arc::clone(&tiers), Arc::clone(&barrier), Arc::clone(&data));
            let cold = Cold { record: Arc::clone(&record), tier: Arc::clone(&tier) };
            readers.push(tokio::spawn(async move {
                barrier.wait().await;
                assert!(read_cold(&tiers, &cold).await.unwrap() == *data, "other bytes");
            }));
        }
    }
    for reader in join_all(readers).await {
        reader.unwrap();
    }
    assert_eq!(store.calls(Operation::Read), 2, "one for each piece");
    assert_eq!((parent.counts().answers, parent.counts().sent), (20, 10 * SIZE));
    assert!((1..=20).contains(&parent.counts().filled));
}

/// What it answers says nothing of what is there.
#[tokio::test]
async fn without_an_answer_of_the_parent_it_is_read_below() {
    let data = pattern(300_000, 8);
    let (record, store) = stored(&data).await;
    let asker = Pod::start();
    let busy = Pod::start_with(patient(), growing::Limits::default(), |settings| {
        settings.fills = Some(Arc::new(One::default()));
        settings.fills_max = 0;
    });
    let (_silent, silent) = nobody();
    let ignorant = Pod::start();
    for (count, parent) in (1..).zip([silent, busy.address, ignorant.address]) {
        let holders = through(&asker, parent, &store);
        assert_eq!(read(&holders, &record, 0..300_000).await.unwrap(), data);
        assert_eq!(store.calls(Operation::Read), 2 * count - 1);
        store.fail_next(Operation::Read, ErrorKind::Gone);
        let error = read(&holders, &record, 0..300_000).await.unwrap_err();
        assert_eq!((error.tier, error.kind), (TierName::ObjectStore, ErrorKind::Gone));
    }
    assert_eq!(busy.counts().refused, 2);
    // What it holds it has time for.
    let live = busy.put("live/b.ts", &data).await;
    let fetched = asker.peers.fetch(busy.address, "live/b.ts", live.uid, None).await.unwrap();
    assert_eq!(all(fetched.bytes).await.unwrap(), data);
}

#[tokio::test]
async fn what_a_parent_does_not_bring_to_its_end_is_read_below_from_there() {
    let data = pattern(1_500_000, 9);
    let (record, store) = stored(&data).await;
    let (parent, asker) = (parent(&store, &record), Pod::start());
    store.set_piece(10_000);
    store.break_next_read(700_000, ErrorKind::Unavailable);
    let holders = through(&asker, parent.address, &store);
    assert!(read(&holders, &record, 0..1_500_000).await.unwrap() == data, "other bytes");
    // The connection may be cut before the head of the answer is sent.
    let Counts { failed, broken, received, .. } = asker.counts();
    assert_eq!((store.calls(Operation::Read), failed + broken), (2, 1));
    assert!(received <= 700_000, "{received}");
}

/// Only bytes of one piece, and of the version that is meant.
#[tokio::test]
async fn a_parent_fetches_pieces_only() {
    let data = pattern(usize::try_from(SIZE).unwrap(), 10);
    let (record, store) = stored(&data).await;
    let (parent, asker) = (parent(&store, &record), Pod::start());
    let ask = async |path: &str, uid: Uid, range: std::ops::Range<u64>| {
        let fetched = soon(asker.peers.fill(parent.address, path, uid, range)).await?;
        Ok(fetched.bytes.try_collect::<Vec<Bytes>>().await?.concat())
    };
    for range in [PIECE_BYTES - 1..PIECE_BYTES + 1, 5..u64::MAX, 5..5] {
        let refused: Result<Vec<u8>, PeerError> = ask(PATH, record.uid, range.clone()).await;
        assert!(refused.is_err(), "{range:?}");
    }
    let behind = 2 * PIECE_BYTES;
    assert_eq!(ask(PATH, record.uid, behind..behind + 9).await, Err(PeerError::Gone));
    assert_eq!(ask(PATH, Uid(1), 0..9).await, Err(PeerError::Gone));
    assert_eq!(ask("live/b.ts", record.uid, 0..9).await, Err(PeerError::Gone));
    // What nobody asks to be fetched is not.
    let held = asker.peers.fetch(parent.address, PATH, record.uid, Some(5..9)).await.map(|_| ());
    assert_eq!((held, store.calls(Operation::Read)), (Err(PeerError::Gone), 0));
    assert_eq!(ask(PATH, record.uid, 5..9).await.unwrap(), data[5..9]);
    assert!(ask(PATH, record.uid, SIZE - 3..SIZE + 3).await.is_err(), "it is cut");
}
