use super::*;

const EACH: u64 = MESSAGE_BYTES as u64;

/// Bytes that differ from place to place.
fn bytes(size: u64) -> Bytes {
    (0..size).map(|at| u8::try_from((at * 31 + at / 251) % 251).unwrap()).collect()
}

fn label() -> Label {
    Label { path: "live/ä b.ts".into(), stamp: 1_790_000_000_000_001 }
}

/// Messages of `size` bytes that came in pieces of `piece`.
fn frames(size: u64, piece: usize) -> Vec<Frame> {
    let (mut cutter, mut frames) = (Cutter::new(label()), Vec::new());
    for piece in bytes(size).chunks(piece) {
        let mut piece = Bytes::copy_from_slice(piece);
        while let Some(frame) = cutter.push(&mut piece) {
            frames.push(frame);
        }
        assert!(piece.is_empty());
    }
    frames.push(cutter.finish());
    frames
}

/// What went over the wire, and came back.
fn read(frame: &Frame) -> Result<Frame, Damage> {
    let headers = frame.headers();
    let header = |name: &str| headers.iter().find(|(is, _)| *is == name).map(|(_, value)| value.as_str());
    Frame::read(frame.number, frame.payload.clone(), header)
}

fn join(size: u64, range: Range<u64>, frames: &[Frame]) -> Result<Vec<u8>, Damage> {
    let mut joiner = Joiner::new(size, range.clone());
    let mut all = Vec::new();
    let wanted = numbers(size, &range);
    for frame in frames.iter().filter(|frame| wanted.contains(&frame.number)) {
        all.extend(joiner.take(read(frame)?)?);
    }
    Ok(all)
}

const SIZES: [u64; 8] = [0, 1, 1_000, EACH - 1, EACH, EACH + 1, 2 * EACH, 5_000_000];

#[test]
fn what_is_cut_is_joined_in_any_pieces() {
    for size in SIZES {
        for piece in [1_009, MESSAGE_BYTES, 3 * MESSAGE_BYTES] {
            let frames = frames(size, piece);
            assert_eq!(frames.len() as u64, size.div_ceil(EACH).max(1), "{size}");
            assert!(frames.iter().all(|frame| frame.payload.len() <= MESSAGE_BYTES));
            assert!(join(size, 0..size, &frames).unwrap() == bytes(size), "{size}");
        }
    }
}

#[test]
fn the_first_message_says_whose_it_is() {
    for size in SIZES {
        for frame in frames(size, 100_000) {
            let said = (frame.number == 0).then(label);
            assert_eq!(read(&frame).unwrap().label, said, "{} of {size}", frame.number);
        }
    }
    // One that a program before this one has written is read all the same.
    let unlabelled = Frame { label: None, ..frames(3, 3).remove(0) };
    assert_eq!(read(&unlabelled).unwrap(), unlabelled);
    for (path, stamp) in [("!", "1"), ("YQ", "x"), ("_w", "1")] {
        let header = |name: &str| match name {
            SUM => Some("0"),
            PATH => Some(path),
            STAMP => Some(stamp),
            _ => None,
        };
        assert_eq!(Frame::read(0, Bytes::new(), header).unwrap().label, None, "{path} {stamp}");
    }
}

#[test]
fn any_range_is_joined() {
    let size = 3 * EACH + 7;
    let (frames, all) = (frames(size, 100_000), bytes(size));
    for edge in [0, 1, EACH - 1, EACH, EACH + 1, 3 * EACH, size - 1, size] {
        for end in [0, 1, EACH - 1, EACH, EACH + 1, 2 * EACH, size - 1, size, size + 9] {
            let within = |at: u64| usize::try_from(at.min(size)).unwrap();
            let expected = all.get(within(edge)..within(end)).unwrap_or_default();
            assert!(join(size, edge..end, &frames).unwrap() == expected, "{edge}..{end}");
        }
    }
    assert_eq!(numbers(size, &(EACH..EACH + 1)), 1..2);
    assert_eq!(numbers(0, &(0..0)), 0..1, "that it is there is asked too");
}

#[test]
fn what_is_not_as_it_was_written_is_noticed() {
    let size = 2 * EACH + 5;
    let good = frames(size, 77_777);
    let broken = |number: usize, change: &dyn Fn(&mut Frame)| {
        let mut frames = good.clone();
        change(&mut frames[number]);
        join(size, 0..size, &frames).unwrap_err()
    };
    let flip = |frame: &mut Frame| {
        let mut bytes = frame.payload.to_vec();
        bytes[3] ^= 1;
        frame.payload = bytes.into();
    };
    assert_eq!(broken(1, &flip), Damage::Sum);
    assert_eq!(broken(2, &|frame| frame.payload.truncate(4)), Damage::Length { is: 4, wanted: 5 });
    // Another message of the same length, with its own checksum.
    let other = good[0].clone();
    assert_eq!(broken(1, &|frame| *frame = Frame { number: 1, ..other.clone() }), Damage::Whole);
    assert_eq!(broken(2, &|frame| frame.whole = None), Damage::Size);
    // A version of another size that is longer by whole messages.
    let mut longer = good.clone();
    longer[0].whole = Some(Whole { size: EACH, sum: 0 });
    assert_eq!(join(size, 0..size, &longer), Err(Damage::Size));
    assert_eq!(join(EACH, 0..EACH, &good), Err(Damage::Size));
    assert_eq!(Frame::read(0, Bytes::new(), |_| None), Err(Damage::Sum));
}

#[test]
fn subjects_name_versions() {
    let names = Names::new(Scope::new("live-0").unwrap());
    let uid = Uid(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
    let subject = names.message(uid, 12);
    assert_eq!(subject, "mo.wal.live-0.0123456789abcdef0011223344556677.12");
    assert_eq!((names.stream(), names.all()), ("MO_WAL_live-0".to_owned(), "mo.wal.live-0.>".to_owned()));
    assert_eq!(names.version(uid), "mo.wal.live-0.0123456789abcdef0011223344556677.*");
    assert_eq!(names.uid(&subject), Some(uid));
    for other in [
        "mo.wal.live-0.12.1",
        "mo.wal.live-1.0123456789abcdef0011223344556677.12",
        "mo.wal.live-0.0123456789abcdef0011223344556677.x",
    ] {
        assert_eq!(names.uid(other), None, "{other}");
    }
}
