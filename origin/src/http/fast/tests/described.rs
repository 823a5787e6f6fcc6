//! What is said of a version is kept with it, paid for, and made anew for another configuration.

use super::*;
use crate::config::{Change, Way};

const GET: &str = "GET /live/init.mp4 HTTP/1.1\r\nHost: a\r\n\r\n";
const PAGE: &str = "GET /fixed/a.bin HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn lines_are_made_once_and_paid_for_until_their_version_is_gone() {
    let world = World::new();
    let used = || world.origin.memory.budget().used();
    let before = used();
    world.compare(GET.as_bytes());
    let kept = used() - before;
    assert!((256..1_024).contains(&kept), "{kept} bytes for the lines of one version");
    world.compare(GET.as_bytes());
    assert_eq!(used() - before, kept, "they are made once for both parts");
    let answer = world.slow.send(b"DELETE /live/init.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.starts_with(b"HTTP/1.1 204 "));
    assert!(used() + 700 <= before, "the object and its lines are gone");
}

#[test]
fn a_new_configuration_has_new_lines() {
    let world = World::new();
    let has = |line: &str| world.compare(PAGE.as_bytes())[0].lines().any(|found| found == line);
    for _ in 0..2 {
        assert!(has("cache-control: max-age=7"));
    }
    assert_eq!(
        world.origin.config.update(&SPEC.replace("max-age=7", "max-age=8"), Way::File),
        Change::Swapped
    );
    for _ in 0..2 {
        assert!(has("cache-control: max-age=8"));
    }
    assert_eq!(world.origin.config.update(SPEC, Way::File), Change::Swapped);
    assert!(has("cache-control: max-age=7"));
}
