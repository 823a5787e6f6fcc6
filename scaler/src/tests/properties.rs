//! What holds whatever the load does.

use proptest::prelude::*;

use crate::simulator::scenarios::noise;

use super::world::{World, fifty};

/// A load that stays for a while, again and again.
fn loads() -> impl Strategy<Value = Vec<(u32, f64)>> {
    prop::collection::vec((1_u32..40, 0.0_f64..6_000.0), 1..12)
}

fn each(loads: &[(u32, f64)]) -> impl Iterator<Item = f64> + '_ {
    loads.iter().flat_map(|(seconds, load)| std::iter::repeat_n(*load, *seconds as usize))
}

/// What a load needs after a history of loads, of pods whose number does not follow.
fn needed(loads: impl Iterator<Item = f64>) -> f64 {
    let mut world = World::new(fifty(""), 10);
    world.follows = false;
    let decisions: Vec<_> = loads.map(|load| world.second(load)).collect();
    decisions.last().and_then(|decision| decision.binding).map_or(0.0, |binding| binding.needed)
}

/// Cases of each property: a tenth of what proptest would play, which is 256 or `PROPTEST_CASES`. Each is minutes of a load.
fn cases() -> ProptestConfig {
    ProptestConfig::with_cases(ProptestConfig::default().cases / 10)
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn never_above_max_and_never_below_min(loads in loads(), pods in 1_u32..60, floor in 1_u32..60) {
        let mut world = World::new(fifty("minReplicas: 3, scaleDown: {stabilizationSeconds: 5, percentPerMinute: 100}"), pods);
        world.spec_replicas = floor;
        for load in each(&loads) {
            let replicas = world.second(load).replicas;
            prop_assert!((floor.clamp(3, 50)..=50).contains(&replicas), "{replicas}");
        }
    }

    #[test]
    fn more_load_never_needs_fewer_pods(loads in loads(), factor in 1.0_f64..5.0, more in 0.0_f64..3_000.0) {
        let all: Vec<f64> = each(&loads).collect();
        let plain = needed(all.iter().copied());
        let scaled = needed(all.iter().map(|load| load * factor));
        // Counters are whole bytes.
        prop_assert!(scaled >= plain - 1e-3, "{scaled} after {plain}");
        let last = all.len() - 1;
        let raised = needed(all.iter().enumerate().map(|(place, load)| if place == last { load + more } else { *load }));
        prop_assert!(raised >= plain - 1e-3, "{raised} after {plain}");
    }

    #[test]
    fn noise_moves_nothing(base in 100.0_f64..3_000.0, seed in 0_u32..1_000_000, share in 0.0_f64..0.04) {
        let mut world = World::new(fifty("scaleDown: {stabilizationSeconds: 60}"), 20);
        let mut asked = Vec::new();
        for second in 0..500 {
            asked.push(world.second(base * (1.0 + share * noise(seed + second))).replicas);
        }
        // From twenty to what it needs, and then perhaps one more, once.
        let settled = &asked[asked.len() - 150..];
        let moves = settled.windows(2).filter(|pair| pair[0] != pair[1]).count();
        prop_assert!(moves <= 1, "{settled:?}");
        let needed = (base / 70.0).ceil();
        prop_assert!(f64::from(asked[asked.len() - 1]) <= (needed * 1.05).ceil() + 1.0, "{} of {needed}", asked[asked.len() - 1]);
    }

    #[test]
    fn a_spike_is_not_followed_down_within_its_window(base in 100.0_f64..500.0, factor in 1.5_f64..9.0, length in 1_u32..30) {
        let mut world = World::new(fifty(""), 8);
        // Until it has come down to what the base needs: a window, and then half of the pods within each minute.
        world.seconds(600, base);
        let before = world.asked;
        let mut most = before;
        for second in 0..(length + 290) {
            let load = if second < length { base * factor } else { base };
            let replicas = world.second(load).replicas;
            prop_assert!(replicas >= most || second >= 300, "{replicas} after {most} in second {second}");
            most = most.max(replicas);
        }
    }

    #[test]
    fn a_fixed_load_settles_and_stays(loads in loads(), load in 0.0_f64..3_000.0) {
        let mut world = World::new(fifty("scaleDown: {stabilizationSeconds: 30, percentPerMinute: 100}"), 5);
        each(&loads).for_each(|load| drop(world.second(load)));
        world.seconds(120, load);
        let settled = world.asked;
        for _ in 0..100 {
            prop_assert_eq!(world.second(load).replicas, settled);
        }
        let needed = load / 70.0;
        prop_assert!(f64::from(settled) >= (needed / 1.05).min(50.0) - 0.01 && f64::from(settled) <= needed.ceil().max(1.0) + 1.0);
    }

    #[test]
    fn a_restart_never_shrinks(loads in loads(), pods in 1_u32..40, load in 0.0_f64..6_000.0) {
        let mut world = World::new(fifty(""), pods);
        each(&loads).for_each(|load| drop(world.second(load)));
        world.restart();
        let mut before = world.asked;
        for _ in 0..299 {
            let replicas = world.second(load).replicas;
            prop_assert!(replicas >= before);
            before = replicas;
        }
    }
}
