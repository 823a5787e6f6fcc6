//! The twin keeps the contract, and its switches do what the tests of others rely on.

use std::future::{Ready, ready};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;

use super::{Operation, Twin};
use crate::tiers::contract::{self, Fresh, assert_holds, read_whole, record, store};
use crate::tiers::{ErrorKind, Put, Tier, TierName};

fn make() -> Ready<Fresh> {
    ready(Fresh { tier: Arc::new(Twin::new(TierName::Disk)), _keep: Box::new(()) })
}

contract::suite!(make);

#[tokio::test]
async fn the_next_calls_fail_as_told_and_do_nothing() {
    let twin = Arc::new(Twin::new(TierName::ObjectStore));
    let tier: Arc<dyn Tier> = twin.clone();
    twin.fail_next(Operation::Put, ErrorKind::Full);
    twin.fail_next(Operation::Put, ErrorKind::Unavailable);
    let one = record("a", 1, 1);
    for kind in [ErrorKind::Full, ErrorKind::Unavailable] {
        let error = tier.put(&one, &[Bytes::from_static(b"x")]).await.unwrap_err();
        assert_eq!((error.kind, error.tier), (kind, TierName::ObjectStore));
        assert_eq!(tier.find("a").await.unwrap(), None);
    }
    store(&tier, "a", 1, b"x").await;
    assert_eq!(twin.calls(Operation::Put), 3);
    twin.fail_next(Operation::Delete, ErrorKind::Denied);
    assert_eq!(tier.delete("a", 1).await.unwrap_err().kind, ErrorKind::Denied);
    assert_holds(&tier, &one, b"x").await;
}

#[tokio::test]
async fn a_broken_read_ends_with_its_error() {
    let twin = Arc::new(Twin::new(TierName::Disk));
    let tier: Arc<dyn Tier> = twin.clone();
    let one = store(&tier, "a", 1, &[5; 10]).await;
    twin.set_piece(4);
    twin.break_next_read(6, ErrorKind::Corrupt);
    assert_eq!(read_whole(&tier, &one).await.unwrap_err().kind, ErrorKind::Corrupt);
    assert_eq!(read_whole(&tier, &one).await.unwrap(), [5; 10]);
}

#[tokio::test]
async fn a_held_call_waits_until_it_is_released() {
    let twin = Arc::new(Twin::new(TierName::Disk));
    let mut held = twin.hold(Operation::Put);
    let (one, body) = (record("a", 1, 1), [Bytes::from_static(b"x")]);
    let mut put = twin.put(&one, &body);
    assert!((&mut put).now_or_never().is_none());
    held.arrived(1).await;
    assert_eq!(twin.find("a").await.unwrap(), None);
    held.release();
    assert_eq!(put.await.unwrap(), Put::Stored);
    assert_eq!(twin.find("a").await.unwrap(), Some(one));
}
