//! The write-ahead log on real servers: what was acknowledged is read back, from whichever servers are left.

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::TryStreamExt;
use mediaorigin_index::entry::Uid;
use mediaorigin_index::wal::{Label, MESSAGE_BYTES};
use mediaorigin_index::{Kept, Wal, WalError};
use mediaorigin_tests::links::Link;
use mediaorigin_tests::nats::SERVERS;

use super::fleet::{Fleet, wait_until};

const PATIENCE: Duration = Duration::from_mins(1);
/// For what is known to fail.
const SHORT: Duration = Duration::from_secs(2);
const EACH: u64 = MESSAGE_BYTES as u64;

/// Bytes that differ from version to version and from place to place.
fn bytes(uid: u128, size: usize) -> Bytes {
    let mut chance = fastrand::Rng::with_seed(u64::try_from(uid).unwrap());
    std::iter::repeat_with(|| chance.u8(..)).take(size).collect()
}

/// What is said of a version.
fn label(uid: u128) -> Label {
    Label { path: format!("live/ä {uid}.ts").into(), stamp: 7 }
}

async fn write(wal: &Wal, uid: u128, all: &Bytes, piece: usize, patience: Duration) -> Result<(), WalError> {
    let mut writer = wal.writer(Uid(uid), label(uid), patience);
    for start in (0..all.len()).step_by(piece) {
        writer.write(all.slice(start..all.len().min(start + piece))).await?;
    }
    writer.finish().await
}

async fn read(
    wal: &Wal,
    uid: u128,
    size: u64,
    range: Range<u64>,
    patience: Duration,
) -> Result<Vec<u8>, WalError> {
    let parts = wal.read(Uid(uid), size, range, patience);
    let parts: Vec<Bytes> =
        parts.inspect_ok(|bytes| assert!(bytes.len() <= MESSAGE_BYTES)).try_collect().await?;
    Ok(parts.concat())
}

impl Fleet {
    fn wal(&self, pod: usize) -> Wal {
        self.runtime.block_on(Wal::connect(&self.config(pod))).unwrap()
    }
}

/// All of it on one cluster, which takes seconds to start.
#[test]
fn the_write_ahead_log_keeps_what_it_acknowledged() {
    let mut fleet = Fleet::start("live");
    what_is_written_is_read(&fleet);
    many_write_at_once(&fleet);
    what_is_forgotten_is_gone(&fleet);
    what_does_not_fit_is_refused(&fleet);
    a_pod_that_is_cut_off_is_told_so(&fleet);
    a_server_dies_while_somebody_writes(&mut fleet);
}

fn what_is_written_is_read(fleet: &Fleet) {
    let (writer, reader) = (fleet.wal(0), fleet.wal(1));
    for (uid, size) in [0, 1, MESSAGE_BYTES, 5_000_000].into_iter().enumerate() {
        let uid = uid as u128 + 1;
        let (all, size) = (bytes(uid, size), size as u64);
        fleet.runtime.block_on(write(&writer, uid, &all, 100_000, PATIENCE)).unwrap();
        let back = fleet.runtime.block_on(read(&reader, uid, size, 0..size, PATIENCE)).unwrap();
        assert!(back == all, "{size}");
    }
    assert_eq!(fleet.runtime.block_on(reader.label(Uid(4), PATIENCE)), Ok(Some(label(4))));
    let missing = fleet.runtime.block_on(reader.label(Uid(99), PATIENCE));
    assert!(matches!(missing, Err(WalError::Missing { number: 0, .. })), "{missing:?}");
    let held = fleet.runtime.block_on(reader.held(PATIENCE)).unwrap();
    assert!(held.messages == 13 && held.bytes > 5_000_000 && held.bytes_max == 1 << 30, "{held:?}");
    let (all, size) = (bytes(4, 5_000_000), 5_000_000);
    for range in [EACH - 1..EACH + 1, 2 * EACH..3 * EACH, 0..1, size - 1..size, 1_000_000..4_000_000] {
        let back = fleet.runtime.block_on(read(&reader, 4, size, range.clone(), PATIENCE)).unwrap();
        let within = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        assert!(back == all[within], "{range:?}");
    }
    // Whoever is wrong about the size is told so, and is given nothing that is not there.
    let wrong = fleet.runtime.block_on(read(&reader, 4, 4_999_999, 0..4_999_999, PATIENCE));
    assert!(matches!(wrong, Err(WalError::Damaged { number: 9, .. })), "{:?}", wrong.map(|all| all.len()));
}

fn many_write_at_once(fleet: &Fleet) {
    let wals = [fleet.wal(0), fleet.wal(1)];
    let one = |uid: u128| {
        let [one, other] = wals.clone();
        let (writer, reader) = if uid.is_multiple_of(2) { (one, other) } else { (other, one) };
        fleet.runtime.spawn(async move {
            let all = bytes(uid, 2_000_000 + usize::try_from(uid).unwrap());
            write(&writer, uid, &all, 70_000, PATIENCE).await.unwrap();
            let size = all.len() as u64;
            assert!(read(&reader, uid, size, 0..size, PATIENCE).await.unwrap() == all, "{uid}");
        })
    };
    let all: Vec<_> = (100..108).map(one).collect();
    for done in fleet.runtime.block_on(futures_util::future::join_all(all)) {
        done.unwrap();
    }
}

