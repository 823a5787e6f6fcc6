//! Names in order.

use crate::memory::tests::{KEEP, LOOSE, World};
use crate::memory::upload::Terms;
use crate::tiers::Listed;
use std::time::Duration;

fn names(world: &World, folder: &str, after: &str, limit: usize) -> Vec<String> {
    let listed = world.memory.list(folder, after, limit, world.clock.now());
    let name = |listed: &Listed| match listed {
        Listed::Object(record) => format!("{} {}", record.path, record.size),
        Listed::Folder(name) => name.clone(),
    };
    listed.iter().map(name).collect()
}

#[tokio::test]
async fn a_folder_is_listed_once_and_in_order() {
    let world = World::new(1 << 20);
    for path in ["a", "a/1", "a/2", "a0", "a!/x", "b/c/d", "b/c/e", "z"] {
        world.put(path, b"123", KEEP).await.unwrap();
    }
    assert_eq!(names(&world, "", "", 10), ["a 3", "a!/", "a/", "a0 3", "b/", "z 3"]);
    assert_eq!(names(&world, "a/", "", 10), ["a/1 3", "a/2 3"]);
    assert_eq!(names(&world, "b/", "", 10), ["b/c/"]);
    assert_eq!(names(&world, "c/", "", 10), Vec::<String>::new());
    // Pages: every name exactly once, whatever the size of a page is.
    for limit in 1..7 {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let page = names(&world, "", &after, limit);
            let Some(last) = page.last() else { break };
            after = last.split(' ').next().unwrap().to_owned();
            all.extend(page);
        }
        assert_eq!(all, ["a 3", "a!/", "a/", "a0 3", "b/", "z 3"], "{limit}");
    }
}

#[tokio::test]
async fn what_is_expired_deleted_or_evicted_is_not_listed() {
    let world = World::new(1 << 20);
    world.put("x/short", b"1", Terms { expire: Some(Duration::from_secs(5)), ..LOOSE }).await.unwrap();
    world.put("x/kept", b"1", KEEP).await.unwrap();
    world.put("y/gone", b"1", KEEP).await.unwrap();
    world.memory.delete("y/gone", world.clock.now(), |_| true);
    assert_eq!(names(&world, "", "", 9), ["x/"]);
    assert_eq!(names(&world, "x/", "", 9), ["x/kept 1", "x/short 1"]);
    world.pass(5);
    assert_eq!(names(&world, "x/", "", 9), ["x/kept 1"]);
}
