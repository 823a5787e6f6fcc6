//! What one pod has taken, every pod answers for, at once.

use mediaorigin_tests::peer::{Peer, Piece};

use super::pods::{Fleet, wait_until};

const DURABLE: &str = "[{name: durable, match: {paths: [\"vod/**\"]}, durability: Durable}, {name: rest, match: {paths: [\"**\"]}, durability: Memory}]";

fn status(fleet: &Fleet, pod: usize, target: &str) -> u16 {
    fleet.get(pod, target).head.status
}

/// Of what is no manifest a pod may hear a moment later that it is gone.
#[track_caller]
fn wait_for_404(fleet: &Fleet, pod: usize, target: &str) {
    wait_until(&format!("pod {pod} to hear of the deletion"), || match status(fleet, pod, target) {
        404 => Ok(()),
        status => Err(status.to_string()),
    });
}

/// Manifests ride in the index; who reads another one than was acknowledged, on any pod, would fail here.
#[test]
fn every_pod_answers_for_what_one_has_acknowledged() {
    let fleet = Fleet::start(3, "[]", false);
    for turn in 0..30 {
        let (writer, reader) = (turn % 3, (turn + 1) % 3);
        let body = format!("#EXTM3U\n#{turn}\n").into_bytes();
        let stored = fleet.put(writer, "/live/a/index.m3u8", &body);
        for pod in [reader, writer, (turn + 2) % 3] {
            let found = fleet.get(pod, "/live/a/index.m3u8");
            assert_eq!((found.head.status, &found.body), (200, &body), "turn {turn}, pod {pod}");
            assert_eq!(found.head.header("etag"), stored.head.header("etag"));
            assert_eq!(
                found.head.header("last-modified"),
                fleet.get(writer, "/live/a/index.m3u8").head.header("last-modified")
            );
        }
    }
    // What one pod said is not there is there when another has taken it, and gone again when a third was told to delete it.
    assert_eq!(status(&fleet, 0, "/live/b.m3u8"), 404);
    fleet.put(1, "/live/b.m3u8", b"#EXTM3U\n");
    assert_eq!(status(&fleet, 0, "/live/b.m3u8"), 200);
    let deleted = fleet.pod(2).ask("DELETE", "/live/b.m3u8", &[], None).unwrap();
    assert_eq!(deleted.head.status, 204);
    for pod in 0..3 {
        assert_eq!(status(&fleet, pod, "/live/b.m3u8"), 404, "pod {pod}");
    }
    let again = fleet.pod(0).ask("DELETE", "/live/b.m3u8", &[], None).unwrap();
    assert_eq!(again.head.status, 404);
}

/// Proves MS-26: a GET from another pod gets the bytes of the PUT before it, a thousand times.
#[test]
fn ms_26_a_get_from_another_pod_right_after_a_put_gets_the_new_bytes() {
    let fleet = Fleet::start(2, "[]", false);
    let mut peers = [0, 1].map(|pod| Peer::connect(fleet.pod(pod).media).unwrap());
    for turn in 0..1_000_usize {
        let body = turn.to_string();
        let stored = peers[turn % 2].request("PUT", "/live/a.m3u8", &[], Some(body.as_bytes())).unwrap();
        assert!(matches!(stored.head.status, 201 | 204), "turn {turn}: {}", stored.head.status);
        let found = peers[(turn + 1) % 2].request("GET", "/live/a.m3u8", &[], None).unwrap();
        assert_eq!((found.head.status, found.body), (200, body.into_bytes()), "turn {turn}");
    }
}

/// A condition is decided by what is there for all, not by what a pod has in memory.
#[test]
fn conditions_hold_for_the_whole_fleet() {
    let fleet = Fleet::start(2, "[]", false);
    let first = fleet.put(0, "/live/c.m3u8", b"#EXTM3U\n#1\n");
    let tag = first.head.header("etag").unwrap().to_owned();
    let put = |pod: usize, name: &str, value: &str| {
        let body: &[u8] = b"#EXTM3U\n#2\n";
        fleet.pod(pod).ask("PUT", "/live/c.m3u8", &[(name, value)], Some(body)).unwrap().head.status
    };
    assert_eq!(put(1, "if-none-match", "*"), 412);
    assert_eq!(put(1, "if-match", "\"another\""), 412);
    assert_eq!(put(1, "if-match", &tag), 204);
    assert_eq!(put(0, "if-match", &tag), 412, "the pod that took it first has learnt of the second");
    let found = fleet.pod(0).ask("GET", "/live/c.m3u8", &[("if-none-match", &tag)], None).unwrap();
    assert_eq!(found.head.status, 200);
}