fn what_is_forgotten_is_gone(fleet: &Fleet) {
    let wal = fleet.wal(2);
    let list = || fleet.runtime.block_on(wal.list(PATIENCE)).unwrap();
    let kept = |uid, messages| Kept { uid: Uid(uid), messages };
    let before = list();
    assert!(
        before.len() == 12 && before.starts_with(&[kept(1, 1), kept(2, 1), kept(3, 1), kept(4, 10)]),
        "{before:?}"
    );
    assert_eq!(fleet.runtime.block_on(wal.forget(Uid(4), PATIENCE)), Ok(10));
    assert_eq!(fleet.runtime.block_on(wal.forget(Uid(4), PATIENCE)), Ok(0));
    assert!(list() == [&before[..3], &before[4..]].concat(), "nothing else is gone");
    let missing = fleet.runtime.block_on(read(&wal, 4, 5_000_000, 0..5_000_000, PATIENCE));
    assert!(matches!(missing, Err(WalError::Missing { number: 0, .. })), "{missing:?}");
}

fn what_does_not_fit_is_refused(fleet: &Fleet) {
    let mut config = fleet.config(0);
    config.scope = mediaorigin_index::Scope::new("small").unwrap();
    config.wal_bytes_max = 3 << 20;
    let wal = fleet.runtime.block_on(Wal::connect(&config)).unwrap();
    let (large, small) = (bytes(1, 5_000_000), bytes(2, 1_000_000));
    let full = fleet.runtime.block_on(write(&wal, 1, &large, 300_000, PATIENCE));
    assert!(matches!(full, Err(WalError::Full(_))), "{full:?}");
    // What was on its way when the writer gave up may be stored behind what is forgotten.
    wait_until("room", || {
        fleet.runtime.block_on(wal.forget(Uid(1), PATIENCE)).unwrap();
        fleet.runtime.block_on(write(&wal, 2, &small, 300_000, PATIENCE)).map_err(|error| error.to_string())
    });
    let back = fleet.runtime.block_on(read(&wal, 2, 1_000_000, 0..1_000_000, PATIENCE)).unwrap();
    assert!(back == small);
}

fn a_pod_that_is_cut_off_is_told_so(fleet: &Fleet) {
    let wal = fleet.wal(0);
    let all = bytes(300, 30_000_000);
    fleet.links[0].iter().for_each(Link::cut);
    let begin = Instant::now();
    let written = fleet.runtime.block_on(write(&wal, 300, &all, 1_000_000, SHORT));
    assert!(matches!(written, Err(WalError::NotStored { .. })), "{written:?}");
    let back = fleet.runtime.block_on(read(&wal, 1, 0, 0..0, SHORT));
    assert!(matches!(back, Err(WalError::NotRead { number: 0, .. })), "{back:?}");
    let listed = fleet.runtime.block_on(wal.list(SHORT));
    assert!(matches!(listed, Err(WalError::Silent(_))), "{listed:?}");
    assert!(begin.elapsed() < PATIENCE, "it is told in time");
    fleet.links[0].iter().for_each(Link::restore);
    fleet.runtime.block_on(write(&wal, 300, &all, 1_000_000, PATIENCE)).unwrap();
    let back = fleet.runtime.block_on(read(&wal, 300, 30_000_000, 0..30_000_000, PATIENCE)).unwrap();
    assert!(back == all);
}

/// The one that leads the stream, so that what is on its way is answered by nobody.
fn a_server_dies_while_somebody_writes(fleet: &mut Fleet) {
    let (wal, reader) = (fleet.wal(0), fleet.wal(1));
    let leader = fleet.cluster.wait_stream_leader("MO_WAL_live").unwrap();
    let all = bytes(400, 24_000_000);
    let (half, begun) = tokio::sync::oneshot::channel();
    let written = fleet.runtime.spawn({
        let all = all.clone();
        async move {
            let mut writer = wal.writer(Uid(400), label(400), PATIENCE);
            let mut half = Some(half);
            for start in (0..all.len()).step_by(500_000) {
                if start > 8_000_000
                    && let Some(half) = half.take()
                {
                    half.send(()).unwrap();
                }
                writer.write(all.slice(start..all.len().min(start + 500_000))).await?;
            }
            writer.finish().await
        }
    });
    fleet.runtime.block_on(begun).unwrap();
    fleet.cluster.kill(leader);
    fleet.runtime.block_on(written).unwrap().unwrap();
    let size = all.len() as u64;
    let back = fleet.runtime.block_on(read(&reader, 400, size, 0..size, PATIENCE)).unwrap();
    assert!(back == all, "two servers have it");
    fleet.cluster.restart(leader).unwrap();
    // And whoever comes back late has it too, or asks who does.
    let count = |server: usize| fleet.cluster.messages_on(server, "MO_WAL_live").ok();
    wait_until("the third to have all of it", || {
        let (one, other) = (count(leader), count((leader + 1) % SERVERS));
        (one.is_some() && one == other).then_some(()).ok_or_else(|| format!("{one:?} and {other:?}"))
    });
    let back = fleet.runtime.block_on(read(&reader, 400, size, 0..size, PATIENCE)).unwrap();
    assert!(back == all);
}
