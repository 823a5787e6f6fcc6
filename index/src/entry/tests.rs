use proptest::prelude::*;

use super::*;

fn live(path: &str, version: Version) -> Entry {
    Entry { path: Arc::from(path), uid: Uid(7), stamp: 9, state: State::Live(version) }
}

fn manifest() -> Entry {
    live(
        "live/a/index.m3u8",
        Version {
            size: 7,
            headers: vec![("content-type".to_owned(), "application/vnd.apple.mpegurl".to_owned())],
            expires_at: Some(1_763_769_600_000_000),
            places: vec![Place::Pod("live-0".to_owned()), Place::Log, Place::ObjectStore("a/b".to_owned())],
            body: Some(Bytes::from_static(b"#EXTM3U")),
        },
    )
}

#[test]
fn what_is_written_is_read() {
    let tombstone = Entry { state: State::Tombstone, ..manifest() };
    for entry in [manifest(), tombstone, live("", Version::default())] {
        assert_eq!(Entry::decode(&entry.encode().unwrap().into()), Ok(entry));
    }
}

/// The form is what other versions of this program read: it never changes without another number.
#[test]
fn the_first_form_stays_as_it_is() {
    let bytes =
        live("a/b", Version { size: 300, body: Some(Bytes::from_static(b"x")), ..Version::default() });
    let mut expected = vec![1, 1, 7];
    expected.extend([0; 15]);
    expected.extend([9, 0, 0, 0, 0, 0, 0, 0, 3]);
    expected.extend(b"a/b");
    expected.extend([0xac, 0x02, 0, 0, 0, 1, b'x']);
    assert_eq!(bytes.encode().unwrap(), expected);
}

#[test]
fn a_newer_form_is_refused_by_its_number() {
    let mut bytes = manifest().encode().unwrap();
    bytes[0] = 2;
    let error = Entry::decode(&bytes.into()).unwrap_err();
    assert_eq!(error.to_string(), "form 2 of an entry is newer than this program, which knows up to 1");
}

/// What a newer program wrote must not be overtaken by what is older.
#[test]
fn the_rank_of_a_newer_form_is_known() {
    let whole = manifest().encode().unwrap();
    let mut newer = whole[..26].to_vec();
    newer[0] = 2;
    newer[1] = 77;
    assert_eq!(Entry::rank_of(&whole), Some(manifest().rank()));
    assert_eq!(Entry::rank_of(&newer), Some(Rank { stamp: 9, uid: Uid(7) }));
    assert_eq!(Entry::rank_of(&whole[..25]), None);
    assert_eq!(Entry::rank_of(&[&[0], &whole[1..]].concat()), None);
}

#[test]
fn ranks_are_ordered_by_their_stamp_first() {
    let rank = |stamp, uid| Rank { stamp, uid: Uid(uid) };
    assert!(rank(2, 1) > rank(1, 9) && rank(1, 9) > rank(1, 8) && Some(rank(0, 0)) > None);
}

#[test]
fn no_cut_entry_is_an_entry() {
    let whole = Entry { state: State::Tombstone, ..manifest() }.encode().unwrap();
    for length in 0..whole.len() {
        assert!(Entry::decode(&Bytes::copy_from_slice(&whole[..length])).is_err(), "{length}");
    }
    let longer = [whole, vec![0]].concat();
    assert_eq!(Entry::decode(&longer.into()), Err(WireError::Long(1)));
}

#[test]
fn every_bound_holds_at_its_edge() {
    let text = |length| "x".repeat(length);
    let header = |length| Version { headers: vec![(text(length), text(length))], ..Version::default() };
    let headers = |count| Version { headers: vec![(text(1), text(1)); count], ..Version::default() };
    let place = |length| Version { places: vec![Place::Pod(text(length))], ..Version::default() };
    let places = |count| Version { places: vec![Place::Log; count], ..Version::default() };
    let body = |length| Version { body: Some(vec![0; length].into()), ..Version::default() };
    let cases = [
        (
            live(&text(PATH_BYTES_MAX), Version::default()),
            live(&text(PATH_BYTES_MAX + 1), Version::default()),
        ),
        (live("a", header(HEADER_BYTES_MAX)), live("a", header(HEADER_BYTES_MAX + 1))),
        (live("a", headers(HEADERS_MAX)), live("a", headers(HEADERS_MAX + 1))),
        (live("a", place(PLACE_BYTES_MAX)), live("a", place(PLACE_BYTES_MAX + 1))),
        (live("a", places(PLACES_MAX)), live("a", places(PLACES_MAX + 1))),
        (live("a", body(BODY_BYTES_MAX)), live("a", body(BODY_BYTES_MAX + 1))),
    ];
    for (fits, does_not) in cases {
        assert_eq!(Entry::decode(&fits.encode().unwrap().into()), Ok(fits));
        let TooLarge { is, max, .. } = does_not.encode().unwrap_err();
        assert_eq!(is, max + 1);
    }
}

proptest! {
    #[test]
    fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), form in 0..3u8) {
        let _ = Entry::decode(&[vec![form, 1], bytes].concat().into());
    }

    #[test]
    fn numbers_survive(size: u64, expires_at in proptest::option::of(1..u64::MAX)) {
        let entry = live("a", Version { size, expires_at, ..Version::default() });
        prop_assert_eq!(Entry::decode(&entry.encode().unwrap().into()), Ok(entry));
    }
}
