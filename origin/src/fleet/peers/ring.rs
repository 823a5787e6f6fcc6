//! Whom to ask first: for each version another pod, the same for all who choose among the same ones (rendezvous hashing: Thaler and
//! Ravishankar, 1998). A pod that comes or goes changes the choice for its own share of the versions only.

use super::address::Address;
use crate::digest::Digest;
use crate::memory::blob::Uid;

/// Who fetches piece `index` of `uid` from the bucket for `own` and all of `others`: the best one first, then who stands in for that one
/// where it is gone, `max` at most. Nobody where that is `own`.
///
/// A pod that is asked may take another one for the parent and ask that in turn, where they know of different pods. This ends: each asks
/// only those that are heavier than itself.
pub fn parents(own: Address, others: &[Address], (uid, index): (Uid, u64), max: usize) -> Vec<Address> {
    let weigh = |pod: Address| (weight_of(&format!("{uid} {index} {pod}")), pod);
    let least = weigh(own);
    let mut heavier: Vec<_> = others.iter().map(|pod| weigh(*pod)).filter(|pod| *pod > least).collect();
    heavier.sort_unstable_by(|one, other| other.cmp(one));
    heavier.into_iter().map(|(_, pod)| pod).take(max).collect()
}

/// All of `pods`, in the order in which they are asked for `uid`.
pub fn order(pods: &[Address], uid: Uid) -> Vec<Address> {
    let mut weighed: Vec<_> = pods.iter().map(|pod| (weight(*pod, uid), *pod)).collect();
    weighed.sort_unstable_by(|one, other| other.cmp(one));
    weighed.into_iter().map(|(_, pod)| pod).collect()
}

/// Pods of two programs must agree: nothing that differs from build to build, and no seed.
fn weight(pod: Address, uid: Uid) -> u64 {
    weight_of(&format!("{uid} {pod}"))
}

fn weight_of(text: &str) -> u64 {
    let digest = Digest::of(text.as_bytes());
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
        let all = pods(10);
        let parents: Vec<_> = (0..5).map(|index| parent(&all, index).to_string()).collect();
        let expected = ["10.0.0.5", "10.0.0.1", "10.0.0.5", "10.0.0.0", "10.0.0.7"];
        assert_eq!(parents, expected.map(|ip| format!("{ip}:8082")));
    }

    /// The parent of a piece of version 7.
    fn parent(all: &[Address], index: u64) -> Address {
        let of = |own: Address| parents(own, all, (Uid(7), index), 1);
        let parent = all.iter().copied().find(|own| of(*own).is_empty()).unwrap();
        assert!(all.iter().all(|own| *own == parent || of(*own) == [parent]));
        parent
    }

    #[test]
    fn all_pods_are_parents_and_others_stand_in_for_them() {
        let all = pods(10);
        let mut chosen: Vec<_> = (0..200).map(|index| parent(&all, index)).collect();
        for index in 0..200 {
            let gone = parent(&all, index);
            let rest: Vec<_> = all.iter().copied().filter(|pod| *pod != gone).collect();
            let second = parent(&rest, index);
            let asked = rest.iter().map(|own| parents(*own, &all, (Uid(7), index), 2));
            assert!(
                asked
                    .zip(&rest)
                    .all(|(asked, own)| asked[..] == [gone, second][..if *own == second { 1 } else { 2 }])
            );
        }
        chosen.sort_unstable();
        chosen.dedup();
        assert_eq!(chosen, all);
        assert!(parents(all[0], &[], (Uid(7), 0), 2).is_empty());
    }

    /// Whoever is asked asks somebody heavier, or nobody: no question goes round.
    #[test]
    fn who_is_asked_asks_nobody_who_asks_him() {
        let all = pods(10);
        for index in 0..200 {
            let mut path = vec![all[0]];
            while path.len() <= all.len() {
                // Each knows those from some place on.
                let known: Vec<_> = all.iter().copied().skip(path.len() * 3 % 10).collect();
                let asked = parents(*path.last().unwrap(), &known, (Uid(1), index), 2);
                let Some(next) = asked.last() else { break };
                assert!(!path.contains(next), "{path:?} {next}");
                path.push(*next);
            }
        }
    }
}
