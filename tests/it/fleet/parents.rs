//! What lies in the bucket is fetched from there by one pod of a zone, and by the others from that one.

use std::thread;

use mediaorigin_tests::folder::Folder;

use super::pods::{Fleet, SMALL, Size, wait_until};

const PODS: usize = 4;
const DURABLE: &str = "[{name: all, match: {paths: [\"**\"]}, durability: Durable}]";
/// A hedge is a second request for the same piece.
const PIECE: u64 = 2 << 20;

/// Pods that read an object which only the bucket has, all at once, take as many copies of it from there as there are zones: of one that
/// somebody else wrote into the bucket, and of one that was put through a pod which is gone.
#[test]
fn each_zone_takes_one_copy_from_the_bucket() {
    let text: String =
        (0..5_000_000_u32).map(|number| char::from(b'a' + (number % 1_009 % 26) as u8)).collect();
    let body = text.as_bytes();
    for zones in [0, 2] {
        let mut fleet = Fleet::start_with((PODS, Size { zones, ..SMALL }), DURABLE, true, None);
        for pod in 0..PODS {
            wait_for_pods(&fleet, pod);
        }
        let copies = zones.max(1) as u64;
        let folder = Folder::new("film").unwrap();
        let film = folder.write("film", &text).unwrap();
        fleet.store.as_ref().unwrap().curl("origin/vod/film.mp4", &["--upload-file", &film]).unwrap();
        takes(&fleet, &[0, 1, 2, 3], ("/vod/film.mp4", body), copies);

        fleet.put(0, "/vod/late.mp4", body);
        fleet.kill(0);
        takes(&fleet, &[1, 2, 3], ("/vod/late.mp4", body), copies);
        let filled = (1..PODS).map(|pod| fleet.metric(pod, "mediaorigin_peer_filled_pieces_total"));
        assert!(filled.sum::<u64>() > 0);
    }
}

/// Reads an object through some pods at once: so many copies of it come from the bucket.
#[track_caller]
fn takes(fleet: &Fleet, pods: &[usize], (target, body): (&str, &[u8]), copies: u64) {
    let sum = |name: &str| pods.iter().map(|pod| fleet.metric(*pod, name)).sum::<u64>();
    let taken = || sum("mediaorigin_object_store_read_bytes_total");
    let hedged = || sum("mediaorigin_object_store_hedges_total") * PIECE;
    let before = (taken(), hedged());
    thread::scope(|scope| {
        for pod in pods {
            scope.spawn(move || assert!(fleet.get(*pod, target).body == body, "pod {pod} of {target}"));
        }
    });
    let (taken, hedged) = (taken() - before.0, hedged() - before.1);
    let expected = copies * body.len() as u64;
    let (least, most) = (expected, expected + hedged);
    assert!(
        (least..=most).contains(&taken),
        "{copies} copies of {target}: {taken} bytes, of which {hedged} may be hedged"
    );
}

/// Waits until a pod knows of all.
fn wait_for_pods(fleet: &Fleet, pod: usize) {
    wait_until("all pods to be heard", || match fleet.metric(pod, "mediaorigin_fleet_pods") {
        pods if pods == PODS as u64 => Ok(()),
        pods => Err(format!("pod {pod} knows of {pods}")),
    });
}
