//! What paths and their times say of streams.

use super::report::{RenditionReport, State};
use super::*;

#[derive(Default)]
struct World {
    streams: Streams,
    now: Duration,
}

impl World {
    fn segment(&mut self, path: &str) {
        self.streams.committed(path, Class::Segment, self.now);
    }

    fn manifest(&mut self, path: &str) {
        self.streams.committed(path, Class::Manifest, self.now);
    }

    fn pass(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
    }

    fn numbers(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.segment(&format!("live/a/seg{number}.ts"));
            self.pass(2.0);
        }
    }

    fn report(&self) -> Report {
        self.streams.report(self.now)
    }

    fn only(&self) -> RenditionReport {
        let mut report = self.report();
        assert_eq!((report.streams.len(), report.streams[0].renditions.len()), (1, 1), "{report:?}");
        report.streams.remove(0).renditions.remove(0)
    }
}

#[test]
fn a_stream_is_the_folder_below_which_everything_has_a_manifest() {
    let mut world = World::default();
    world.segment("live/ch1/720p/seg-00001.m4s");
    assert_eq!(world.report().streams[0].name, "live/ch1/720p", "until a manifest lies above");
    world.manifest("live/ch1/720p/index.m3u8");
    world.manifest("live/ch1/master.m3u8");
    world.manifest("live/ch2/out.mpd");
    world.segment("live/ch1/audio/seg-00001.m4s");
    world.pass(1.0);
    world.segment("live/ch2/chunk-stream0-00001.m4s");
    world.segment("live/ch2/chunk-stream1-00001.m4s");
    world.segment("1.ts");
    world.manifest("index.m3u8");
    for path in ["live/ch2/init-stream0.m4s", "live/ch2/whole.mp4", "live/ch2/x.key"] {
        world.streams.committed(path, Class::of(path), world.now);
    }
    let report = world.report();
    let names: Vec<_> = report
        .streams
        .iter()
        .map(|stream| (stream.name.as_str(), stream.renditions.iter().map(|one| one.name.as_str()).collect()))
        .collect();
    let expected: Vec<(&str, Vec<&str>)> = vec![
        ("", vec!["*.ts"]),
        ("live/ch2", vec!["chunk-stream0-*.m4s", "chunk-stream1-*.m4s"]),
        ("live/ch1", vec!["720p/seg-*.m4s", "audio/seg-*.m4s"]),
    ];
    assert_eq!(names, expected);
    let ages = |stream: &StreamReport| (stream.last_segment_age_seconds, stream.manifest_age_seconds);
    assert_eq!(
        report.streams.iter().map(ages).collect::<Vec<_>>(),
        [(0.0, Some(0.0)), (0.0, Some(1.0)), (1.0, Some(1.0))]
    );
}

#[test]
fn numbers_that_are_left_out_are_missing_until_they_come_late() {
    let mut world = World::default();
    world.numbers(&[1, 2, 5, 6]);
    let found = world.only();
    assert_eq!((found.last_number, found.missing, found.missing_numbers), (6, 2, vec![3, 4]));
    world.numbers(&[4]);
    let found = world.only();
    assert_eq!((found.last_number, found.missing, found.missing_numbers, found.late), (6, 1, vec![3], 1));
    world.numbers(&[6, 5]);
    let found = world.only();
    assert_eq!((found.segments, found.missing, found.late), (7, 1, 1), "what is sent again changes nothing");
}

#[test]
fn a_restart_begins_anew() {
    let mut world = World::default();
    world.numbers(&[500, 501, 503, 0, 1, 2]);
    let found = world.only();
    assert_eq!((found.last_number, found.missing, found.segments), (2, 0, 6));
    world.numbers(&[1_000_000]);
    assert_eq!((world.only().last_number, world.only().missing), (1_000_000, 0));
}

#[test]
fn times_in_place_of_numbers_are_counted() {
    let mut world = World::default();
    world.numbers(&[95_232, 191_488, 286_720, 477_184, 573_440]);
    let found = world.only();
    assert_eq!((found.missing, found.missing_numbers.len(), found.late), (1, 0, 0));
    world.numbers(&[381_952]);
    assert_eq!((world.only().missing, world.only().late), (0, 1));
}

#[test]
fn a_segment_that_is_overdue_makes_its_stream_late() {
    let mut world = World::default();
    world.segment("live/a/seg1.ts");
    world.pass(1_000.0);
    assert_eq!(world.only().state, State::Live, "nobody knows when the next one should come");
    let mut world = World::default();
    world.numbers(&[1, 2, 3]);
    assert_eq!((world.only().state, world.only().interval_seconds), (State::Live, Some(2.0)));
    world.pass(3.0);
    assert_eq!(world.only().state, State::Live);
    world.pass(0.1);
    assert_eq!((world.only().state, world.report().streams[0].state), (State::Late, State::Late));
    world.numbers(&[4]);
    assert_eq!(world.only().state, State::Live);
}

#[test]
fn streams_are_bounded_and_silent_ones_make_place() {
    let mut world = World::default();
    for number in 0..RENDITIONS_MAX + 5 {
        world.segment(&format!("live/{number}/1.ts"));
        world.manifest(&format!("live/{number}/a.m3u8"));
    }
    world.segment(&format!("live/{}/1.ts", "x".repeat(NAME_BYTES_MAX)));
    assert_eq!((world.report().streams.len(), world.report().overflow), (RENDITIONS_MAX, 6));
    assert_eq!(world.streams.count(), RENDITIONS_MAX);
    world.pass(601.0);
    world.segment("live/new/1.ts");
    world.manifest("live/new/a.m3u8");
    let report = world.report();
    assert_eq!(
        (report.streams.len(), report.overflow, report.streams[0].manifest_age_seconds),
        (1, 6, Some(0.0))
    );
}
