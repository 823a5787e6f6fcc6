//! The decision as tables, under virtual time.

use super::*;

const MS: Duration = Duration::from_millis(1);

fn lag(millis: u32) -> Signals {
    Signals { lag: MS * millis, connections_max: 1_000, ..Signals::default() }
}

fn connections(connections_open: u64, connections_max: u64) -> Signals {
    Signals { connections_open, connections_max, ..Signals::default() }
}

fn short() -> Signals {
    Signals { memory_is_short: true, ..connections(0, 1_000) }
}

#[test]
fn each_signal_calls_for_its_level() {
    use Level::{Dvr, LiveEdge, Nothing, Vod};
    for (signals, level, reason) in [
        (lag(0), Nothing, Reason::Lag),
        (lag(999), Nothing, Reason::Lag),
        (lag(1_000), Vod, Reason::Lag),
        (lag(1_999), Vod, Reason::Lag),
        (lag(2_000), Dvr, Reason::Lag),
        (lag(19_999), Dvr, Reason::Lag),
        (lag(20_000), LiveEdge, Reason::Lag),
        (connections(899, 1_000), Nothing, Reason::Lag),
        (connections(900, 1_000), Vod, Reason::Connections),
        (connections(949, 1_000), Vod, Reason::Connections),
        (connections(950, 1_000), Dvr, Reason::Connections),
        (connections(2_000, 1_000), Dvr, Reason::Connections),
        (connections(15, 16), Vod, Reason::Connections),
        (connections(16, 16), Dvr, Reason::Connections),
        (short(), Dvr, Reason::Memory),
        // The worst of all counts, and of two alike the first that is named here.
        (Signals { lag: MS * 1_200, ..connections(960, 1_000) }, Dvr, Reason::Connections),
        (Signals { lag: MS * 2_400, ..connections(960, 1_000) }, Dvr, Reason::Lag),
        (Signals { lag: MS * 1_200, ..short() }, Dvr, Reason::Memory),
        (Signals { lag: MS * 36_000, ..short() }, LiveEdge, Reason::Lag),
    ] {
        let (found, because) = called_for(&signals, 100);
        assert_eq!((found, because), (level, reason), "{signals:?}");
    }
}

/// The order of OP-03 and OP-04: VOD before DVR before the live edge.
#[test]
fn what_is_shed_first_is_what_can_wait_longest() {
    use Class::{Dvr, LiveEdge, Vod};
    for (level, shed) in [
        (Level::Nothing, &[][..]),
        (Level::Vod, &[Vod]),
        (Level::Dvr, &[Vod, Dvr]),
        (Level::LiveEdge, &[Vod, Dvr, LiveEdge]),
    ] {
        for class in [Vod, Dvr, LiveEdge] {
            let expected =
                if shed.contains(&class) { Decision::Shed(Reason::Memory) } else { Decision::Admit };
            assert_eq!(decide(level, Reason::Memory, class), expected, "{level:?} {class:?}");
        }
    }
}

#[test]
fn the_class_of_a_read_follows_from_what_it_is_and_how_old() {
    use policy::Class::{Init, Manifest, Other, Part, Segment};
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let (young, old) = (now - LIVE_EDGE, now - LIVE_EDGE - MS);
    for (class, modified, expected) in [
        (Manifest, Some(old), Class::LiveEdge),
        (Init, Some(old), Class::LiveEdge),
        (Other, Some(old), Class::LiveEdge),
        (Segment, Some(young), Class::LiveEdge),
        (Part, Some(young), Class::LiveEdge),
        (Segment, Some(old), Class::Dvr),
        (Part, Some(old), Class::Dvr),
        // Written a moment ahead of the clock, or about to be.
        (Segment, Some(now + MS), Class::LiveEdge),
        (Segment, None, Class::LiveEdge),
    ] {
        assert_eq!(Class::of(class, modified, now), expected, "{class:?} {modified:?}");
    }
    assert_eq!((Class::below(young, now), Class::below(old, now)), (Class::LiveEdge, Class::Vod));
}

