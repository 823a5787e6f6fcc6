//! The index has its memory from what objects may use.

use super::forgetting::{MANIFEST_BYTES, manifest, target};
use super::pods::{Fleet, SMALL, Size, wait_until};

const SIZE: Size = Size { memory: "128Mi", connections: 100, ..SMALL };
/// The pods may forget their copies, the index may not: nobody else has these manifests.
const RULES: &str = "[{name: all, match: {paths: ['**']}, durability: Replicated, memory: {keepSeconds: 0}}]";

/// A fleet whose index needs all that it may have takes no new path in, on no pod, and says so; what it has is read, replaced and
/// deleted, and then there is room again. Index and objects together never have more than the objects' term.
#[test]
fn an_index_without_room_lets_no_new_path_in_and_all_that_is_there_is_served() {
    let fleet = Fleet::start_with((3, SIZE), RULES, false, None);
    let objects = fleet.status(0)["memory"]["objects"].as_u64().unwrap();
    let most = usize::try_from(objects).unwrap() / MANIFEST_BYTES;

    let put = |pod: usize, number: usize| {
        fleet.pod(pod).ask("PUT", &target(number), &[], Some(&manifest(number, 0))).unwrap()
    };
    let mut others = most..;
    let mut fresh = move || others.next().unwrap();
    let refused =
        (0..most).map(|number| (number, put(0, number))).find(|(_, answer)| answer.head.status != 201);
    let Some((stored, refused)) = refused else { panic!("{most} manifests were taken in") };
    let text = String::from_utf8_lossy(&refused.body);
    assert_eq!(refused.head.status, 503, "{text}");
    assert!(text.contains("the index of the fleet needs") && text.contains("spec.memory.limit"), "{text}");

    for pod in 0..3 {
        // Each time a new path: one that was let in a moment ago is known.
        wait_until("the pod to be without room", || match put(pod, fresh()).head.status {
            503 => Ok(()),
            status => Err(format!("pod {pod} answered {status}")),
        });
        wait_until("index and objects to be within the budget", || {
            let memory = &fleet.status(pod)["memory"];
            let [used, indexed] = ["used", "indexed"].map(|field| memory[field].as_u64().unwrap());
            (used + indexed <= objects).then_some(()).ok_or_else(|| memory.to_string())
        });
        for number in [0, stored / 2, stored - 1] {
            let answer = fleet.get(pod, &target(number));
            assert_eq!((answer.head.status, answer.body), (200, manifest(number, 0)), "pod {pod}");
        }
    }
    assert_eq!(put(1, stored / 2).head.status, 204, "what is known is replaced");
    for number in 0..stored / 2 {
        let answer = fleet.pod(2).ask("DELETE", &target(number), &[], None).unwrap();
        assert_eq!(answer.head.status, 204);
    }
    for pod in 0..3 {
        wait_until("the pod to have room again", || match put(pod, fresh()).head.status {
            201 => Ok(()),
            status => Err(format!("pod {pod} answered {status}")),
        });
    }
}
