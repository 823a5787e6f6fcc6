//! What happens to a fleet while clients go on.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use mediaorigin_tests::links::Link;
use mediaorigin_tests::nats::SERVERS;

use super::pods::{Fleet, wait_until};

/// What happens to a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A pod is killed, and another one comes in its place.
    ReplacePod,
    /// All pods, one after the other, end as they should, and others come in their places.
    RollPods,
    /// A pod gets no turn for a while.
    StopPod,
    /// It gets none for longer than anybody waits for the index.
    StopPodLong,
    /// A pod reaches no server for a while.
    CutPod,
    /// No other pod reaches a pod for a while, or their questions stay without an answer.
    CutPeer,
    /// A pod does not reach the bucket for a while.
    CutBucket,
    /// The bucket takes long to answer a pod for a while.
    SlowBucket,
    /// Whatever a server writes to its disk takes long for a while.
    SlowDisk,
    /// The clock of a pod jumps.
    JumpClock,
    /// The leader of the log is killed, and comes back.
    KillLeader,
    /// One of the others is.
    KillFollower,
}

impl Fault {
    /// Makes it happen, and mends it; `moved` is told where a pod is from now on.
    pub(super) fn happen(
        self,
        fleet: &mut Fleet,
        moved: &dyn Fn(usize, Option<SocketAddr>),
        chance: &mut Rng,
    ) {
        let pod = chance.usize(..fleet.pods.len());
        match self {
            Self::ReplacePod => {
                fleet.kill(pod);
                replace(fleet, pod, moved);
            }
            Self::RollPods => {
                for pod in 0..fleet.pods.len() {
                    fleet.leave(pod);
                    replace(fleet, pod, moved);
                }
            }
            Self::StopPod => stop(fleet, pod, chance.u64(500..3_000)),
            Self::StopPodLong => stop(fleet, pod, chance.u64(9_500..12_000)),
            Self::CutPod => {
                fleet.links[pod].iter().for_each(Link::cut);
                wait_until("the pod that is cut off to be unready", || match fleet.pod(pod).readiness() {
                    Err(reason) if reason.contains("NATS") => Ok(()),
                    other => Err(format!("{other:?}")),
                });
                fleet.links[pod].iter().for_each(Link::restore);
            }
            Self::CutPeer => cut(&fleet.peers[pod].1, chance),
            Self::CutBucket => cut(&fleet.buckets[pod], chance),
            Self::SlowBucket => {
                let link = &fleet.buckets[pod];
                link.slow_down(Duration::from_millis(chance.u64(50..500)));
                last(link, chance);
            }
            Self::SlowDisk => {
                let delay = Duration::from_millis(chance.u64(5..200));
                let disk = fleet.nats.slow_disk(chance.usize(..SERVERS), delay).unwrap();
                thread::sleep(Duration::from_millis(chance.u64(500..3_000)));
                disk.end().unwrap();
            }
            Self::JumpClock => {
                let clocks = fleet.clocks.as_ref().expect("clocks that can be wrong");
                clocks.jump(pod, chance);
                // Until the process has looked.
                thread::sleep(Duration::from_millis(1_500));
            }
            Self::KillLeader | Self::KillFollower => {
                let leader = fleet.nats.wait_stream_leader("MO_IDX_media-fleet_0").unwrap();
                let server = if self == Self::KillLeader { leader } else { (leader + 1) % 3 };
                fleet.nats.kill(server);
                fleet.nats.restart(server).unwrap();
                fleet.nats.wait_healthy(server).unwrap();
            }
        }
    }
}

/// Nothing passes for a while: the link refuses, or is silent.
fn cut(link: &Link, chance: &mut Rng) {
    if chance.bool() {
        link.cut();
    } else {
        link.silence();
    }
    last(link, chance);
}

/// Lets what is wrong with a link last for a while.
fn last(link: &Link, chance: &mut Rng) {
    thread::sleep(Duration::from_millis(chance.u64(500..3_000)));
    link.restore();
}

fn stop(fleet: &Fleet, pod: usize, milliseconds: u64) {
    fleet.pod(pod).signal("-STOP").unwrap();
    thread::sleep(Duration::from_millis(milliseconds));
    fleet.pod(pod).signal("-CONT").unwrap();
}

/// Another process in the place of one that has ended.
fn replace(fleet: &mut Fleet, pod: usize, moved: &dyn Fn(usize, Option<SocketAddr>)) {
    moved(pod, None);
    fleet.replace(pod);
    moved(pod, Some(fleet.pod(pod).media));
}
