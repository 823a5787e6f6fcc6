//! What is done to servers, to pods and to the links between them; each fault is over when its function returns.

use std::thread::sleep;
use std::time::Duration;

use fastrand::Rng;
use mediaorigin_tests::links::{Link, Way};
use mediaorigin_tests::nats::SERVERS;

use super::fleet::{Fleet, PODS};

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// `kill -9` of a server that does not lead the stream.
    KillFollower,
    /// `kill -9` of the one that leads it.
    KillLeader,
    /// `kill -9` of all.
    KillAll,
    /// A server gets no turn for a while.
    StopFollower,
    StopLeader,
    /// All servers are replaced one after the other, in the way of a rolling update.
    Roll,
    /// Whatever a server writes to its disk takes long.
    SlowDisk,
    /// A server is asked to end.
    Terminate,
    /// The leader reaches no other server.
    IsolateLeader,
    /// All connections of a pod are reset.
    Reset,
    /// A pod reaches no server.
    CutPod,
    /// Nothing that a pod sends or is sent arrives, and no connection breaks.
    SilencePod,
    /// Only what it is sent does not arrive.
    DeafenPod,
    /// Another process in place of a pod's.
    ReplacePod,
}

impl Fault {
    /// All of them.
    pub(super) const ALL: [Self; 14] = [
        Self::KillFollower,
        Self::KillLeader,
        Self::KillAll,
        Self::StopFollower,
        Self::StopLeader,
        Self::Roll,
        Self::SlowDisk,
        Self::Terminate,
        Self::IsolateLeader,
        Self::Reset,
        Self::CutPod,
        Self::SilencePod,
        Self::DeafenPod,
        Self::ReplacePod,
    ];

    /// Lets it happen, for as long as `chance` says, and ends it.
    pub(super) fn happen(self, fleet: &mut Fleet, chance: &mut Rng) {
        let while_it_lasts = Duration::from_millis(chance.u64(200..2_500));
        let pod = chance.usize(..PODS);
        match self {
            Self::KillFollower => {
                let follower = fleet.follower();
                kill(fleet, &[follower], while_it_lasts);
            }
            Self::KillLeader => {
                let leader = fleet.leader();
                kill(fleet, &[leader], while_it_lasts);
            }
            Self::KillAll => kill(fleet, &[0, 1, 2], Duration::ZERO),
            Self::StopFollower => {
                let follower = fleet.follower();
                stop(fleet, follower, while_it_lasts);
            }
            Self::StopLeader => {
                let leader = fleet.leader();
                stop(fleet, leader, while_it_lasts);
            }
            Self::Roll => {
                for server in 0..SERVERS {
                    fleet.cluster.lame_duck(server).unwrap();
                    fleet.cluster.wait_end(server).unwrap();
                    fleet.cluster.restart(server).unwrap();
                    fleet.cluster.wait_healthy(server).unwrap();
                }
            }
            Self::SlowDisk => {
                let delay = Duration::from_millis(chance.u64(5..200));
                let disk = fleet.cluster.slow_disk(chance.usize(..SERVERS), delay).unwrap();
                sleep(while_it_lasts);
                disk.end().unwrap();
            }
            Self::Terminate => {
                let server = chance.usize(..SERVERS);
                fleet.cluster.terminate(server).unwrap();
                fleet.cluster.restart(server).unwrap();
            }
            Self::IsolateLeader => {
                let leader = fleet.leader();
                for other in (0..SERVERS).filter(|other| *other != leader) {
                    fleet.cluster.links(leader, other).for_each(Link::cut);
                }
                sleep(while_it_lasts);
                for other in (0..SERVERS).filter(|other| *other != leader) {
                    fleet.cluster.links(leader, other).for_each(Link::restore);
                }
            }
            Self::Reset => fleet.links[pod].iter().for_each(Link::reset),
            Self::CutPod => links(fleet, pod, while_it_lasts, Link::cut),
            Self::SilencePod => links(fleet, pod, while_it_lasts, Link::silence),
            Self::DeafenPod => links(fleet, pod, while_it_lasts, |link| link.silence_way(Way::ToClient)),
            Self::ReplacePod => fleet.replace(pod),
        }
    }
}

fn kill(fleet: &mut Fleet, servers: &[usize], time: Duration) {
    for server in servers {
        fleet.cluster.kill(*server);
    }
    sleep(time);
    for server in servers {
        fleet.cluster.restart(*server).unwrap();
    }
}

fn stop(fleet: &mut Fleet, server: usize, time: Duration) {
    fleet.cluster.stop(server).unwrap();
    sleep(time);
    fleet.cluster.resume(server).unwrap();
}

fn links(fleet: &Fleet, pod: usize, time: Duration, fault: impl Fn(&Link)) {
    fleet.links[pod].iter().for_each(fault);
    sleep(time);
    fleet.links[pod].iter().for_each(Link::restore);
}
