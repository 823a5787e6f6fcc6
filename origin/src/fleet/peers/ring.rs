//! Whom to ask first: for each version another pod, the same for all who choose among the same ones (rendezvous hashing: Thaler and
//! Ravishankar, 1998). A pod that comes or goes changes the choice for its own share of the versions only.

use super::address::Address;
use crate::digest::Digest;
use crate::memory::blob::Uid;

/// All of `pods`, in the order in which they are asked for `uid`.
pub fn order(pods: &[Address], uid: Uid) -> Vec<Address> {
    let mut weighed: Vec<_> = pods.iter().map(|pod| (weight(*pod, uid), *pod)).collect();
    weighed.sort_unstable_by(|one, other| other.cmp(one));
    weighed.into_iter().map(|(_, pod)| pod).collect()
}

/// Pods of two programs must agree: nothing that differs from build to build, and no seed.
fn weight(pod: Address, uid: Uid) -> u64 {
    let digest = Digest::of(format!("{uid} {pod}").as_bytes());
    digest.bytes()[..8].iter().fold(0, |weight, byte| weight << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::SocketAddr;

    use super::*;

    const VERSIONS: u128 = 20_000;

    fn pods(count: u8) -> Vec<Address> {
        (0..count).map(|number| Address::new(SocketAddr::from(([10, 0, 0, number], 8_082)), false)).collect()
    }

    fn first(pods: &[Address], uid: Uid) -> Option<Address> {
        order(pods, uid).first().copied()
    }

    fn choices(pods: &[Address]) -> Vec<Address> {
        (0..VERSIONS).map(|uid| first(pods, Uid(uid)).unwrap()).collect()
    }

    #[test]
    fn nobody_among_nobody() {
        assert!(order(&[], Uid(1)).is_empty());
    }

    #[test]
    fn each_pod_has_its_share() {
        for count in [2, 3, 10] {
            let mut shares: HashMap<Address, usize> = HashMap::new();
            for pod in choices(&pods(count)) {
                *shares.entry(pod).or_default() += 1;
            }
            let fair = usize::try_from(VERSIONS).unwrap() / usize::from(count);
            assert_eq!(shares.len(), usize::from(count));
            assert!(shares.values().all(|share| share.abs_diff(fair) < fair / 8), "{shares:?}");
        }
    }

    #[test]
    fn a_pod_that_comes_or_goes_moves_its_own_share_only() {
        let (few, many) = (pods(9), pods(10));
        let newcomer = many[9];
        let (before, after) = (choices(&few), choices(&many));
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after);
        assert!(moved.clone().all(|(_, after)| *after == newcomer));
        let fair = before.len() / 10;
        assert!(moved.count().abs_diff(fair) < fair / 8);
    }

    #[test]
    fn the_order_of_the_list_means_nothing() {
        let pods = pods(10);
        let turned: Vec<_> = pods.iter().rev().copied().collect();
        for uid in (0..100).map(Uid) {
            let ordered = order(&pods, uid);
            assert_eq!(ordered, order(&turned, uid));
            // Without the first the rest is asked in the same order.
            let rest: Vec<_> = pods.iter().copied().filter(|pod| *pod != ordered[0]).collect();
            assert_eq!(order(&rest, uid), ordered[1..]);
        }
    }

    /// Whoever changes this splits a fleet in two while it is rolled out.
    #[test]
    fn the_choice_is_the_same_in_every_build() {
        let chosen: Vec<_> = (0..5).map(|uid| first(&pods(10), Uid(uid)).unwrap().to_string()).collect();
        let expected = ["10.0.0.8", "10.0.0.0", "10.0.0.5", "10.0.0.9", "10.0.0.7"];
        assert_eq!(chosen, expected.map(|ip| format!("{ip}:8082")));
    }
}