/// An object acknowledged at `Durable` outlives the pod that took it; the bucket has it under its own name.
#[test]
fn what_is_durable_outlives_its_pod() {
    let mut fleet = Fleet::start(3, DURABLE, true);
    let body: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).take(3_000_000).collect();
    fleet.put(0, "/vod/film.mp4", &body);
    fleet.put(0, "/vod/small.mp4", b"few bytes");
    fleet.kill(0);
    for pod in [1, 2] {
        assert_eq!(fleet.get(pod, "/vod/film.mp4").body, body, "pod {pod}");
        assert_eq!(fleet.get(pod, "/vod/small.mp4").body, b"few bytes");
        let part =
            fleet.pod(pod).ask("GET", "/vod/film.mp4", &[("range", "bytes=2500000-2500003")], None).unwrap();
        assert_eq!((part.head.status, part.body), (206, body[2_500_000..2_500_004].to_vec()));
    }
    // Replaced by another pod: no pod serves the old bytes, those in its own memory included. It is no manifest, so others than the one
    // that took it hear of it a moment later.
    fleet.put(1, "/vod/film.mp4", b"the end");
    assert_eq!(fleet.get(1, "/vod/film.mp4").body, b"the end");
    wait_until("another pod to hear of it", || match fleet.get(2, "/vod/film.mp4").body {
        body if body == b"the end" => Ok(()),
        body => Err(format!("{} bytes", body.len())),
    });
    let store = fleet.store.as_ref().unwrap();
    assert_eq!(store.curl("origin/vod/film.mp4", &[]).unwrap().stdout, b"the end");
    let deleted = fleet.pod(2).ask("DELETE", "/vod/film.mp4", &[], None).unwrap();
    assert_eq!(deleted.head.status, 204);
    fleet.replace(0);
    for pod in 0..3 {
        wait_for_404(&fleet, pod, "/vod/film.mp4");
    }
}

/// An object acknowledged at `Replicated`, which no bucket has, outlives the pod that took it and a server of the log.
#[test]
fn what_is_replicated_outlives_its_pod_and_a_server() {
    let mut fleet = Fleet::start(3, "[{name: all, match: {paths: [\"**\"]}, durability: Replicated}]", false);
    let body: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).take(3_000_000).collect();
    fleet.put(0, "/live/a/seg1.ts", &body);
    fleet.put(0, "/live/a/seg2.ts", b"few bytes");
    fleet.kill(0);
    fleet.nats.kill(1);
    for pod in [1, 2] {
        wait_until("the log to answer", || match fleet.get(pod, "/live/a/seg1.ts") {
            answer if answer.head.status == 200 && answer.body == body => Ok(()),
            answer => Err(format!("pod {pod}: {} with {} bytes", answer.head.status, answer.body.len())),
        });
        assert_eq!(fleet.get(pod, "/live/a/seg2.ts").body, b"few bytes");
    }
}

/// Objects that were in the bucket before there was a fleet are served, listed, replaced and deleted as its own.
#[test]
fn what_was_in_the_bucket_before_belongs_to_the_fleet() {
    let fleet = Fleet::start(2, DURABLE, true);
    let store = fleet.store.as_ref().unwrap();
    for name in ["old", "older", "oldest"] {
        store.curl(&format!("origin/vod/{name}.ts"), &["--upload-file", "/proc/self/cmdline"]).unwrap();
    }
    assert_eq!(status(&fleet, 0, "/vod/old.ts"), 200);
    fleet.put(1, "/vod/old.ts", b"new");
    assert_eq!(fleet.get(0, "/vod/old.ts").body, b"new");
    let refused = fleet.pod(0).ask("PUT", "/vod/older.ts", &[("if-none-match", "*")], Some(b"new")).unwrap();
    assert_eq!(refused.head.status, 412);
    let deleted = fleet.pod(0).ask("DELETE", "/vod/older.ts", &[], None).unwrap();
    assert_eq!(deleted.head.status, 204);
    for pod in 0..2 {
        wait_for_404(&fleet, pod, "/vod/older.ts");
        let listed = fleet.get(pod, "/?Path=vod").body;
        let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
        let names: Vec<_> =
            listed["Items"].as_array().unwrap().iter().map(|item| item["Name"].as_str().unwrap()).collect();
        assert_eq!(names, ["old.ts", "oldest.ts"], "pod {pod}");
    }
}

