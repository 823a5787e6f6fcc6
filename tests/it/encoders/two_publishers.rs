//! Two encoders that push the same stream to the same paths, for the case that one of them stops.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use mediaorigin_origin::Options;
use mediaorigin_tests::peer::{Peer, Piece, fetch};

use super::{FFMPEG, HLS, World, encoder, frames};

/// The segments that the playlist names at this moment. Each can be read to its end: at once, or, where its reader followed the one that
/// stopped, when it is asked for again.
fn readable(world: &World, playlist: &str) -> BTreeSet<String> {
    let answer = fetch(world.media(), "GET", playlist).unwrap();
    if answer.head.status == 404 {
        return BTreeSet::new(); // nothing yet
    }
    assert_eq!(answer.head.status, 200);
    let text = String::from_utf8(answer.body).unwrap();
    let names = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let read = |target: &str| {
        let mut peer = Peer::connect(world.media()).unwrap();
        peer.send_head("GET", target, &[]).unwrap();
        assert_eq!(peer.read_head().unwrap().status, 200, "{target}");
        let (body, end) = peer.read_rest().unwrap();
        end == Piece::End && !body.is_empty()
    };
    names
        .map(|name| {
            let target = format!("/live/a/{name}");
            assert!(read(&target) || read(&target), "{target} is cut off");
            target
        })
        .collect()
}

/// Proves IN-21: no segment that is named is ever missing, while both push and after one was ended in the middle.
#[test]
fn in_21_one_of_two_publishers_stops() {
    let world = World::start(Options::default());
    let url = format!("http://{}/live/a/out.m3u8", world.capture.address);
    let muxer = [&HLS[..], &["-hls_list_size", "0"]].concat();
    let publisher = || encoder(FFMPEG, &muxer, &url).stderr(Stdio::null()).spawn().unwrap();
    let (mut first, mut second) = (publisher(), publisher());
    let mut stopped_behind = None;
    let mut seen = BTreeSet::new();
    let status = loop {
        let named = readable(&world, "/live/a/out.m3u8");
        seen.extend(named);
        // When both have sent one segment, and before they come to the end.
        let objects = world.capture.objects().unwrap();
        let is_double = objects.iter().any(|(target, bodies)| seen.contains(target) && bodies.len() == 2);
        if stopped_behind.is_none() && is_double && seen.len() >= 3 {
            assert!(first.try_wait().unwrap().is_none(), "the first one was through already");
            first.kill().unwrap();
            first.wait().unwrap();
            stopped_behind = Some(seen.len());
        }
        if let Some(status) = second.try_wait().unwrap() {
            break status;
        }
        thread::sleep(Duration::from_millis(50));
    };
    assert!(status.success());
    world.capture.settle().unwrap();
    let all = readable(&world, "/live/a/out.m3u8");
    assert!(all.len() == 7 && all.is_superset(&seen), "{all:?}, {seen:?}");
    assert!(stopped_behind.is_some_and(|count| count <= 5), "stopped behind {stopped_behind:?} segments");
    assert_eq!(frames(&format!("http://{}/live/a/out.m3u8", world.media())), 70);
}
