//! Pieces of what other tiers have.

use std::sync::Arc;

use crate::memory::blob::Uid;
use crate::memory::fill::{Piece, PieceKey};
use crate::memory::tests::{KEEP, LOOSE, World, pattern, read_all};
use crate::memory::{Found, Full};

async fn fill(world: &World, index: u64, data: &[u8]) -> Result<(), Full> {
    let key = PieceKey::new(Uid(7), index);
    match world.memory.fill(&key, data.len() as u64, &world.clock).await? {
        Piece::There(_) => panic!("somebody filled {index}"),
        Piece::Ours(mut upload) => {
            upload.write(data, &world.clock).await?;
            upload.filled(&world.clock);
        }
    }
    Ok(())
}

#[tokio::test]
async fn one_fills_and_the_others_follow() {
    let world = World::new(1 << 20);
    let key = PieceKey::new(Uid(1), 0);
    let Piece::Ours(mut upload) = world.memory.fill(&key, 6, &world.clock).await.unwrap() else { panic!() };
    let Piece::There(first) = world.memory.fill(&key, 6, &world.clock).await.unwrap() else { panic!() };
    let second = world.memory.piece(&key, &world.clock).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    let reader = tokio::spawn(read_all(first));
    upload.write(b"abcdef", &world.clock).await.unwrap();
    upload.filled(&world.clock);
    assert_eq!(reader.await.unwrap(), Ok(b"abcdef".to_vec()));
    let Piece::There(_) = world.memory.fill(&key, 6, &world.clock).await.unwrap() else { panic!() };
    // A piece is neither an upload nor an object for those who count or list them.
    assert_eq!((world.memory.counts().uploads, world.memory.counts().sizes.named), (0, 0));
    assert!(world.memory.list("", "", 9, world.clock.now()).is_empty());
}

#[tokio::test]
async fn a_fill_leaves_room_for_uploads() {
    let world = World::new(1 << 20);
    world.put("live/x", &pattern(900_000, 1), KEEP).await.unwrap();
    assert!(fill(&world, 0, &pattern(100_000, 2)).await.is_err());
    world.put("live/y", &pattern(100_000, 3), KEEP).await.unwrap();
}

#[tokio::test]
async fn a_scan_of_cold_objects_pushes_out_its_own_and_not_what_was_live() {
    let world = World::new(4 << 20);
    for number in 0..30 {
        world.put(&format!("live/{number}"), &pattern(100_000, number), LOOSE).await.unwrap();
    }
    for index in 0..100 {
        fill(&world, index, &pattern(100_000, 5)).await.unwrap();
    }
    let kept = (0..30).filter(|number| matches!(world.find(&format!("live/{number}")), Found::Complete(_)));
    assert_eq!(kept.count(), 30);
    // What is asked for again stays among the others.
    let key = PieceKey::new(Uid(7), 99);
    assert!(world.memory.piece(&key, &world.clock).is_some());
    for index in 100..120 {
        fill(&world, index, &pattern(100_000, 5)).await.unwrap();
    }
    assert!(world.memory.piece(&key, &world.clock).is_some());
    assert!(world.memory.piece(&PieceKey::new(Uid(7), 100), &world.clock).is_none());
}