/// A line for each change: when, from what, to what.
fn played(signals: &[(u64, Signals)]) -> Vec<(u64, Level, Level)> {
    let mut judge = Judge::default();
    let changes = signals.iter().filter_map(|(at, signals)| {
        let change = judge.look(Duration::from_secs(*at), signals)?;
        Some((*at, change.before, change.now))
    });
    changes.collect()
}

#[test]
fn a_level_is_reached_at_once_and_left_after_a_calm_while() {
    use Level::{Dvr, Nothing, Vod};
    let calm = lag(0);
    assert_eq!(
        played(&[(0, calm), (1, lag(2_400)), (2, calm), (6, calm), (7, calm), (8, calm)]),
        [(1, Nothing, Dvr), (7, Dvr, Nothing)]
    );
    // It is not calm as long as something calls for the level again and again.
    assert_eq!(
        played(&[(1, short()), (6, calm), (7, short()), (8, calm), (12, calm), (13, calm)]),
        [(1, Nothing, Dvr), (13, Dvr, Nothing)]
    );
    // Down to what is still called for, not further.
    assert_eq!(
        played(&[(1, lag(2_400)), (2, lag(1_200)), (7, lag(1_200)), (8, calm), (12, calm), (13, calm)]),
        [(1, Nothing, Dvr), (7, Dvr, Vod), (13, Vod, Nothing)]
    );
    // Up again at once.
    assert_eq!(
        played(&[(1, lag(1_200)), (2, lag(2_400)), (3, lag(24_000))]),
        [(1, Nothing, Vod), (2, Vod, Dvr), (3, Dvr, Level::LiveEdge)]
    );
}

#[test]
fn around_a_threshold_the_level_does_not_flap() {
    let around: Vec<_> = (0..100).map(|at| (at, lag(if at % 2 == 0 { 1_040 } else { 960 }))).collect();
    assert_eq!(played(&around), [(0, Level::Nothing, Level::Vod)]);
    // A little less is not enough to leave it, however long.
    let below: Vec<_> = (0..100).map(|at| (at, lag(if at == 0 { 1_040 } else { 840 }))).collect();
    assert_eq!(played(&below), [(0, Level::Nothing, Level::Vod)]);
}

#[test]
fn a_read_sees_the_level_and_the_reason_of_the_last_look() {
    let overload = Overload::default();
    let never = || -> Class { unreachable!("nobody asks for the class while all is well") };
    assert_eq!(overload.decide(never).0, Decision::Admit);
    assert!(overload.observe(Duration::ZERO, connections(16, 16)).is_some());
    assert_eq!(overload.decide(|| Class::Dvr), (Decision::Shed(Reason::Connections), Class::Dvr));
    assert_eq!(overload.decide(|| Class::LiveEdge).0, Decision::Admit);
    let json = serde_json::to_string(&overload.report()).unwrap();
    assert_eq!(json, r#"{"shedding":"dvr","reason":"connections","workerLagMillis":0,"episodes":1}"#);
    assert_eq!(overload.observe(Duration::from_secs(1), connections(1, 16)), None);
    assert!(overload.observe(Duration::from_secs(7), connections(1, 16)).is_some());
    assert_eq!(overload.decide(never).0, Decision::Admit);
    assert_eq!((overload.report().shedding, overload.report().episodes), (Level::Nothing, 1));
}

#[test]
fn levels_and_reasons_survive_packing() {
    for level in [Level::Vod, Level::Dvr, Level::LiveEdge] {
        for reason in [Reason::Lag, Reason::Connections, Reason::Memory, Reason::Fills] {
            assert_eq!(unpack(pack(level, reason)), (level, reason));
        }
    }
    assert_eq!(pack(Level::Nothing, Reason::Memory), 0);
}