/// A segment that only one pod has in its memory is read through every pod, and fetched once by each, however often it is read there.
#[test]
fn what_one_pod_holds_every_pod_serves() {
    let fleet = Fleet::start(3, "[]", false);
    let body: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_le_bytes).take(5_000_000).collect();
    let stored = fleet.put(0, "/live/a/seg1.ts", &body);
    for pod in [1, 2, 1, 2] {
        let found = fleet.get(pod, "/live/a/seg1.ts");
        assert_eq!((found.head.status, &found.body), (200, &body), "pod {pod}");
        assert_eq!(found.head.header("etag"), stored.head.header("etag"));
        let part =
            fleet.pod(pod).ask("GET", "/live/a/seg1.ts", &[("range", "bytes=4999996-")], None).unwrap();
        assert_eq!((part.head.status, part.body), (206, body[4_999_996..].to_vec()));
    }
    for pod in [1, 2] {
        let fetched = fleet.metric(pod, "mediaorigin_peer_received_bytes_total");
        assert!((5_000_000..5_100_000).contains(&fetched), "pod {pod} fetched {fetched} bytes");
    }
}

/// A reader on another pod follows an upload chunk by chunk, and is cut off when it breaks.
#[test]
fn what_grows_on_one_pod_is_followed_on_another() {
    let fleet = Fleet::start(2, "[]", false);
    let chunked = [("Transfer-Encoding".to_owned(), "chunked".to_owned())];
    let mut writer = Peer::connect(fleet.pod(0).media).unwrap();
    writer.send_head("PUT", "/live/a/seg1.m4s", &chunked).unwrap();
    writer.send_chunk(b"first").unwrap();
    // The news of it is on its way: until it is there, there is nothing.
    let mut reader = Peer::follow(fleet.pod(1).media, "/live/a/seg1.m4s").unwrap();
    assert_eq!(reader.read_exact(5).unwrap(), b"first");
    for chunk in [&b"second"[..], b"third"] {
        writer.send_chunk(chunk).unwrap();
        assert_eq!(reader.read_exact(chunk.len()).unwrap(), chunk);
    }
    writer.send_chunk(b"").unwrap();
    assert_eq!(writer.read_head().unwrap().status, 201);
    assert_eq!(reader.read_rest().unwrap(), (Vec::new(), Piece::End));
    assert_eq!(fleet.get(1, "/live/a/seg1.m4s").body, b"firstsecondthird");

    let mut writer = Peer::connect(fleet.pod(0).media).unwrap();
    writer.send_head("PUT", "/live/a/seg2.m4s", &chunked).unwrap();
    writer.send_chunk(b"first").unwrap();
    let mut reader = Peer::follow(fleet.pod(1).media, "/live/a/seg2.m4s").unwrap();
    assert_eq!(reader.read_exact(5).unwrap(), b"first");
    writer.cut().unwrap();
    assert_eq!(reader.read_rest().unwrap(), (Vec::new(), Piece::Cut));
    for pod in 0..2 {
        wait_until("the broken upload to be gone", || match fleet.get(pod, "/live/a/seg2.m4s").head.status {
            404 => Ok(()),
            status => Err(status.to_string()),
        });
    }
}

/// An upload that began before a deletion comes before it, also where its last byte comes behind it: who reads after the deletion was
/// acknowledged is not given it, growing or complete. (Histories found it: a reader was.)
#[test]
fn what_began_before_a_deletion_is_not_read_behind_it() {
    let fleet = Fleet::start(2, "[]", false);
    let target = "/live/a/notes.bin";
    fleet.put(1, target, b"before");
    let chunked = [("Transfer-Encoding".to_owned(), "chunked".to_owned())];
    let mut writer = Peer::connect(fleet.pod(0).media).unwrap();
    writer.send_head("PUT", target, &chunked).unwrap();
    writer.send_chunk(b"first").unwrap();
    wait_until("the upload to be open", || match fleet.metric(0, "mediaorigin_uploads_open") {
        1 => Ok(()),
        count => Err(count.to_string()),
    });
    assert_eq!(fleet.get(0, target).body, b"before");
    let deleted = fleet.pod(1).ask("DELETE", target, &[], None).unwrap();
    assert_eq!(deleted.head.status, 204);
    for pod in 0..2 {
        assert_eq!(status(&fleet, pod, target), 404, "pod {pod}");
    }
    writer.send_chunk(b"last").unwrap();
    writer.send_chunk(b"").unwrap();
    assert_eq!(writer.read_head().unwrap().status, 204);
    for pod in 0..2 {
        assert_eq!(status(&fleet, pod, target), 404, "pod {pod}");
    }
}
