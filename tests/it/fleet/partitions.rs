//! A log in several parts: what is below the same two folders is in one of them.

use super::pods::{Fleet, SMALL, Size, wait_until};

const PARTITIONS: u16 = 3;
const CHANNELS: u32 = 24;

fn stream(partition: u16) -> String {
    format!("MO_IDX_media-fleet_{partition}")
}

/// Every channel is served by every pod, whichever part of the log it is in, listings have all of them, and each part has some. A pod that
/// believes in another number of parts is not ready, and says why.
#[test]
fn channels_in_several_parts_of_the_log_are_one_origin() {
    let size = Size { partitions: PARTITIONS, ..SMALL };
    let mut fleet = Fleet::start_with((2, size), "[]", false, None);
    let path = |channel: u32| format!("/live/{channel:02}/a.m3u8");
    for channel in 0..CHANNELS {
        let pod = usize::from(channel % 2 == 1);
        fleet.put(pod, &path(channel), b"#EXTM3U\n");
        assert_eq!(fleet.get(1 - pod, &path(channel)).body, b"#EXTM3U\n", "channel {channel}");
    }
    for channel in (0..CHANNELS).step_by(3) {
        assert_eq!(fleet.pod(0).ask("DELETE", &path(channel), &[], None).unwrap().head.status, 204);
        assert_eq!(fleet.get(1, &path(channel)).head.status, 404, "channel {channel}");
    }
    let listing = fleet.pod(1).ask("GET", "/?Path=live&MaxResults=1000", &[], None).unwrap();
    let listing: serde_json::Value = serde_json::from_slice(&listing.body).unwrap();
    let names = listing["Items"].as_array().unwrap().len();
    assert_eq!(names, (CHANNELS - CHANNELS.div_ceil(3)) as usize, "{listing}");
    for partition in 0..PARTITIONS {
        let leader = fleet.nats.wait_stream_leader(&stream(partition)).unwrap();
        assert!(
            fleet.nats.messages_on(leader, &stream(partition)).unwrap() > 0,
            "part {partition} has nothing"
        );
    }
    fleet.size.partitions = 1;
    fleet.relaunch(1);
    wait_until("the pod to say what is wrong", || match fleet.pod(1).readiness() {
        Err(reason) if reason.contains("the log was made with 3 partitions, not 1") => Ok(()),
        other => Err(format!("{other:?}")),
    });
}
